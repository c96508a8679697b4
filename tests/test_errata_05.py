"""Each erratum of chapter 05: the mistake does what the errata page says, and so does the mend."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F


def f(a, limit=1000):
    b, rounds = a * 2, 0
    while b.norm() < 1000:
        b, rounds = b * 2, rounds + 1
        if rounds > limit:
            raise TimeoutError("the loop does not end")
    return b if b.sum() > 0 else 100 * b


def leaf():
    return torch.arange(4., requires_grad=True)


def test_erratum_05_01():
    x = leaf()
    with pytest.raises(AttributeError):
        x.grad.zero_()
    x.grad = None
    x.sum().backward()
    assert x.grad.zero_().tolist() == [0] * 4


def test_erratum_05_02():
    x = leaf()
    x.sum().backward()
    torch.optim.SGD([x], lr=1).zero_grad()
    assert x.grad is None


def test_erratum_05_03():
    x = leaf()
    with pytest.raises(RuntimeError, match="scalar"):
        (x * x).backward()
    v = torch.tensor([1., 0, 2, 0])
    (x * x).backward(gradient=v)
    assert torch.equal(x.grad, 2 * x * v)


def test_erratum_05_04():
    x = leaf()
    F.softmax(x, 0).sum().backward()
    J = torch.autograd.functional.jacobian(lambda x: F.softmax(x, 0), x)
    assert x.grad.abs().max() < 1e-6 < J.abs().max()
    assert torch.allclose(x.grad, J.sum(0), atol=1e-6)


def test_erratum_05_05():
    a = leaf()
    a.sum()
    with pytest.raises(RuntimeError, match="scalar"):
        f(a).backward()
    f(a).sum().backward()
    assert a.grad.tolist() == [512] * 4


def test_erratum_05_06():
    a = leaf()
    with pytest.raises(AttributeError):
        a.gard
    a.sum().backward()
    a.gard = None
    a.sum().backward()
    assert a.grad.tolist() == [2] * 4  # not cleared


def test_erratum_05_07():
    with pytest.raises(TimeoutError):
        f(torch.tensor(0.))
    assert f(torch.tensor(1.5)) == 1536


def test_erratum_05_08():
    assert (torch.tensor(1.0685) * 2).norm().item() == pytest.approx(2.137)


def test_erratum_05_09():
    assert np.array([.5]).dtype == np.float64 and torch.tensor([.5]).dtype == torch.float32
    assert not hasattr(np.array([.5]), "grad") and torch.tensor([.5]).grad is None


def test_erratum_05_10():
    x = torch.ones(2)
    wrapped = torch.autograd.Variable(x)
    assert type(wrapped) is torch.Tensor and not wrapped.requires_grad


def test_erratum_05_11():
    x = leaf()
    node = (x * x).sum().grad_fn
    assert "Backward" in node.name() and not isinstance(node, torch.Tensor)
    assert "Mul" in node.next_functions[0][0].name()


def test_erratum_05_12():
    x = torch.ones(2)
    assert not x.requires_grad and (x * 2).grad_fn is None


def test_erratum_05_13():
    x = leaf()
    x.detach()[0] = 9
    assert x[0] == 9
    x.detach().clone()[0] = 1
    assert x[0] == 9


def test_erratum_05_14():
    x = leaf()
    assert (x * x).sum().grad_fn is not None
    with torch.no_grad():
        assert (x * x).sum().grad_fn is None


def test_erratum_05_15():
    p = leaf()
    (p * p).sum().backward()
    q = p - .1 * p.grad
    assert not q.is_leaf
    with pytest.warns(UserWarning, match="not a leaf"):
        assert q.grad is None
    with torch.no_grad():
        p -= .1 * p.grad
    assert p.is_leaf and p.requires_grad


def test_erratum_05_16():
    with pytest.raises(RuntimeError, match="floating"):
        torch.arange(4, requires_grad=True)
    assert leaf().requires_grad
