"""Fixtures of the helper's tests."""

import os

import pytest
import torch

from shared import data, fetch


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory):
    """One cache for all tests that load real sets, and for all workers of a run; or BOOK_CACHE."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # its folder lies in that of the run
        base = base.parent
    return os.environ.get("BOOK_CACHE") or str(base / "cache")


@pytest.fixture(autouse=True)
def fresh_state(monkeypatch, session_cache):
    """Every test says anew what data it found, in the cache of the session, and without moving curves."""
    monkeypatch.setattr(data, "_said", set())
    monkeypatch.setenv("BOOK_CACHE", session_cache)
    monkeypatch.setenv("BOOK_PROGRESS", "0")
    monkeypatch.delenv("BOOK_DEVICE", raising=False)


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    """For tests of the look-up itself: an empty cache of its own, and the network is looked for anew."""
    monkeypatch.setattr(fetch, "_online", None)
    monkeypatch.setenv("BOOK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def toy():
    """A small separable problem: 200 points in the plane, two classes."""
    g = torch.Generator().manual_seed(0)
    X = torch.randn(200, 2, generator=g)
    return X, (X[:, 0] + 2 * X[:, 1] > 0).long()
