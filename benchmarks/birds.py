"""Birds and airplanes: one change at a time over five seeds, and the best network within a minute.

    python -m benchmarks.birds                all of it
    python -m benchmarks.birds ablation       rows that the record does not have yet
    python -m benchmarks.birds row            the next of these; with last instead, the last
    python -m benchmarks.birds best           the network of a minute

Ablation. Every row is the same small network, trained in the same way, with one thing changed. It gets the
learning rate that is best for it among those tried (three, but for the rows of a hundred blocks), chosen by the
accuracy on the 2,000 validation pictures with the first seed. Runs with the same seed see the same batches in the
same order, and differences from the base are taken seed by seed. The 2,000 test pictures are used once for each row
and seed.

Best. A small residual network, all 10,000 training pictures, three seeds. What it is was chosen on validation
(`choose`); the test pictures are judged once as they are and once together with their mirror images."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.common import best_of, load, same_machine, save, spread
from benchmarks.models import WithMirror, channels_last
from shared import data
from shared.batches import Batches, normalize, random_flip, random_shift
from shared.checks import expect
from shared.devices import get_device, seed_all
from shared.training import cosine, evaluate, fit

TRAINING, EPOCHS, BATCH_SIZE, SEEDS, RATES = 8_000, 8, 64, range(5), (.01, .03, .1)
NAME = "birds"


# ---------------------------------------------------------------- the networks, as chapter 17 builds them

class Block(nn.Module):
    """A convolution that keeps the size of its maps, ReLU, and perhaps the input added to the result."""
    def __init__(self, channels: int, skip: bool = True, norm: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels) if norm else nn.Identity()
        self.skip = skip
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, X: Tensor) -> Tensor:                             # (n, channels, h, w)
        H = F.relu(self.norm(self.conv(X)))
        return X + H if self.skip else H


def conv_net(width: int = 16, norm: bool = False, dropout: float = 0, blocks: Sequence[nn.Module] = ()) -> nn.Module:
    def stage(c_in: int, c_out: int) -> list[nn.Module]:
        return [nn.Conv2d(c_in, c_out, 3, padding=1), nn.BatchNorm2d(c_out) if norm else nn.Identity(),
                nn.MaxPool2d(2), nn.Tanh(), nn.Dropout2d(dropout)]
    half = width // 2
    return nn.Sequential(*stage(3, width), *stage(width, half), *blocks, nn.Flatten(),
                         nn.Linear(half * 8 * 8, 32), nn.Tanh(), nn.Linear(32, 2))


def dense_net(*widths: int) -> nn.Module:
    sizes = (3 * 32 * 32, *widths)
    layers = [[nn.Linear(a, b), nn.Tanh()] for a, b in zip(sizes, sizes[1:])]
    return nn.Sequential(nn.Flatten(), *sum(layers, []), nn.Linear(sizes[-1], 2))


# ------------------------------------------------------------------------------------------ the ablation

@dataclass(frozen=True)
class Row:
    build: Callable[[], nn.Module] = conv_net
    decay: float = 0
    transforms: tuple = ()  # of training pictures
    always: tuple = ()      # of all pictures
    epochs: int = EPOCHS
    rates: tuple = RATES


def blocks(number: int, **options) -> Callable[[], nn.Module]:
    return lambda: conv_net(blocks=[Block(8, **options) for _ in range(number)])


def shuffle_pixels(X: Tensor) -> Tensor:
    """The same permutation of the places of all pictures; a pixel keeps its three colours."""
    order = torch.randperm(X[0, 0].numel(), generator=torch.Generator().manual_seed(1)).to(X.device)
    return X.flatten(2)[:, :, order].view_as(X)


MOVES = (random_flip, random_shift(2, "reflect"))
BASE = "base: 16 and 8 channels"
ROWS = {
    BASE: Row(),
    "base, at rate 0.03": Row(rates=(.03,)),
    "half as many channels": Row(lambda: conv_net(8)),
    "twice as many channels": Row(lambda: conv_net(32)),
    "L2, weight decay 0.002": Row(decay=.002),
    "L2, weight decay 0.01": Row(decay=.01),
    "dropout of channels, 0.4": Row(lambda: conv_net(dropout=.4)),
    "batch normalisation": Row(lambda: conv_net(norm=True)),
    "mirrored at random": Row(transforms=MOVES[:1]),
    "mirrored and moved at random": Row(transforms=MOVES),
    "pixels shuffled": Row(always=(shuffle_pixels,)),
    "dense, 512 units": Row(lambda: dense_net(512), epochs=2 * EPOCHS),
    "dense, mirrored and moved": Row(lambda: dense_net(512), transforms=MOVES, epochs=2 * EPOCHS),
    "dense, three hidden layers": Row(lambda: dense_net(1024, 512, 128), epochs=2 * EPOCHS),
    "one convolution more": Row(blocks(1, skip=False, norm=False)),
    "one more, with a skip": Row(blocks(1, norm=False)),
    "ten more": Row(blocks(10, skip=False, norm=False)),
    "ten more, normalised": Row(blocks(10, skip=False)),
    "ten more, with skips": Row(blocks(10, norm=False), rates=(.001, .003, .01)),
    "ten more, both": Row(blocks(10)),
    "a hundred more, normalised": Row(blocks(100, skip=False), rates=(.003,)),
    "a hundred more, both": Row(blocks(100), rates=(.003,)),
}


@dataclass(frozen=True)
class Two:
    """Airplanes (0) and birds (1): pictures as bytes, and the scale of the training part."""
    fitting: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    name: str
    real: bool

    @cached_property
    def scale(self):
        X = self.fitting[0].float() / 255
        return normalize(X.mean((0, 2, 3)).tolist(), X.std((0, 2, 3)).tolist())


def two_classes(examples: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Airplanes and birds among pictures of ten classes, with the labels 0 and 1."""
    X, y = examples
    chosen = (y == 0) | (y == 2)
    return X[chosen], (y[chosen] == 2).long()


def birds_and_airplanes(training: int = TRAINING) -> Two:
    """The two classes; the first ``training`` pictures of a fixed random order are for training, the rest of the
    training set for validation."""
    cifar = data.cifar10()
    (X, y), test = two_classes(cifar.train), two_classes(cifar.test)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    first, rest = order[:training], order[training:]
    return Two((X[first], y[first]), (X[rest], y[rest]), test, cifar.name, cifar.real)


def train(row: Row, rate: float, two: Two, seed: int) -> tuple[nn.Module, float]:
    """The trained network and the seconds that it took."""
    seed_all(seed)
    net = row.build().to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(net.parameters(), lr=rate, momentum=.9, weight_decay=row.decay)
    batches = Batches(two.fitting, BATCH_SIZE, shuffle=True, seed=seed,
                      transforms=[two.scale, *row.always, *row.transforms, channels_last])
    record = fit(net, batches, num_epochs=row.epochs, optimizer=sgd, schedule=cosine(.1), mixed=False,
                 progress=False, verbose=False)
    return net, record.train_seconds


def accuracy(net: nn.Module, examples: tuple[Tensor, Tensor], two: Two, always: tuple = ()) -> float:
    return evaluate(net, Batches(examples, 500, transforms=[two.scale, *always, channels_last])).accuracy


def run_row(row: Row, two: Two) -> dict:
    """Best of its rates with the first seed; then all seeds with it."""
    first, *seeds = SEEDS

    def measure(rate: float) -> tuple:
        net, seconds = train(row, rate, two, first)
        return accuracy(net, two.validation, two, row.always), net, seconds

    rate, (_, *best_run) = best_of(measure, row.rates)
    runs = [best_run] + [train(row, rate, two, seed) for seed in seeds]
    nets = [net for net, _ in runs]
    on = {part: [accuracy(net, getattr(two, part), two, row.always) for net in nets]
          for part in ("fitting", "validation", "test")}
    return {"rate": rate, "epochs": row.epochs, "parameters": sum(p.numel() for p in nets[0].parameters()),
            **on, "seconds": [seconds for _, seconds in runs]}


def ablation(most: int = len(ROWS), from_the_end: bool = False) -> None:
    """The rows that the record of this machine lacks, at most so many of them. Two processes may work at it, one
    from each end: a row is added to what the record holds when the row is ready."""
    two = birds_and_airplanes()
    missing = [name for name in ROWS if name not in recorded_rows()]
    for name in (missing[::-1] if from_the_end else missing)[:most]:
        row = run_row(ROWS[name], two)
        print(name, row["rate"], [round(a, 4) for a in row["test"]], flush=True)
        write_down({**recorded_rows(), name: row}, two)


def recorded_rows() -> dict:
    record = load(NAME)
    return record["settings"]["rows"] if same_machine(record) else {}


def write_down(rows: dict, two: Two) -> None:
    """Every run as it was, and for the page its spread."""
    results = {}
    for name in [name for name in ROWS if name in rows]:
        r = rows[name]
        less = [b - a for a, b in zip(rows[BASE]["test"], r["test"])]
        results[name] = {"lr": r["rate"], "epochs": r["epochs"], "parameters": r["parameters"], "gain": spread(less),
                         **{part: spread(r[part]) for part in ("fitting", "validation", "test", "seconds")}}
    save(NAME, "birds and airplanes: one change at a time", results, data=two.name, training=len(two.fitting[1]),
         validation=len(two.validation[1]), test=len(two.test[1]), batch_size=BATCH_SIZE, rows=rows)


# ----------------------------------------------------------------------------- the best within a minute

@dataclass(frozen=True)
class Recipe:
    filters: int = 16
    whitened: bool = True  # else the first convolution starts at random and is trained
    widths: tuple[int, int] = (48, 96)
    epochs: int = 9
    batch_size: int = 128
    rate: float = .01
    decay: float = .05
    smoothing: float = .1
    pixels: int = 3


SECONDS, ALONE, TOGETHER = 60, .935, .94


def stage(c_in: int, c_out: int) -> list[nn.Module]:
    """Pooling stands before normalisation and activation, which then have a quarter of the numbers to touch."""
    return [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(c_out), nn.ReLU()]


def whitening(pictures: Tensor, filters: int, floor: float = .01) -> Tensor:
    """Filters (filters, 3, 3, 3) that need no training: in the pictures (n, 3, h, w) each of the first half gives
    numbers of variance about 1, no two of which are correlated; the second half is their negatives (ReLU keeps one
    of each pair). They are the eigenvectors of the patches' covariance with the largest eigenvalues, divided by the
    roots of these; ``floor`` is added to the eigenvalues. (Fixed first layer of this kind: Jordan, 2024.)"""
    patches = F.unfold(pictures, 3).transpose(1, 2).flatten(0, 1)  # (patches, 27)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    kept = (vectors / (values + floor).sqrt()).flip(1).T[:filters // 2].reshape(-1, 3, 3, 3)
    return torch.cat([kept, -kept])


def best_net(filters: Tensor, widths: Sequence[int] = (48, 96)) -> nn.Module:
    """``filters``: (n, 3, 3, 3), those of the first convolution, which stays as it is."""
    a, (b, c) = len(filters), widths
    first = nn.Conv2d(3, a, 3, padding=1, bias=False).requires_grad_(False)
    first.weight.copy_(filters)
    return nn.Sequential(first, nn.MaxPool2d(2), nn.ReLU(), *stage(a, b), Block(b), *stage(b, c), Block(c),
                         nn.MaxPool2d(4), nn.Flatten(), nn.Linear(c, 2))


def train_best(recipe: Recipe, two: Two, examples: tuple[Tensor, Tensor], seed: int) -> tuple[nn.Module, float]:
    """The network, and the seconds from the data in memory to the trained network."""
    seed_all(seed)
    started = time.perf_counter()
    batches = Batches(examples, recipe.batch_size, shuffle=True, seed=seed, transforms=[
        two.scale, random_flip, random_shift(recipe.pixels, "reflect"), channels_last])
    net = best_net(whitening(two.scale(examples[0][:4000].float() / 255), recipe.filters), recipe.widths)
    if not recipe.whitened:
        net[0].reset_parameters()
        net[0].requires_grad_(True)
    net = net.to(memory_format=torch.channels_last)
    trained = [p for p in net.parameters() if p.requires_grad]
    fit(net, batches, num_epochs=recipe.epochs, mixed=False, progress=False, verbose=False, schedule=cosine(.2),
        optimizer=torch.optim.AdamW(trained, recipe.rate, weight_decay=recipe.decay, fused=True),
        loss=lambda scores, y: F.cross_entropy(scores, y, label_smoothing=recipe.smoothing))
    return net, time.perf_counter() - started


def choose() -> None:
    """What the recipe was chosen among: one seed each, trained on 8,000, judged on validation."""
    two, base = birds_and_airplanes(), Recipe()
    for change in ({}, {"rate": .005}, {"rate": .02}, {"pixels": 2}, {"pixels": 4}, {"decay": .2},
                   {"filters": 24}, {"widths": (64, 128)}, {"batch_size": 64}, {"smoothing": 0}):
        net, seconds = train_best(replace(base, **change), two, two.fitting, seed=0)
        scores = [accuracy(n, two.validation, two) for n in (net, WithMirror(net))]
        print(change, [round(a, 4) for a in scores], f"{seconds:.0f} s", flush=True)


def best(seeds: range = range(3), recipe: Recipe | None = None) -> None:
    two, recipe = birds_and_airplanes(), recipe or Recipe()
    everything = tuple(torch.cat(parts) for parts in zip(two.fitting, two.validation))
    results, runs = {}, {}
    for name, change in (("small residual network", {}), ("its first layer trained, too", {"whitened": False})):
        got = runs[name] = {"plain": [], "accuracy": [], "seconds": []}
        for seed in seeds:
            net, took = train_best(replace(recipe, **change), two, everything, seed)
            for key, value in (("plain", accuracy(net, two.test, two)), ("seconds", took),
                               ("accuracy", accuracy(WithMirror(net), two.test, two))):
                got[key].append(value)
            print(name, seed, {key: round(values[-1], 4) for key, values in got.items()}, flush=True)
        results[name] = {**{key: spread(values) for key, values in got.items()}, "epochs": recipe.epochs}
    save("birds_best", "birds and airplanes: the best network within a minute", results, data=two.name, runs=runs)
    got, median = runs["small residual network"], len(seeds) // 2
    if get_device().type == "cpu":
        expect("each run within a minute", max(got["seconds"]) <= SECONDS, on=two)
    expect("the median reaches its marks", sorted(got["plain"])[median] >= ALONE
           and sorted(got["accuracy"])[median] >= TOGETHER, on=two)


PARTS = {"ablation": ablation, "row": lambda: ablation(1), "last": lambda: ablation(1, True),
         "best": best, "choose": choose}


def main(parts: Sequence[str] = ("ablation", "best")) -> None:
    for part in parts:
        PARTS[part]()


if __name__ == "__main__":
    main(sys.argv[1:] or ("ablation", "best"))
