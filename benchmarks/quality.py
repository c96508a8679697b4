"""How good can a model for Fashion-MNIST become in two minutes on two CPU cores?

A small residual network, trained for six epochs with mirrored images, label smoothing and AdamW,
the rate rising for a fifth of the time and then falling to zero. Three things make it fast: pooling
stands before normalisation and activation, which then have a quarter of the numbers to touch;
channels come last in memory; products are computed in bfloat16 (twice as fast on processors that
have instructions for it, slower on others). A test image is judged together with its mirror image."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.common import save, spread
from benchmarks.models import WithMirror, channels_last
from shared import data
from shared.batches import Batches, normalize, random_flip
from shared.devices import get_device, mixed_precision, seed_all
from shared.training import evaluate, fit

EPOCHS, SECONDS, ACCURACY = 6, 120, .93


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, X: Tensor) -> Tensor:
        return X + F.relu(self.norm(self.conv(X)))


def block(inputs: int, outputs: int, pool: bool) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return [conv, *[nn.MaxPool2d(2)] * pool, nn.BatchNorm2d(outputs), nn.ReLU()]


def network() -> nn.Module:
    return nn.Sequential(*block(1, 24, pool=True), *block(24, 64, pool=True), *block(64, 128, pool=False),
                         Residual(128), nn.MaxPool2d(7), nn.Flatten(), nn.Linear(128, 10))


def run(fashion, seed: int, epochs: int = EPOCHS) -> tuple[float, float, float]:
    """Test accuracy with and without mirror image, and seconds for everything."""
    seed_all(seed)
    started = time.perf_counter()
    prepare = [normalize([.286], [.353]), channels_last]
    train = Batches(fashion.train, 256, shuffle=True, seed=seed, transforms=[*prepare, random_flip])
    test = Batches(fashion.test, 1000, transforms=prepare)
    net = network().to(memory_format=torch.channels_last)
    fit(net, train, num_epochs=epochs, optimizer=torch.optim.AdamW(net.parameters(), .01, weight_decay=.05),
        schedule=lambda p: min(p / .2, (1 - p) / .8), mixed=True, progress=False, verbose=False,
        loss=lambda scores, y: F.cross_entropy(scores.float(), y, label_smoothing=.05))
    with mixed_precision(get_device(), True):
        accuracy = evaluate(WithMirror(net), test).accuracy
        seconds = time.perf_counter() - started
        plain = evaluate(net, test).accuracy
    return accuracy, plain, seconds


def main(seeds: range = range(5)) -> None:
    fashion = data.fashion_mnist()
    accuracy, plain, seconds = zip(*(run(fashion, seed) for seed in seeds))
    save("quality", "test accuracy in two minutes on two cores",
         {"small residual network": {"accuracy": spread(accuracy), "plain": spread(plain),
                                     "seconds": spread(seconds), "epochs": EPOCHS}}, data=fashion.name)
    assert min(accuracy) >= ACCURACY, accuracy
    assert sorted(seconds)[len(seconds) // 2] <= SECONDS, seconds


if __name__ == "__main__":
    main()
