"""What this machine has: ``python -m shared`` prints it, for a bug report or before a long evening.

Versions, the device, where data come from. Nothing is downloaded.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import torch

from shared import __version__, devices, fetch
from shared.data import SPECS

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "matplotlib")
CUDA_BUILD = "pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cu130"


def installed(package: str) -> str:
    """A package and its version."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} is missing"


def place(name: str) -> str:
    """Where the data set of this name would be found, as far as this machine knows: its files are
    checked, nothing is downloaded. Broken files are warned about."""
    if os.environ.get("BOOK_DATA", "").strip() == "sample":
        return "built-in sample"
    source, _ = next(fetch.sources(name, SPECS), ("network, else built-in sample", None))
    return source


def advice() -> Iterator[str]:
    """What to do about a GPU that PyTorch cannot use: pip for Windows installs a build without CUDA."""
    if platform.system() == "Windows" and shutil.which("nvidia-smi") and torch.version.cuda is None:
        yield "There is an NVIDIA GPU, but this PyTorch was built without CUDA. Install the other build:"
        yield f"    {CUDA_BUILD}"
        yield "(for an older driver or GPU take the command from https://pytorch.org/get-started/locally)"


def lines() -> Iterator[str]:
    """The report, line by line."""
    fetch._online = False  # as if there were no network: look, and download nothing
    yield f"Deep Learning You Can Check {__version__}"
    yield f"Python {platform.python_version()}, {platform.platform()}"
    yield ", ".join(map(installed, PACKAGES))
    yield f"device: {devices.describe()}; threads: {torch.get_num_threads()}"
    yield from advice()
    yield f"BOOK_DATA: {os.environ.get('BOOK_DATA') or 'not set'}"
    yield f"cache: {fetch.cache_folder()}"
    for name, spec in SPECS.items():
        yield f"{spec.title}: {place(name)}"


if __name__ == "__main__":
    for line in lines():
        print(line, flush=True)
