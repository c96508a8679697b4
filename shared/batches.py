"""A data set held in memory once; a batch is a slice of a permutation.

No worker processes, no per-example Python. Pictures stay uint8, on the device if they fit there;
a batch is gathered, converted to float, normalised, resized and augmented *as a batch*. A set that
does not fit is read ahead by one thread.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from shared.devices import get_device

Transform = Callable[[Tensor], Tensor]

READ_AHEAD = 256 << 20  # bytes of a streamed set that are held at once


def whole_number(name: str, value) -> int:
    """``value`` as an int, whatever library it comes from; ValueError unless it is 1 or more."""
    try:
        number = 0 if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{name} must be a whole number from 1 up, got {value!r}")
    return number


def _to_float(X: Tensor) -> Tensor:
    """uint8 pictures become floats between 0 and 1; everything else stays as it is."""
    if X.dtype != torch.uint8 or X.ndim != 4 or X.shape[1] not in (1, 3, 4):
        return X
    # converting first and scaling in place is faster than X / 255, a slow loop over mixed types
    return X.float().mul_(1 / 255)


class Batches:
    """Batches of examples, in a new random order each epoch or in the given one.

    ``examples`` is something that unpacks into tensors with the same first axis (a pair
    ``X, y``, or `shared.data.Examples`). Each batch is a tuple of tensors on ``device``, the
    first one passed through ``transforms``. The last batch is kept even when it is short.

    Pictures, that is uint8 of shape (examples, channels, height, width) with 1, 3 or 4 channels,
    come out as floats between 0 and 1 if they are the first tensor; all other tensors keep their type.

    ``shuffle``: a new permutation each epoch, drawn on the CPU from ``seed``, so the order does
    not depend on the device. ``device_bytes``: keep the set on the device only if it is not larger
    than this (by default, a quarter of a GPU's free memory); otherwise it stays where it is, and a
    thread gathers and copies the next batches while the current one is used. Of a set that is read
    ahead in this way, at most ``READ_AHEAD`` bytes (256 MiB) are held at once, or four batches if
    these are larger.

    A set larger than memory may be mapped from a file (``torch.from_file``, or ``numpy.load`` with
    ``mmap_mode="r"`` and ``torch.from_numpy``): pass ``device_bytes=0`` to read it ahead, and a
    ``block_size``, say 1,000. Then blocks of so many neighbours are shuffled, and examples within
    groups of 16 blocks, so that a disk reads neighbours together.

    Raises ValueError if the tensors do not fit together, if they hold no example, or if a size is
    not a whole number from 1 up.
    """

    def __init__(self, examples: Sequence[Tensor], batch_size: int, *, shuffle: bool = False,
                 seed: int = 0, device: str | torch.device | None = None,
                 transforms: Sequence[Transform] = (), device_bytes: int | None = None, block_size: int = 1):
        tensors = _check_examples(examples)
        self.batch_size = whole_number("batch_size", batch_size)
        self.block_size = whole_number("block_size", block_size)
        self.name = getattr(examples, "name", "")
        self.real = getattr(examples, "real", True)
        self.shuffle, self.num_examples = shuffle, len(tensors[0])
        self.device = get_device(device)
        self.transforms = tuple(transforms)
        self._generator = torch.Generator().manual_seed(seed)
        allowed = _allowed_bytes(self.device) if device_bytes is None else device_bytes
        self.resident = sum(t.nbytes for t in tensors) <= allowed
        self.tensors = tuple(t.to(self.device) for t in tensors) if self.resident else tensors
        self._transfer = None if self.resident else _Transfer(self.device)

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
        yield from self._batches(self.order().split(self.batch_size))

    def share(self, rank: int, world_size: int) -> Iterator[tuple[tuple[Tensor, ...], bool]]:
        """Pairs (batch, counts): of each batch the part of process ``rank`` among ``world_size``, every
        world_size-th example from the rank-th, and whether this process counts it. All do, but a batch
        with fewer examples than processes goes whole to all of them, and only process 0 counts it."""
        whole = self.order().split(self.batch_size)
        shared = [len(index) >= world_size for index in whole]
        parts = [index[rank::world_size] if part else index for index, part in zip(whole, shared)]
        yield from zip(self._batches(parts), (part or rank == 0 for part in shared))

    def _batches(self, indices: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
        if self.resident:
            on_device = torch.cat(list(indices)).to(self.device).split([len(i) for i in indices])
            return map(self._finish, map(self._gather, on_device))
        batch_bytes = sum(t.nbytes for t in self.tensors) * self.batch_size / self.num_examples
        # several batches at once, as a thread costs time, too. Held at once are four such portions: that of
        # the last batch, that of the next one, and two that are read ahead
        n = max(1, min(16, int(READ_AHEAD / 4 / batch_bytes)))
        portions = [indices[i:i + n] for i in range(0, len(indices), n)]
        return map(self._finish, chain.from_iterable(map(self._receive, _read_ahead(self._fetch, portions))))

    def _fetch(self, indices: Sequence[Tensor]) -> tuple:
        """A portion of batches on its way from host memory or a file to the device (in the thread)."""
        index = torch.cat(list(indices)).numpy()
        return [len(i) for i in indices], *self._transfer.send([_rows(t, index) for t in self.tensors])

    def _receive(self, portion: tuple) -> Iterator[tuple[Tensor, ...]]:
        sizes, tensors, event = portion
        return zip(*[t.split(sizes) for t in self._transfer.receive(tensors, event)])

    def state_dict(self) -> dict:
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: dict) -> None:
        self._generator.set_state(state["generator"])

    def __repr__(self) -> str:
        where = "on" if self.resident else "streamed to"
        return (f"Batches({self.name or 'tensors'}: {self.num_examples:,} examples, "
                f"{len(self)} batches of {self.batch_size}, {where} {self.device})")


def _check_examples(examples: Sequence[Tensor]) -> tuple[Tensor, ...]:
    if isinstance(examples, Tensor):
        raise ValueError("examples must be a tuple of tensors, got one tensor of shape "
                         f"{tuple(examples.shape)}; write (X, y), or (X,) without targets")
    tensors = tuple(examples)
    if not tensors or not all(isinstance(t, Tensor) and t.ndim for t in tensors):
        raise ValueError("examples must be tensors with a first axis that counts examples, "
                         f"got {[type(t).__name__ for t in tensors]}")
    lengths, shapes = [len(t) for t in tensors], [tuple(t.shape) for t in tensors]
    if len(set(lengths)) != 1:
        raise ValueError(f"the tensors must have equally many examples, got {lengths} (shapes {shapes})")
    if not lengths[0]:
        raise ValueError(f"there must be at least one example, got none (shapes {shapes})")
    return tensors


def _rows(t: Tensor, index: np.ndarray) -> Tensor:
    """The chosen rows, gathered by NumPy: in a thread, torch would start as many again as there are cores."""
    if t.dtype == torch.bfloat16:  # which NumPy does not know
        return _rows(t.view(torch.int16), index).view(torch.bfloat16)
    return torch.from_numpy(t.numpy()[index])  # unlike take, it never copies a tensor that is a view first


class _Transfer:
    """The way from host memory to the device. On CUDA the copies run on a stream of their own, while
    the GPU computes, and the stream that uses them waits until they have arrived."""

    def __init__(self, device: torch.device):
        self.device = device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def send(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], torch.cuda.Event | None]:
        if self.stream is None:
            return [t.to(self.device) for t in tensors], None
        with torch.cuda.stream(self.stream):
            copies = [t.pin_memory().to(self.device, non_blocking=True) for t in tensors]
            return copies, self.stream.record_event()

    def receive(self, copies: list[Tensor], event: torch.cuda.Event | None) -> list[Tensor]:
        if event is not None:
            user = torch.cuda.current_stream(self.device)
            user.wait_event(event)
            for t in copies:
                t.record_stream(user)  # their memory is not given to another copy before they are used
        return copies


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

def _check_pictures(transform: str, X: Tensor) -> None:
    if X.ndim != 4:
        raise ValueError(f"{transform} takes a batch (examples, channels, height, width), got shape "
                         f"{tuple(X.shape)}; X[:, None] adds a channel")


def normalize(mean: Sequence[float], std: Sequence[float]) -> Transform:
    """Subtract the mean and divide by the standard deviation, channel by channel."""
    m, s = torch.tensor(mean).view(-1, 1, 1), torch.tensor(std).view(-1, 1, 1)
    return lambda X: (X - m.to(X)) / s.to(X)


def resize(size: int) -> Transform:
    """Bilinear resizing to ``(size, size)``."""
    return lambda X: F.interpolate(X, size=(size, size), mode="bilinear", align_corners=False)


def random_flip(X: Tensor) -> Tensor:
    """Mirror about half of the images left to right. ValueError unless X is (n, c, h, w)."""
    _check_pictures("random_flip", X)
    chosen = torch.rand(len(X)).lt(.5).to(X.device).view(-1, 1, 1, 1)
    return torch.where(chosen, X.flip(-1), X)


def random_shift(pixels: int, padding: str = "constant") -> Transform:
    """Move each image by up to ``pixels`` up, down, left and right; fill with zeros, or as the
    ``padding`` of `torch.nn.functional.pad` says, for example "reflect". ValueError unless the images
    are (n, c, h, w)."""
    def shift(X: Tensor) -> Tensor:
        _check_pictures("random_shift", X)
        n, c, h, w = X.shape
        padded = F.pad(X, (pixels,) * 4, mode=padding)                  # (n, c, h + 2p, w + 2p)
        down, right = torch.randint(0, 2 * pixels + 1, (2, n, 1, 1, 1)).to(X.device)
        rows = (down + torch.arange(h, device=X.device).view(1, 1, -1, 1)).expand(n, c, h, w + 2 * pixels)
        cols = (right + torch.arange(w, device=X.device).view(1, 1, 1, -1)).expand(n, c, h, w)
        return padded.gather(2, rows).gather(3, cols)                   # (n, c, h, w)
    return shift
