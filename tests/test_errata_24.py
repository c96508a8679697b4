"""Each erratum of chapter 24: the mistake does what the errata page says, and so does the mend."""

import ast
import math
import sys
from collections import Counter

import pytest
import torch
from torch import nn

from shared import data
from shared.text import SeqDataLoader, letters_only, seq_data_iter_random, tokenize


def grad_clipping(net, theta):
    return nn.utils.clip_grad_norm_(net.parameters(), theta)


@pytest.fixture(scope="module")
def by_hand():
    torch.manual_seed(1)
    layer = nn.RNN(5, 2, batch_first=True)
    x_seq = torch.tensor([1.0, 2.0, 3.0])[:, None].expand(3, 5)
    return layer, x_seq, layer(x_seq[None])[0][0]


def test_erratum_24_01():
    with pytest.raises(SyntaxError):
        ast.parse("(torch.zeros((batch_size, num_hiddens, device=device),)")
    with pytest.raises(SyntaxError):
        ast.parse("torch.zeros((batch_size, num_hiddens, device=device),)")
    ast.parse("(torch.zeros((batch_size, num_hiddens), device=device),)")


def test_erratum_24_02():
    class Model:
        def __init__(self):
            self.pararms = [torch.zeros(1)]

        def __call__(self, X):
            return self.params
    with pytest.raises(AttributeError, match="params"):
        Model()(None)


def test_erratum_24_03():
    weights = torch.randn(200_000, generator=torch.Generator().manual_seed(0)) * .01
    assert math.isclose(weights.std(), .01, rel_tol=.02) and weights.var() < .00011


def test_erratum_24_04():
    assert " ".join("time") == "t i m e" and "".join("time") == "time"


def test_erratum_24_05():
    with pytest.raises(TypeError, match="missing 2 required"):
        grad_clipping()
    layer = nn.Linear(2, 1)
    (100 * layer(torch.ones(1, 2))).sum().backward()
    grad_clipping(layer, 1)
    assert math.isclose(sum((p.grad ** 2).sum() for p in layer.parameters()), 1, rel_tol=1e-3)


def test_erratum_24_06():
    with pytest.raises(NameError, match="animator"):
        exec("aniamtor = []\nanimator.append(1)", {})


def test_erratum_24_07():
    class Model(nn.Module):
        def __init__(self, rnn):
            super().__init__()
            self.rnn = rnn

        def begin_state(self):
            if not isinstance(self.rnn, nn.LSTM):
                return torch.zeros(self.rnn.num_layers, 1, self.rnn.hidden_size)
            return torch.zeros(self.rnn_num_layers, 1, self.rnn.hidden_size)
    Model(nn.RNN(2, 3)).begin_state()
    with pytest.raises(AttributeError, match="rnn_num_layers"):
        Model(nn.LSTM(2, 3)).begin_state()


@pytest.mark.parametrize("steps", [1, 9])
def test_erratum_24_08(steps):
    state = nn.RNN(3, 4, num_layers=2, bidirectional=True)(torch.randn(steps, 5, 3))[1]
    assert state.shape == (2 * 2, 5, 4)


def test_erratum_24_09():
    assert round(math.exp(2.0), 1) == 7.4 != 2.0


def test_erratum_24_10():
    """A small text learnt by heart: perplexity near 1 on it, worse than even guessing beyond."""
    g = torch.Generator().manual_seed(0)
    seen, new = torch.randint(8, (120,), generator=g), torch.randint(8, (120,), generator=g)
    torch.manual_seed(0)
    rnn, out = nn.RNN(8, 64), nn.Linear(64, 8)
    optimizer = torch.optim.Adam([*rnn.parameters(), *out.parameters()], .01)

    def loss(text):
        X = nn.functional.one_hot(text[:-1], 8).float()[:, None]
        return nn.functional.cross_entropy(out(rnn(X)[0])[:, 0], text[1:])
    for _ in range(150):
        optimizer.zero_grad()
        loss(seen).backward()
        optimizer.step()
    assert loss(seen).exp() < 1.1 and loss(new).exp() > 8


def test_erratum_24_11():
    book = data.time_machine()
    words = tokenize(letters_only(book.text))
    if book.real:
        assert (len(words), len(set(words))) == (32_775, 4_579)
    assert len(words) > 5 * len(set(words))


def test_erratum_24_12():
    updates = Counter()
    cell = nn.RNNCell(3, 4)
    cell.register_forward_hook(lambda *_: updates.update(["step"]))
    H = torch.zeros(32, 4)
    for X_t in torch.randn(35, 32, 3):
        H = cell(X_t, H)
    assert updates["step"] == 35 and len(H.unique(dim=0)) == 32


def test_erratum_24_13():
    text = letters_only(data.time_machine().text)

    def perplexity_of_frequencies(tokens):
        counts = torch.tensor(list(Counter(tokens).values()), dtype=torch.float)
        p = counts / counts.sum()
        return math.exp(-(p * p.log()).sum())
    assert perplexity_of_frequencies(text.split()) > 2 * perplexity_of_frequencies(text)


def test_erratum_24_14(capsys):
    for epoch in range(500):
        for batch in range(9):
            print(torch.Size([1120, 28]))
    assert len(capsys.readouterr().out.splitlines()) == 4500


def test_erratum_24_15():
    """Reading x(t-1) before predicting x(t) is reading x(t) before predicting x(t+1)."""
    torch.manual_seed(0)
    cell, out, x = nn.RNNCell(1, 4), nn.Linear(4, 1), torch.randn(6, 1, 1)
    lesson, h = {}, torch.zeros(1, 4)
    for t in range(1, 6):
        h = cell(x[t - 1], h)
        lesson[t] = out(h)
    code, h = {}, torch.zeros(1, 4)
    for t in range(5):
        h = cell(x[t], h)
        code[t + 1] = out(h)
    assert all(torch.equal(lesson[t], code[t]) for t in range(1, 6))


def test_erratum_24_16():
    class Loader:
        def __init__(self, use_random_iter):
            if use_random_iter:
                self.data_iter_fn = list
            else:
                self.dta_iter_fn = list

        def __iter__(self):
            return iter(self.data_iter_fn([1]))
    assert list(Loader(True)) == [1]
    with pytest.raises(AttributeError, match="data_iter_fn"):
        list(Loader(False))
    assert list(SeqDataLoader(range(50), 2, 5, random=False, device="cpu"))


def test_erratum_24_17():
    X, _ = next(seq_data_iter_random(list(range(60)), batch_size=10, num_steps=5))
    assert len(X[:, 0].unique()) == 10  # the batch is larger than the number of steps


def test_erratum_24_18():
    def pieces(offset, n=61, num_steps=5):
        return [list(range(i, i + num_steps)) for i in range(offset, n - num_steps, num_steps)]
    assert pieces(5) == pieces(0)[1:]
    assert all(pieces(k) != pieces(0)[1:] for k in range(1, 5))


def test_erratum_24_19(tmp_path, monkeypatch):
    (tmp_path / "chapter").mkdir()
    (tmp_path / "module_of_the_folder_above.py").write_text("x = 1\n")
    monkeypatch.chdir(tmp_path / "chapter")
    monkeypatch.setattr(sys, "path", ["..."])
    with pytest.raises(ModuleNotFoundError):
        import module_of_the_folder_above
    monkeypatch.setattr(sys, "path", [".."])
    import module_of_the_folder_above
    assert module_of_the_folder_above.x == 1


def test_erratum_24_20():
    from packaging.version import Version
    assert "1.10.1" < "1.8.0" and Version("1.10.1") > Version("1.8.0")


def test_erratum_24_21(by_hand):
    layer, x_seq, output = by_hand
    with pytest.raises(SyntaxError):
        ast.parse("if t > 0:\n    prev_h = out_man[t-1]\nprev_h = torch.zeros((ht.shape))8")
    out_man = []
    for t, x in enumerate(x_seq):
        if t > 0:
            prev_h = out_man[t - 1]
        prev_h = torch.zeros(2)
        out_man.append(torch.tanh(layer.weight_ih_l0 @ x + layer.bias_ih_l0
                                  + layer.weight_hh_l0 @ prev_h + layer.bias_hh_l0))
    same = [torch.allclose(a, b) for a, b in zip(out_man, output)]
    assert same == [True, False, False]


def test_erratum_24_22(by_hand):
    layer, x_seq, output = by_hand
    called_hidden = x_seq @ layer.weight_ih_l0.T + layer.bias_ih_l0
    assert not torch.allclose(called_hidden, output, atol=.05)
    assert torch.equal(layer(x_seq[None])[1][0, 0], output[-1])  # the state is what is returned


def test_erratum_24_23():
    def kept(phi, steps=60):
        h0 = h = torch.zeros((), requires_grad=True)
        for _ in range(steps):
            h = phi(1.0 * h + .5)
        return torch.autograd.grad(h, h0)[0]
    assert kept(lambda a: a) == 1 and kept(torch.tanh) < 1e-6


def test_erratum_24_24(by_hand):
    layer, x_seq, output = by_hand
    one = nn.RNN(5, 2, batch_first=True)
    one.load_state_dict(layer.state_dict())
    with torch.no_grad():
        one.bias_ih_l0 += one.bias_hh_l0
        one.bias_hh_l0.zero_()
    assert len(list(layer.parameters())) == 4
    assert torch.allclose(one(x_seq[None])[0][0], output, atol=1e-6)


def test_erratum_24_25():
    layer = nn.RNN(10, 20)
    assert layer(torch.randn(100, 32, 10))[1].shape == (1, 32, 20)
    assert layer(torch.randn(32, 100, 10))[1].shape == (1, 100, 20)  # no error
    with pytest.raises(RuntimeError):
        layer(torch.randn(10, 32, 100))


def test_erratum_24_26():
    torch.manual_seed(0)
    layer = nn.RNN(10, 20)
    assert layer.bias_hh_l0.shape == layer.bias_ih_l0.shape
    assert not torch.equal(layer.bias_hh_l0, layer.bias_ih_l0)


def test_erratum_24_27():
    lower, upper, X = nn.RNNCell(10, 20), nn.RNNCell(20, 20), torch.randn(32, 10)
    assert upper(lower(X)).shape == (32, 20)  # two layers, one step


def test_erratum_24_28():
    unseeded = [torch.normal(0, 1, (2, 3)) for _ in "ab"]
    assert not torch.equal(*unseeded)
    seeded = [torch.normal(0, 1, (2, 3), generator=torch.Generator().manual_seed(0)) for _ in "ab"]
    assert torch.equal(*seeded)
