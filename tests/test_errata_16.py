"""Each erratum of chapter 16: the mistake does what the errata page says, and so does the mend."""

import ast
import warnings

import pytest
import torch
from packaging.version import Version
from torch import nn
from torch.nn import functional as F


def test_erratum_16_01():
    torch.manual_seed(0)
    layers = [nn.Conv2d(6, 16, 5), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 120)]
    a, b, zero = torch.randn(1, 6, 14, 14), torch.randn(1, 6, 14, 14), torch.zeros(1, 6, 14, 14)

    def additive(net):
        return torch.allclose(net(a + b) - net(zero), net(a) + net(b) - 2 * net(zero), atol=1e-4)
    assert additive(nn.Sequential(*layers))
    assert not additive(nn.Sequential(layers[0], nn.Sigmoid(), *layers[1:]))


def test_erratum_16_02():
    X, K = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 3, 3)
    with pytest.raises(TypeError):
        nn.Conv2d(X, K, padding=1)
    assert F.conv2d(X, K, padding=1).shape == (1, 1, 8, 8)


def test_erratum_16_03():
    def pool2d(X, size):
        return F.max_pool2d(X, size)
    assert pool2d(torch.rand(1, 1, 4, 4), (2, 2)).shape == (1, 1, 2, 2)
    pool2d = nn.MaxPool2d(3)
    with pytest.raises(TypeError):
        pool2d(torch.rand(1, 1, 4, 4), (2, 2))


def test_erratum_16_04():
    def pool_of_the_notes(X, mode):
        Y = torch.zeros(X.shape[0] - 1, X.shape[1] - 1)
        for i in range(Y.shape[0]):
            for j in range(Y.shape[1]):
                if mode == "max":
                    Y[i, j] = X[i:i + 2, j:j + 2].max()
                elif mode == "avg":
                    Y[i, j] = X[i:i + 2, j:j + 2].mean()
        return Y

    def pool(X, mode):
        windows, take = X.unfold(0, 2, 1).unfold(1, 2, 1), {"max": torch.amax, "avg": torch.mean}[mode]
        return take(windows, (2, 3))
    X = torch.tensor([[0., 1, 2], [3, 4, 5], [6, 7, 8]])
    for mode, values in (("max", [[4, 5], [7, 8]]), ("avg", [[2, 3], [5, 6]])):
        assert pool_of_the_notes(X, mode).tolist() == pool(X, mode).tolist() == values
    assert not pool_of_the_notes(X, "mean").any()  # zeros, and no error
    with pytest.raises(KeyError, match="mean"):
        pool(X, "mean")


def test_erratum_16_05():
    def jitter(lr):
        g, w, seen = torch.Generator().manual_seed(0), torch.tensor(0.), []
        for _ in range(400):
            w = w - lr * ((w - 1) + torch.randn((), generator=g))
            seen.append((w - 1) ** 2)
        return torch.stack(seen[200:]).mean()
    assert jitter(.01) < jitter(.1) < jitter(.5)


def test_erratum_16_06():
    w = torch.ones(2, requires_grad=True)
    y = (w * w).sum()
    w.data[:] -= -4
    y.backward()
    assert w.grad.tolist() == [10, 10]  # of w = 1 it is 2: wrong, and no error
    v = torch.ones(2, requires_grad=True)
    z = (v * v).sum()
    with torch.no_grad():
        v -= -4
    with pytest.raises(RuntimeError, match="inplace"):
        z.backward()


def test_erratum_16_08():
    K, X = torch.randn(1, 1, 3, 3), torch.zeros(1, 1, 12, 12)
    X[..., 4:7, 4:7] = torch.rand(3, 3)
    before, after = F.conv2d(X, K), F.conv2d(X.roll(1, 3), K)
    assert not torch.allclose(before, after)
    assert torch.allclose(before.roll(1, 3), after, atol=1e-6)
    one = torch.zeros(1, 1, 8, 8)
    one[..., 2, 2] = 1
    moved = one.roll(1, 3)
    assert torch.equal(F.max_pool2d(one, 2), F.max_pool2d(moved, 2))  # pooling forgives one step, not two
    assert not torch.equal(F.max_pool2d(one, 2), F.max_pool2d(moved.roll(1, 3), 2))


def test_erratum_16_09():
    odd = torch.arange(14 * 56.).view(1, 1, 14, 56)
    assert odd.view(-1, 1, 28, 28).shape == (1, 1, 28, 28)  # no complaint
    assert not torch.equal(odd.view(-1, 1, 28, 28)[0, 0, 1, :28], odd[0, 0, 1, :28])


def test_erratum_16_10():
    rising, falling = torch.tensor([[[1., 0, 2]]]), torch.tensor([[[2., 0, 1]]])
    assert F.max_pool1d(rising, 3) == F.max_pool1d(falling, 3)
    K = torch.tensor([[[-1., 0, 1]]])
    assert F.conv1d(rising, K) != F.conv1d(falling, K)


def test_erratum_16_11():
    t = torch.arange(6.).reshape(2, 3)
    assert t.reshape(3, 2).data_ptr() == t.data_ptr()
    assert t.T.reshape(6).data_ptr() != t.data_ptr()
    with pytest.raises(RuntimeError):
        t.T.view(6)


def test_erratum_16_12():
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 2))
    X, y = torch.rand(4, 1, 3, 3), torch.tensor([0, 1, 0, 1])
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        kept = []
        (net(X).argmax(1) == y).sum()  # as it is measured there
        assert kept
        kept.clear()
        with torch.no_grad():
            (net(X).argmax(1) == y).sum()
        assert not kept
    l = F.cross_entropy(net(X), y)
    assert (l * len(X)).requires_grad and not (l.detach() * len(X)).requires_grad
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # else once in a process
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            assert float(l * len(X)) == float(l.detach() * len(X))
        assert len(said) == 1 or Version(torch.__version__) < Version("2.10")
    finally:
        torch.set_warn_always(always)


def test_erratum_16_13():
    torch.manual_seed(0)
    layer, a, b = nn.Linear(3, 100, bias=False), torch.randn(3), torch.randn(3)
    assert torch.allclose(layer(a + b), layer(a) + layer(b), atol=1e-5)
    assert not torch.allclose(layer(a + b).relu(), layer(a).relu() + layer(b).relu(), atol=1e-2)


def test_erratum_16_14():
    maps = torch.zeros(2, 18, 32, 32)
    assert maps.view(-1, 18 * 16 * 16).shape == (8, 4608)
    assert maps.flatten(1).shape == (2, 18432)


def test_erratum_16_15():
    conv = nn.Conv2d(3, 18, 3, padding=1)
    assert conv(torch.zeros(5, 3, 32, 32)).shape == (5, 18, 32, 32)
    assert conv(torch.zeros(3, 32, 32)).shape == (18, 32, 32)  # one image, without a batch


def test_erratum_16_16():
    imports = "from torch.autograd import Variable\nimport torch.nn.functional as F\n"
    code = "class SimpleCNN(torch.nn.Module):\n    pass\nnet = SimpleCNN()"
    names = {}
    with pytest.raises(NameError, match="'torch'"):
        exec(imports + code, names)
    assert names["F"] is F and "Variable" in names  # what is imported is there
    exec(imports + "import torch\n" + code, names)
    assert isinstance(names["net"], nn.Module)


def test_erratum_16_17():
    X = torch.tensor([[[[1., 2], [3, 10]]]])
    assert F.max_pool2d(X, 2) == 10 and F.avg_pool2d(X, 2) == 4


def test_erratum_16_18():
    X = torch.full((1, 3, 5, 5), .5)
    assert torch.allclose(F.conv2d(X, torch.full((1, 3, 3, 3), 1 / 9)), torch.tensor(1.5))
    assert torch.allclose(F.conv2d(X, torch.full((1, 3, 3, 3), 1 / 27)), torch.tensor(.5))


def test_erratum_16_19():
    with pytest.raises(RuntimeError, match="shapes"):
        nn.Linear(512, 32)(torch.zeros(1, 8, 8, 8))
    assert nn.Sequential(nn.Flatten(), nn.Linear(512, 32))(torch.zeros(1, 8, 8, 8)).shape == (1, 32)


def test_erratum_16_20():
    code = "model = nn.Sequential(nn.Linear(8 * 8 * 8, 32),\nnn.Tanh(),\nnn.Linear(32, 2))\n)"
    with pytest.raises(SyntaxError, match="unmatched"):
        ast.parse(code)
    names = {"nn": nn}
    exec(code.removesuffix("\n)"), names)
    assert names["model"](torch.zeros(1, 512)).shape == (1, 2)


def test_erratum_16_21():
    """Position is what a dense layer knows; what it does not know is which pixels are neighbours."""
    torch.manual_seed(0)
    dense, image = nn.Linear(36, 5), torch.zeros(6, 6)
    image[2:4, 1:3] = 1
    assert not torch.allclose(dense(image.flatten()), dense(image.roll(1, 1).flatten()), atol=1e-3)
    order = torch.randperm(36)
    shuffled = nn.Linear(36, 5)
    with torch.no_grad():
        shuffled.weight.copy_(dense.weight[:, order])
        shuffled.bias.copy_(dense.bias)
    assert torch.allclose(shuffled(image.flatten()[order]), dense(image.flatten()), atol=1e-6)
    K, mixed = torch.randn(1, 1, 3, 3), image.flatten()[order].reshape(1, 1, 6, 6)
    # a convolution does know: no kernel undoes the shuffling, not even as a set of values
    assert not torch.allclose(F.conv2d(mixed, K).flatten().sort().values,
                              F.conv2d(image[None, None], K).flatten().sort().values, atol=1e-3)
