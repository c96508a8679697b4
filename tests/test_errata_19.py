"""Each erratum of chapter 19: the mistake does what the errata page says, and so does the mend."""

import pytest
import torch
from torch import nn


def axes_of(X):
    return (0,) if X.ndim == 2 else (0, 2, 3)


class OfTheNotes(nn.Module):
    """The layer as the source has it, its misspelt name mended."""
    def __init__(self, num_features, num_dims):
        super().__init__()
        shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        self.gamma, self.beta = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))
        self.moving_mean, self.moving_var = torch.zeros(shape), torch.ones(shape)

    def forward(self, X):
        if not torch.is_grad_enabled():
            X_hat = (X - self.moving_mean) / torch.sqrt(self.moving_var + 1e-5)
        else:
            mean = X.mean(dim=axes_of(X), keepdim=True)
            var = ((X - mean) ** 2).mean(dim=axes_of(X), keepdim=True)
            X_hat = (X - mean) / torch.sqrt(var + 1e-5)
            self.moving_mean = (.9 * self.moving_mean + (1.0 - .9) * mean).data
            self.moving_var = (.9 * self.moving_var + (1.0 - .9) * var).data
        return self.gamma * X_hat + self.beta


def test_erratum_19_01():
    line = "moving_mean = momentum * movin_mean + (1.0 - momentum) * mean"
    names = {"momentum": .9, "mean": torch.ones(3), "moving_mean": torch.zeros(3)}
    with pytest.raises(NameError, match="movin_mean"):
        exec(line, dict(names))
    exec(line.replace("movin_mean", "moving_mean"), names)
    assert torch.allclose(names["moving_mean"], torch.full((3,), .1))


def test_erratum_19_02():
    torch.manual_seed(0)
    X, other = torch.randn(4, 3), 5 + torch.randn(4, 3)
    theirs, right = OfTheNotes(3, 2).eval(), nn.BatchNorm1d(3).eval()
    before = theirs.moving_mean.clone()
    together = theirs(torch.cat([X, other]))[:4]  # in evaluation mode, gradients on
    assert not torch.allclose(together, theirs(X), atol=.1)
    assert not torch.equal(theirs.moving_mean, before)
    assert torch.equal(right(torch.cat([X, other]))[:4], right(X))
    assert torch.equal(right.running_mean, torch.zeros(3))


def test_erratum_19_03():
    torch.manual_seed(0)
    theirs, right = OfTheNotes(3, 2), nn.BatchNorm1d(3)
    X = 5 + torch.randn(16, 3)
    for _ in range(50):
        theirs(X), right(X)
    assert list(theirs.state_dict()) == ["gamma", "beta"]
    loaded, loaded_right = OfTheNotes(3, 2), nn.BatchNorm1d(3)
    loaded.load_state_dict(theirs.state_dict())  # no complaint
    loaded_right.load_state_dict(right.state_dict())
    with torch.no_grad():
        assert not torch.allclose(loaded(X), theirs(X), atol=1)
        assert torch.equal(loaded_right.eval()(X), right.eval()(X))


def test_erratum_19_04():
    theirs, right, X = OfTheNotes(1, 2), nn.BatchNorm1d(1), torch.tensor([[2.], [4], [4], [6]])
    theirs(X), right(X)
    assert theirs.moving_var.item() == pytest.approx(.9 + .1 * 8 / 4)
    assert right.running_var.item() == pytest.approx(.9 + .1 * 8 / 3)


def test_erratum_19_05():
    theirs = OfTheNotes(3, 2)
    assert torch.equal(theirs(torch.randn(1, 3)), torch.zeros(1, 3))  # one example in training: its values are lost
    with pytest.raises(ValueError, match="more than 1 value"):
        nn.BatchNorm1d(3)(torch.randn(1, 3))


def test_erratum_19_06():
    """After the activation it runs, and what it hands on has mean 0 and deviation 1."""
    torch.manual_seed(0)
    X, y = torch.randn(256, 20), torch.randint(0, 2, (256,))
    X[:, 0] += 2 * y
    for place in ((nn.BatchNorm1d(32), nn.ReLU()), (nn.ReLU(), nn.BatchNorm1d(32))):
        net = nn.Sequential(nn.Linear(20, 32), *place, nn.Linear(32, 2))
        optimizer = torch.optim.SGD(net.parameters(), lr=.3)
        for _ in range(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(X), y).backward()
            optimizer.step()
        assert (net(X).argmax(1) == y).float().mean() > .9
    hidden = nn.BatchNorm1d(32)(torch.relu(torch.randn(256, 32)))
    assert hidden.mean(0).abs().max() < 1e-4 and (hidden.var(0, correction=0) - 1).abs().max() < 1e-3


def test_erratum_19_07():
    """It is no linear function: twice the input gives the same output. In evaluation mode it is, up to a constant."""
    torch.manual_seed(0)
    layer, X = nn.BatchNorm1d(3), torch.randn(8, 3)
    assert torch.allclose(layer(2 * X), layer(X), atol=1e-3)
    layer.eval()
    zero = layer(torch.zeros_like(X))
    assert torch.allclose(layer(2 * X) - zero, 2 * (layer(X) - zero), atol=1e-5)


def first_gradient(norm, a):
    torch.manual_seed(0)
    layers = nn.Linear(20, 32), norm(32), nn.ReLU(), nn.Linear(32, 2)
    with torch.no_grad():
        layers[0].weight.mul_(a)
    X, y = torch.randn(256, 20), torch.randint(0, 2, (256,))
    loss = nn.functional.cross_entropy(nn.Sequential(*layers)(X), y)
    return torch.autograd.grad(loss, layers[0].weight)[0].norm()


def test_erratum_19_08():
    """It makes gradients larger where weights are small, and smaller where they are large."""
    assert first_gradient(nn.BatchNorm1d, .01) > 3 * first_gradient(nn.Identity, .01)
    assert first_gradient(nn.BatchNorm1d, 30) < .1 * first_gradient(nn.Identity, 30)
    assert first_gradient(nn.BatchNorm1d, 1) == pytest.approx(10 * first_gradient(nn.BatchNorm1d, 10).item(), rel=.01)


def test_erratum_19_09():
    """Gradients explode with it: in fifty dense layers with rectifiers they grow more than a thousandfold."""
    def growth(norm):
        torch.manual_seed(0)
        layers, H, seen = [], torch.randn(128, 64).double(), []
        for _ in range(50):
            layer = nn.Linear(64, 64, bias=False).double()
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            H = torch.relu(norm(64).double()(layer(H)))
            H.retain_grad()
            seen.append(H)
            layers.append(layer)
        H.backward(torch.randn(H.shape).double())
        return seen[0].grad.norm() / seen[-1].grad.norm()
    assert growth(nn.BatchNorm1d) > 1000
    assert .001 < growth(nn.Identity) < 100  # the right start alone keeps them


def test_erratum_19_10():
    """Also of use in a shallow network: at a large rate only the normalised one learns."""
    def accuracy(norm, lr):
        torch.manual_seed(0)
        X = torch.randn(512, 20) * torch.logspace(-1, 1, 20)
        y = (X[:, :10].sum(1) > 0).long()
        net = nn.Sequential(nn.Linear(20, 64), norm(64), nn.ReLU(), nn.Linear(64, 2))
        optimizer = torch.optim.SGD(net.parameters(), lr=lr)
        for _ in range(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(X), y).backward()
            optimizer.step()
        return (net(X).argmax(1) == y).float().mean()
    assert accuracy(nn.BatchNorm1d, 3) > accuracy(nn.Identity, 3) + .1


def test_erratum_19_11():
    channels_last = torch.randn(4, 5, 6, 3)  # batch, height, width, channels
    with pytest.raises(RuntimeError, match="running_mean should contain 5"):
        nn.BatchNorm2d(3)(channels_last)
    square = 10 * torch.arange(3.) + torch.randn(64, 3, 3, 3)  # three rows, and no complaint
    wrong = nn.BatchNorm2d(3)(square)
    assert wrong.mean((0, 1, 2)).abs().max() > .5
    right = nn.BatchNorm2d(3)(square.permute(0, 3, 1, 2))
    assert right.mean((0, 2, 3)).abs().max() < 1e-4


def test_erratum_19_12():
    """Sums that hardly differ are not saturated, and are as useless: the layer gives them a size as well."""
    torch.manual_seed(0)
    small, large = .01 * torch.randn(256, 3), 100 * torch.randn(256, 3)
    for X in (small, large):
        assert .5 < nn.BatchNorm1d(3)(X).tanh().std() < .75
    assert small.tanh().std() < .02 and (large.tanh().abs() > .99).float().mean() > .9


def test_erratum_19_13():
    """A bias before the layer is a parameter without effect and without gradient."""
    torch.manual_seed(0)
    conv, norm, X = nn.Conv2d(1, 6, 5), nn.BatchNorm2d(6), torch.randn(8, 1, 12, 12)
    before = norm(conv(X))
    (before ** 3).sum().backward()
    assert conv.bias.grad.abs().max() < 1e-4 * conv.weight.grad.abs().max()
    with torch.no_grad():
        conv.bias += 7
    assert torch.allclose(norm(conv(X)), before, atol=1e-4)
    assert nn.Conv2d(1, 6, 5, bias=False).bias is None
