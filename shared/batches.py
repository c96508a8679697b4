"""A data set held in memory once; a batch is a slice of a permutation.

No worker processes, no per-example Python. Images stay uint8, on the device if they fit there;
a batch is gathered, converted to float, normalised, resized and augmented *as a batch*. A set that
does not fit is read ahead by one thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import torch
from torch import Tensor
from torch.nn import functional as F

from shared.devices import get_device

Transform = Callable[[Tensor], Tensor]


def _to_float(X: Tensor) -> Tensor:
    """uint8 pictures become floats between 0 and 1; everything else stays as it is."""
    # converting first and scaling in place is faster than X / 255, a slow loop over mixed types
    return X.float().mul_(1 / 255) if X.dtype == torch.uint8 else X


class Batches:
    """Batches of examples, in a new random order each epoch or in the given one.

    ``examples`` is something that unpacks into tensors with the same first axis (a pair
    ``X, y``, or `shared.data.Examples`). Each batch is a tuple of tensors on ``device``, the
    first one passed through ``transforms``. The last batch is kept even when it is short.

    ``shuffle``: a new permutation each epoch, drawn on the CPU from ``seed``, so the order does
    not depend on the device. ``device_bytes``: keep the set on the device only if it is not larger
    than this (by default, a quarter of a GPU's free memory); otherwise it stays where it is, and a
    thread gathers and copies the next batches while the current one is used.

    A set larger than memory may be mapped from a file (``torch.from_file``, or ``numpy.load`` with
    ``mmap_mode="r"`` and ``torch.from_numpy``): pass ``device_bytes=0`` to read it ahead, and a
    ``block_size``, say 1,000. Then blocks of so many neighbours are shuffled, and examples within
    groups of 16 blocks, so that a disk reads neighbours together.

    Raises ValueError if the tensors do not fit together or a size is not positive.
    """

    def __init__(self, examples: Sequence[Tensor], batch_size: int, *, shuffle: bool = False,
                 seed: int = 0, device: str | torch.device | None = None,
                 transforms: Sequence[Transform] = (), device_bytes: int | None = None, block_size: int = 1):
        tensors = tuple(examples)
        if not tensors or not all(isinstance(t, Tensor) and t.ndim for t in tensors):
            raise ValueError("examples must be tensors with a first axis that counts examples, "
                             f"got {[type(t).__name__ for t in tensors]}")
        lengths = [len(t) for t in tensors]
        if len(set(lengths)) != 1:
            raise ValueError("the tensors must have equally many examples, "
                             f"got {lengths} (shapes {[tuple(t.shape) for t in tensors]})")
        for name, size in ("batch_size", batch_size), ("block_size", block_size):
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise ValueError(f"{name} must be a whole number from 1 up, got {size!r}")
        self.name = getattr(examples, "name", "")
        self.real = getattr(examples, "real", True)
        self.batch_size, self.shuffle, self.block_size = batch_size, shuffle, block_size
        self.num_examples = lengths[0]
        self.device = get_device(device)
        self.transforms = tuple(transforms)
        self._generator = torch.Generator().manual_seed(seed)
        allowed = _allowed_bytes(self.device) if device_bytes is None else device_bytes
        self.resident = sum(t.nbytes for t in tensors) <= allowed
        self.tensors = tuple(t.to(self.device) for t in tensors) if self.resident else tensors

    def __len__(self) -> int:
        """Batches per epoch, a short last one included."""
        return -(-self.num_examples // self.batch_size)

    def order(self) -> Tensor:
        """The order of the next epoch: draws a permutation if shuffling."""
        if not self.shuffle:
            return torch.arange(self.num_examples)
        if self.block_size == 1:
            return self._permutation(self.num_examples)
        blocks = torch.arange(self.num_examples).split(self.block_size)
        blocks = [blocks[i] for i in self._permutation(len(blocks)).tolist()]
        groups = [torch.cat(blocks[i:i + 16]) for i in range(0, len(blocks), 16)]
        return torch.cat([group[self._permutation(len(group))] for group in groups])

    def _permutation(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self._generator)

    def _gather(self, index: Tensor) -> tuple[Tensor, ...]:
        return tuple(t.index_select(0, index) for t in self.tensors)

    def _finish(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        X = _to_float(batch[0])
        for transform in self.transforms:
            X = transform(X)
        return (X, *batch[1:])

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        order = self.order()
        yield from self._batches((order.to(self.device) if self.resident else order).split(self.batch_size))

    def share(self, rank: int, world_size: int) -> Iterator[tuple[tuple[Tensor, ...], int]]:
        """Of each batch, the part of one process among several (every world_size-th example, from the
        rank-th), and how many processes have this same part: 1, but a batch with less examples than
        processes goes to all of them whole."""
        whole = self.order().split(self.batch_size)
        copies = [1 if len(index) >= world_size else world_size for index in whole]
        parts = [index[rank::world_size] if n == 1 else index for index, n in zip(whole, copies)]
        return zip(self._batches([part.to(self.device) for part in parts] if self.resident else parts), copies)

    def _batches(self, indices: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
        if self.resident:
            return map(self._finish, map(self._gather, indices))
        several = [indices[i:i + 16] for i in range(0, len(indices), 16)]  # at once: a thread costs time, too
        return map(self._finish, chain.from_iterable(_read_ahead(self._fetch, several)))

    def _fetch(self, indices: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
        """Several batches from host memory or a file to the device; a GPU copies pinned memory while it
        computes. NumPy gathers in this one thread, torch would start as many again as there are cores."""
        index = torch.cat(list(indices)).numpy()
        parts = (torch.from_numpy(t.numpy().take(index, axis=0)) for t in self.tensors)
        if self.device.type == "cuda":
            parts = (t.pin_memory() for t in parts)
        sizes = [len(i) for i in indices]
        return zip(*[t.to(self.device, non_blocking=True).split(sizes) for t in parts])

    def state_dict(self) -> dict:
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: dict) -> None:
        self._generator.set_state(state["generator"])

    def __repr__(self) -> str:
        where = "on" if self.resident else "streamed to"
        return (f"Batches({self.name or 'tensors'}: {self.num_examples:,} examples, "
                f"{len(self)} batches of {self.batch_size}, {where} {self.device})")


def _read_ahead(function: Callable, arguments: Iterable, count: int = 2) -> Iterator:
    """``map(function, arguments)``, computed by a thread up to ``count`` results ahead of their use."""
    with ThreadPoolExecutor(1) as thread:
        pending: deque = deque()
        try:
            for argument in arguments:
                pending.append(thread.submit(function, argument))
                if len(pending) > count:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _allowed_bytes(device: torch.device) -> float:
    """How much of the device a set may take: all that it already has on a CPU."""
    if device.type == "cpu":
        return float("inf")
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 4
    return 2 << 30  # MPS and XPU share or do not report: assume a quarter of 8 GiB


# --- transforms: functions of a float batch (examples, channels, height, width) on the device

def normalize(mean: Sequence[float], std: Sequence[float]) -> Transform:
    """Subtract the mean and divide by the standard deviation, channel by channel."""
    m, s = torch.tensor(mean).view(-1, 1, 1), torch.tensor(std).view(-1, 1, 1)
    return lambda X: (X - m.to(X)) / s.to(X)


def resize(size: int) -> Transform:
    """Bilinear resizing to ``(size, size)``."""
    return lambda X: F.interpolate(X, size=(size, size), mode="bilinear", align_corners=False)


def random_flip(X: Tensor) -> Tensor:
    """Mirror about half of the images left to right."""
    chosen = torch.rand(len(X)).lt(.5).to(X.device).view(-1, 1, 1, 1)
    return torch.where(chosen, X.flip(-1), X)


def random_shift(pixels: int, padding: str = "constant") -> Transform:
    """Move each image by up to ``pixels`` up, down, left and right; fill with zeros, or as the
    ``padding`` of `torch.nn.functional.pad` says, for example "reflect"."""
    def shift(X: Tensor) -> Tensor:
        n, c, h, w = X.shape
        padded = F.pad(X, (pixels,) * 4, mode=padding)                  # (n, c, h + 2p, w + 2p)
        down, right = torch.randint(0, 2 * pixels + 1, (2, n, 1, 1, 1)).to(X.device)
        rows = (down + torch.arange(h, device=X.device).view(1, 1, -1, 1)).expand(n, c, h, w + 2 * pixels)
        cols = (right + torch.arange(w, device=X.device).view(1, 1, 1, -1)).expand(n, c, h, w)
        return padded.gather(2, rows).gather(3, cols)                   # (n, c, h, w)
    return shift
