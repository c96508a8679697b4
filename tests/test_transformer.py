"""shared.transformer: equal to PyTorch's layers, no look ahead, padding and a cache change nothing, a task learnt."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from shared.checks import agree
from shared.data import Text
from shared.seq2seq import EncoderDecoder, sequence_mask, train_seq2seq, translate
from shared.transformer import (
    MultiHeadAttention,
    PositionalEncoding,
    TransformerBlock,
    TransformerDecoder,
    TransformerEncoder,
    TransformerLM,
)
from shared.translation import corpus_bleu, load_data_nmt

SIZES = 12, 3  # hidden, heads


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def seen(*shape):
    """A mask without a row of False: the first key may always be looked at."""
    mask = torch.rand(*shape) < .6
    mask[..., 0] = True
    return mask


def copy_attention(ours, theirs):
    """PyTorch's weights into ours; the parameters of both, in pairs."""
    with torch.no_grad():
        for W, weight, bias in zip((ours.W_q, ours.W_k, ours.W_v), theirs.in_proj_weight.chunk(3),
                                   theirs.in_proj_bias.normal_().chunk(3)):
            W.weight.copy_(weight)
            W.bias.copy_(bias)
    ours.W_o.load_state_dict(theirs.out_proj.state_dict())
    return ours.W_o.parameters(), theirs.out_proj.parameters()


@pytest.mark.parametrize("keep_weights", [False, True])
@pytest.mark.parametrize("masked", ["no", "batch", "all"])
def test_attention_is_pytorchs(masked, keep_weights):
    theirs, ours = nn.MultiheadAttention(*SIZES, batch_first=True), MultiHeadAttention(*SIZES)
    parameters, ours.keep_weights = copy_attention(ours, theirs), keep_weights
    mask = {"no": None, "batch": seen(4, 5, 7), "all": seen(5, 7)}[masked]
    hidden = mask.logical_not() if masked == "all" else None if mask is None else ~mask.repeat_interleave(3, 0)
    weights = []

    def reference(*inputs):
        out, w = theirs(*inputs, attn_mask=hidden, average_attn_weights=False)
        weights.append(w)
        return out
    agree(lambda *inputs: ours(*inputs, mask), reference, torch.randn(4, 5, 12), torch.randn(4, 7, 12),
          torch.randn(4, 7, 12), parameters=parameters)
    if keep_weights:
        assert torch.allclose(ours.weights, weights[0], atol=1e-6) and not ours.weights.requires_grad
    else:
        assert not hasattr(ours, "weights")


@pytest.mark.parametrize("keep_weights", [False, True])
def test_a_query_that_may_look_nowhere_gets_the_bias(keep_weights):
    attention, mask = MultiHeadAttention(*SIZES), seen(2, 3, 5)
    attention.keep_weights, mask[1, 2] = keep_weights, False
    Y = attention(torch.randn(2, 3, 12), *[torch.randn(2, 5, 12)] * 2, mask)
    assert torch.equal(Y[1, 2], attention.W_o.bias) and Y.isfinite().all()


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("mask", ["lengths", "causal"])
def test_a_block_is_pytorchs(norm_first, mask):
    theirs = nn.TransformerEncoderLayer(*SIZES, 48, 0., "gelu", batch_first=True, norm_first=norm_first)
    ours, X = TransformerBlock(*SIZES, norm_first=norm_first), torch.randn(4, 6, 12)
    pairs = [copy_attention(ours.attention, theirs.self_attn)]
    for part, other in ((ours.feed_forward[0], theirs.linear1), (ours.feed_forward[2], theirs.linear2),
                        (ours.norms[0], theirs.norm1), (ours.norms[1], theirs.norm2)):
        part.load_state_dict({name: value.normal_() for name, value in other.state_dict().items()})
        pairs.append((part.parameters(), other.parameters()))
    real = sequence_mask(torch.tensor([6, 2, 1, 4]), 6)
    if mask == "lengths":
        functions = lambda X: ours(X, real[:, None]), lambda X: theirs(X, src_key_padding_mask=~real)
    else:
        ahead = torch.ones(6, 6, dtype=torch.bool).triu(1)
        functions = lambda X: ours(X, causal=True), lambda X: theirs(X, src_mask=ahead)
    agree(*functions, X, parameters=tuple(sum(map(list, side), []) for side in zip(*pairs)))


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_block_with_a_memory_is_pytorchs(norm_first):
    theirs = nn.TransformerDecoderLayer(*SIZES, 48, 0., "gelu", batch_first=True, norm_first=norm_first)
    ours, real = TransformerBlock(*SIZES, norm_first=norm_first, cross=True), sequence_mask(torch.tensor([5, 2]), 5)
    copy_attention(ours.attention, theirs.self_attn)
    copy_attention(ours.cross, theirs.multihead_attn)
    for part, other in ((ours.feed_forward[0], theirs.linear1), (ours.feed_forward[2], theirs.linear2),
                        (ours.norms[0], theirs.norm1), (ours.norms[1], theirs.norm2), (ours.norms[2], theirs.norm3)):
        part.load_state_dict({name: value.normal_() for name, value in other.state_dict().items()})
    ahead = torch.ones(3, 3, dtype=torch.bool).triu(1)

    def with_memory(X, memory):
        return ours.go_on(X, None, memory=ours.cross.keys_values(memory, memory), memory_mask=real[:, None])[0]
    agree(with_memory, lambda X, memory: theirs(X, memory, tgt_mask=ahead, memory_key_padding_mask=~real),
          torch.randn(2, 3, 12), torch.randn(2, 5, 12))


def test_positions_are_sines_and_cosines_of_falling_frequency():
    positions, X = PositionalEncoding(6, max_steps=9), torch.randn(2, 4, 6)
    for t in range(4):
        for j in range(3):
            angle = (t + 5) / 10000 ** (2 * j / 6)
            added = (positions(X, start=5) - X)[:, t, 2 * j:2 * j + 2]
            assert torch.allclose(added, torch.tensor([math.sin(angle), math.cos(angle)]), atol=1e-5)
    assert not positions.state_dict(), "nothing learnt, nothing saved"


def language_model(dropout=0., **options):
    return TransformerLM(11, *SIZES, 2, dropout, max_steps=10, **options)


def test_the_language_model_sees_nothing_of_what_follows():
    """The gradient of output t with respect to the embeddings of later tokens is zero, and of no earlier ones."""
    net, tokens, kept = language_model(), torch.randint(11, (3, 7)), []
    net.embedding.register_forward_hook(lambda *args: kept.append(args[2].requires_grad_()) or args[2])
    scores = net(tokens)
    for t in range(7):
        grad, = torch.autograd.grad(scores[:, t].square().sum(), kept[0], retain_graph=True)
        assert (grad[:, t + 1:] == 0).all() and (grad[:, :t + 1].abs().sum(2) > 0).all()


@pytest.mark.parametrize("pieces", [[1] * 8, [3, 1, 4], [8]])
def test_the_cache_gives_what_the_whole_computation_gives(pieces):
    net, tokens, cache, parts = language_model(norm_first=False).eval(), torch.randint(11, (3, 8)), None, []
    for part in tokens.split(pieces, 1):
        scores, cache = net.go_on_from(part, cache)
        parts.append(scores)
    assert torch.allclose(torch.cat(parts, 1), net(tokens), atol=1e-5)
    K, V = cache[1]
    assert len(cache) == 2 and K.shape == V.shape == (3, 3, 8, 4)


def test_a_cache_may_be_gone_on_from_twice():
    net, tokens = language_model().eval(), torch.randint(11, (3, 8))
    _, cache = net.go_on_from(tokens[:, :4])
    first, second = (net.go_on_from(tokens[:, 4:], cache)[0] for _ in range(2))
    assert torch.equal(first, second) and torch.allclose(first, net(tokens)[:, 4:], atol=1e-5)


def translator(dropout=0., **options):
    encoder, decoder = TransformerEncoder(12, *SIZES, 2, dropout), TransformerDecoder(9, *SIZES, 2, dropout, **options)
    return EncoderDecoder(encoder, decoder, pad=1).eval()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=4), st.integers(0, 3),
       st.integers(0, 999))
def test_padding_does_not_matter(lengths, more, seed):
    """Each sentence's scores in a batch are those that it has alone, whatever stands in the padding of the source."""
    torch.manual_seed(seed)
    net, n = translator(), torch.tensor([source for source, _ in lengths])
    source = torch.randint(12, (len(lengths), int(n.max()) + more))
    tokens = torch.randint(2, 9, (len(lengths), max(target for _, target in lengths) + more))
    for i, (_, target) in enumerate(lengths):
        tokens[i, target:] = 1
    scores, start = net(source, n, tokens), 0
    for i, (read, written) in enumerate(lengths):
        alone = net(source[i:i + 1, :read], n[i:i + 1], tokens[i:i + 1, :written])
        assert torch.allclose(scores[start:start + written], alone, atol=1e-5)
        start += written
    assert len(scores) == start


def test_one_step_after_another_equals_all_at_once():
    net = translator()
    source, lengths, tokens = torch.randint(12, (4, 5)), torch.tensor([5, 2, 1, 4]), torch.randint(2, 9, (4, 6))
    state = first = net.decoder.init_state(net.encoder(source, lengths), lengths)
    steps = []
    for token in tokens.split(1, dim=1):
        Y, state = net.decoder(token, state)
        steps.append(Y)
    assert torch.allclose(torch.cat(steps, 1), net.decoder(tokens, first)[0], atol=1e-5)
    rows = torch.tensor([3, 0])  # the batch is the first axis of all of the state
    part = torch.utils._pytree.tree_map(lambda part: part[rows], state)
    assert torch.allclose(net.decoder(tokens[rows, :1], part)[0], net.decoder(tokens[:, :1], state)[0][rows], atol=1e-6)


def test_without_lengths_all_of_the_source_is_looked_at():
    net, source = translator(), torch.randint(12, (2, 5))
    encoded = net.encoder(source, torch.tensor([5, 5]))
    states = [net.decoder.init_state(encoded, lengths) for lengths in (None, torch.tensor([5, 5]))]
    assert torch.equal(*[net.decoder(torch.tensor([[2], [2]]), state)[0] for state in states])


def test_the_encoder_reads_each_sentence_in_both_directions_to_its_end():
    encoder, kept = translator().encoder, []
    encoder.embedding.register_forward_hook(lambda *args: kept.append(args[2].requires_grad_()) or args[2])
    Y = encoder(torch.randint(12, (2, 5)), torch.tensor([5, 3]))
    for t in range(3):
        grad = torch.autograd.grad(Y[:, t].square().sum(), kept[0], retain_graph=True)[0].abs().sum(2)
        assert (grad > 0).tolist() == [[True] * 5, [True] * 3 + [False] * 2]


def test_the_decoder_reads_the_whole_source():
    net, source, kept = translator(), torch.randint(12, (2, 5)), []
    net.encoder.embedding.register_forward_hook(lambda *args: kept.append(args[2].requires_grad_()) or args[2])
    scores = net(source, torch.tensor([5, 3]), torch.tensor([[2], [2]]))
    grad = torch.autograd.grad(scores.square().sum(), kept[0])[0].abs().sum(2)
    assert (grad > 0).tolist() == [[True] * 5, [True] * 3 + [False] * 2]


def test_the_output_layer_has_the_embeddings_matrix_unless_told_otherwise():
    for net, loose in ((language_model(), language_model(tied=False)),
                       (translator().decoder, translator(tied=False).decoder)):
        assert net.dense.weight is net.embedding.weight and loose.dense.weight is not loose.embedding.weight
    net = TransformerLM(2000, 64, 4, 1)
    assert math.isclose(net.embedding.weight.std().item(), 64 ** -.5, rel_tol=.02)
    alone = TransformerEncoder(2000, 64, 4, 0).eval()
    assert isinstance(alone.norm, nn.LayerNorm) and isinstance(TransformerEncoder(9, 4, 1, 1, norm_first=False).norm,
                                                               nn.Identity)
    tokens = torch.arange(3)[None]
    expected = F.layer_norm(8 * alone.embedding(tokens) + alone.positions.P[:3], (64,))
    assert torch.allclose(alone(tokens, torch.tensor([3])), expected, atol=1e-6)


def test_dropout_acts_on_what_is_added_and_on_embeddings_and_only_in_training():
    block, X = TransformerBlock(*SIZES, dropout=1.), torch.randn(2, 4, 12)
    assert torch.equal(block(X), X) and not torch.equal(block.eval()(X), X)
    lm, one, other = language_model(1.), torch.tensor([[4, 5, 6]]), torch.tensor([[7, 8, 3]])
    assert torch.equal(lm(one), lm(other)) and not torch.equal(lm.eval()(one), lm(other))
    attention = MultiHeadAttention(*SIZES, dropout=1.)
    for attention.keep_weights in (False, True):
        assert torch.equal(attention.train()(X, X, X)[0, 0], attention.W_o.bias)
        assert not torch.equal(attention.eval()(X, X, X)[0, 0], attention.W_o.bias)
    assert torch.allclose(attention.weights.sum(3), torch.ones(2, 3, 4))
    assert {m.p for m in translator(.3).modules() if isinstance(m, nn.Dropout)} == {0., .3}  # of weights: none


def test_a_model_can_be_copied_after_use():
    net = translator()
    for block in net.decoder.blocks:
        block.cross.keep_weights = True
    batch = torch.randint(12, (2, 5)), torch.tensor([5, 2]), torch.randint(2, 9, (2, 6))
    assert torch.equal(copy.deepcopy(net)(*batch), net(*batch))
    assert net.decoder.blocks[1].cross.weights.shape == (2, 3, 6, 5)


def wrong_arguments():
    attention, X, Y = MultiHeadAttention(*SIZES), torch.randn(2, 4, 12), torch.randn(2, 5, 12)
    one, K = TransformerBlock(*SIZES), torch.randn(2, 3, 5, 4)
    return {
        "num_hiddens=12 for num_heads=5; take": (ValueError, lambda: MultiHeadAttention(12, 5)),
        "num_heads=0": (ValueError, lambda: MultiHeadAttention(12, 0)),
        r"\(batch, steps, 12\), got \(2, 4, 11\)": (ValueError, lambda: attention(X[..., :11], Y, Y)),
        r"\(batch, steps, 12\), got \(4, 12\)": (ValueError, lambda: attention(X[0], Y, Y)),
        r"keys \(2, 5, 12\) and values \(2, 4, 12\)": (ValueError, lambda: attention(X, Y, X)),
        "of 1 sequences, keys those of 2": (ValueError, lambda: attention(X[:1], Y, Y)),
        "got torch.int64; use": (TypeError, lambda: attention(X, Y, Y, torch.ones(2, 4, 5).long())),
        r"= \(2, 4, 5\).*got \(2, 4, 4\)": (ValueError, lambda: attention(X, Y, Y, seen(2, 4, 4))),
        r"= \(2, 4, 5\).*got \(3, 4, 5\)": (ValueError, lambda: attention(X, Y, Y, seen(3, 4, 5))),
        r"= \(2, 4, 5\).*got \(2, 4, 1\)": (ValueError, lambda: attention(X, Y, Y, seen(2, 4, 1))),
        r"= \(2, 4, 5\).*got \(5,\)": (ValueError, lambda: attention(X, Y, Y, seen(5))),
        r"= \(2, 4, 5\).*got \(2, 1, 5, 5\)": (ValueError, lambda: attention(X, Y, Y, seen(2, 1, 5, 5))),
        "cross=False and a memory": (ValueError, lambda: one.go_on(X, None, memory=(K, K))),
        "cross=True and no memory": (ValueError, lambda: TransformerBlock(*SIZES, cross=True)(X)),
        "even, got 7": (ValueError, lambda: PositionalEncoding(7)),
        "11 steps, but positions for 10: .* max_steps=11": (
            ValueError, lambda: language_model()(torch.zeros(1, 11, dtype=torch.long))),
    }


@pytest.mark.parametrize("message", wrong_arguments())
def test_wrong_arguments_are_refused(message):
    error, call = wrong_arguments()[message]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.slow
def test_a_translator_learns_to_reverse():
    """Sentences of digits, to be written backwards, with the training and the translation of `shared.seq2seq`."""
    g, lines = torch.Generator().manual_seed(0), []
    for _ in range(600):
        length = int(torch.randint(2, 6, (), generator=g))
        words = list(map(str, torch.randint(6, (length,), generator=g).tolist()))
        lines.append(" ".join(words) + "\t" + " ".join(words[::-1]))
    pairs = load_data_nmt(Text("digits", "sample", "\n".join(lines)), num_valid=0, num_test=60)
    net = EncoderDecoder(TransformerEncoder(len(pairs.source), 32, 4, 1),
                         TransformerDecoder(len(pairs.target), 32, 4, 1), 1)
    train_seq2seq(net, pairs, num_epochs=30, lr=.01, batch_size=32, device="cpu", progress=False, verbose=False)
    assert corpus_bleu(translate(net, pairs.test[0], pairs), pairs.test[1], 2) > .9
