"""shared.seq2seq: padding changes nothing, steps one by one equal steps at once, a small task is learnt."""

import copy
import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from shared import seq2seq
from shared.data import Text
from shared.seq2seq import (
    AdditiveAttention,
    AttentionDecoder,
    DotProductAttention,
    EncoderDecoder,
    SentenceBatches,
    Seq2SeqDecoder,
    Seq2SeqEncoder,
    masked_softmax,
    sequence_mask,
    train_seq2seq,
    translate,
)
from shared.translation import BOS, PAD, Language, corpus_bleu, load_data_nmt

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


@pytest.mark.parametrize("layers", [1, 2])
def test_the_encoder_reads_each_sentence_to_its_end(layers):
    torch.manual_seed(0)
    encoder = Seq2SeqEncoder(12, 6, 8, layers).eval()
    source, lengths = torch.randint(12, (4, 5)), torch.tensor([5, 2, 1, 4])
    states, last = encoder(source, lengths)
    assert states.shape == (4, 5, 8) and last.shape == (layers, 4, 8)
    for i, n in enumerate(lengths):
        alone, end = encoder.rnn(encoder.embedding(source[i:i + 1, :n]))
        assert torch.allclose(states[i, :n], alone[0], atol=1e-6)
        assert (states[i, n:] == 0).all()
        assert torch.allclose(last[:, i], end[:, 0], atol=1e-6)


@pytest.mark.parametrize("layers", [1, 2])
def test_an_encoder_of_two_directions_reads_each_sentence_from_both_ends(layers):
    torch.manual_seed(0)
    encoder = Seq2SeqEncoder(12, 6, 8, layers, bidirectional=True).eval()
    source, lengths = torch.randint(12, (4, 5)), torch.tensor([5, 2, 1, 4])
    states, last = encoder(source, lengths)
    assert states.shape == (4, 5, 8) and last.shape == (layers, 4, 8)
    for i, n in enumerate(lengths):
        alone, _ = encoder.rnn(encoder.embedding(source[i:i + 1, :n]))
        assert torch.allclose(states[i, :n], alone[0], atol=1e-6) and (states[i, n:] == 0).all()
        ends = torch.cat([alone[0, -1, :4], alone[0, 0, 4:]])  # of the last layer, forwards and backwards
        assert torch.allclose(last[-1, i], ends, atol=1e-6)
    with pytest.raises(ValueError, match="even, got 7"):
        Seq2SeqEncoder(12, 6, 7, bidirectional=True)


def by_hand(cell, x, h):
    """One step of a GRU from its weights (Cho et al. 2014), x (in,), h (hidden,)."""
    (r_x, z_x, n_x), (r_h, z_h, n_h) = (W.chunk(3) for W in (cell.weight_ih @ x + cell.bias_ih,
                                                             cell.weight_hh @ h + cell.bias_hh))
    r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
    return (1 - z) * torch.tanh(n_x + r * n_h) + z * h


def test_the_plain_decoder_sees_the_word_and_the_whole_source_at_each_step():
    torch.manual_seed(0)
    decoder = Seq2SeqDecoder(9, 6, 8).eval()
    last, tokens = torch.randn(1, 2, 8), torch.randint(9, (2, 3))
    features, (H, context) = decoder(tokens, decoder.init_state((None, last), None))
    cell = SimpleNamespace(**{name[:-3]: p for name, p in decoder.rnn.named_parameters()})
    for i in range(2):
        h = last[0, i]
        for t in range(3):
            h = by_hand(cell, torch.cat([decoder.embedding.weight[tokens[i, t]], last[0, i]]), h)
            assert torch.allclose(features[i, t], torch.cat([h, last[0, i]]), atol=1e-6)
        assert torch.allclose(H[0, i], h, atol=1e-6) and torch.equal(context[i], last[0, i])


def test_the_context_of_several_layers_is_the_state_of_the_last_one():
    decoder, last = Seq2SeqDecoder(9, 6, 8, 2), torch.randn(2, 4, 8)
    H, context = decoder.init_state((None, last), None)
    assert torch.equal(H, last) and torch.equal(context, last[1])
    assert decoder(torch.randint(9, (4, 3)), (H, context))[0].shape == (4, 3, 16)
    assert AttentionDecoder(9, 6, 8).init_state((torch.randn(4, 5, 8), last), None)[0].equal(last[1])


def test_the_attention_decoder_looks_up_its_context_with_the_state_before():
    torch.manual_seed(0)
    decoder = AttentionDecoder(9, 6, 8).eval()
    assert [name for name, _ in decoder.W_k.named_parameters()] == ["weight"]  # a bias would add the same to all scores
    states, last, lengths = torch.randn(2, 5, 8), torch.randn(1, 2, 8), torch.tensor([5, 3])
    tokens = torch.randint(9, (2, 3))
    features, (H, *_) = decoder(tokens, decoder.init_state((states, last), lengths))
    for i, n in enumerate(lengths):
        h, keys = last[0, i], states[i, :n]
        for t in range(3):
            scores = [h @ decoder.W_k.weight @ key / math.sqrt(8) for key in keys]
            weights = torch.stack(scores).softmax(0)
            context = sum(w * key for w, key in zip(weights, keys))
            h = by_hand(decoder.cell, torch.cat([decoder.embedding.weight[tokens[i, t]], context]), h)
            assert torch.allclose(features[i, t], torch.cat([h, context]), atol=1e-5)
            assert torch.allclose(decoder.weights[i, t, :n], weights, atol=1e-6)
        assert torch.allclose(H[i], h, atol=1e-5)
    assert decoder.weights.shape == (2, 3, 5) and (decoder.weights[1, :, 3:] == 0).all()


@pytest.mark.parametrize("decoder", DECODERS)
def test_scores_are_those_of_the_real_words_sentence_after_sentence(decoder):
    net = model(decoder)
    source, lengths = torch.randint(12, (3, 5)), torch.tensor([5, 2, 4])
    tokens = torch.tensor([[2, 3, 1, 1], [2, 5, 6, 7], [2, 1, 1, 1]])
    scores, start = net(source, lengths, tokens), 0
    for i, n in enumerate([2, 4, 1]):
        state = net.decoder.init_state(net.encoder(source[i:i + 1], lengths[i:i + 1]), lengths[i:i + 1])
        alone = net.decoder.dense(net.decoder(tokens[i:i + 1, :n], state)[0])[0]
        assert torch.allclose(scores[start:start + n], alone, atol=1e-5)
        start += n
    assert scores.shape == (start, 9)


def test_dropout_acts_on_embeddings_and_features_and_between_layers():
    """With everything dropped, words make no difference and features are zero; in use, nothing is."""
    lengths, last = torch.tensor([3]), torch.randn(1, 1, 8)
    one, other = torch.tensor([[4, 5, 6]]), torch.tensor([[7, 8, 3]])
    encoder = Seq2SeqEncoder(9, 6, 8, dropout=1.)
    assert torch.equal(encoder(one, lengths)[0], encoder(other, lengths)[0])
    assert not torch.equal(encoder.eval()(one, lengths)[0], encoder(other, lengths)[0])
    for decoder in (Seq2SeqDecoder(9, 6, 8, dropout=1.), AttentionDecoder(9, 6, 8, dropout=1.)):
        state = decoder.init_state((torch.randn(1, 3, 8), last), lengths)
        (first, (H, *_)), (second, (K, *_)) = decoder(one, state), decoder(other, state)
        assert (first == 0).all() and (second == 0).all() and torch.equal(H, K)
        decoder.eval()
        assert not torch.equal(decoder(one, state)[0], decoder(other, state)[0])
        assert not torch.equal(decoder(one, state)[1][0], decoder(other, state)[1][0])
    for part in (Seq2SeqEncoder, Seq2SeqDecoder):
        assert part(9, 6, 8, 2, .3).rnn.dropout == .3 and part(9, 6, 8, 2, .3).rnn.num_layers == 2
        assert part(9, 6, 8, dropout=.3).rnn.dropout == 0 and part(9, 6, 8).rnn.num_layers == 1
    for part in (Seq2SeqEncoder(9, 6, 8), Seq2SeqDecoder(9, 6, 8), AttentionDecoder(9, 6, 8),
                 AdditiveAttention(4, 4, 8), DotProductAttention()):
        assert part.dropout.p == 0


def test_dropout_of_attention_leaves_the_weights_to_look_at_whole():
    X = torch.rand(2, 3, 4)
    for attention in (AdditiveAttention(4, 4, 8, dropout=1.), DotProductAttention(dropout=1.)):
        assert (attention(X, X, X) == 0).all()
        assert torch.allclose(attention.weights.sum(2), torch.ones(2, 3))


def test_a_mask_is_true_as_long_as_the_sequence_runs():
    assert sequence_mask(torch.tensor([2, 0]), 3).tolist() == [[True, True, False], [False] * 3]
    assert sequence_mask(torch.tensor([[1], [3]]), 3).tolist() == [[[True, False, False]], [[True] * 3]]


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
    assert torch.allclose(masked_softmax(scores, None), scores.softmax(2))
    same = masked_softmax(scores, lengths[:, 0])
    assert torch.equal(same, masked_softmax(scores, lengths[:, :1].expand(-1, queries)))


def test_masked_softmax_refuses_scores_with_an_axis_of_heads():
    with pytest.raises(ValueError, match="batch, queries, keys"):
        masked_softmax(torch.zeros(2, 4, 3, 5), torch.tensor([5, 3]))


def test_dot_product_attention_is_pytorchs():
    Q, K, V = torch.randn(2, 3, 8), torch.randn(2, 5, 8), torch.randn(2, 5, 4)
    assert torch.allclose(DotProductAttention()(Q, K, V), F.scaled_dot_product_attention(Q, K, V), atol=1e-6)
    mask = (torch.arange(5) < torch.tensor([2, 0])[:, None])[:, None].expand(2, 3, 5)
    attention = DotProductAttention()
    ours = attention(Q, K, V, torch.tensor([2, 0]))
    assert torch.allclose(ours, F.scaled_dot_product_attention(Q, K, V, attn_mask=mask), atol=1e-6)
    assert torch.allclose(attention.weights @ V, ours, atol=1e-6)


def test_additive_attention_is_its_formula_and_learns():
    torch.manual_seed(0)
    attention, lengths = AdditiveAttention(4, 6, 8), torch.tensor([5, 2])
    Q, K, V = torch.randn(2, 3, 4), torch.randn(2, 5, 6), torch.randn(2, 5, 7)
    result = attention(Q, K, V, lengths)
    for b, n in enumerate(lengths):
        for q in range(3):
            scores = [attention.w_v(torch.tanh(attention.W_q(Q[b, q]) + attention.W_k(k))) for k in K[b, :n]]
            weights = torch.cat(scores).softmax(0)
            assert torch.allclose(attention.weights[b, q], F.pad(weights, (0, 5 - int(n))), atol=1e-6)
            assert torch.allclose(result[b, q], weights @ V[b, :n], atol=1e-6)
    result.square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in attention.parameters())
    assert sum(p.numel() for p in attention.parameters()) == 8 * (4 + 6 + 1), "no biases"


def test_a_model_can_be_copied_after_use():
    """Weights are kept to be looked at, without the graph that made them."""
    net = model(AttentionDecoder)
    batch = torch.randint(12, (4, 5)), torch.tensor([5, 2, 1, 4]), torch.randint(2, 9, (4, 6))
    net(*batch)
    twin = copy.deepcopy(net)
    assert torch.equal(twin(*batch), net(*batch))
    dots = DotProductAttention()
    dots(*[torch.rand(1, 2, 3, requires_grad=True)] * 3)
    assert not copy.deepcopy(dots).weights.requires_grad and not net.decoder.weights.requires_grad


def test_keys_may_be_made_ready():
    attention = AdditiveAttention(4, 6, 8)
    Q, K = torch.randn(2, 3, 4), torch.randn(2, 5, 6)
    assert torch.allclose(attention(Q, K, K), attention(Q, K, K, keys_ready=attention.W_k(K)))


def digits(n):
    """Pairs of n sentences of digits and the same backwards; the same ones each time."""
    g = torch.Generator().manual_seed(0)
    lines = []
    for _ in range(n):
        length = int(torch.randint(2, 6, (), generator=g))
        words = [str(digit) for digit in torch.randint(6, (length,), generator=g).tolist()]
        lines.append(" ".join(words) + "\t" + " ".join(words[::-1]))
    return Text("digits", "sample", "\n".join(lines))


def some_digits(n):
    return load_data_nmt(digits(n), num_valid=0, num_test=n // 10)


def test_batches_give_the_real_target_words_in_the_order_of_the_scores():
    pairs = some_digits(100)
    batches = SentenceBatches(pairs, 8, device="cpu")
    assert batches.name == "digits" and batches.real is False and batches.batch_size == 8
    source, lengths, tokens, target = next(iter(batches))
    for ours, whole in zip((source, lengths, tokens), pairs.train):
        assert torch.equal(ours, whole[:8, :ours.shape[1]] if ours.ndim == 2 else whole[:8])
    assert source.shape[1] == lengths.max() and tokens.shape[1] == (tokens != batches.pad).sum(1).max()
    ended = [[w for w in row.tolist() if w != batches.pad] for row in pairs.train[3][:8]]
    assert target.tolist() == sum(ended, []) and target.ndim == 1
    net = model(Seq2SeqDecoder, len(pairs.source), len(pairs.target))
    assert net(source, lengths, tokens).shape == (len(target), len(pairs.target))


@pytest.mark.parametrize("batch_size", [8, 7])
def test_shuffled_batches_hold_every_pair_once_and_sentences_of_like_length(batch_size):
    pairs = some_digits(900)
    batches, plain = (SentenceBatches(pairs, batch_size, device="cpu", shuffle=shuffle, seed=3)
                      for shuffle in (True, False))
    n, orders = len(pairs.train[0]), [batches.order().tolist() for _ in range(2)]
    assert all(sorted(order) == list(range(n)) for order in orders) and orders[0] != orders[1]
    again = SentenceBatches(pairs, batch_size, device="cpu", shuffle=True, seed=3)
    assert again.order().tolist() == orders[0]

    def padding(batches):
        drawn = [(tokens.numel(), len(target)) for _, _, tokens, target in batches]
        assert len(drawn) == len(batches)
        assert sum(real for _, real in drawn) == int((pairs.train[3] != batches.pad).sum())
        return 1 - sum(real for _, real in drawn) / sum(places for places, _ in drawn)
    assert padding(batches) < .05 < padding(plain)
    widths = [tokens.shape[1] for _, _, tokens, _ in batches]
    assert widths != sorted(widths) and widths != sorted(widths)[::-1], "in random order"
    sizes = [len(lengths) for _, lengths, _, _ in batches]
    assert set(sizes[:-1]) == {batch_size} and sizes[-1] == (n % batch_size or batch_size)


class Reader(nn.Module):
    """An encoder that remembers the words, and notes in which mode it was used."""
    def __init__(self):
        super().__init__()
        self.parameter, self.modes = nn.Parameter(torch.zeros(())), []

    def forward(self, source, lengths):
        self.modes.append((self.training, torch.is_grad_enabled()))
        return source


class Writer(nn.Module):
    """A decoder that first writes, piece for piece, what was read; <eos> ends it as it ended the source."""
    def __init__(self, vocab):
        super().__init__()
        self.vocab_size, self.dense, self.fed = len(vocab), nn.Identity(), []

    def init_state(self, encoded, lengths):
        return encoded, 0

    def forward(self, tokens, state):
        source, step = state
        self.fed.append(tokens[:, 0])
        place = min(step, source.shape[1] - 1)
        return F.one_hot(source[:, place:place + 1], self.vocab_size).float(), (source, step + 1)


@pytest.mark.parametrize("training", [True, False])
def test_translating_writes_the_likeliest_piece_until_the_end_and_leaves_the_mode(training):
    """Any two modules that do what `EncoderDecoder` asks for will do."""
    letters = Language([list("abcdef")], 6)
    pairs = SimpleNamespace(source=letters, target=letters, num_steps=9)
    reader, writer = Reader(), Writer(letters.vocab)
    net = EncoderDecoder(reader, writer, letters.vocab[PAD]).train(training)
    sentences = ["a b".split(), ["c"], "d e f".split(), []]
    assert translate(net, sentences, pairs) == sentences
    assert reader.modes == [(False, False)], "in evaluation mode, without gradients"
    assert net.training is reader.training is writer.training is training
    assert [letters.vocab.to_tokens(fed)[2] for fed in writer.fed] == [BOS, "d", "e", "f"]


def test_a_translation_consists_of_words_not_of_pieces():
    parts = Language([["ab", "cd"]], 4)
    pairs = SimpleNamespace(source=parts, target=parts, num_steps=9)
    net = EncoderDecoder(Reader(), Writer(parts.vocab), 1)
    assert translate(net, [["ab", "cd", "ad"]], pairs) == [["ab", "cd", "ad"]]


def test_a_translation_without_an_end_has_as_many_pieces_as_there_are_steps():
    letters = Language([list("ab")], 2)
    pairs = SimpleNamespace(source=letters, target=letters, num_steps=3)
    net = EncoderDecoder(Reader(), Writer(letters.vocab), 1)
    net.decoder.init_state = lambda encoded, lengths: (torch.full((1, 3), letters.vocab["b"]), 0)
    assert translate(net, [["a"]], pairs) == [["b", "b", "b"]]


def test_a_translation_that_fails_leaves_the_mode_too():
    letters = Language([list("ab")], 2)
    pairs = SimpleNamespace(source=letters, target=letters, num_steps=3)
    net = EncoderDecoder(Reader(), nn.Identity(), 1)
    with pytest.raises(AttributeError, match="init_state"):
        translate(net, [["a"]], pairs)
    assert net.training


def test_training_clips_gradients_and_lets_adams_rate_rise_and_fall(monkeypatch):
    pairs, net, asked = some_digits(100), model(Seq2SeqDecoder), {}
    monkeypatch.setattr(seq2seq, "fit", lambda net, batches, **rest: asked.update(rest, batches=batches))
    train_seq2seq(net, pairs, num_epochs=3, device="cpu", seed=4, progress=False)
    assert asked["num_epochs"] == 3 and asked["clip"] == 1 and asked["progress"] is False
    factor = asked["schedule"]
    assert factor(.025) == .5 and factor(.05) == 1 and math.isclose(factor(.525), .5)
    assert math.isclose(factor(1), 0, abs_tol=1e-9)
    assert isinstance(asked["optimizer"], torch.optim.Adam) and asked["optimizer"].defaults["lr"] == .007
    assert list(map(id, asked["optimizer"].param_groups[0]["params"])) == list(map(id, net.parameters()))
    batches = asked["batches"]
    assert batches.batch_size == 64 and batches.shuffle
    assert str(batches.device) == asked["device"] == "cpu"
    same = SentenceBatches(pairs, 64, shuffle=True, seed=4, device="cpu")
    assert torch.equal(batches.order(), same.order())
    train_seq2seq(net, pairs, num_epochs=1, lr=.1, batch_size=5, device="cpu")
    assert asked["batches"].batch_size == 5 and asked["optimizer"].defaults["lr"] == .1
    same = SentenceBatches(pairs, 5, shuffle=True, seed=0, device="cpu")
    assert torch.equal(asked["batches"].order(), same.order())


@pytest.mark.slow
def test_attention_learns_to_reverse():
    """Sentences of digits, to be written backwards: learnt to the last word, on held-out ones too."""
    torch.manual_seed(0)
    pairs = some_digits(600)
    net = EncoderDecoder(Seq2SeqEncoder(len(pairs.source), 16, 48), AttentionDecoder(len(pairs.target), 16, 48), pad=1)
    train_seq2seq(net, pairs, num_epochs=25, lr=.01, batch_size=32, device="cpu", progress=False,
                  verbose=False)
    assert corpus_bleu(translate(net, pairs.test[0], pairs), pairs.test[1], 2) > .9
