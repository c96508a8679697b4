"""What does each part of the modern recipe for LeNet bring? One part is taken away at a time.

Every row is trained on 10,000 images with the learning rate that is best for it among three, chosen by the
accuracy on 5,000 validation images after a whole run. Runs with the same seed see the same batches in the same
order, and begin alike where the kind of start is the same; so differences are taken seed by seed. The test set
is used once for each row and seed.

Two rows ask what the others cannot: tanh, whether the sigmoid is at fault or the lack of ReLU; and a dense
network, with so many epochs that it takes about as long as LeNet, whether convolutions are needed at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from benchmarks.common import save, spread
from benchmarks.models import lenet, mlp
from shared import data
from shared.batches import Batches
from shared.checks import expect
from shared.devices import seed_all
from shared.training import cosine, evaluate, fit

EPOCHS, BATCH_SIZE, SEEDS, TRAINING, VALIDATION = 6, 64, range(3), 10_000, 5_000
ADAM, SGD = (.001, .003, .01), (.1, .3, .9)


def he(weight: torch.Tensor) -> None:
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


def default(weight: torch.Tensor) -> None:
    """What PyTorch draws: uniform, with a third of Xavier's variance for equal sizes."""
    nn.init.kaiming_uniform_(weight, a=5 ** .5)


@dataclass(frozen=True)
class Recipe:
    activation: type[nn.Module] = nn.ReLU
    pool: type[nn.Module] = nn.MaxPool2d
    start: Callable = he
    optimizer: Callable = torch.optim.Adam
    rates: tuple[float, ...] = ADAM
    schedule: Callable[[float], float] | None = cosine(.1)
    dense: bool = False  # a dense network in LeNet's place; then activation, pool and start are not used
    epochs: int = EPOCHS

    def build(self) -> nn.Module:
        return mlp() if self.dense else lenet(self.activation, self.pool, self.start)


ALL = Recipe()
NONE = "none of them: the LeNet of textbooks with Xavier's start"
ROWS = {
    "all parts": ALL,
    "sigmoid for ReLU": replace(ALL, activation=nn.Sigmoid),
    "tanh for ReLU": replace(ALL, activation=nn.Tanh),
    "average for max pooling": replace(ALL, pool=nn.AvgPool2d),
    "PyTorch's default start for He's": replace(ALL, start=default),
    "SGD for Adam": replace(ALL, optimizer=torch.optim.SGD, rates=SGD),
    "a constant rate for warm-up and cosine": replace(ALL, schedule=None),
    NONE: Recipe(nn.Sigmoid, nn.AvgPool2d, nn.init.xavier_uniform_, torch.optim.SGD, SGD, None),
    "no convolution: a dense network with 256 hidden units": replace(ALL, dense=True, epochs=4 * EPOCHS),
}


def train(recipe: Recipe, rate: float, examples, seed: int) -> tuple[nn.Module, float]:
    """The trained network and the seconds that it took."""
    seed_all(seed)
    net = recipe.build()
    record = fit(net, Batches(examples, BATCH_SIZE, shuffle=True, seed=seed), num_epochs=recipe.epochs,
                 optimizer=recipe.optimizer(net.parameters(), lr=rate), schedule=recipe.schedule,
                 mixed=False, progress=False, verbose=False)
    return net, record.train_seconds


def main() -> None:
    fashion = data.fashion_mnist()
    X, y = fashion.train
    fitting, validation = (X[:TRAINING], y[:TRAINING]), Batches((X[-VALIDATION:], y[-VALIDATION:]), 1000)
    test, accuracy, results = Batches(fashion.test, 1000), {}, {}
    for name, recipe in ROWS.items():
        first, *seeds = SEEDS
        tried = {rate: train(recipe, rate, fitting, first) for rate in recipe.rates}
        rate = max(tried, key=lambda rate: evaluate(tried[rate][0], validation).accuracy)
        runs = [tried[rate]] + [train(recipe, rate, fitting, seed) for seed in seeds]
        accuracy[name] = [evaluate(net, test).accuracy for net, _ in runs]
        less = [a - b for a, b in zip(accuracy["all parts"], accuracy[name])]
        results[name] = {"accuracy": spread(accuracy[name]), "less": spread(less), "lr": rate,
                         "seconds": spread([seconds for _, seconds in runs]), "epochs": recipe.epochs}
        print(name, rate, [round(a, 4) for a in accuracy[name]], flush=True)
    save("lenet_ablation", "LeNet on Fashion-MNIST: one part of the recipe taken away at a time", results,
         data=fashion.name, batch_size=BATCH_SIZE, training=TRAINING, validation=VALIDATION)
    lost = {name: results[name]["less"]["median"] for name in list(ROWS)[1:] if name != NONE and not ROWS[name].dense}
    print("of the parts taken away singly, most is lost with:", max(lost, key=lost.get))
    expect("the whole recipe beats none of it for every seed",
           min(accuracy["all parts"]) > max(accuracy[NONE]), on=fashion)


if __name__ == "__main__":
    main()
