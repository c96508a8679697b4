"""Each erratum of chapter 21: the mistake does what the errata page says, and so does the mend."""

import ast
import importlib.util

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F


class Keeper(nn.Module):
    def forward(self, X):
        self.feature = X.detach().clone()
        return X


def rebuilt(net, targets=(), everything=False):
    """The new network of the source, with the quotes, names and class that make it run; ``everything`` is the mend."""
    new, i = nn.Sequential(), 1
    for layer in net:
        if everything:
            new.add_module(str(len(new)), layer)
        elif isinstance(layer, nn.Conv2d):
            name = f"conv_{i}"
            new.add_module(name, layer)
            if name in targets:
                new.add_module(f"extractor_{i}", Keeper())
            i += 1
        elif isinstance(layer, nn.ReLU):
            new.add_module(f"relu_{i}", layer)
        elif isinstance(layer, nn.MaxPool2d):
            new.add_module(f"pool_{i}", layer)
    return new


def test_erratum_21_01():
    with pytest.raises(AttributeError):
        exec("class FeatureExtractor(nn.module): pass", {"nn": nn})
    exec("class FeatureExtractor(nn.Module): pass", {"nn": nn})


def test_erratum_21_02():
    line = "target_layers = [conv_1, conv_2, conv_4]"
    with pytest.raises(SyntaxError):
        ast.parse(line + "`")
    with pytest.raises(NameError):
        exec(line, {})
    names = {}
    exec("target_layers = ['conv_1', 'conv_2', 'conv_4']", names)
    assert "conv_1" in names["target_layers"]


def test_erratum_21_03():
    code = "new_net = nn.Sequential()\nart_net.add_module('conv_1', nn.Conv2d(1, 2, 3))"
    with pytest.raises(NameError, match="art_net"):
        exec(code, {"nn": nn})
    names = {"nn": nn}
    exec(code.replace("art_net", "new_net"), names)
    assert len(names["new_net"]) == 1


def test_erratum_21_04():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.ReLU())
    names = [name for name, _ in rebuilt(net).named_children()]
    assert names == ["conv_1", "relu_2", "conv_2", "relu_3"]  # the rectifier of conv_1 is called relu_2


def test_erratum_21_05():
    net = nn.Sequential(*(nn.Conv2d(1, 1, 3) for _ in range(4)))
    new = rebuilt(net, targets=("conv_1", "conv_2", "conv_4"))
    new(torch.rand(1, 1, 12, 12))
    assert new.extractor_4.feature.shape == (1, 1, 4, 4)
    assert not hasattr(new, "extractor_3")


def test_erratum_21_06():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.Sigmoid()).eval()
    net[1].running_mean += 1
    X = torch.rand(1, 1, 8, 8)
    assert rebuilt(net)(X).shape == net(X).shape and not torch.allclose(rebuilt(net)(X), net(X), atol=.01)
    assert torch.equal(rebuilt(net, everything=True)(X), net(X))


def test_erratum_21_07():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU(), nn.MaxPool2d(3, stride=1))
    new = rebuilt(net)
    assert len(new) == 3 < len(net)  # the second of a name takes the place of the first
    assert [name for name, _ in new.named_children()] == ["conv_1", "relu_2", "pool_2"]
    X = torch.rand(1, 1, 12, 12)
    assert new(X).shape != net(X).shape
    assert torch.equal(rebuilt(net, everything=True)(X), net(X))


def test_erratum_21_08():
    new = nn.Sequential().to("meta")  # as .cuda(): of an empty network nothing is moved
    new.add_module("conv_1", nn.Conv2d(1, 2, 3))
    assert new.conv_1.weight.device.type == "cpu"
    assert new.to("meta").conv_1.weight.device.type == "meta"


def test_erratum_21_09():
    heard, net = [], nn.Sequential(nn.Flatten())
    net.register_forward_hook(lambda *_: heard.append("called"))
    net.forward(torch.rand(1, 2))
    assert heard == []
    net(torch.rand(1, 2))
    assert heard == ["called"]


def test_erratum_21_10():
    class WithGraph(nn.Module):
        def forward(self, X):
            self.feature = X.clone()
            return X
    conv, graph, detached = nn.Conv2d(1, 2, 3), WithGraph(), Keeper()
    nn.Sequential(conv, graph, detached)(torch.rand(1, 1, 8, 8))
    assert graph.feature.grad_fn is not None  # all that the way back needs stays alive
    assert detached.feature.grad_fn is None


def test_erratum_21_11():
    if importlib.util.find_spec("scipy"):
        with pytest.raises(ImportError):
            exec("from scipy.misc import imread")
    tree = ast.parse("import matplotlib.pyplot as plt\npylab.imshow(img, cmap='gray')")
    imported = {a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert "pylab" not in imported  # the source uses it, and imports neither it nor matplotlib
    with pytest.raises(NameError):
        exec("pylab.imshow", {})


def test_erratum_21_12():
    def draws():
        rng = np.random.RandomState(128)
        return rng.choice(["a.png", "b.png", "c.png"] * 20), torch.rand(1).item(), np.random.rand()
    torch.manual_seed(1)
    np.random.seed(1)
    first, second = draws(), draws()
    assert first[0] == second[0]  # its own choice repeats
    assert first[1] != second[1] and first[2] != second[2]  # nothing else does
    torch.manual_seed(128)
    a = torch.rand(1)
    torch.manual_seed(128)
    assert torch.equal(a, torch.rand(1))


def test_erratum_21_13():
    def run(rate, steps, w):
        for _ in range(steps):
            w = w.detach().requires_grad_()
            (w ** 4).sum().backward()
            w = w.detach() - rate * w.grad
        return w
    broken = run(10, 20, torch.ones(1))
    assert not broken.isfinite().all()
    assert not run(.001, 100, broken).isfinite().all()  # lowering the rate afterwards
    assert run(.1, 100, torch.ones(1)).abs() < .5       # beginning again
    X, y = torch.tensor([[1., float("nan")]]), torch.tensor([0])
    norm = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    l = F.cross_entropy(norm(X.repeat(2, 1)), y.repeat(2))
    assert l.isnan()  # neither rate nor batch normalisation mends an input that is no number


def test_erratum_21_14():
    layer, X, y = nn.Linear(4, 2), torch.rand(6, 4), torch.tensor([0, 1] * 3)

    def total(batch_size, mend):
        losses = [F.cross_entropy(layer(a), b) for a, b in zip(X.split(batch_size), y.split(batch_size))]
        return sum(l.item() for l in losses) if mend else sum(losses)
    assert all(total(n, mend=False).grad_fn is not None for n in (6, 3, 1))  # a smaller batch frees nothing
    assert isinstance(total(6, mend=True), float)
    with torch.no_grad():
        assert layer(X).grad_fn is None


def test_erratum_21_15():
    def fitted_and_unseen(n):
        g = torch.Generator().manual_seed(0)
        X, w = torch.randn(2500, 40, generator=g), torch.randn(40, generator=g)
        y = (X @ w + 2 * torch.randn(2500, generator=g) > 0).double()
        A = X[:n].double()
        solution = torch.linalg.lstsq(A, (2 * y[:n] - 1)[:, None]).solution
        right = ((X.double() @ solution)[:, 0] > 0) == (y > 0)
        return right[:n].double().mean(), right[2000:].double().mean()
    few, many = fitted_and_unseen(40), fitted_and_unseen(2000)
    assert few[0] > .95 and few[1] < .75          # high in training, low in the test
    assert abs(many[0] - many[1]) < .06 and many[1] > few[1] + .1  # more examples close the gap


def test_erratum_21_16():
    X = torch.rand(1, 1, 8, 8)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 3))
    mixed, Q = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 3)), torch.linalg.qr(torch.randn(4, 4)).Q
    with torch.no_grad():
        mixed[0].weight.copy_(torch.einsum("ij,jchw->ichw", Q, net[0].weight))
        mixed[0].bias.copy_(Q @ net[0].bias)
        mixed[1].weight.copy_(torch.einsum("ojhw,ij->oihw", net[1].weight, Q))
        mixed[1].bias.copy_(net[1].bias)
    assert torch.allclose(net(X), mixed(X), atol=1e-5)            # the same function
    assert not torch.allclose(net[0](X), mixed[0](X), atol=.01)   # of other channels
