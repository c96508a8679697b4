"""Each erratum of chapter 03: the mistake does what the errata page says, and so does the mend."""

from importlib.util import find_spec

import numpy as np
import pytest
import sympy
import torch

from shared import data


def test_erratum_03_01():
    """What holds for the notes' one pair of equal matrices need not hold for another."""
    def transposes_add(A, B):
        return np.array_equal(A.T + B.T, (A + B).T)

    def products_commute(A, B):
        return np.array_equal(A @ B, B @ A)
    A = B = np.arange(4).reshape(2, 2)
    assert transposes_add(A, B) and products_commute(A, B)  # one proof too many
    g = np.random.default_rng(0)
    pairs = [g.integers(-9, 10, (2, 3, 3)) for _ in range(50)]
    assert all(transposes_add(*pair) for pair in pairs)
    assert not any(products_commute(*pair) for pair in pairs)
    a, b = sympy.MatrixSymbol("A", 2, 3), sympy.MatrixSymbol("B", 2, 3)
    assert sympy.Matrix(a.T + b.T) == sympy.Matrix((a + b).T)  # the mend: entry by entry, for all numbers
    assert sympy.Matrix(a.T.T) == sympy.Matrix(a) != sympy.Matrix(b)


def test_erratum_03_02():
    A, four = torch.arange(20).reshape(5, 4), torch.tensor([1, 2, 3, 4])
    with pytest.raises(RuntimeError, match="must match"):
        A / A.sum(axis=1)
    with pytest.raises(RuntimeError, match="must match"):
        A / four.reshape(4, 1)  # allowed, if the rule of matrix products were the reason
    assert torch.equal(A / four, A / four.reshape(1, 4))
    shares = A / A.sum(axis=1).reshape(5, 1)  # said to be the cause of the error
    assert torch.allclose(shares.sum(1), torch.ones(5))
    assert torch.equal(A / A.sum(axis=1, keepdim=True), shares)


def test_erratum_03_03():
    S = torch.tensor([[1., 3], [4, 4]])
    assert not torch.allclose((S / S.sum(axis=1)).sum(1), torch.ones(2))
    assert torch.allclose((S / S.sum(axis=1, keepdim=True)).sum(1), torch.ones(2))


def test_erratum_03_04():
    b = np.arange(20).reshape(1, 4, 5)
    assert b.sum(axis=1).tolist() == [[30, 34, 38, 42, 46]]
    assert b.sum(axis=2).tolist() == [[10, 35, 60, 85]]


def test_erratum_03_05():
    assert len(np.arange(20).reshape(1, 4, 5)) == 1 and len(torch.zeros(2, 3, 4)) == 2


def test_erratum_03_06():
    with pytest.raises(TypeError):
        len(torch.tensor(3.))
    assert len(torch.zeros(10, 2, 1)) == 10


def test_erratum_03_07():
    big = np.array([16_777_217])
    assert int(torch.Tensor(big)) == 16_777_216
    assert int(torch.tensor(big)) == int(torch.from_numpy(big)) == 16_777_217


def test_erratum_03_09():
    x, y = torch.arange(4), torch.tensor(2.0)  # the notes' x and y, from their sections 2.3.2 and 2.3.1
    with pytest.raises(RuntimeError, match="1D tensors"):
        torch.dot(x, y)
    with pytest.raises(RuntimeError, match="dtype"):
        torch.dot(x, y.repeat(4))  # vectors, as is asked for, but of two types
    assert torch.dot(x.float(), y.repeat(4)) == 12


def test_erratum_03_10():
    assert torch.rand(10).ndim == 1 and torch.rand(()).ndim == 0 and torch.tensor(3.).shape == ()


def test_erratum_03_13():
    """The Boston table left scikit-learn in version 1.2; where that is installed, its name is refused."""
    if find_spec("sklearn"):
        import sklearn.datasets
        with pytest.raises((ImportError, AttributeError)):
            sklearn.datasets.load_boston()
    table = torch.from_numpy(data.wine().train.to_numpy())  # the mend: a table that can be had
    assert table.shape[1] == 12 and table[:2].shape == (2, 12) and torch.equal(table[:2][1], table[1])
