"""CIFAR-10 on two cores: the recipe of `benchmarks.cifar10` in a narrow network, and what its parts are worth.

One part is taken away at a time, on 4,000 pictures; rows are compared on 5,000 training pictures that are held out.
The learning rate is that of two which was best for the whole recipe with the first seed. The last row trains the
whole recipe on all pictures but the held-out ones and judges it once on the test set, with one view of a picture and
with six.

    python -m benchmarks.inside_cnns         all, about seven minutes of one core
    python -m benchmarks.inside_cnns last    the last row again"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import cifar10
from benchmarks.cifar10 import SCALE
from benchmarks.common import load, recorded_here, save, spread
from benchmarks.models import channels_last
from shared import data
from shared.batches import Batches, random_shift
from shared.checks import expect
from shared.devices import seed_all
from shared.training import evaluate, fit

WIDTHS, FEW, VALIDATION, SEEDS = (16, 64, 64), 4_000, 5_000, range(2)
EPOCHS, BATCH_SIZE, RATES = 3, 100, (.25, .7)
LONG_EPOCHS, LONG_BATCH_SIZE = 8, 250


@dataclass(frozen=True)
class Recipe:
    whitened: bool = True     # the first layer is computed
    identity: bool = True     # convolutions begin as the identity
    moved: bool = True        # pictures are moved and mirrored
    smoothing: float = .2
    averaged: bool = True     # weights are pulled to their average
    fast_biases: bool = True  # those of batch normalisation have 64 times the rate


ALL = Recipe()
ROWS = {
    "all parts": ALL,
    "first layer learnt": replace(ALL, whitened=False),
    "no identity at the start": replace(ALL, identity=False),
    "no moves, no mirror": replace(ALL, moved=False),
    "no label smoothing": replace(ALL, smoothing=0),
    "no average of weights": replace(ALL, averaged=False),
    "biases at the common rate": replace(ALL, fast_biases=False),
    "none of the six": Recipe(False, False, False, 0, False, False),
}


def build(recipe: Recipe, sample: Tensor, widths: Sequence[int] = WIDTHS) -> nn.Sequential:
    net = cifar10.network(sample, widths)
    if not recipe.whitened:
        net[0].reset_parameters()
        net[0].weight.requires_grad_(True)
    if not recipe.identity:
        for layer in net[1:]:
            if isinstance(layer, nn.Conv2d):
                layer.reset_parameters()
    return net.to(memory_format=torch.channels_last)


def optimizer_for(recipe: Recipe, net: nn.Module, rate: float, num_steps: int) -> torch.optim.Optimizer:
    groups = cifar10.groups(net, rate, faster=64 if recipe.fast_biases else 1)
    if recipe.averaged:
        return cifar10.Lookahead(groups, net, num_steps, momentum=.85, nesterov=True)
    return torch.optim.SGD(groups, momentum=.85, nesterov=True)


def train(recipe: Recipe, rate: float, examples: Sequence[Tensor], seed: int, epochs: int = EPOCHS,
          batch_size: int = BATCH_SIZE, widths: Sequence[int] = WIDTHS) -> tuple[nn.Module, float]:
    """The trained network and the seconds that it took."""
    seed_all(seed)
    X, y = examples
    batches = Batches((X, y), batch_size, shuffle=True, seed=seed)
    moves = (random_shift(2, "reflect"), cifar10.MirrorEveryOther(len(batches))) if recipe.moved else ()
    batches.transforms = (SCALE, *moves, channels_last)
    sample = SCALE(X[:2000].float() / 255)
    net = build(recipe, sample, widths).to(batches.device)
    record = fit(net, batches, num_epochs=epochs, schedule=cifar10.triangle, mixed=False, progress=False, verbose=False,
                 optimizer=optimizer_for(recipe, net, rate, epochs * len(batches)),
                 loss=lambda scores, target: F.cross_entropy(scores, target, label_smoothing=recipe.smoothing))
    return net, record.train_seconds


def shuffled(cifar: data.Images) -> tuple[Tensor, Tensor]:
    order = torch.randperm(len(cifar.train), generator=torch.Generator().manual_seed(0))
    X, y = cifar.train
    return X[order], y[order]


def ablation(X: Tensor, y: Tensor) -> tuple[dict, float]:
    """The results of all rows but the last, and the rate."""
    few = X[:FEW], y[:FEW]
    validation = Batches((X[-VALIDATION:], y[-VALIDATION:]), 500, transforms=[SCALE, channels_last])
    first, *others = SEEDS
    tried = {rate: train(ALL, rate, few, first) for rate in RATES}
    found = {rate: evaluate(net, validation).accuracy for rate, (net, _) in tried.items()}
    rate = max(found, key=found.get)
    print("rates", found, flush=True)
    results = {}
    for name, recipe in ROWS.items():
        runs = [tried[rate] if recipe == ALL else train(recipe, rate, few, first)]
        runs += [train(recipe, rate, few, seed) for seed in others]
        accuracy = [evaluate(net, validation).accuracy for net, _ in runs]
        results[name] = {"accuracy": spread(accuracy), "seconds": spread([seconds for _, seconds in runs]),
                         "epochs": EPOCHS}
        print(name, [round(a, 4) for a in accuracy], flush=True)
    return results, rate


def whole_set(cifar: data.Images, X: Tensor, y: Tensor, rate: float) -> dict:
    net, seconds = train(ALL, rate, (X[:-VALIDATION], y[:-VALIDATION]), SEEDS[0], LONG_EPOCHS, LONG_BATCH_SIZE)
    test = Batches(cifar.test, 500, transforms=[SCALE, channels_last])
    one, six = evaluate(net, test).accuracy, evaluate(cifar10.SixTimes(net), test).accuracy
    return {"accuracy": spread([one]), "six views": spread([six]), "seconds": spread([seconds]), "epochs": LONG_EPOCHS}


def main(only_last: bool = False) -> None:
    cifar = data.cifar10()
    X, y = shuffled(cifar)
    if only_last:
        results, rate = recorded_here("inside_cnns"), load("inside_cnns")["settings"]["lr"]
    else:
        results, rate = ablation(X, y)
    results["all parts, all pictures"] = whole_set(cifar, X, y, rate)
    save("inside_cnns", "CIFAR-10 on a CPU: one part of the recipe taken away at a time", results, data=cifar.name,
         pictures=FEW, validation=VALIDATION, lr=rate, batch_size=BATCH_SIZE)
    expect("the whole recipe beats none of it for every seed", results["all parts"]["accuracy"]["min"]
           > results["none of the six"]["accuracy"]["max"], on=cifar)


if __name__ == "__main__":
    main("last" in sys.argv[1:])
