"""Each erratum of chapter 08: the mistake does what the errata page says, and so does the mend."""

import itertools
import math
import time
import warnings

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from shared import samples
from shared.batches import Batches
from shared.plots import show_images
from shared.training import fit


def softmax_of_the_notes(X):
    E = torch.exp(X)
    return E / E.sum(1, keepdim=True)


def linear(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    nn.init.normal_(net[1].weight, std=.01)
    nn.init.zeros_(net[1].bias)
    return net


def test_erratum_08_01():
    p = torch.linspace(0, 1, 1001)
    assert torch.trapezoid(p**2 * (1 - p), p) == pytest.approx(1 / 12, abs=1e-4)
    density = torch.distributions.Normal(0., .1).log_prob(torch.tensor(0.)).exp()
    assert density > 1
    assert (p**2 * (1 - p)).argmax() == 667  # the mend: its maximum is the fraction of heads


def test_erratum_08_02():
    assert softmax_of_the_notes(torch.tensor([[100., 0.]])).isnan().any()
    assert softmax_of_the_notes(torch.tensor([[-200., -210.]])).isnan().all()
    assert torch.tensor(88.).exp().isfinite() and torch.tensor(89.).exp().isinf()
    O = torch.tensor([[100., 0.], [-200., -210.]])
    shifted = (O - O.max(1, keepdim=True).values).exp()
    assert torch.allclose(shifted / shifted.sum(1, keepdim=True), F.softmax(O, dim=1))


def test_erratum_08_03():
    O = torch.tensor([[0., 200.]], requires_grad=True)
    p = F.softmax(O, dim=1)[:, 0]
    assert (-p.log()).isinf().all()
    patched = -(p + 1e-7).log()
    assert patched.item() == pytest.approx(16.1, abs=.05)
    assert torch.autograd.grad(patched.sum(), O)[0].abs().max() < 1e-6
    right = torch.logsumexp(O, 1) - O[:, 0]
    assert right.item() == 200
    assert torch.autograd.grad(right.sum(), O)[0].tolist() == [[-1., 1.]]


def test_erratum_08_04():
    with pytest.raises(RuntimeError, match="detach"):
        np.log(torch.tensor([.5], requires_grad=True))
    assert torch.tensor([.5], requires_grad=True).log().requires_grad


def test_erratum_08_05():
    torch.manual_seed(0)
    W = torch.normal(0, .01, size=(784, 10))
    assert W.var().item() == pytest.approx(.0001, rel=.1) and W.std().item() == pytest.approx(.01, rel=.05)


def test_erratum_08_06():
    X = torch.tensor([[1., 2, 3], [4, 5, 6]])
    assert X.sum(0).tolist() == [5, 7, 9] and X.sum(1).tolist() == [6, 15] and X.sum() == 21


def test_erratum_08_07():
    net = nn.Sequential(nn.Dropout(.5), nn.Linear(20, 2))
    X = torch.randn(500, 20)
    torch.manual_seed(0)
    assert not torch.equal(net.train()(X), net.train()(X))
    assert torch.equal(net.eval()(X), net.eval()(X))


def test_erratum_08_08():
    net, X = nn.Linear(4, 2), torch.randn(3, 4)
    assert net(X).grad_fn is not None
    with torch.no_grad():
        assert net(X).grad_fn is None


def test_erratum_08_09():
    sizes = [len(y) for _, y in Batches((torch.zeros(10_000, 1), torch.zeros(10_000)), 256)]
    assert len(sizes) == 40 == math.ceil(10_000 / 256) and 10_000 / 256 != 40 and sizes[-1] == 16


def test_erratum_08_10():
    counts, sizes = [256] * 39 + [0], [256] * 39 + [16]
    wrong = sum(c / s for c, s in zip(counts, sizes)) / 40
    right = sum(counts) / sum(sizes)
    assert wrong == .975 and right == .9984


def test_erratum_08_11():
    def show_images_of_the_notes(imgs, rows, columns, titles=None):
        _, axes = plt.subplots(rows, columns)
        for ax, img in zip(axes.flatten(), imgs):
            ax.imshow(img)
        return axes
    images = torch.rand(2, 4, 4)
    assert [ax.get_title() for ax in show_images_of_the_notes(images, 1, 2, ["a", "b"])] == ["", ""]
    assert [ax.get_title() for ax in show_images(images, ["a", "b"])] == ["a", "b"]
    plt.close("all")


def test_erratum_08_12():
    _, axes = plt.subplots(1, 1)
    with pytest.raises(AttributeError):
        axes.flatten()
    assert plt.subplots(2, 3)[1].flatten().shape == (6,)
    assert plt.subplots(1, 1, squeeze=False)[1].flatten().shape == (1,)
    plt.close("all")


def test_erratum_08_13():
    y = torch.arange(1000) % 10
    shuffled = Batches((y, y), 100, shuffle=True)
    first, second = torch.cat([a for a, _ in shuffled]), torch.cat([b for _, b in shuffled])
    assert (first == second).float().mean() < .2
    still = Batches((y, y), 100)
    assert torch.equal(torch.cat([a for a, _ in still]), torch.cat([b for _, b in still]))


def test_erratum_08_14():
    X = torch.zeros(60_000, 1)
    assert len(Batches((X,), 4)) == 15_000 and len(Batches((X,), 256)) == 235


def test_erratum_08_15():
    train = Batches(samples.garments(20_000, 1000)["train"], 256, shuffle=True)
    slow, right = (fit(linear(), train, num_epochs=10, lr=lr, verbose=False).train_loss[-1] for lr in (.01, .1))
    assert slow > right + .2 and slow > .5


def test_erratum_08_16():
    X, y = torch.rand(1, 1, 28, 28).expand(256, -1, -1, -1), torch.zeros(256, dtype=torch.long)

    def norm(n, reduction):
        net = linear()
        F.cross_entropy(net(X[:n]), y[:n], reduction=reduction).backward()
        return net[1].weight.grad.norm().item()
    assert norm(256, "sum") / norm(32, "sum") > 5
    assert norm(256, "mean") / norm(32, "mean") < 2
    assert norm(256, "sum") == pytest.approx(256 * norm(256, "mean"), rel=1e-4)


def test_erratum_08_17():
    torch.manual_seed(0)
    layer = nn.Linear(784, 10)
    nn.init.normal_(layer.weight, std=.01)
    assert 0 < layer.bias.abs().max() <= 1 / 28
    assert not linear()[1].bias.any()


def test_erratum_08_18():
    twice = F.cross_entropy(torch.eye(10), torch.arange(10))
    assert twice.item() == pytest.approx(math.log(1 + 9 / math.e)) == pytest.approx(1.46, abs=.01)
    assert F.cross_entropy(torch.eye(10) * 100, torch.arange(10)) < 1e-6


def test_erratum_08_19():
    O = torch.randn(4, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="scalar outputs"):
        F.cross_entropy(O, torch.zeros(4, dtype=torch.long), reduction="none").backward()
    F.cross_entropy(O, torch.zeros(4, dtype=torch.long)).backward()


def test_erratum_08_20():
    O = torch.randn(7, 2)
    assert torch.allclose(F.softmax(O, 1)[:, 1], torch.sigmoid(O[:, 1] - O[:, 0]))


def test_erratum_08_21():
    O = torch.randn(5, 4, requires_grad=True)
    y = torch.tensor([0, 1, 2, 3, 0])
    F.cross_entropy(O, y, reduction="sum").backward()
    assert (O.grad != 0).all()
    assert torch.allclose(O.grad, F.softmax(O, 1) - F.one_hot(y, 4), atol=1e-6)


def test_erratum_08_22():
    layer, X = nn.Linear(784, 10), torch.rand(2048, 784)

    def seconds(size):
        best = math.inf
        for _ in range(3):
            start = time.perf_counter()
            with torch.no_grad():
                for part in X.split(size):
                    layer(part)
            best = min(best, time.perf_counter() - start)
        return best
    assert seconds(1) > 2 * seconds(256)  # in truth some tens of times


def test_erratum_08_23():
    assert list(itertools.accumulate([1, 2, 3])) == [1, 3, 6]
    totals = [0., 0.]
    for pair in ((1, 10), (2, 20)):
        totals = [t + x for t, x in zip(totals, pair)]
    assert totals == [3, 30]


def test_erratum_08_24():
    l = F.cross_entropy(torch.randn(2, 3, requires_grad=True), torch.tensor([0, 1]))
    assert l.requires_grad and isinstance(float(l.detach()), float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the mend is silent; float(l) warns since torch 2.9 or so
        assert float(l.detach()) == l.item()
