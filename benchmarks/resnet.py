"""Depth, blocks, and the small residual network: what chapter 20 shows of whole trainings.

    python -m benchmarks.resnet          what the record does not have yet
    python -m benchmarks.resnet depth    one part of it: depth, block or small

Depth: towers of 8, 20 and 56 layers, plain and residual, on 10,000 images of Fashion-MNIST, three times over. Each row
has the best of five learning rates, by the validation accuracy of its first seed.
Block: residual towers of 32 layers with one thing changed about the block, two passes, each row at the best of three
rates, likewise.
Small: the network of `benchmarks.quality` with one part of its recipe taken away, two passes in batches of 64, in place
of six passes over all images in batches of 256; the constant rate is the best of three.

Three seeds each. Runs with the same seed see the same batches in the same order, and differences are taken seed by
seed. Judged on 5,000 validation images; the test set is not used. Seconds are those of the processor, on one thread."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import common
from benchmarks.common import best_of
from benchmarks.models import WithMirror, channels_last
from benchmarks.quality import Residual as QualityResidual
from benchmarks.quality import block as quality_block
from shared import data
from shared.batches import Batches, normalize, random_flip
from shared.devices import get_device, mixed_precision, seed_all
from shared.training import cosine, evaluate, fit

NAME, SEEDS, RATES, MORE_RATES = "resnet", range(3), (.001, .003, .01), (.0003, .001, .003, .01, .03)
TRAINING, VALIDATION, BATCH_SIZE = 10_000, 5_000, 64


# ------------------------------------------------------------- towers: the networks of depth and block

def conv_norm(c_in: int, c_out: int, kernel_size: int = 3, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, kernel_size, stride, kernel_size // 2, bias=False), nn.BatchNorm2d(c_out)]


class Pair(nn.Module):
    def __init__(self, c: int):
        super().__init__()
        self.branch = nn.Sequential(*conv_norm(c, c), nn.ReLU(), *conv_norm(c, c))

    def forward(self, X: Tensor) -> Tensor:
        return F.relu(self.branch(X))


class SkipPair(Pair):
    def forward(self, X: Tensor) -> Tensor:
        return F.relu(X + self.branch(X))


class PreActivated(Pair):
    def __init__(self, c: int):
        super().__init__(c)
        conv1, norm1, relu, conv2, norm2 = self.branch
        self.branch = nn.Sequential(norm1, relu, conv1, norm2, nn.ReLU(), conv2)

    def forward(self, X: Tensor) -> Tensor:
        return X + self.branch(X)


class ReluInBranch(Pair):
    def forward(self, X: Tensor) -> Tensor:
        return X + F.relu(self.branch(X))


class NormBehind(Pair):
    def forward(self, X: Tensor) -> Tensor:
        return F.relu(self.branch[4](X + self.branch[:4](X)))


class HalfSkip(Pair):
    def forward(self, X: Tensor) -> Tensor:
        return F.relu(.5 * X + self.branch(X))


class DoubleSkip(Pair):
    def forward(self, X: Tensor) -> Tensor:
        return F.relu(2 * X + self.branch(X))


class Projected(Pair):
    def __init__(self, c: int):
        super().__init__(c)
        self.skip = nn.Sequential(*conv_norm(c, c, 1))

    def forward(self, X: Tensor) -> Tensor:
        return F.relu(self.skip(X) + self.branch(X))


class ZeroStart(SkipPair):
    def __init__(self, c: int):
        super().__init__(c)
        nn.init.zeros_(self.branch[4].weight)


class NotNormalised(SkipPair):
    def __init__(self, c: int):
        super().__init__(c)
        self.branch = nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, c, 3, padding=1))


def tower(pair: Callable[[int], nn.Module], num_pairs: int, c: int = 16, behind: Sequence[nn.Module] = ()) -> nn.Module:
    return nn.Sequential(*conv_norm(1, c, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2),
                         *[pair(c) for _ in range(num_pairs)], *behind,
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10))


DEPTH = {f"{name} {2 * pairs + 2}": (lambda pair=pair, pairs=pairs: tower(pair, pairs))
         for pairs in (3, 9, 27) for name, pair in (("plain", Pair), ("residual", SkipPair))}
DEPTH["residual 8, 48 channels"] = lambda: tower(SkipPair, 3, c=48)  # as many multiply-adds as with 56 layers
FIRST = "as in the paper"
BLOCK = {FIRST: SkipPair, "no skip": Pair, "pre-activated": PreActivated, "ReLU before the addition": ReluInBranch,
         "normalised behind the addition": NormBehind, "skip times 0.5": HalfSkip, "skip times 2": DoubleSkip,
         "1x1 on the skip": Projected, "last scale begins at zero": ZeroStart, "not normalised": NotNormalised}


def block_tower(name: str, num_pairs: int = 15) -> nn.Module:
    behind = (nn.BatchNorm2d(16), nn.ReLU()) if BLOCK[name] is PreActivated else ()
    return tower(BLOCK[name], num_pairs, behind=behind)


# ------------------------------------------------------------- the small residual network, part by part

class NoSkip(QualityResidual):
    def forward(self, X: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(X)))


def pool_last(inputs: int, outputs: int, pool: bool) -> list[nn.Module]:
    conv, *rest = quality_block(inputs, outputs, pool=False)
    return [conv, *rest, *[nn.MaxPool2d(2)] * pool]


@dataclass(frozen=True)
class Recipe:
    """The recipe of `benchmarks.quality`; each row changes one line of it."""
    block: Callable = quality_block
    residual: type[nn.Module] | None = QualityResidual
    last_pool: Callable = nn.MaxPool2d
    mirrored: bool = True
    smoothing: float = .05
    decay: float = .05
    rate: float = .01
    falling: bool = True
    channels_last: bool = True
    mixed: bool = True

    def network(self) -> nn.Module:
        residual = [self.residual(128)] if self.residual else []
        return nn.Sequential(*self.block(1, 24, pool=True), *self.block(24, 64, pool=True),
                             *self.block(64, 128, pool=False), *residual, self.last_pool(7), nn.Flatten(),
                             nn.Linear(128, 10))


SMALL = {
    "all parts": {}, "no skip": {"residual": NoSkip}, "no residual block": {"residual": None},
    "mean for the largest value": {"last_pool": nn.AvgPool2d}, "constant rate": {"falling": False},
    "no weight decay": {"decay": 0.}, "no label smoothing": {"smoothing": 0.},
    "no mirrored images": {"mirrored": False}, "pooling last": {"block": pool_last},
    "channels first": {"channels_last": False}, "32 bits": {"mixed": False},
}
FASTER = ("channels first", "32 bits")  # they change the seconds only: one seed


# ------------------------------------------------------------------------------------------ the measuring

class Runs(common.Runs):
    def __init__(self):
        fashion = data.fashion_mnist()
        X, y = fashion.train
        self.few, self.validation = (X[:TRAINING], y[:TRAINING]), (X[-VALIDATION:], y[-VALIDATION:])
        super().__init__(NAME, "depth, residual blocks and a small residual network at 28x28", data=fashion.name,
                         training=TRAINING, validation=VALIDATION)


def train_tower(build: Callable[[], nn.Module], rate: float, examples: tuple, num_epochs: int, seed: int):
    """The trained network, on the CPU, and the seconds that it took the processor."""
    seed_all(seed)
    net = build().to(memory_format=torch.channels_last)
    batches = Batches(examples, BATCH_SIZE, shuffle=True, seed=seed, transforms=[channels_last])
    started = time.process_time()
    fit(net, batches, num_epochs=num_epochs, optimizer=torch.optim.Adam(net.parameters(), lr=rate),
        schedule=cosine(.1), mixed=False, progress=False, verbose=False)
    return net, time.process_time() - started


def accuracy(net: nn.Module, examples: tuple) -> float:
    return evaluate(net, Batches(examples, 500, transforms=[channels_last])).accuracy


def towers(part: str, name: str, build: Callable[[], nn.Module], rates: Sequence[float], num_epochs: int,
           runs: Runs) -> None:
    """The best of the rates by the first seed, then the other seeds with it."""
    first, *seeds = SEEDS

    def measure(rate: float, seed: int = first) -> tuple:
        net, seconds = train_tower(build, rate, runs.few, num_epochs, seed)
        return accuracy(net, runs.validation), accuracy(net, runs.few), seconds

    rate, got = best_of(measure, rates)
    got = [got, *(measure(rate, seed) for seed in seeds)]
    validation, training, seconds = map(list, zip(*got))
    runs.add(part, name, {"lr": rate, "training": training, "validation": validation, "seconds": seconds})


def depth(runs: Runs) -> None:
    for name in runs.missing("depth", DEPTH):
        towers("depth", name, DEPTH[name], MORE_RATES, 3, runs)


def block(runs: Runs) -> None:
    for name in runs.missing("block", BLOCK):
        towers("block", name, lambda: block_tower(name), RATES, 2, runs)


def train_small(recipe: Recipe, examples: tuple, validation: tuple, seed: int, num_epochs: int = 2):
    """Validation accuracy with and without the mirror image, and the seconds of the training."""
    seed_all(seed)
    prepare = [normalize([.286], [.353]), *[channels_last] * recipe.channels_last]
    batches = Batches(examples, BATCH_SIZE, shuffle=True, seed=seed,
                      transforms=[*prepare, *[random_flip] * recipe.mirrored])
    net = recipe.network()
    if recipe.channels_last:
        net = net.to(memory_format=torch.channels_last)
    started = time.process_time()
    fit(net, batches, num_epochs=num_epochs, optimizer=torch.optim.AdamW(
        net.parameters(), recipe.rate, weight_decay=recipe.decay),
        schedule=(lambda p: min(p / .2, (1 - p) / .8)) if recipe.falling else None, mixed=recipe.mixed,
        progress=False, verbose=False,
        loss=lambda scores, y: F.cross_entropy(scores.float(), y, label_smoothing=recipe.smoothing))
    seconds = time.process_time() - started
    judged = Batches(validation, 1000, transforms=prepare)
    with mixed_precision(get_device(), recipe.mixed):
        return evaluate(WithMirror(net), judged).accuracy, evaluate(net, judged).accuracy, seconds


def small(runs: Runs) -> None:
    for name in runs.missing("small", SMALL):
        recipe, seeds = Recipe(**SMALL[name]), SEEDS[:1] if name in FASTER else SEEDS
        if not recipe.falling:
            rate, _ = best_of(lambda rate, recipe=recipe: train_small(
                replace(recipe, rate=rate), runs.few, runs.validation, SEEDS[0])[1:], RATES)
            recipe = replace(recipe, rate=rate)
        got = [train_small(recipe, runs.few, runs.validation, seed) for seed in seeds]
        runs.add("small", name, {"lr": recipe.rate,
                                 **dict(zip(("validation", "plain", "seconds"), map(list, zip(*got))))})


PARTS = {"depth": depth, "small": small, "block": block}


def main(parts: Sequence[str] = tuple(PARTS)) -> None:
    runs = Runs()
    for part in parts:
        PARTS[part](runs)


if __name__ == "__main__":
    main(sys.argv[1:] or tuple(PARTS))
