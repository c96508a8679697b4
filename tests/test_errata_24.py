"""Each erratum of chapter 24: the mistake does what the errata page says, and so does the mend."""

import ast
import math
import random
import sys
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from packaging.version import Version
from torch import nn
from torch.nn import functional as F

from shared import data
from shared.text import SeqDataLoader, letters_only, seq_data_iter_random, tokenize

# Code of the source: it is run as it stands there, then with the mistake replaced.
MODEL_FROM_SCRATCH = """
class RNNModelScratch:
    def __init__(self, vocab_size, num_hiddens, device, get_params, init_state, forward_fn):
        self.vocab_size, self.num_hiddens = vocab_size, num_hiddens
        self.pararms = get_params(vocab_size, num_hiddens, device)
        self.init_state, self.forward_fn = init_state, forward_fn

    def __call__(self, X, state):
        X = F.one_hot(X.T, self.vocab_size).type(torch.float32)
        return self.forward_fn(X, state, self.params)
"""
MODEL_OF_THE_LIBRARY = """
class RNNModel(nn.Module):
    def __init__(self, rnn_layer, vocab_size):
        super().__init__()
        self.rnn, self.vocab_size, self.num_directions = rnn_layer, vocab_size, 1
        self.num_hiddens = self.rnn.hidden_size
        self.linear = nn.Linear(self.num_hiddens, self.vocab_size)

    def forward(self, inputs, state):
        X = F.one_hot(inputs.T.long(), self.vocab_size).to(torch.float32)
        Y, state = self.rnn(X, state)
        return self.linear(Y.reshape((-1, Y.shape[-1]))), state

    def begin_state(self, device, batch_size=1):
        if not isinstance(self.rnn, nn.LSTM):
            return torch.zeros((self.num_directions * self.rnn.num_layers, batch_size, self.num_hiddens))
        else:
            return (torch.zeros((self.num_directions * self.rnn_num_layers, batch_size, self.num_hiddens)),
                    torch.zeros((self.num_directions * self.rnn_num_layers, batch_size, self.num_hiddens)))
"""
TRAINING = """
def train(net, num_epochs):
    aniamtor = Animator(xlabel='epoch', ylabel='perplexity', legend=['train'], xlim=[10, num_epochs])
    for epoch in range(num_epochs):
        ppl = train_epoch(net)
        if (epoch + 1) % 10 == 0:
            animator.add(epoch + 1, [ppl])
"""
LOADER = """
class SeqDataLoader:
    def __init__(self, corpus, batch_size, num_steps, use_random_iter):
        if use_random_iter:
            self.data_iter_fn = seq_data_iter_random
        else:
            self.dta_iter_fn = seq_data_iter_sequential
        self.corpus, self.batch_size, self.num_steps = corpus, batch_size, num_steps

    def __iter__(self):
        return self.data_iter_fn(self.corpus, self.batch_size, self.num_steps)
"""


def seq_data_iter_sequential(corpus, batch_size, num_steps):
    offset = random.randint(0, num_steps)
    num_tokens = ((len(corpus) - offset - 1) // batch_size) * batch_size
    Xs = torch.tensor(corpus[offset:offset + num_tokens]).reshape(batch_size, -1)
    Ys = torch.tensor(corpus[offset + 1:offset + 1 + num_tokens]).reshape(batch_size, -1)
    num_batches = Xs.shape[1] // num_steps
    for i in range(0, num_steps * num_batches, num_steps):
        yield Xs[:, i:i + num_steps], Ys[:, i:i + num_steps]


def grad_clipping(net, theta):
    params = [p for p in net.parameters() if p.requires_grad]
    norm = torch.sqrt(sum(torch.sum(p.grad ** 2) for p in params))
    if norm > theta:
        for param in params:
            param.grad[:] *= theta / norm


def run(code, **names):
    """The names after code has run with those given, and with torch's."""
    names |= {"torch": torch, "nn": nn, "F": F}
    exec(code, names)
    return names


@pytest.fixture(scope="module")
def by_hand():
    torch.manual_seed(1)
    layer = nn.RNN(5, 2, batch_first=True)
    x_seq = torch.tensor([1.0, 2.0, 3.0])[:, None].expand(3, 5)
    return layer, x_seq, layer(x_seq[None])[0][0]


def test_erratum_24_01():
    line = "state = (torch.zeros((batch_size, num_hiddens, device=device),)"
    for wrong in (line, line.replace("= (torch", "= torch")):  # the missing bracket is not the only mistake
        with pytest.raises(SyntaxError):
            ast.parse(wrong)
    line = line.replace("num_hiddens, device", "num_hiddens), device")
    state = run(line, batch_size=2, num_hiddens=512, device="cpu")["state"]
    assert isinstance(state, tuple) and [H.shape for H in state] == [(2, 512)]


def test_erratum_24_02():
    def model(code):
        return run(code)["RNNModelScratch"](28, 5, "cpu", lambda *sizes: torch.ones(28, 5), None,
                                            lambda X, state, params: (X @ params, state))
    X = torch.arange(10).reshape(2, 5)
    with pytest.raises(AttributeError, match="no attribute 'params'"):
        model(MODEL_FROM_SCRATCH)(X, None)
    mended = model(MODEL_FROM_SCRATCH.replace("pararms", "params"))
    assert torch.equal(mended(X, None)[0], torch.ones(5, 2, 5))


def test_erratum_24_03():
    """To have the variance 0.01, the factor is its root."""
    drawn = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    assert float((drawn * .01).var()) == pytest.approx(.0001, rel=.02)
    assert float((drawn * .01).std()) == pytest.approx(.01, rel=.02)
    assert float((drawn * .1).var()) == pytest.approx(.01, rel=.02)


def test_erratum_24_04():
    assert " ".join("time") == "t i m e" and "".join("time") == "time"


def test_erratum_24_05():
    layer = nn.Linear(2, 1)
    (100 * layer(torch.ones(1, 2))).sum().backward()
    before = [p.grad.clone() for p in layer.parameters()]
    with pytest.raises(TypeError, match="missing 2 required"):
        grad_clipping()
    grad_clipping(layer, 1)
    after = [p.grad for p in layer.parameters()]
    assert math.isclose(sum((g ** 2).sum() for g in after), 1, rel_tol=1e-5)
    assert all(torch.allclose(g, b / 30_000 ** .5) for g, b in zip(after, before))


def test_erratum_24_06():
    points, epochs = [], []

    def names():
        return {"Animator": lambda **_: SimpleNamespace(add=lambda *point: points.append(point)),
                "train_epoch": lambda net: epochs.append(net) or 1.5}
    with pytest.raises(NameError, match="'animator'"):
        run(TRAINING, **names())["train"]("net", 20)
    assert len(epochs) == 10 and not points  # found after ten epochs of training
    run(TRAINING.replace("aniamtor", "animator"), **names())["train"]("net", 20)
    assert points == [(10, [1.5]), (20, [1.5])]


def test_erratum_24_07():
    def predict(code, layer):
        net = run(code)["RNNModel"](layer(28, 3, num_layers=2), 28)
        return net(torch.zeros(5, 7), net.begin_state("cpu", batch_size=5))
    for layer in (nn.RNN, nn.GRU):
        assert predict(MODEL_OF_THE_LIBRARY, layer)[1].shape == (2, 5, 3)  # nobody notices
    with pytest.raises(AttributeError, match="'rnn_num_layers'"):
        predict(MODEL_OF_THE_LIBRARY, nn.LSTM)
    Y, state = predict(MODEL_OF_THE_LIBRARY.replace("rnn_num_layers", "rnn.num_layers"), nn.LSTM)
    assert Y.shape == (35, 28) and [part.shape for part in state] == [(2, 5, 3)] * 2


@pytest.mark.parametrize("steps", [1, 9])
@pytest.mark.parametrize("layers, directions", [(1, 1), (2, 1), (1, 2), (3, 2)])
def test_erratum_24_08(steps, layers, directions):
    state = nn.RNN(3, 4, num_layers=layers, bidirectional=directions == 2)(torch.randn(steps, 5, 3))[1]
    assert state.shape == (layers * directions, 5, 4)


def test_erratum_24_09():
    """The notes' quotient is the mean loss; 28 equally probable characters have the perplexity 28."""
    scores, y = torch.zeros(1120, 28), torch.arange(1120) % 28
    metric = [F.cross_entropy(scores, y).item() * y.numel(), y.numel()]
    assert metric[0] / metric[1] == pytest.approx(math.log(28), rel=1e-5)
    assert math.exp(metric[0] / metric[1]) == pytest.approx(28, rel=1e-4)
    assert math.exp(2) == pytest.approx(7.4, abs=.05)


@pytest.mark.slow
def test_erratum_24_10():
    """1,000 characters learnt by heart, as their perplexity says; the next 1,000 are guessed worse than from
    frequencies, as it does not say."""
    book = data.time_machine()
    text = letters_only(book.text)[:2000]
    number = {c: i for i, c in enumerate(sorted(set(text)))}
    seen, new = torch.tensor([number[c] for c in text]).split(1000)
    torch.manual_seed(0)
    rnn, out = nn.RNN(len(number), 128), nn.Linear(128, len(number))
    optimizer = torch.optim.Adam([*rnn.parameters(), *out.parameters()], .005)

    def loss(text):  # ten pieces of a hundred characters
        X, y = F.one_hot(text[:-1], len(number)).float(), text[1:]
        X, y = X[:990].reshape(10, 99, -1).transpose(0, 1), y[:990].reshape(10, 99).T
        return F.cross_entropy(out(rnn(X)[0]).flatten(0, 1), y.flatten())
    for _ in range(300):
        optimizer.zero_grad()
        loss(seen).backward()
        nn.utils.clip_grad_norm_(rnn.parameters(), 1)
        optimizer.step()
    counts = seen.bincount(minlength=len(number)) + 1.
    table = F.cross_entropy((counts / counts.sum()).log().expand(1000, -1), new)
    with torch.no_grad():
        assert loss(seen).exp() < 1.3 and loss(new).exp() > 10
        assert not book.real or loss(new).exp() > 2 * table.exp()  # the built-in story repeats itself


def test_erratum_24_11():
    book = data.time_machine()
    words = tokenize(letters_only(book.text))
    if book.real:
        assert (len(words), len(set(words))) == (32_775, 4_579)
    assert len(words) > 5 * len(set(words))


def test_erratum_24_12():
    """32 rows of 35 steps: the answer's 1,120 updates are 35, each of all rows together."""
    updates = []
    cell = nn.RNNCell(3, 4)
    cell.register_forward_hook(lambda _, inputs, output: updates.append(output.shape))
    X, H = torch.randn(35, 32, 3), torch.zeros(32, 4)
    for X_t in X:
        H = cell(X_t, H)
    assert updates == [(32, 4)] * 35
    alone = torch.zeros(1, 4)
    for X_t in X[:, 5:6]:
        alone = cell(X_t, alone)
    assert torch.allclose(alone[0], H[5], atol=1e-6)  # a row does not see the others


def test_erratum_24_13():
    text = letters_only(data.time_machine().text)

    def perplexity_of_frequencies(tokens):
        counts = torch.tensor(list(Counter(tokens).values()), dtype=torch.float)
        p = counts / counts.sum()
        return math.exp(-(p * p.log()).sum())
    assert perplexity_of_frequencies(text.split()) > 2 * perplexity_of_frequencies(text)


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
    def batches(code, use_random_iter):
        names = run(code, seq_data_iter_random=seq_data_iter_random,
                    seq_data_iter_sequential=seq_data_iter_sequential)
        return list(names["SeqDataLoader"](list(range(50)), 2, 5, use_random_iter))
    assert batches(LOADER, use_random_iter=True)
    with pytest.raises(AttributeError, match="'data_iter_fn'"):
        batches(LOADER, use_random_iter=False)
    X, Y = zip(*batches(LOADER.replace("dta_iter_fn", "data_iter_fn"), use_random_iter=False))
    assert torch.equal(torch.cat(Y, 1), torch.cat(X, 1) + 1)
    assert torch.equal(torch.cat(X, 1)[0].diff(), torch.ones(len(X) * 5 - 1))  # neighbours, in order


@pytest.mark.parametrize("batch_size, num_steps", [(2, 5), (5, 5), (10, 5), (10, 1)])
def test_erratum_24_17(batch_size, num_steps):
    """Smaller than the number of steps, equal, larger: no two pieces of an epoch are alike."""
    g = torch.Generator().manual_seed(0)
    pieces = torch.cat([X for X, _ in seq_data_iter_random(list(range(60)), batch_size, num_steps, g)])
    assert len(pieces.unique(dim=0)) == len(pieces) >= 10
    assert len((pieces[:, 0] % num_steps).unique()) == 1  # multiples of it, after one random start


def test_erratum_24_18(monkeypatch):
    """Of one row in steps of 5, a start at 5 gives what a start at 0 gives, less the first piece."""
    def pieces(start):
        def randint(low, high):
            allowed.add((low, high))
            return start
        monkeypatch.setattr(random, "randint", randint)
        return [X[0].tolist() for X, _ in seq_data_iter_sequential(list(range(61)), 1, 5)]
    allowed = set()
    assert pieces(5) == pieces(0)[1:] and allowed == {(0, 5)}
    assert all(not {*map(tuple, pieces(k))} & {*map(tuple, pieces(0))} for k in range(1, 5))
    monkeypatch.undo()
    assert {random.Random(seed).randint(0, 5) for seed in range(99)} == {0, 1, 2, 3, 4, 5}  # both ends count
    ours = SeqDataLoader(range(61), 1, 5, random=False, device="cpu")
    assert {int(next(iter(ours))[0][0, 0]) for _ in range(99)} == {0, 1, 2, 3, 4}


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
    printed, wanted = "1.10.1", "1.8.0"  # the notes' check prints the first and says OK
    assert printed != wanted and printed < wanted
    assert Version(printed) >= Version(wanted)


def test_erratum_24_21(by_hand):
    layer, x_seq, output = by_hand
    code = """
out_man = []
for t in range(3):
    ht = x_seq[t] @ w_xh.T + b_xh
    if t > 0:
        prev_h = out_man[t-1]
    prev_h = torch.zeros((ht.shape))8
    out_man.append(torch.tanh(ht + prev_h @ w_hh.T + b_hh))
"""
    def steps_that_agree(code):
        with torch.no_grad():
            out_man = run(code, x_seq=x_seq, w_xh=layer.weight_ih_l0, w_hh=layer.weight_hh_l0,
                          b_xh=layer.bias_ih_l0, b_hh=layer.bias_hh_l0)["out_man"]
        return [torch.allclose(a, b, atol=1e-6) for a, b in zip(out_man, output)]
    with pytest.raises(SyntaxError):
        ast.parse(code)
    code = code.replace("))8", "))")
    assert steps_that_agree(code) == [True, False, False]
    code = code.replace("    prev_h = torch.zeros", "    else:\n        prev_h = torch.zeros")
    assert steps_that_agree(code) == [True, True, True]


def test_erratum_24_22(by_hand):
    """The numbers that the notes print as "Hidden", and those of the layer's state."""
    layer, x_seq, output = by_hand
    called_hidden = x_seq @ layer.weight_ih_l0.T + layer.bias_ih_l0
    printed = torch.tensor([[-.4701929, .5863904], [-.88883156, 1.2364397], [-1.3074701, 1.886489]])
    assert torch.allclose(called_hidden, printed, atol=1e-6)
    states = [layer(x_seq[None, :t])[1][0, 0] for t in (1, 2, 3)]  # after one, two, three steps
    assert torch.allclose(torch.stack(states), output, atol=1e-6)
    assert not torch.allclose(called_hidden, output, atol=.1)


def test_erratum_24_23():
    def kept(phi, steps=60):
        h0 = h = torch.zeros((), requires_grad=True)
        for _ in range(steps):
            h = phi(1.0 * h + .5)
        return torch.autograd.grad(h, h0)[0]
    assert kept(lambda a: a) == 1 and kept(torch.tanh) < 1e-6


def test_erratum_24_24(by_hand):
    layer, x_seq, output = by_hand
    assert [name for name, _ in layer.named_parameters() if "bias" in name] == ["bias_ih_l0", "bias_hh_l0"]
    one = nn.RNN(5, 2, batch_first=True)
    one.load_state_dict(layer.state_dict())
    with torch.no_grad():
        one.bias_hh_l0.zero_()
        assert not torch.allclose(one(x_seq[None])[0][0], output, atol=.01)  # one of two is not enough
        one.bias_ih_l0 += layer.bias_hh_l0
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
    """Two layers of cells have no axis of steps either; a layer of one layer has it."""
    lower, upper, X = nn.RNNCell(10, 20), nn.RNNCell(20, 20), torch.randn(32, 10)
    assert upper(lower(X)).shape == (32, 20)
    with pytest.raises((RuntimeError, ValueError), match="1D or 2D"):
        lower(torch.randn(100, 32, 10))
    one_layer = nn.RNN(10, 20, num_layers=1)
    assert one_layer(torch.randn(100, 32, 10))[0].shape == (100, 32, 20)
    one_layer.load_state_dict({f"{name}_l0": value for name, value in lower.state_dict().items()})
    assert torch.allclose(one_layer(X[None])[0][0], lower(X), atol=1e-6)  # it does one step


def test_erratum_24_28():
    unseeded = [torch.normal(0, 1, (2, 3)) for _ in "ab"]
    assert not torch.equal(*unseeded)
    seeded = [torch.normal(0, 1, (2, 3), generator=torch.Generator().manual_seed(0)) for _ in "ab"]
    assert torch.equal(*seeded)
