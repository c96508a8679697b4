"""Fixtures of the helper's tests."""

import pytest
import torch

from shared import data


@pytest.fixture(autouse=True)
def fresh_state(monkeypatch, tmp_path):
    """Every test looks for data anew, and writes to a cache of its own."""
    monkeypatch.setattr(data, "_online", None)
    monkeypatch.setattr(data, "_said", set())
    monkeypatch.setenv("BOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BOOK_PROGRESS", "0")
    monkeypatch.delenv("BOOK_DEVICE", raising=False)


@pytest.fixture
def toy():
    """A small separable problem: 200 points in the plane, two classes."""
    g = torch.Generator().manual_seed(0)
    X = torch.randn(200, 2, generator=g)
    return X, (X[:, 0] + 2 * X[:, 1] > 0).long()
