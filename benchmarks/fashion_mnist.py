"""Test accuracy on Fashion-MNIST, over seeds, with seconds and device. What the chapters claim of
these models over several seeds is asserted here, on real data."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.common import recorded_here, save, spread
from benchmarks.models import classic_lenet, linear, mlp, modern_lenet, two_hidden_layers
from shared import data
from shared.batches import Batches
from shared.checks import expect
from shared.devices import seed_all
from shared.training import cosine, evaluate, fit


@dataclass(frozen=True)
class Run:
    """One model and how it is trained; ``d2l`` is the spread of published runs, if there are any, ``claim`` ours."""
    model: Callable[[], nn.Module]
    how: Callable[[nn.Module], dict]
    d2l: tuple[float, float, float] | None
    claim: float
    num_epochs: int = 10
    batch_size: int = 256
    seeds: int = 5


def sgd(lr: float) -> Callable:
    return lambda net: dict(optimizer=torch.optim.SGD(net.parameters(), lr=lr))


def adam(lr: float, warmup: float = 0.) -> Callable:
    return lambda net: dict(optimizer=torch.optim.Adam(net.parameters(), lr=lr), schedule=cosine(warmup))


RUNS = {
    "softmax, SGD 0.1 (the sources' setting)": Run(linear, sgd(.1), (.827, .831, .835), .80),
    "softmax, Adam 0.01, cosine": Run(linear, adam(.01), (.827, .831, .835), .844),
    "MLP 256, SGD 0.1 (the sources' setting)": Run(mlp, sgd(.1), (.833, .847, .854), .80),
    "MLP 256, Adam 0.003, cosine": Run(mlp, adam(.003), (.833, .847, .854), .88),
    "MLP 256-256, dropout 0.2 and 0.5, SGD 0.5 (the sources' setting)": Run(
        lambda: two_hidden_layers(.2, .5), sgd(.5), (.832, .854, .855), .80),
    "MLP 256-256, no dropout, SGD 0.5": Run(two_hidden_layers, sgd(.5), None, .80),
    "MLP 256-256, dropout 0.2 and 0.5, Adam 0.003, cosine": Run(
        lambda: two_hidden_layers(.2, .5), adam(.003), (.832, .854, .855), .88),
    "MLP 256-256, no dropout, Adam 0.003, cosine": Run(two_hidden_layers, adam(.003), None, .88),
    "LeNet of the paper, SGD 0.9": Run(classic_lenet, sgd(.9), (.761, .805, .826), .70, seeds=3),
    "LeNet, ReLU, max pooling, Adam 0.003, cosine": Run(
        modern_lenet, adam(.003, .1), (.761, .805, .826), .90, num_epochs=8, batch_size=128, seeds=3),
}


def main(only: str = "") -> None:
    """Run all, or those whose name contains ``only``, keeping the recorded others."""
    fashion = data.fashion_mnist()
    results = recorded_here("fashion_mnist") if only else {}
    test = Batches(fashion.test, 1000)
    for name, run in RUNS.items():
        if only not in name:
            continue
        accuracy, seconds = [], []
        for seed in range(run.seeds):
            seed_all(seed)
            net = run.model()
            train = Batches(fashion.train, run.batch_size, shuffle=True, seed=seed)
            record = fit(net, train, num_epochs=run.num_epochs, verbose=False, **run.how(net))
            accuracy.append(evaluate(net, test).accuracy)
            seconds.append(record.train_seconds)
        expect(f"{name}: at least {run.claim} for every seed", min(accuracy) >= run.claim, on=fashion)
        results[name] = {"accuracy": spread(accuracy), "seconds": spread(seconds),
                         "epochs": run.num_epochs, "batch_size": run.batch_size,
                         "d2l": dict(zip(("min", "median", "max"), run.d2l)) if run.d2l else None}
    save("fashion_mnist", "test accuracy on Fashion-MNIST", results, data=fashion.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
