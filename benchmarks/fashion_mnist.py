"""Test accuracy on Fashion-MNIST after ten epochs, over seeds, with seconds and device."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.common import save, spread
from shared import data
from shared.batches import Batches
from shared.devices import seed_all
from shared.training import cosine, evaluate, fit

SEEDS = range(5)


def linear() -> nn.Module:
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    nn.init.normal_(net[1].weight, std=.01)
    nn.init.zeros_(net[1].bias)
    return net


def sgd(net):
    return dict(optimizer=torch.optim.SGD(net.parameters(), lr=.1))


def adam(lr):
    return lambda net: dict(optimizer=torch.optim.Adam(net.parameters(), lr=lr), schedule=cosine())


RUNS = {
    "softmax, SGD 0.1 (the notes' setting)": (linear, sgd, (.827, .831, .835)),
    "softmax, Adam 0.01, cosine": (linear, adam(.01), (.827, .831, .835)),
}


def main() -> None:
    fashion, results = data.fashion_mnist(), {}
    test = Batches(fashion.test, 1000)
    for name, (model, how, d2l) in RUNS.items():
        accuracy, seconds = [], []
        for seed in SEEDS:
            seed_all(seed)
            net = model()
            train = Batches(fashion.train, 256, shuffle=True, seed=seed)
            record = fit(net, train, num_epochs=10, verbose=False, **how(net))
            accuracy.append(evaluate(net, test).accuracy)
            seconds.append(record.train_seconds)
        results[name] = {"accuracy": spread(accuracy), "seconds": spread(seconds),
                         "d2l": dict(zip(("min", "median", "max"), d2l))}
    save("fashion_mnist", "test accuracy on Fashion-MNIST after ten epochs", results,
         batch_size=256, seeds=len(SEEDS), data=fashion.name)


if __name__ == "__main__":
    main()
