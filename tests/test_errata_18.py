"""Each erratum of chapter 18: the mistake does what the errata page says, and so does the mend."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F


def conv_relu(*args, **options):
    return [nn.Conv2d(*args, **options), nn.ReLU()]


def alexnet(padding=1, side=5):
    return nn.Sequential(
        *conv_relu(1, 96, 11, stride=4, padding=padding), nn.MaxPool2d(3, 2), *conv_relu(96, 256, 5, padding=2),
        nn.MaxPool2d(3, 2), *conv_relu(256, 384, 3, padding=1), *conv_relu(384, 384, 3, padding=1),
        *conv_relu(384, 256, 3, padding=1), nn.MaxPool2d(3, 2), nn.Flatten(), nn.Linear(256 * side * side, 4096),
        nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 10))


def vgg(conv_arch, width=4096):
    layers, c = [], 1
    for number, channels in conv_arch:
        for _ in range(number):
            layers += conv_relu(c, channels, 3, padding=1)
            c = channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(c * 49, width), nn.ReLU(), nn.Linear(width, width),
                         nn.ReLU(), nn.Linear(width, 10))


CONV_ARCH = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))


class Inception(nn.Module):
    """As the notes have it, but for what the tests below are about."""
    def __init__(self, c_in, c1, c2, c3, c4):
        super().__init__()
        self.p1 = nn.Conv2d(c_in, c1, 1)
        self.p2 = nn.Sequential(nn.Conv2d(c_in, c2[0], 1), nn.Conv2d(*c2, 3, padding=1))
        self.p3 = nn.Sequential(nn.Conv2d(c_in, c3[0], 1), nn.Conv2d(*c3, 5, padding=2))
        self.p4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(c_in, c4, 1))

    def forward(self, X):
        return torch.cat([p(X) for p in (self.p1, self.p2, self.p3, self.p4)], dim=1)


def on_meta(build):
    with torch.device("meta"):
        return build()


def parameters(net):
    return sum(p.numel() for p in net.parameters())


def work(net, X):
    """Multiply-adds of convolutions and dense layers, for one picture."""
    found, handles = {}, []
    for m in net.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            handles.append(m.register_forward_hook(lambda m, _, out: found.__setitem__(
                m, out[0].numel() * m.weight[0].numel())))
    net(X)
    for handle in handles:
        handle.remove()
    return found


def test_erratum_18_01():
    with pytest.raises(SyntaxError):
        compile("f(nn.Conv2d(96,256,kernel_size=5,padding=2)\nnn.ReLU())", "the notes", "exec")
    with pytest.raises(SyntaxError):
        compile("f(nn.Dropout(p=0.5)\nnn.Linear(4096,4096))", "the notes", "exec")
    compile("f(nn.Dropout(p=0.5),\nnn.Linear(4096,4096))", "mended", "exec")


def test_erratum_18_02():
    with pytest.raises(TypeError, match="kernle_size"):
        nn.Conv2d(384, 256, kernle_size=3, padding=1)
    nn.Conv2d(384, 256, kernel_size=3, padding=1)


def test_erratum_18_03():
    dense, convolutions = [], []
    net = on_meta(alexnet)
    found = work(net, torch.zeros(1, 1, 224, 224, device="meta"))
    for m, operations in found.items():
        (dense if isinstance(m, nn.Linear) else convolutions).append((parameters(m), operations))
    weights, operations = map(sum, zip(*dense))
    assert weights > .9 * parameters(net)             # memory: yes
    assert operations < .1 * sum(found.values())      # computation: hardly any of it


def test_erratum_18_04():
    small = [(n, c // 4) for n, c in CONV_ARCH]
    whole, quarter = on_meta(lambda: vgg(CONV_ARCH)), on_meta(lambda: vgg(small))
    assert parameters(quarter) > parameters(whole) / 4        # a third is left, where a sixteenth was meant
    dense = sum(parameters(m) for m in quarter if isinstance(m, nn.Linear))
    assert dense > .98 * parameters(quarter)
    assert parameters(on_meta(lambda: vgg(small, width=1024))) < parameters(whole) / 15


@pytest.mark.slow
def test_erratum_18_05():
    generator = torch.Generator().manual_seed(0)
    X, noise = torch.randn(400, 20, generator=generator), torch.randn(400, generator=generator)
    y = (X[:, 0] + .7 * noise > 0).long()
    X_test = torch.randn(2000, 20, generator=generator)
    y_test = (X_test[:, 0] + .7 * torch.randn(2000, generator=generator) > 0).long()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 200), nn.ReLU(), nn.Linear(200, 2))
    other, level = deepcopy(net), []  # the mistake: a copy is judged, and not the network that is trained
    optimizer, losses = torch.optim.Adam(net.parameters(), lr=.003), []
    for _ in range(200):
        losses.append(F.cross_entropy(net(X_test), y_test).item())
        level.append(F.cross_entropy(other(X_test), y_test).item())
        optimizer.zero_grad()
        F.cross_entropy(net(X), y).backward()
        optimizer.step()
    assert min(losses) < losses[0] - .1 and losses[-1] > min(losses) + .1  # overfitting: down, then up, never level
    assert max(level) - min(level) < 1e-6


def test_erratum_18_06():
    deep = [parameters(on_meta(build)) for build in (
        lambda: vgg(CONV_ARCH), lambda: nn.Sequential(*[nn.Conv2d(64, 64, 3) for _ in range(50)]))]
    assert deep[1] < deep[0] / 50  # fifty layers, and fewer parameters than a hundredth
    one, several = nn.Conv2d(64, 64, 11), nn.Sequential(*[nn.Conv2d(64, 64, 3) for _ in range(5)])
    assert parameters(several) < parameters(one)  # more layers, less memory for weights


@pytest.mark.slow
def test_erratum_18_07():
    def fit(width):
        X = torch.randn(300 + 2000, 10, generator=torch.Generator().manual_seed(0))
        y = (X.norm(dim=1) > 3.1).long()
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, 2))
        optimizer = torch.optim.Adam(net.parameters(), lr=.002)
        for _ in range(300):
            optimizer.zero_grad()
            F.cross_entropy(net(X[:300]), y[:300]).backward()
            optimizer.step()
        return (net(X[300:]).argmax(1) == y[300:]).float().mean().item()
    assert fit(2000) > fit(10) + .05  # two hundred times as wide, and better on what it has not seen


def test_erratum_18_08():
    block = on_meta(lambda: Inception(192, 64, (96, 128), (16, 32), 32))
    out = block(torch.zeros(1, 192, 28, 28, device="meta"))
    assert out.shape == (1, 256, 28, 28)  # the channels change; height and width do not


def test_erratum_18_09():
    block = Inception(192, 64, (96, 128), (16, 32), 32)
    for look in (block.p2[1], block.p3[1]):  # those that look around
        assert look.in_channels != look.out_channels and look.kernel_size[0] > 1


def test_erratum_18_10():
    X, layer = torch.rand(1, 8, 5, 5), nn.Conv2d(8, 4, 1)
    with pytest.raises(TypeError):
        F.relu(layer)
    assert F.relu(layer(X)).shape == (1, 4, 5, 5)


def test_erratum_18_11():
    X = torch.rand(1, 1, 96, 96)
    with pytest.raises(RuntimeError, match="channels"):
        nn.Conv2d(3, 64, 7, stride=2, padding=3)(X)
    assert nn.Conv2d(1, 64, 7, stride=2, padding=3)(X).shape == (1, 64, 48, 48)


def test_erratum_18_12():
    X = torch.rand(1, 480, 12, 12)
    with pytest.raises(RuntimeError, match="half"):
        nn.MaxPool2d(3, stride=2, padding=2)(X)
    assert nn.MaxPool2d(3, stride=2, padding=1)(X).shape == (1, 480, 6, 6)


def test_erratum_18_13():
    X = torch.rand(1, 1, 28, 28)
    assert nn.Conv2d(1, 1, 3, padding=7)(X).shape == (1, 1, 40, 40)  # a convolution takes any padding
    for k in (3, 5, 7):
        assert nn.Conv2d(1, 1, k, padding=(k - 1) // 2)(X).shape == X.shape
        assert nn.Conv2d(1, 1, k, padding=k // 2 + 1)(X).shape != X.shape


def test_erratum_18_14():
    X = torch.rand(1, 1, 28, 28)
    large = F.interpolate(X, scale_factor=8, mode="nearest")
    assert torch.allclose(F.avg_pool2d(large, 8), X)  # not a number more than before
    net = nn.Conv2d(1, 8, 3, padding=1)
    assert sum(work(net, large).values()) == 64 * sum(work(net, X).values())


def test_erratum_18_15():
    torch.manual_seed(0)
    maps = torch.randn(32, 16, 6, 6)
    last = nn.Conv2d(16, 10, 1)
    nn.init.constant_(last.bias, -20)  # evidence against every class
    y = torch.randint(10, (32,))
    for rectified in (True, False):
        scores = last(maps).relu() if rectified else last(maps)
        last.zero_grad()
        F.cross_entropy(scores.mean((2, 3)), y).backward()
        assert bool(last.weight.grad.any()) is not rectified  # with ReLU no gradient, and no way back
