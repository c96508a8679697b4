"""Each erratum of chapter 14: the mistake does what the errata page says, and so does the mend."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F


class ByObject(nn.Module):
    """The source's row of blocks, with the blocks as keys."""
    def __init__(self, *args):
        super().__init__()
        for block in args:
            self._modules[block] = block

    def forward(self, X):
        for block in self._modules.values():
            X = block(X)
        return X


class ByNumber(ByObject):
    def __init__(self, *args):
        nn.Module.__init__(self)
        for i, block in enumerate(args):
            self.add_module(str(i), block)


def test_erratum_14_01():
    """A block that stands in the row twice is run once, and there is no state dictionary."""
    double = nn.Linear(1, 1, bias=False)
    nn.init.constant_(double.weight, 2.)
    one = torch.ones(1, 1)
    assert ByObject(double, double)(one).item() == 2
    assert ByNumber(double, double)(one).item() == 4 == nn.Sequential(double, double)(one).item()
    with pytest.raises(TypeError):
        ByObject(double).state_dict()
    assert list(ByNumber(double, double).state_dict()) == ["0.weight", "1.weight"]


class MyLinear(nn.Module):
    def __init__(self, in_units, units):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_units, units))
        self.bias = nn.Parameter(torch.randn(units))

    def forward(self, X):
        return F.relu(X @ self.weight + self.bias)


class Cut(MyLinear):
    """The source's: the data of the parameters."""
    def forward(self, X):
        return F.relu(X @ self.weight.data + self.bias.data)


def test_erratum_14_02():
    """Through .data no gradient reaches the parameters."""
    X = torch.rand(4, 5)
    for kind, learns in ((Cut, False), (MyLinear, True)):
        torch.manual_seed(0)
        hidden, out = kind(5, 3), nn.Linear(3, 1)
        out(hidden(X)).sum().backward()
        assert (hidden.weight.grad is not None) == (hidden.bias.grad is not None) == learns
        assert hidden(X).requires_grad == learns


class Fixed(nn.Module):
    """The source's: a matrix that is not learnt, as an attribute."""
    def __init__(self, buffer):
        super().__init__()
        matrix = torch.rand((20, 20), requires_grad=False)
        if buffer:
            self.register_buffer("rand_weight", matrix)
        else:
            self.rand_weight = matrix
        self.linear = nn.Linear(20, 20)

    def forward(self, X):
        return self.linear(F.relu(self.linear(X) @ self.rand_weight + 1)).sum()


@pytest.mark.parametrize("buffer", (False, True))
def test_erratum_14_03(buffer):
    """A plain attribute is neither saved nor moved: the loaded copy gives other answers."""
    torch.manual_seed(0)
    net, copy = Fixed(buffer), Fixed(buffer)
    copy.load_state_dict(net.state_dict())
    X = torch.rand(2, 20)
    assert torch.equal(net(X), copy(X)) == buffer
    assert ("rand_weight" in net.state_dict()) == buffer
    assert (net.double().rand_weight.dtype == torch.float64) == buffer


def test_erratum_14_04(capsys):
    """Printed, named_parameters is a generator object and no parameter."""
    net = nn.Linear(4, 8)
    print(net.named_parameters())
    assert capsys.readouterr().out.startswith("<generator object")
    print(*[(name, tuple(p.shape)) for name, p in net.named_parameters()])
    assert capsys.readouterr().out == "('weight', (8, 4)) ('bias', (8,))\n"


def test_erratum_14_05():
    """A change through .data between the passes is not noticed: the gradient is wrong. no_grad tells."""
    def product(change):
        w, x = torch.tensor([2.], requires_grad=True), torch.tensor([3.], requires_grad=True)
        y = w * x
        change(w)
        y.sum().backward()
        return x.grad.item()

    def unseen(w):
        w.data[:] += 1

    def seen(w):
        with torch.no_grad():
            w[:] += 1

    assert product(lambda w: None) == 2 and product(unseen) == 3
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product(seen)


def test_erratum_14_06():
    """Many modules hold neither state nor weights, and whole networks are modules."""
    for module in (nn.ReLU(), nn.Flatten(), nn.CrossEntropyLoss(), nn.MaxPool2d(2)):
        assert isinstance(module, nn.Module) and not module.state_dict()
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 2)), nn.ReLU())
    assert isinstance(net, nn.Module) and net.state_dict()


def test_erratum_14_07():
    """Registered or called as functions, activation and pooling give the same, with the same entries in the file."""
    torch.manual_seed(0)
    conv, X = nn.Conv2d(3, 4, 3), torch.rand(2, 3, 8, 8)
    as_modules = nn.Sequential(conv, nn.Tanh(), nn.MaxPool2d(2))
    assert torch.equal(as_modules(X), F.max_pool2d(torch.tanh(conv(X)), 2))
    assert len(as_modules.state_dict()) == len(conv.state_dict()) == 2
    assert [p.numel() for p in as_modules.parameters()] == [p.numel() for p in conv.parameters()]


def test_erratum_14_08():
    """An infinite value is halved for ever; a check for finite values ends the loop."""
    X = torch.tensor([float("inf"), 1.])
    for _ in range(1000):
        assert X.abs().sum() > 1
        X = X / 2
    rounds = 0
    while X.isfinite().all() and X.abs().sum() > 1:
        X, rounds = X / 2, rounds + 1
    assert rounds == 0
    finite, rounds = torch.tensor([3., 4.]), 0
    while finite.isfinite().all() and finite.abs().sum() > 1:
        finite, rounds = finite / 2, rounds + 1
    assert rounds == 3
