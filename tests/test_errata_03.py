"""Each erratum of chapter 03: the mistake does what the errata page says, and so does the mend."""

import numpy as np
import pytest
import torch


def test_erratum_03_01():
    A = torch.tensor([[0., 1], [2, 3]])
    B = torch.tensor([[0., 1], [1, 0]])
    assert torch.equal(A @ A, A @ A) and not torch.equal(A @ B, B @ A)
    assert torch.equal(A.T + B.T, (A + B).T)


def test_erratum_03_02():
    A = torch.arange(20.).reshape(5, 4)
    with pytest.raises(RuntimeError, match="must match"):
        A / A.sum(axis=1)
    assert torch.allclose((A / A.sum(axis=1).reshape(5, 1)).sum(1), torch.ones(5))


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


def test_erratum_03_08():
    assert np.zeros((2, 3)).size == torch.zeros(2, 3).numel() == 6


def test_erratum_03_09():
    with pytest.raises(RuntimeError):
        torch.dot(torch.arange(4), torch.ones(4))
    assert torch.dot(torch.arange(4.), torch.ones(4)) == 6


def test_erratum_03_10():
    assert torch.rand(10).ndim == 1 and torch.rand(()).ndim == 0 and torch.tensor(3.).shape == ()


def test_erratum_03_11():
    assert torch.ones(3).ndim == 1 and torch.ones(3).shape == (3,)


def test_erratum_03_12():
    with pytest.raises(RuntimeError):
        torch.linalg.norm(torch.arange(4))
    assert torch.linalg.norm(torch.tensor([3., 4])) == 5
