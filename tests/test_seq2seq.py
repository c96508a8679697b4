"""shared.seq2seq: padding changes nothing, steps one by one equal steps at once, a small task is learnt."""

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.nn import functional as F

from shared import data
from shared.data import Text
from shared.seq2seq import (AdditiveAttention, AttentionDecoder, DotProductAttention, EncoderDecoder,
                            Seq2SeqDecoder, Seq2SeqEncoder, SentenceBatches, masked_softmax, train_seq2seq,
                            translate)
from shared.translation import corpus_bleu, load_data_nmt

DECODERS = [Seq2SeqDecoder, AttentionDecoder]


def model(decoder, source=12, target=9):
    torch.manual_seed(0)
    return EncoderDecoder(Seq2SeqEncoder(source, 6, 8), decoder(target, 6, 8), pad=1).eval()


@pytest.mark.parametrize("decoder", DECODERS)
def test_padding_does_not_matter(decoder):
    net, words = model(decoder), torch.tensor([[4, 7, 3]])
    padded = F.pad(words, (0, 5), value=1)
    tokens, n = torch.tensor([[2, 5, 6]]), torch.tensor([3])
    assert torch.allclose(net(words, n, tokens), net(padded, n, tokens), atol=1e-6)
    longer = F.pad(tokens, (0, 4), value=1)
    assert torch.allclose(net(words, n, tokens), net(words, n, longer), atol=1e-6)


@pytest.mark.parametrize("decoder", DECODERS)
def test_one_step_after_another_equals_all_at_once(decoder):
    net = model(decoder)
    source, lengths = torch.randint(12, (4, 5)), torch.tensor([5, 2, 1, 4])
    tokens = torch.randint(2, 9, (4, 6))
    state = first = net.decoder.init_state(net.encoder(source, lengths), lengths)
    steps = []
    for token in tokens.split(1, dim=1):
        Y, state = net.decoder(token, state)
        steps.append(Y)
    assert torch.allclose(torch.cat(steps, 1), net.decoder(tokens, first)[0], atol=1e-5)


def test_layers_of_the_plain_model():
    net = EncoderDecoder(Seq2SeqEncoder(12, 6, 8, 2, .1), Seq2SeqDecoder(9, 6, 8, 2, .1), pad=1)
    scores = net(torch.randint(12, (4, 5)), torch.tensor([5, 2, 1, 4]), torch.randint(2, 9, (4, 6)))
    assert scores.shape == (24, 9)


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 6), st.integers(0, 999))
def test_masked_softmax_is_a_softmax_over_the_real_keys(batch, queries, keys, seed):
    g = torch.Generator().manual_seed(seed)
    scores = torch.randn(batch, queries, keys, generator=g) * 50
    lengths = torch.randint(keys + 1, (batch, queries), generator=g)
    weights = masked_softmax(scores, lengths)
    for b in range(batch):
        for q in range(queries):
            n = int(lengths[b, q])
            assert torch.allclose(weights[b, q, :n], scores[b, q, :n].softmax(0))
            assert (weights[b, q, n:] == 0).all()
    same = masked_softmax(scores, lengths[:, 0])
    assert torch.equal(same, masked_softmax(scores, lengths[:, :1].expand(-1, queries)))


def test_dot_product_attention_is_pytorchs():
    Q, K, V = torch.randn(2, 3, 8), torch.randn(2, 5, 8), torch.randn(2, 5, 4)
    assert torch.allclose(DotProductAttention()(Q, K, V), F.scaled_dot_product_attention(Q, K, V), atol=1e-6)
    mask = (torch.arange(5) < torch.tensor([2, 0])[:, None])[:, None].expand(2, 3, 5)
    ours = DotProductAttention()(Q, K, V, torch.tensor([2, 0]))
    assert torch.allclose(ours, F.scaled_dot_product_attention(Q, K, V, attn_mask=mask), atol=1e-6)


def test_keys_may_be_made_ready():
    attention = AdditiveAttention(4, 6, 8)
    Q, K = torch.randn(2, 3, 4), torch.randn(2, 5, 6)
    assert torch.allclose(attention(Q, K, K), attention(Q, K, K, keys_ready=attention.W_k(K)))


def test_batches_give_the_real_target_words_in_the_order_of_the_scores():
    pairs = load_data_nmt(data.fra_eng(), num_examples=500, num_test=50)
    source, lengths, tokens, target = next(iter(SentenceBatches(pairs, 8, device="cpu")))
    assert len(target) == (tokens != 1).sum() and (target != 1).all()
    net = model(Seq2SeqDecoder, len(pairs.source_vocab), len(pairs.target_vocab))
    assert net(source, lengths, tokens).shape == (len(target), len(pairs.target_vocab))


def test_attention_learns_to_reverse():
    """Sentences of digits, to be written backwards: learnt to the last word, on held-out ones too."""
    g = torch.Generator().manual_seed(0)
    lines = []
    for _ in range(600):
        words = [str(int(d)) for d in torch.randint(6, (int(torch.randint(2, 6, (), generator=g)),), generator=g)]
        lines.append(" ".join(words) + "\t" + " ".join(words[::-1]))
    pairs = load_data_nmt(Text("digits", "sample", "\n".join(lines)), num_steps=7, num_test=40)
    torch.manual_seed(0)
    net = EncoderDecoder(Seq2SeqEncoder(len(pairs.source_vocab), 16, 48),
                         AttentionDecoder(len(pairs.target_vocab), 16, 48), pad=1)
    train_seq2seq(net, pairs, num_epochs=25, lr=.01, batch_size=32, device="cpu", progress=False, verbose=False)
    assert corpus_bleu(translate(net, pairs.test_source, pairs), pairs.references, 2) > .9
