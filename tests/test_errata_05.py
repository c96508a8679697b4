"""Each erratum of chapter 05: the mistake does what the errata page says, and so does the mend."""

from importlib.util import find_spec

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
    kept = x.grad
    x.grad.zero_()
    x.sum().backward()
    assert x.grad is kept and kept.tolist() == [1] * 4  # as is said: one place
    torch.optim.SGD([x], lr=1).zero_grad()              # as their training loops do
    assert x.grad is None
    x.sum().backward()
    assert x.grad is not kept
    torch.optim.SGD([x], lr=1).zero_grad(set_to_none=False)
    assert x.grad.tolist() == [0] * 4


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
    f(a).sum().backward()
    with pytest.raises(AttributeError, match="gard"):
        a.gard  # noqa: B018
    assert a.grad.tolist() == [512] * 4  # what the notes print
    a.gard = None
    a.sum().backward()
    assert a.grad.tolist() == [513] * 4  # not cleared


def test_erratum_05_07():
    with pytest.raises(TimeoutError):
        f(torch.tensor(0.))
    assert f(torch.tensor(1.5)) == 1536


def test_erratum_05_08():
    norm = (torch.tensor(1.0685) * 2).norm().item()
    assert norm == pytest.approx(2.137) and abs(norm - .4766) > 1
    assert (torch.tensor(.4766 / 2) * 2).norm().item() == pytest.approx(.4766)  # of another a


def test_erratum_05_09():
    array, tensor = np.array([.5, 2]), torch.tensor([.5, 2])
    assert array.dtype == np.float64 and tensor.dtype == torch.float32
    assert tensor.device.type == "cpu" and tensor.requires_grad_().sum().backward() is None
    assert tensor.grad.tolist() == [1, 1] and not hasattr(array, "requires_grad")
    same = torch.from_numpy(array)
    assert same.dtype == torch.float64 and same.float().dtype == torch.float32


def test_erratum_05_10():
    x, wrapped = torch.ones(2), torch.autograd.Variable(torch.ones(2))
    assert type(wrapped) is torch.Tensor and not wrapped.requires_grad and (wrapped * 2).grad_fn is None
    x.requires_grad_(True)
    assert (x * 2).grad_fn is not None


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
    params = torch.tensor([1., 0], requires_grad=True)
    readings, truth = torch.tensor([3.5, 5.6]), torch.tensor([.5, 14])

    def validation_loss():
        return ((params[0] * readings + params[1] - truth) ** 2).mean()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        assert validation_loss().grad_fn is not None and kept  # tensors kept for a backward that never comes
        kept.clear()
        with torch.no_grad():
            assert validation_loss().grad_fn is None and not kept


def test_erratum_05_17():
    def record(a):
        node, length = f(torch.tensor(a, requires_grad=True)).grad_fn, 0
        while node.next_functions:
            node, length = node.next_functions[0][0], length + 1
        return length
    assert record(1.5) != record(300.)  # dynamic: as long as the run was

    def wasteful(x):
        return (x.sin() + 1) * (x.sin() + 1)
    static = torch.fx.symbolic_trace(wasteful)  # and PyTorch, too, takes a graph before any run
    assert [node.op for node in static.graph.nodes].count("call_method") == 2
    x = torch.linspace(-2, 2, 5)
    assert torch.equal(static(x), wasteful(x))
    with pytest.raises(torch.fx.proxy.TraceError, match="control flow"):
        torch.fx.symbolic_trace(f)
    if find_spec("tensorflow"):
        assert __import__("tensorflow").executing_eagerly()
