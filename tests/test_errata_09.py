"""Each erratum of chapter 09: the mistake does what the errata page says, and so does the mend."""

import ast
import io
import itertools
import math
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F


def test_erratum_09_01():
    torch.manual_seed(0)
    X, y = torch.rand(256, 784), torch.randint(0, 10, (256,))
    W1, W2 = torch.randn(784, 256), torch.randn(256, 10)
    assert F.cross_entropy(torch.relu(X @ W1) @ W2, y) > 20 * math.log(10)
    W1, W2 = W1 * (2 / 784) ** .5, W2 * (2 / 256) ** .5
    assert F.cross_entropy(torch.relu(X @ W1) @ W2, y) < 2 * math.log(10)


def test_erratum_09_02():
    H, W2 = torch.rand(32, 256), torch.rand(256, 10)
    with pytest.raises(RuntimeError, match="must match"):
        H * W2
    assert torch.allclose(H @ W2, F.linear(H, W2.T))
    square = torch.rand(32, 32)
    assert (square * square).shape == (square @ square).shape  # here it runs
    assert not torch.allclose(square * square, square @ square)


def test_erratum_09_03():
    code = "trainer_iter, test_iter = load(256)\nused = train(train_iter)"
    names = {"load": lambda batch_size: ("new loader", "test"), "train": lambda loader: loader}
    with pytest.raises(NameError, match="'train_iter'"):
        exec(code, dict(names))
    used_kernel = names | {"train_iter": "old loader"}
    exec(code, used_kernel)
    assert used_kernel["used"] == "old loader"  # and no error
    exec(code.replace("trainer_iter", "train_iter"), names)
    assert names["used"] == "new loader"


def test_erratum_09_04():
    """The answer's "linear" ax + b is not additive either; what ReLU adds is the bend."""
    a, b = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))

    def affine(x):
        return 3 * x + 2
    assert not torch.allclose(affine(a + b), affine(a) + affine(b), atol=.1)
    assert torch.allclose(affine((a + b) / 2), (affine(a) + affine(b)) / 2, atol=1e-6)  # but it is straight
    assert not torch.allclose(torch.relu(a + b), torch.relu(a) + torch.relu(b), atol=.1)
    assert not torch.allclose(torch.relu((a + b) / 2), (torch.relu(a) + torch.relu(b)) / 2, atol=.1)
    x, bends = torch.linspace(0, 1, 101), torch.linspace(0, 1, 11)[:-1]
    slopes = (2 * bends + .1).diff(prepend=torch.zeros(1))
    assert ((torch.relu(x[:, None] - bends) @ slopes) - x**2).abs().max() < .003  # a sum of bends: a parabola


def test_erratum_09_05():
    limits = [f(torch.tensor(1e4)).item() for f in (torch.sigmoid, torch.tanh, torch.relu, F.gelu, F.silu)]
    assert limits[:2] == [1, 1] and min(limits[2:]) > 9999


def test_erratum_09_06():
    with pytest.raises(RuntimeError):
        nn.Linear(1, 1)(torch.tensor([3.5, 5.6]))
    assert nn.Linear(1, 1)(torch.tensor([3.5, 5.6]).unsqueeze(1)).shape == (2, 1)


def test_erratum_09_07():
    """Which pairs of layers fit? The rule of the source, read of the weights, against what runs."""
    first_rule, second_rule = [], []
    for inputs, hidden, expected, outputs in itertools.product(range(1, 4), repeat=4):
        lower, upper = nn.Linear(inputs, hidden), nn.Linear(expected, outputs)
        try:
            runs = nn.Sequential(lower, nn.Tanh(), upper)(torch.zeros(5, inputs)).shape == (5, outputs)
        except RuntimeError:
            runs = False
        first_rule.append((upper.weight.shape[0] == lower.weight.shape[1]) == runs)
        second_rule.append((upper.weight.shape[1] == lower.weight.shape[0]) == runs)
    assert first_rule.count(False) > 30 and all(second_rule)
    net = nn.Sequential(nn.Linear(1, 13), nn.Tanh(), nn.Linear(13, 1))  # theirs: it holds by chance
    assert net[2].weight.shape == (1, 13) and net[0].weight.shape == (13, 1)


def test_erratum_09_08():
    y = torch.tensor([1., 0, 0, 1, 1, 1, 0, 0, 1, 1])[:, None]
    gains, last = [], []
    for seed in range(5):
        torch.manual_seed(seed)
        X = torch.randn(10, 10)
        net = nn.Sequential(nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 1), nn.Sigmoid())
        optimizer = torch.optim.SGD(net.parameters(), lr=.01)
        losses = []
        for _ in range(50):
            losses.append(F.mse_loss(net(X), y))
            optimizer.zero_grad()
            losses[-1].backward()
            optimizer.step()
        gains.append((losses[0] - losses[-1]).item())
        last.append(losses[-1].item())
    assert F.mse_loss(torch.full_like(y, .5), y) == .25 and .2511 > .25  # what the notes print last
    assert max(gains) < .02 and min(last) > .9 * F.mse_loss(y.mean().expand_as(y), y)  # as a constant


def test_erratum_09_09():
    line = "W1 + = 2"
    with pytest.raises(SyntaxError):
        ast.parse(line)
    names = {"W1": 1}
    exec(line.replace("+ =", "+="), names)
    assert names["W1"] == 3
    with pytest.raises(SyntaxError):
        ast.parse('z = X @ W1 # 3 X 3 ".dot"\ndoes not broadcast in PyTorch')
    ast.parse('z = X @ W1 # 3 X 3 ".dot" does not broadcast in PyTorch')


def test_erratum_09_10():
    class WithTrain(nn.Module):
        def train(self, X, y):
            return X + y

    class WithFit(nn.Module):
        def fit(self, X, y):
            return X + y
    assert WithTrain().train(1, 2) == WithFit().fit(1, 2) == 3
    with pytest.raises(TypeError, match="missing"):
        WithTrain().eval()
    assert not WithFit().eval().training


def test_erratum_09_11():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.W = torch.randn(2, 3)

    class Registered(nn.Module):
        def __init__(self):
            super().__init__()
            self.W = nn.Parameter(torch.randn(2, 3))
    assert not list(Plain().parameters()) and not Plain().state_dict()
    assert list(Registered().state_dict()) == ["W"]


def test_erratum_09_12():
    z = torch.tensor(2., requires_grad=True)
    s = torch.sigmoid(z)
    s.backward()
    assert (s * (1 - s)).item() == pytest.approx(z.grad.item())
    assert abs(z * (1 - z) - z.grad) > 1


def test_erratum_09_13():
    inputs, hidden = 2, 3
    W1 = torch.randn(inputs, hidden)
    assert W1.shape == (2, 3)
    assert (torch.rand(3, 2) @ W1).shape == (3, 3)  # "3 X 3", as the notes' next comment has it
    with pytest.raises(RuntimeError, match="shapes"):
        torch.rand(3, 2) @ torch.randn(3, 2)        # what the first comment says


def test_erratum_09_14():
    x, w = torch.tensor([[0., 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([.3, .4])
    weighted = x @ w - .5
    assert weighted.unique().numel() == 4  # the formula alone is not binary
    assert (weighted > 0).float().tolist() == [0, 0, 0, 1]


def test_erratum_09_15():
    X = torch.zeros(3, 2)
    W1, W2 = torch.randn(2, 3), torch.randn(3, 1)
    assert (torch.sigmoid(X @ W1) @ W2).unique().numel() == 1
    assert torch.sigmoid(X @ W1).unique().tolist() == [.5]  # whatever the weights: no bias can move it
    layer = nn.Linear(2, 3)
    nn.init.constant_(layer.bias, 2.)
    assert torch.sigmoid(layer(X)).min() > .8


def test_erratum_09_17():
    """`nn.Parameter(torch.randn(..., requires_grad=True))`: the inner flag changes nothing."""
    plain, flagged = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2, requires_grad=True))
    assert plain.requires_grad and flagged.requires_grad and plain.is_leaf and flagged.is_leaf
    assert not torch.ones(2).requires_grad  # a tensor that is no parameter does need the flag


def test_erratum_09_18():
    """A comment without its sign in front of `criterion = ...`."""
    line = "Construct the loss function\ncriterion = torch.nn.MSELoss()"
    with pytest.raises(SyntaxError):
        ast.parse(line)
    names = {"torch": torch}
    exec("# " + line, names)
    assert isinstance(names["criterion"], nn.MSELoss)


def test_erratum_09_19():
    """"Recursive" networks go along a tree, recurrent ones along time: their results differ."""
    W = torch.tensor([[.5], [2.]])

    def cell(a, b):
        return torch.tanh(torch.stack([a, b]) @ W)

    leaves = torch.tensor([.1, .7, -.4, .9])

    def along_time(x):
        state = torch.zeros(())
        for step in x:
            state = cell(step, state)[0]
        return state

    def along_a_tree(x):
        return x[0] if len(x) == 1 else cell(along_a_tree(x[:len(x) // 2]), along_a_tree(x[len(x) // 2:]))[0]
    assert not torch.allclose(along_time(leaves), along_a_tree(leaves), atol=.01)
    rnn = nn.RNN(1, 1, bias=False)  # the library's RNN is the recurrent one
    nn.init.constant_(rnn.weight_ih_l0, .5)
    nn.init.constant_(rnn.weight_hh_l0, 2.)
    assert torch.allclose(rnn(leaves[:, None])[0][-1, 0], along_time(leaves), atol=1e-6)


def test_erratum_09_20():
    """`t_un_val` and its like are used and never made; scaled and split they work."""
    code = "linear_model = nn.Linear(1, 1)\nlinear_model(t_un_val)"
    readings = torch.tensor([35.7, 55.9, 58.2, 81.9, 56.3])[:, None]
    names = {"nn": nn, "t_u": readings}
    with pytest.raises(NameError, match="t_un_val"):
        exec(code, dict(names))
    exec("t_un = .1 * t_u\nt_un_val = t_un[-2:]\n" + code, names)
    assert names["linear_model"](names["t_un_val"]).shape == (2, 1)


def test_erratum_09_21():
    """`xPredicted` is used in `predict` and nowhere made: it must be an argument."""
    class Theirs(nn.Module):
        def forward(self, X):
            return 2 * X

        def predict(self):
            return self.forward(xPredicted)  # noqa: F821

    class Mended(Theirs):
        def predict(self, X):
            return self.forward(X)
    with pytest.raises(NameError, match="xPredicted"):
        Theirs().predict()
    assert Mended().predict(3) == 6


def test_erratum_09_22():
    """`torch.save(model, "NN")`, then `torch.load("NN")`: refused by default; the state_dict is not."""
    net, file = nn.Linear(2, 1), io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError, match="[Ww]eights"):
        torch.load(file)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    again = nn.Linear(2, 1)
    again.load_state_dict(torch.load(file))
    assert torch.equal(again.weight, net.weight) and torch.equal(again.bias, net.bias)


def test_erratum_09_23():
    """Methods that stand behind `return`, in the body of `forward`, are no methods."""
    class Theirs(nn.Module):
        def forward(self, X):
            return self.sigmoid(X)

            def sigmoid(self, s):
                return 1 / (1 + torch.exp(-s))

    class Mended(nn.Module):
        def forward(self, X):
            return self.sigmoid(X)

        def sigmoid(self, s):
            return 1 / (1 + torch.exp(-s))
    with pytest.raises(AttributeError, match="sigmoid"):
        Theirs()(torch.zeros(1))
    assert Mended()(torch.zeros(1)).item() == .5
