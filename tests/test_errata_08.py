"""Each erratum of chapter 08: the mistake does what the errata page says, and so does the mend."""

import itertools
import math
import warnings

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from packaging.version import Version
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

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
    """A network that is always right, measured without `eval()`: too low, and another number each time."""
    layer = nn.Linear(20, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.ones(20) * torch.tensor([[-1.], [1.]]))
    torch.manual_seed(0)
    net, X = nn.Sequential(nn.Dropout(.5), layer), torch.randn(500, 20)
    y = (X.sum(1) > 0).long()

    def accuracy(net):
        return (net(X).argmax(1) == y).float().mean().item()
    first, second = accuracy(net.train()), accuracy(net)
    assert max(first, second) < .9 and first != second
    assert accuracy(net.eval()) == accuracy(net) == 1


def test_erratum_08_08():
    net, batches, outputs = nn.Linear(4, 2), torch.randn(3, 5, 4), []

    def evaluate_accuracy():
        outputs.clear()
        for X in batches:
            outputs.append(net(X))
        return sum((y_hat.argmax(1) == 0).sum() for y_hat in outputs)
    measured = evaluate_accuracy()
    assert all(y_hat.grad_fn is not None for y_hat in outputs)
    with torch.no_grad():
        assert evaluate_accuracy() == measured and all(y_hat.grad_fn is None for y_hat in outputs)


def test_erratum_08_09():
    loader = DataLoader(TensorDataset(torch.zeros(10_000, 1), torch.zeros(10_000)), 256)
    shapes = [X.shape[0] for X, _ in loader]
    assert shapes[:39] == [256] * 39 and shapes[39:] == [16]  # not all are (256, ...)
    assert len(loader) == len(Batches((torch.zeros(10_000, 1),), 256)) == math.ceil(10_000 / 256) == 40
    assert 10_000 // 256 == 39


def test_erratum_08_10():
    """10,000 predictions, wrong in the last, short batch only."""
    y, y_hat = torch.zeros(10_000, dtype=torch.long), torch.tensor([[.9, .1]]).repeat(10_000, 1)
    y_hat[-16:] = torch.tensor([.1, .9])

    def right(y_hat, y):  # the notes' `accuracy`
        return float((y_hat.argmax(axis=1) == y).sum())

    def counts(y_hat):    # their `metric`
        found = [(right(*part), len(part[1])) for part in zip(y_hat.split(256), y.split(256))]
        return [sum(column) for column in zip(*found)]

    def mean_of_accuracies(y_hat):
        parts = list(zip(y_hat.split(256), y.split(256)))
        return sum(right(*part) / len(part[1]) for part in parts) / len(parts)
    metric = counts(y_hat)
    assert metric == [9984, 10_000]  # right predictions; the accuracies of the batches add up to 39
    assert metric[0] / metric[1] == .9984 and mean_of_accuracies(y_hat) == pytest.approx(39 / 40)
    early, late = y_hat.clone(), y_hat.clone()
    early[0], late[-1] = torch.tensor([.1, .9]), torch.tensor([.9, .1])  # one more mistake, one less
    weights = [abs(mean_of_accuracies(other) - mean_of_accuracies(y_hat)) for other in (late, early)]
    assert weights[0] == pytest.approx(16 * weights[1])
    assert counts(late)[0] - metric[0] == metric[0] - counts(early)[0] == 1


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
    def load_data(batch_size, resize=None):
        return tuple(DataLoader(TensorDataset(torch.zeros(n, 1)), batch_size) for n in (60_000, 10_000))
    train_iter = load_data(4)
    assert len(train_iter) == 2 and train_iter[0].num_workers == 0 and train_iter[0].batch_size == 4
    assert len(train_iter[0]) == 15_000
    train_iter, test_iter = load_data(batch_size=256)
    assert len(train_iter) == 235 and len(test_iter) == 40


def test_erratum_08_15():
    train = Batches(samples.garments(20_000, 1000)["train"], 256, shuffle=True)
    slow, right = (fit(linear(), train, num_epochs=10, lr=lr, verbose=False).train_loss[-1]
                   for lr in (.01, .1))
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


def test_erratum_08_19():
    """The notes' loop sums the loss or not by the kind of updater, not by the kind of loss."""
    X = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])

    def own_loss(y_hat, y):
        return -F.log_softmax(y_hat, 1)[range(len(y_hat)), y]  # one number per example

    def step(loss, updater, W):
        l = loss(X @ W, y)
        if isinstance(updater, torch.optim.Optimizer):
            l.backward()
            updater.step()
        else:
            l.sum().backward()
            updater(len(X))
        return -W.detach()  # the step, from zero, at the learning rate 1

    def moved(loss, library):
        W = torch.zeros(3, 3, requires_grad=True)

        def own_updater(batch_size):
            with torch.no_grad():
                W.sub_(W.grad / batch_size)
        return step(loss, torch.optim.SGD([W], 1.) if library else own_updater, W)
    W = torch.zeros(3, 3, requires_grad=True)
    right, = torch.autograd.grad(F.cross_entropy(X @ W, y), W)
    assert torch.allclose(moved(nn.CrossEntropyLoss(), True), right, atol=1e-6)
    assert torch.allclose(moved(own_loss, False), right, atol=1e-6)
    with pytest.raises(RuntimeError, match="scalar outputs"):
        moved(own_loss, True)
    assert torch.allclose(moved(nn.CrossEntropyLoss(), False), right / 8, atol=1e-6)  # 8 times too small

    def averaged(y_hat, y):  # the mend, for the library's optimizer
        return own_loss(y_hat, y).mean()
    assert torch.allclose(moved(averaged, True), right, atol=1e-6)


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
    """As much arithmetic, as the answer says; but many more calls, which it leaves out."""
    layer, X = nn.Linear(784, 10), torch.rand(2048, 784)

    class Calls(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            calls.append(function)
            return function(*args, **(kwargs or {}))

    def work(size):
        calls.clear()
        parts = X.split(size)
        with torch.no_grad(), FlopCounterMode(display=False) as flops:
            answers = torch.cat([layer(part) for part in parts])
        with torch.no_grad(), Calls():
            for part in parts:
                layer(part)
        return flops.get_total_flops(), len(calls), answers
    calls = []
    (flops, alone, y1), (same, together, y2) = work(1), work(256)
    assert flops == same == 2 * 2048 * 784 * 10
    assert alone == 256 * together
    assert torch.allclose(y1, y2, atol=1e-5)


def test_erratum_08_23():
    pairs = [(3., 4.), (1., 4.), (2., 2.)]  # right predictions and examples of three batches
    assert list(itertools.accumulate(n for n, _ in pairs)) == [3, 4, 6]
    with pytest.raises(TypeError):
        itertools.accumulate(*pairs)
    assert list(itertools.accumulate(pairs))[-1] != (6, 10)  # adding tuples joins them
    data = [0.] * 2
    for pair in pairs:
        data = [a + float(b) for a, b in zip(data, pair)]
    assert data == [6, 10]


def test_erratum_08_24():
    l = F.cross_entropy(torch.randn(2, 3, requires_grad=True), torch.tensor([0, 1]))
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # else once in a process
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            numbers = float(l), float(l.sum())
        assert len(said) == 2 or Version(torch.__version__) < Version("2.10")
        assert all("requires_grad=True to a scalar" in str(w.message) for w in said)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert numbers == (float(l.detach()), float(l.detach().sum()))
    finally:
        torch.set_warn_always(always)


def test_erratum_08_25():
    y_hat = torch.tensor([[.6, .3, .1], [.3, .2, .5]])
    classes = y_hat.argmax(axis=1)
    assert not (classes > 0).all()  # an index begins at 0
    assert classes.tolist() == [0, 2] and ((classes >= 0) & (classes < 3)).all()
