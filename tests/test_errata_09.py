"""Each erratum of chapter 09: the mistake does what the errata page says, and so does the mend."""

import ast
import math

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
    assert (H @ W2).shape == (32, 10)


def test_erratum_09_03():
    def cell():
        trainer_iter = [1]
        return train_iter, trainer_iter  # noqa: F821
    with pytest.raises(NameError):
        cell()


def test_erratum_09_04():
    one = torch.tensor(1.)
    affine = 3 * one + 2
    assert affine != 3 * (one / 2) + 2 + 3 * (one / 2) + 2  # ax + b is not additive: not linear
    assert torch.relu(one) + torch.relu(-one) != torch.relu(one - one)


def test_erratum_09_05():
    limits = [f(torch.tensor(1e4)).item() for f in (torch.sigmoid, torch.tanh, torch.relu, F.gelu, F.silu)]
    assert limits[:2] == [1, 1] and min(limits[2:]) > 9999


def test_erratum_09_06():
    with pytest.raises(RuntimeError):
        nn.Linear(1, 1)(torch.tensor([3.5, 5.6]))
    assert nn.Linear(1, 1)(torch.tensor([3.5, 5.6]).unsqueeze(1)).shape == (2, 1)


def test_erratum_09_07():
    net = nn.Sequential(nn.Linear(1, 13), nn.Tanh(), nn.Linear(13, 1))
    assert net[2].weight.shape[0] != net[0].weight.shape[1] or net[0].weight.shape[1] == 1
    assert net[2].weight.shape[1] == net[0].weight.shape[0] == 13


def test_erratum_09_08():
    y = torch.tensor([1., 0, 0, 1, 1, 1, 0, 0, 1, 1])
    torch.manual_seed(0)
    X = torch.randn(10, 10)
    net = nn.Sequential(nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 1), nn.Sigmoid())
    optimizer = torch.optim.SGD(net.parameters(), lr=.01)
    for _ in range(50):
        loss = F.mse_loss(net(X), y[:, None])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    constant = ((y - y.mean()) ** 2).mean()
    assert ((y - .5) ** 2).mean() == .25 and loss > .9 * constant  # no better than a constant


def test_erratum_09_09():
    with pytest.raises(SyntaxError):
        ast.parse("self.W1 + = 1")
    ast.parse("self.W1 += 1")


def test_erratum_09_10():
    class WithTrain(nn.Module):
        def train(self, X, y):
            pass
    with pytest.raises(TypeError, match="missing"):
        WithTrain().eval()
    assert not nn.Linear(1, 1).eval().training


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
    assert torch.randn(2, 3).shape == (2, 3)  # the comment beside it says 3 x 2


def test_erratum_09_14():
    x = torch.tensor([1., 1])
    weighted = x @ torch.tensor([.3, .4]) - .5
    assert weighted not in (0, 1) and (weighted > 0).float() == 1  # the formula alone is not binary


def test_erratum_09_15():
    X = torch.zeros(3, 2)
    W1, W2 = torch.randn(2, 3), torch.randn(3, 1)
    assert (torch.sigmoid(X @ W1) @ W2).unique().numel() == 1
    assert torch.sigmoid(X @ W1).unique().tolist() == [.5]  # whatever the weights: no bias can move it
    layer = nn.Linear(2, 3)
    nn.init.constant_(layer.bias, 2.)
    assert torch.sigmoid(layer(X)).min() > .8


def test_erratum_09_16():
    prediction, target = torch.zeros(5, 1), torch.arange(5.)
    with pytest.warns(UserWarning, match="broadcast"):
        wrong = F.mse_loss(prediction + target[:, None], target)
    assert wrong > 0 == F.mse_loss(prediction + target[:, None], target[:, None])
