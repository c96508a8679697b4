"""Each erratum of chapter 20: the mistake does what the errata page says, and so does the mend."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F


class Residual(nn.Module):
    """As the source has it; ``first`` is the convolution that it calls first."""
    def __init__(self, input_channels, num_channels, use_1x1conv=False, strides=1, first="conv2"):
        super().__init__()
        self.conv1 = nn.Conv2d(input_channels, num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.Conv2d(num_channels, num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(input_channels, num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.BatchNorm2d(num_channels), nn.BatchNorm2d(num_channels)
        self.relu = nn.ReLU(inplace=True)
        self.first = first

    def forward(self, X):
        Y = F.relu(self.bn1(getattr(self, self.first)(X)))
        Y = self.bn2(self.conv2(Y))
        if self.conv3:
            X = self.conv3(X)
        Y += X
        return F.relu(Y)


def without_gradient(net, X):
    net(X).sum().backward()
    return {name.split(".")[0] for name, p in net.named_parameters() if p.grad is None}


def kept_for_backward(net, X):
    """Bytes that autograd sets aside, each storage once."""
    kept = {}

    def pack(t):
        kept[t.data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = net(X)
    return sum(kept.values()) if out is not None else 0


def conv_norm(c):
    return [nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)]


def test_erratum_20_01():
    X = torch.rand(4, 3, 6, 6)
    assert without_gradient(Residual(3, 3), X) == {"conv1"}  # runs, and never trains its first convolution
    with pytest.raises(RuntimeError):
        Residual(3, 6, use_1x1conv=True, strides=2)(X)
    assert without_gradient(Residual(3, 3, first="conv1"), X) == set()
    assert Residual(3, 6, use_1x1conv=True, strides=2, first="conv1")(X).shape == (4, 6, 3, 3)


def test_erratum_20_02():
    source = ("def {name}(input_channels, num_channels, num_residuals, first_block=False):\n"
              "    return [num_channels] * num_residuals\n"
              "blocks = resnet_block(64, 64, 2, first_block=True)")
    with pytest.raises(NameError):
        exec(source.format(name="resent_block"), {})
    names = {}
    exec(source.format(name="resnet_block"), names)
    assert names["blocks"] == [64, 64]


def test_erratum_20_03():
    X, kept = torch.rand(4, 8, 6, 6), {}
    for inplace in (False, True):
        kept[inplace] = kept_for_backward(nn.Sequential(*conv_norm(8), nn.ReLU(inplace), *conv_norm(8)), X)
    assert kept[True] == kept[False]  # behind a normalisation nothing more is kept, and nothing less
    for inplace in (False, True):  # and what is in place makes no new tensor
        Y = torch.randn(2, 3)
        assert (nn.ReLU(inplace)(Y).data_ptr() == Y.data_ptr()) == inplace
    block, used = Residual(3, 3, first="conv1"), []
    block.relu.register_forward_hook(lambda *_: used.append(1))
    block(X[:, :3])
    assert not used  # the layer in question is never called


def test_erratum_20_04():
    """Nested classes: the best training error cannot rise, the error on other data can."""
    g = torch.Generator().manual_seed(0)
    x = torch.linspace(-1, 1, 12, dtype=torch.double)
    y = torch.sin(3 * x) + .3 * torch.randn(12, generator=g, dtype=torch.double)
    others = torch.linspace(-1, 1, 201, dtype=torch.double)
    trained, new = [], []
    for degree in range(1, 12):
        powers, other_powers = (torch.stack([v**k for k in range(degree + 1)], 1) for v in (x, others))
        w = torch.linalg.lstsq(powers, y[:, None]).solution
        trained.append(((powers @ w)[:, 0] - y).square().mean().item())
        new.append(((other_powers @ w)[:, 0] - torch.sin(3 * others)).square().mean().item())
    assert all(b <= a + 1e-9 for a, b in zip(trained, trained[1:]))
    assert new[-1] > 2 * min(new)


def test_erratum_20_05():
    block = Residual(3, 3, first="conv1").eval()
    nn.init.zeros_(block.bn2.weight)  # the branch does nothing
    nn.init.zeros_(block.bn2.bias)
    X = torch.randn(2, 3, 5, 5)
    assert not torch.allclose(block(X), X)
    assert torch.allclose(block(X), X.relu())
    assert torch.allclose(block(X.relu()), X.relu())  # what comes out of a ReLU passes unchanged


def test_erratum_20_06():
    torch.manual_seed(0)
    X, g = torch.rand(64, 8), nn.Linear(8, 8)
    loss = F.mse_loss(X + g(X), X)  # the input alone would be perfect
    loss.backward()
    assert loss > .01  # so the branch does matter to the loss
    assert g.weight.grad.norm() > .01  # and gets a gradient because it does harm
    still = nn.Linear(8, 8)
    nn.init.zeros_(still.weight)
    nn.init.zeros_(still.bias)
    F.mse_loss(X + still(X), X).backward()
    assert still.weight.grad.abs().max() == 0  # none where it does none


def through(depth, norm, skip):
    torch.manual_seed(0)
    H = start = torch.randn(16, 8, 8, 8).relu().requires_grad_()
    for _ in range(depth):
        conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        branch = F.relu(nn.BatchNorm2d(8)(conv(H)) if norm else conv(H))
        H = H + branch if skip else branch
    sent = torch.randn(H.shape)
    H.backward(sent)
    return (start.grad.norm() / sent.norm()).item(), (H.detach().norm() / start.detach().norm()).item()


@pytest.mark.slow
def test_erratum_20_07():
    gradient, value = through(100, norm=False, skip=True)
    assert gradient > 1e10 and value > 1e10  # a sum of large and small explodes as well
    gradient, value = through(100, norm=True, skip=True)
    assert .1 < gradient < 1e3 and value < 1e3  # the branches have to be normalised


def test_erratum_20_08():
    gradient, _ = through(50, norm=True, skip=False)
    assert gradient > 100  # a plain, normalised network: largest at the bottom
    torch.manual_seed(0)
    J, g = torch.randn(5, 5), torch.randn(5)
    x = torch.zeros(5, requires_grad=True)
    (J @ x).backward(g)
    assert torch.allclose(x.grad, J.T @ g)  # whatever the layer does with its own gradient


def test_erratum_20_09():
    X = torch.rand(4, 3, 6, 6)
    block = Residual(3, 3, first="conv1")
    block(X).square().sum().backward()
    assert block.conv1.bias.grad.abs().max() < 1e-3 * block.conv1.weight.grad.abs().max()
    assert block.conv2.bias.grad.abs().max() < 1e-3 * block.conv2.weight.grad.abs().max()
    H = block.conv1(X).detach()
    assert torch.allclose(block.bn1(H), block.bn1(H + 7), atol=1e-3)


def test_erratum_20_10():
    torch.manual_seed(0)
    conv, X = nn.Conv2d(4, 4, 3, padding=1), torch.rand(2, 4, 8, 8)
    assert not torch.allclose(F.relu(conv(X)) + X, X, atol=.01)  # the sum is no identity
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    assert torch.equal(F.relu(conv(X)) + X, X)  # only what goes past the convolution is


def test_erratum_20_11():
    """The best member of a larger class can be further off: nothing has been learnt in a wrong way."""
    y = (torch.arange(840) >= 420).double()

    def off(pieces):  # the nearest step function, found exactly
        means = y.view(pieces, -1).mean(1, keepdim=True)
        return (means.expand(pieces, 840 // pieces).flatten() - y).square().mean().item()

    assert off(3) > off(2) and off(5) > off(4)
    assert off(4) <= off(2) and off(8) <= off(4)
