"""Choose a device, seed the generators, measure time honestly, describe the machine."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import sys
import time
import warnings
from collections.abc import Iterator

import numpy as np
import torch

from shared.processes import local_device

KINDS = ("cuda", "mps", "xpu", "cpu")  # in the order in which they are tried


def _works(device: torch.device) -> str | None:
    """Run a tiny kernel. Return None if its result is right, else the reason why not."""
    try:
        x = torch.arange(6.0, device=device).reshape(2, 3)
        right = float((x @ x.T).sum()) == 83.0
        return None if right else "a matrix product came out wrong"
    except Exception as error:  # drivers fail in many ways; each one means "leave it alone"
        return str(error).splitlines()[0] if str(error) else type(error).__name__


def _present(kind: str) -> bool:
    if kind == "cpu":
        return True
    backend = torch.backends.mps if kind == "mps" else getattr(torch, kind, None)
    return bool(backend is not None and backend.is_available())


@functools.cache
def _choose(wanted: str | None) -> torch.device:
    if wanted is not None:
        try:
            device = local_device(torch.device(wanted))
        except RuntimeError:
            device = None
        if device is None or device.type not in KINDS:
            raise ValueError(f"unknown device {wanted!r}: use one of {', '.join(KINDS)}, "
                             "with a number if there are several, for example 'cuda:1'")
        reason = _works(device) if _present(device.type) else "PyTorch does not see it"
        if reason:
            usable = [k for k in KINDS if _present(k)]
            raise ValueError(f"device {wanted!r} cannot be used here ({reason}); "
                             f"usable here: {', '.join(usable)}")
        return device
    for kind in KINDS:
        if _present(kind):
            device = local_device(torch.device(kind))
            reason = _works(device)
            if reason is None:
                return device
            warnings.warn(f"{kind} is present but cannot run a small kernel ({reason}); "
                          "going on without it", stacklevel=3)
    raise RuntimeError("not even the CPU can multiply two matrices: reinstall PyTorch")


def get_device(name: str | torch.device | None = None) -> torch.device:
    """The device to compute on.

    ``name`` wins if given; then the environment variable ``BOOK_DEVICE``; then the first of
    CUDA, MPS, XPU and CPU that can really run a small kernel. Started by torchrun, each process
    gets a GPU of its own.

    Raises ValueError for a name that is unknown or cannot be used on this machine.
    """
    wanted = str(name) if name is not None else os.environ.get("BOOK_DEVICE") or None
    return _choose(wanted)


def describe(device: str | torch.device | None = None) -> str:
    """One phrase that says what the numbers were measured on: ``CPU (2 threads)``."""
    device = get_device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "xpu":
        return torch.xpu.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU (MPS)"
    threads = torch.get_num_threads()
    return f"CPU ({threads} thread{'s' if threads != 1 else ''})"


def in_notebook() -> bool:
    """Is this code running in a Jupyter kernel, where figures and widgets can be shown?"""
    return "ipykernel" in sys.modules and hasattr(__import__("IPython").get_ipython(), "kernel")


def seed_all(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def synchronize(device: str | torch.device | None = None) -> None:
    """Wait until the device has finished. An accelerator works on while Python runs ahead,
    so a clock that is read without waiting measures only how fast work was *queued*."""
    device = get_device(device)
    if device.type == "mps":
        torch.mps.synchronize()  # there is one only
    elif device.type != "cpu":
        getattr(torch, device.type).synchronize(device)


class Timer:
    """Wall-clock seconds of a block, device work included.

    >>> with Timer() as t: net(X)
    >>> t.seconds
    """

    def __init__(self, device: str | torch.device | None = None):
        self.device = get_device(device)
        self.seconds = 0.0

    def __enter__(self) -> Timer:
        synchronize(self.device)
        self._start = time.perf_counter()
        return self

    def __exit__(self, *exc) -> None:
        synchronize(self.device)
        self.seconds = time.perf_counter() - self._start


@contextlib.contextmanager
def mixed_precision(device: str | torch.device, enabled: bool | None = None) -> Iterator[None]:
    """Compute in bfloat16 where that is faster and safe; parameters stay float32.

    By default on for CUDA devices that have bfloat16 units, off elsewhere. bfloat16 has
    float32's range, so no loss scaling is needed.
    """
    device = torch.device(device)
    if enabled is None:
        enabled = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled):
        yield
