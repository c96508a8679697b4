"""What does batch normalisation bring to LeNet in a whole training?

LeNet with ReLU, max pooling and Adam, with and without the layers, and the LeNet of textbooks (sigmoid, average
pooling, plain SGD, batches of 256) with and without them. Every row has the learning rate that was best for it
among three, by the accuracy on 5,000 validation images after one epoch on 10,000 others; then it is trained on
55,000 images with several seeds. The test set is used once for each run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.common import save, spread
from shared import data
from shared.batches import Batches, normalize
from shared.checks import expect
from shared.devices import seed_all
from shared.training import cosine, evaluate, fit

EPOCHS, SEEDS, CHOICE, VALIDATION = 2, range(3), 10_000, 5_000


@dataclass(frozen=True)
class Recipe:
    norm: bool = True
    activation: type[nn.Module] = nn.ReLU
    pool: type[nn.Module] = nn.MaxPool2d
    adam: bool = True
    rates: tuple[float, ...] = (.002, .005, .01)
    batch_size: int = 128


ROWS = {
    "ReLU, max, Adam, without": Recipe(norm=False),
    "ReLU, max, Adam, with": Recipe(),
    "sigmoid, average, SGD, without": Recipe(False, nn.Sigmoid, nn.AvgPool2d, False, (.3, .9, 3.), 256),
    "sigmoid, average, SGD, with": Recipe(True, nn.Sigmoid, nn.AvgPool2d, False, (.3, .9, 3.), 256),
}


def lenet(recipe: Recipe) -> nn.Sequential:
    norms = (nn.BatchNorm2d, nn.BatchNorm1d) if recipe.norm else (nn.Identity, nn.Identity)
    activation, pool = recipe.activation, recipe.pool
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), norms[0](6), activation(), pool(2),
        nn.Conv2d(6, 16, 5), norms[0](16), activation(), pool(2), nn.Flatten(),
        nn.Linear(400, 120), norms[1](120), activation(), nn.Linear(120, 84), norms[1](84), activation(),
        nn.Linear(84, 10))


def train(recipe: Recipe, rate: float, examples, standardise, seed: int, epochs: int) -> tuple[nn.Module, float]:
    """The trained network and the seconds that it took."""
    seed_all(seed)
    net = lenet(recipe)
    optimizer = (torch.optim.Adam if recipe.adam else torch.optim.SGD)(net.parameters(), lr=rate)
    record = fit(net, Batches(examples, recipe.batch_size, shuffle=True, seed=seed, transforms=[standardise]),
                 num_epochs=epochs, optimizer=optimizer, schedule=cosine(.1) if recipe.adam else None, mixed=False,
                 progress=False, verbose=False)
    return net, record.train_seconds


def main() -> None:
    fashion = data.fashion_mnist()
    X, y = fashion.train
    brightness = X[:6000].float() / 255
    standardise = normalize([brightness.mean().item()], [brightness.std().item()])
    validation = Batches((X[-VALIDATION:], y[-VALIDATION:]), 1000, transforms=[standardise])
    test, accuracy, results = Batches(fashion.test, 1000, transforms=[standardise]), {}, {}
    for name, recipe in ROWS.items():
        tried = {rate: evaluate(train(recipe, rate, (X[:CHOICE], y[:CHOICE]), standardise, 0, 1)[0],
                                validation).accuracy for rate in recipe.rates}
        rate = max(tried, key=tried.get)
        runs = [train(recipe, rate, (X[:-VALIDATION], y[:-VALIDATION]), standardise, seed, EPOCHS) for seed in SEEDS]
        accuracy[name] = [evaluate(net, test).accuracy for net, _ in runs]
        results[name] = {"accuracy": spread(accuracy[name]), "lr": rate, "epochs": EPOCHS,
                         "seconds": spread([seconds for _, seconds in runs])}
        print(name, tried, rate, [round(a, 4) for a in accuracy[name]], results[name]["seconds"], flush=True)
    save("batch_norm", "LeNet on Fashion-MNIST with and without batch normalisation", results,
         data=fashion.name, training=len(X) - VALIDATION, validation=VALIDATION, choice=CHOICE)
    for with_, without in (("ReLU, max, Adam, with", "ReLU, max, Adam, without"),
                           ("sigmoid, average, SGD, with", "sigmoid, average, SGD, without")):
        expect(f"{with_}: ahead for every seed", min(accuracy[with_]) > max(accuracy[without]), on=fashion)


if __name__ == "__main__":
    main()
