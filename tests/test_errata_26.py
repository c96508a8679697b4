"""Each erratum of chapter 26: the mistake does what the errata page says, and so does the mend."""

import builtins
import inspect
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

# Code of the source, as it stands there (the names of the library of its book are given by the test).
DEEP = """
vocab_size, num_hiddens, num_layers = len(vocab), 256, 2
num_inputs = vocab_size
lstm_layer = nn.LSTM(num_inputs, num_hiddens, num_layers)
model = RNNModel(lstm_layer, len(vocab))
"""
BIDIRECTIONAL = DEEP.replace("num_layers)", "num_layers, bidirectional=True)")
MODEL = """
class RNNModel(nn.Module):
    def __init__(self, rnn_layer, vocab_size):
        super().__init__()
        self.rnn, self.vocab_size = rnn_layer, vocab_size
        self.num_hiddens = self.rnn.hidden_size
        self.num_directions = 2 if self.rnn.bidirectional else 1
        self.linear = nn.Linear(self.num_hiddens * self.num_directions, self.vocab_size)

    def forward(self, inputs, state):
        X = F.one_hot(inputs.T.long(), self.vocab_size).to(torch.float32)
        Y, state = self.rnn(X, state)
        return self.linear(Y.reshape((-1, Y.shape[-1]))), state
"""


def model_of(code):
    names = {"torch": torch, "nn": nn, "F": F, "vocab": range(28)}
    exec(MODEL + code, names)
    return names["model"]


def sees_later(net, change=5):
    """Does an output before a step change with the input of this step?"""
    X = torch.randint(28, (2, 9), generator=torch.Generator().manual_seed(0))
    other = X.clone()
    other[:, change] = (other[:, change] + 1) % 28
    with torch.no_grad():
        a, b = (net(x, None)[0].view(9, 2, 28) for x in (X, other))
    return bool((a - b)[:change].abs().max() > 0)


def test_erratum_26_01():
    """Even with the future at hand it predicts nothing: whatever stands at the next step is 'predicted'."""
    torch.manual_seed(0)
    assert not sees_later(model_of(DEEP)) and sees_later(model_of(BIDIRECTIONAL))

    torch.manual_seed(0)
    gru, out = nn.GRU(8, 16, bidirectional=True), nn.Linear(32, 8)
    optimizer = torch.optim.Adam([*gru.parameters(), *out.parameters()], .02)

    def scores(tokens):
        return out(gru(F.one_hot(tokens, 8).float())[0])
    g = torch.Generator().manual_seed(0)
    for _ in range(150):  # the next token is drawn by chance: nobody can predict it
        tokens = torch.randint(8, (17, 64), generator=g)
        loss = F.cross_entropy(scores(tokens)[:-1].flatten(0, 1), tokens[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    new = torch.randint(8, (17, 64), generator=g)
    assert F.cross_entropy(scores(new)[:-1].flatten(0, 1), new[1:].flatten()).exp() < 1.2
    without = torch.stack([scores(new[:t])[-1] for t in range(1, 17)])  # the future is not given
    assert F.cross_entropy(without.flatten(0, 1), new[1:].flatten()).exp() > 7.5


def test_erratum_26_02():
    """For tags or gaps all is there when the answer is asked for; one pass, and nothing is missing."""
    torch.manual_seed(0)
    gru, out = nn.GRU(6, 16, bidirectional=True), nn.Linear(32, 6)
    one_way, out_one = nn.GRU(6, 32), nn.Linear(32, 6)
    right = {}
    for name, (layer, top) in {"both": (gru, out), "one": (one_way, out_one)}.items():
        optimizer = torch.optim.Adam([*layer.parameters(), *top.parameters()], .02)
        g = torch.Generator().manual_seed(0)
        for _ in range(200):  # the tag of a word is the next word
            words = torch.randint(6, (10, 64), generator=g)
            tags = words.roll(-1, 0)[:-1]
            scores = top(layer(F.one_hot(words, 6).float())[0])[:-1]
            loss = F.cross_entropy(scores.flatten(0, 1), tags.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        right[name] = float((scores.argmax(-1) == tags).float().mean())
    assert right["both"] > .95 and right["one"] < .4


def test_erratum_26_03():
    """One forecast from a window of the past, read from both ends, knows nothing of what comes later."""
    torch.manual_seed(0)
    layer, series = nn.GRU(1, 8, bidirectional=True), torch.randn(30, 1, 1)
    other = series.clone()
    other[20:] += 1
    of_window = [layer(s[10:20])[1] for s in (series, other)]
    for_each_step = [layer(s)[0][19] for s in (series, other)]
    assert torch.equal(*of_window) and not torch.equal(*for_each_step)


def test_erratum_26_04():
    torch.manual_seed(0)
    layer, X = nn.GRU(3, 4, bidirectional=True), torch.randn(5, 2, 3)
    zeros, given = torch.zeros(2, 2, 4), torch.stack([torch.zeros(2, 4), torch.ones(2, 4)])
    assert torch.equal(layer(X)[0], layer(X, zeros)[0])
    assert not torch.equal(layer(X)[0][-1, :, 4:], layer(X, given)[0][-1, :, 4:])
    padded = torch.cat([X, torch.zeros(3, 2, 3)])  # then it is what the layer made of the padding
    assert not torch.allclose(layer(X)[0], layer(padded)[0][:5], atol=1e-3)
    packed = nn.utils.rnn.pack_padded_sequence(padded, [5, 5])
    assert torch.allclose(layer(X)[0], nn.utils.rnn.pad_packed_sequence(layer(packed)[0])[0], atol=1e-6)


def test_erratum_26_05():
    """In the network of two layers in the same lesson, the directions do meet."""
    X = torch.randn(5, 2, 3)

    def reaches(num_layers):
        torch.manual_seed(0)
        layer = nn.LSTM(3, 4, num_layers, bidirectional=True)
        forward_half = layer(X)[0][..., :4].sum()
        found = torch.autograd.grad(forward_half, layer.weight_hh_l0_reverse, allow_unused=True)[0]
        return found is not None and bool(found.abs().max() > 0)
    assert not reaches(1) and reaches(2)
    assert model_of(BIDIRECTIONAL).rnn.weight_ih_l1.shape == (4 * 256, 2 * 256)


def test_erratum_26_06():
    """Joined as they come, the states of different steps stand side by side."""
    torch.manual_seed(0)
    both, there, back = nn.GRU(3, 4, bidirectional=True), nn.GRU(3, 4), nn.GRU(3, 4)
    for layer, ending in (there, ""), (back, "_reverse"):
        layer.load_state_dict({name: both.state_dict()[name + ending] for name in layer.state_dict()})
    X = torch.randn(5, 2, 3)
    joined = torch.cat([there(X)[0], back(X.flip(0))[0]], 2)
    turned = torch.cat([there(X)[0], back(X.flip(0))[0].flip(0)], 2)
    assert joined.shape == both(X)[0].shape and not torch.allclose(joined, both(X)[0], atol=1e-3)
    assert torch.allclose(turned, both(X)[0], atol=1e-6)


def test_erratum_26_07():
    """The second layer has nearly twice the weights of the first: a wider single layer has as many as both."""
    one, two = (sum(p.numel() for p in nn.LSTM(28, 256, n).parameters()) for n in (1, 2))
    assert two > 2.7 * one
    assert abs(sum(p.numel() for p in nn.LSTM(28, 438, 1).parameters()) / two - 1) < .01


def test_erratum_26_08():
    names = {"torch": torch}
    exec("input = torch.randn(100, 32, 10)", names)
    with pytest.raises(TypeError, match="not callable"):
        exec("answer = input('how many layers? ')", names)
    assert callable(builtins.input)


def test_erratum_26_09():
    """A penalty depends on the weights alone; dropout changes the loss at random, and in a single layer not at all."""
    torch.manual_seed(0)
    stacked, inputs = nn.GRU(8, 16, 2, dropout=.5).train(), torch.ones(7, 4, 8)
    penalties = {float(sum((p.detach() ** 2).sum() for p in stacked.parameters())) for _ in range(3)}
    losses = {float((stacked(inputs)[0].detach() ** 2).mean()) for _ in range(3)}
    assert len(penalties) == 1 and len(losses) == 3

    def seq2seq_encoder(embed_size, num_hiddens, num_layers, dropout=0):
        return nn.GRU(embed_size, num_hiddens, num_layers, dropout=dropout)
    assert inspect.signature(seq2seq_encoder).parameters["dropout"].default == 0
    X = torch.ones(7, 4, 8)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        single = seq2seq_encoder(8, 16, 1, dropout=.5).train()
    assert len(said) == 1 and torch.equal(single(X)[0], single(X)[0])
    double = seq2seq_encoder(8, 16, 2, dropout=.5).train()
    assert not torch.equal(double(X)[0], double(X)[0])
    off = seq2seq_encoder(8, 16, 2).train()  # the default drops nothing, in training either
    assert torch.equal(off(X)[0], off(X)[0])
