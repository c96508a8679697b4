"""How good can a model become on two CPU cores: for CIFAR-10 in five minutes, for Fashion-MNIST in two?

The network of `benchmarks.cifar10` with fewer channels, and what pays on a processor:

- kernels are trained with Muon (`benchmarks.muon`); Jordan reports fewer epochs than with SGD;
- ReLU in place of GELU, whose two passes cost as much as a convolution there;
- pictures may be made smaller at first and grow to their full size: a step costs roughly in proportion to its pixels;
- a square of each picture may be wiped out, at a random place, which makes training pictures harder;
- products in bfloat16, if this processor is faster with it (both ways are timed side by side before the first run), and
  the two things of `benchmarks.processor`.

The time is that from the pictures in memory to the accuracy with six views of each. What an epoch costs is measured
before, and where cores are slower, the training has fewer of them. Of the candidates, the one with the best
accuracy on 5,000 training pictures is trained on all of them, with several seeds, and each is tested once.

    python -m benchmarks.two_cores            both, about 40 minutes
    python -m benchmarks.two_cores fashion    one of them"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import cifar10
from benchmarks.common import Runs, take_turns
from benchmarks.inside_cnns import VALIDATION, shuffled
from benchmarks.models import channels_last
from benchmarks.muon import Muon
from benchmarks.processor import Convolution, keep_memory, step
from shared import data
from shared.batches import Batches, normalize, random_shift
from shared.devices import get_device, mixed_precision, seed_all
from shared.training import evaluate, fit

BATCH_SIZE = 512


@dataclass(frozen=True)
class Candidate:
    widths: tuple[int, int, int]
    most_epochs: int             # where the cores are fast enough
    smoothing: float
    moved: int                   # by so many pixels at most
    wiped: int = 0               # a square with about so many pixels a side
    sides: tuple[int, ...] = ()  # of the pictures, in equal parts of the training; () leaves them as they are


@dataclass(frozen=True)
class Task:
    load: Callable[[], data.Images]
    scale: Callable[[Tensor], Tensor]
    seconds: int
    seeds: range
    candidates: dict[str, Candidate]


TASKS = {
    "fashion": Task(data.fashion_mnist, normalize([.286], [.353]), 120, range(5), {
        "32, 64, 128 channels": Candidate((32, 64, 128), 10, .1, moved=1),
        "32, 64, 128 channels, squares wiped out": Candidate((32, 64, 128), 10, .1, moved=1, wiped=8),
    }),
    "cifar10": Task(data.cifar10, cifar10.SCALE, 300, range(3), {
        "64, 256, 256 channels, moved by two pixels": Candidate((64, 256, 256), 15, .1, 2, sides=(20, 24, 28, 32)),
        "64, 256, 256 channels, moved by four": Candidate((64, 256, 256), 15, .1, 4, sides=(20, 24, 28, 32)),
    }),
}


class Growing:
    """Makes pictures (batch, channels, height, width) smaller: as many pixels high and wide as ``sides`` says, one
    after the other, each for an equal part of so many batches. Pictures that have that size stay as they are."""
    def __init__(self, sides: Sequence[int], num_batches: int):
        self.sides, self.num_batches, self.calls = sides, num_batches, 0

    def __call__(self, X: Tensor) -> Tensor:
        part, self.calls = self.calls * len(self.sides) // self.num_batches, self.calls + 1
        if not self.sides or X.shape[-1] == (side := self.sides[min(part, len(self.sides) - 1)]):
            return X
        return F.interpolate(X, size=(side, side), mode="bilinear", antialias=True)


def wipe_out(side: int) -> Callable[[Tensor], Tensor]:
    """A transform that sets a square around a random pixel of each picture, ``side // 2`` pixels to each of its sides,
    to zero, the mean of scaled pictures."""
    def wiped(X: Tensor) -> Tensor:
        n, _, h, w = X.shape
        y, x = (torch.randint(size, (n, 1, 1, 1)).to(X.device) for size in (h, w))
        rows, columns = torch.arange(h, device=X.device)[:, None], torch.arange(w, device=X.device)
        return X.masked_fill(((rows - y).abs() <= side // 2) & ((columns - x).abs() <= side // 2), 0)
    return wiped


def network(sample: Tensor, widths: Sequence[int]) -> nn.Sequential:
    """For scaled pictures, of 16 pixels a side or more."""
    return cifar10.network(sample, widths, nn.ReLU, Convolution).to(memory_format=torch.channels_last)


def train(task: Task, candidate: Candidate, X: Tensor, y: Tensor, seed: int, mixed: bool) -> nn.Module:
    """A network, trained on pictures (n, channels, height, width) as uint8 with their classes."""
    seed_all(seed)
    epochs, batches = candidate.most_epochs, Batches((cifar10.half_mirrored(X), y), BATCH_SIZE, shuffle=True, seed=seed)
    batches.transforms = (task.scale, random_shift(candidate.moved, "reflect"), cifar10.MirrorEveryOther(len(batches)),
                          *[wipe_out(candidate.wiped)] * bool(candidate.wiped),
                          Growing(candidate.sides, epochs * len(batches)), channels_last)
    net = network(task.scale(X[:5000].float() / 255), candidate.widths).to(batches.device)
    fit(net, batches, num_epochs=epochs, schedule=lambda progress: 1 - progress, mixed=mixed, progress=False,
        verbose=False, optimizer=Muon(net),
        loss=lambda scores, t: F.cross_entropy(scores.float(), t, label_smoothing=candidate.smoothing))
    return net


def plan(task: Task, candidate: Candidate, X: Tensor, y: Tensor, mixed: bool) -> int:
    """The epochs that this machine has time for, at least two. Short trainings of four epochs are timed, with few of
    the pictures and with twice as many: the difference is what those pictures cost, without what any training costs
    once. One part in 15 of the time is left for the views, and for cores that slow down."""
    short, few, seconds = replace(candidate, most_epochs=4), 10 * BATCH_SIZE, 0.
    for n in (few, few, 2 * few):  # the first time, kernels are chosen
        before, started = seconds, time.perf_counter()
        train(task, short, X[:n], y[:n], seed=0, mixed=mixed)
        seconds = time.perf_counter() - started
    epoch = (seconds - before) / 4 * len(X) / few
    return max(2, min(candidate.most_epochs, int(14 / 15 * task.seconds / epoch)))


def run(task: Task, candidate: Candidate, examples: Sequence[Tensor], judged: Sequence[Tensor], seed: int,
        mixed: bool) -> dict[str, float]:
    """The accuracy with six views of each picture and with one, and the seconds up to the former."""
    started = time.perf_counter()
    net = train(task, candidate, *examples, seed, mixed)
    batches = Batches(judged, 500, transforms=[task.scale, channels_last])
    with mixed_precision(get_device(), mixed):
        accuracy = evaluate(cifar10.SixTimes(net), batches).accuracy
        seconds = time.perf_counter() - started
        return {"accuracy": accuracy, "plain": evaluate(net, batches).accuracy, "seconds": seconds,
                "epochs": candidate.most_epochs}


def measure(name: str, task: Task) -> None:
    keep_memory()
    images = task.load()
    X, y = shuffled(images)
    runs = Runs(f"two_cores_{name}", f"{images.name.split(':')[0]} in {task.seconds} seconds on two cores",
                data=images.name, validation=VALIDATION, seconds=task.seconds)
    if runs.missing("speed", ["bfloat16"]):
        some, target = task.scale(X[:BATCH_SIZE].float() / 255), y[:BATCH_SIZE]
        first = network(some, next(iter(task.candidates.values())).widths)
        turns = take_turns(*(step(first, some, target, mixed) for mixed in (True, False)))
        runs.add("speed", "bfloat16", {"times as fast": turns["ratio"]["median"]})
    mixed = runs.rows["speed"]["bfloat16"]["times as fast"] > 1

    def found(part: str, row: str, examples: Sequence[Tensor], judged: Sequence[Tensor], seeds: Sequence[int]) -> None:
        if runs.missing(part, [row]):
            candidate = task.candidates[row]
            candidate = replace(candidate, most_epochs=plan(task, candidate, *examples, mixed))
            results = [run(task, candidate, examples, judged, seed, mixed) for seed in seeds]
            runs.add(part, row, {key: [r[key] for r in results] for key in results[0]})

    kept, held_out = (X[:-VALIDATION], y[:-VALIDATION]), (X[-VALIDATION:], y[-VALIDATION:])
    for row in task.candidates:
        found("validation", row, kept, held_out, task.seeds[:1])
    best = max(task.candidates, key=lambda row: runs.rows["validation"][row]["accuracy"])
    found("test", best, (X, y), tuple(images.test), task.seeds)


def main(*names: str) -> None:
    for name in names or TASKS:
        measure(name, TASKS[name])


if __name__ == "__main__":
    main(*sys.argv[1:])
