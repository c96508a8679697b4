"""What does it cost to feed real batches? One epoch of steps on `Batches` against as many steps
on one constant batch that is already on the device. A ratio of 0.95 means that feeding costs 5 %.

The constant batch stays in the processor's cache, real data cannot. So a third side shows the
limit: as many steps on 40 different batches that were converted beforehand, which costs nothing
but reading them from memory."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.common import save, take_turns
from shared import data
from shared.batches import Batches
from shared.devices import get_device


def models() -> dict[str, nn.Module]:
    return {
        "softmax": nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
        "MLP 256": nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)),
        "LeNet": nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
            nn.Linear(84, 10)),
    }


def main() -> None:
    fashion, results = data.fashion_mnist(), {}
    for name, net in models().items():
        net.to(get_device())
        optimizer = torch.optim.SGD(net.parameters(), lr=.01)
        batches = Batches(fashion.train, 256, shuffle=True)
        constant = [next(iter(batches))] * len(batches)
        ready = [batch for _, batch in zip(range(40), batches)] * 6

        def epoch(source):
            for X, y in source:
                loss = F.cross_entropy(net(X), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        results[name] = take_turns(lambda: epoch(batches), lambda: epoch(constant))
        results[name]["limit"] = take_turns(lambda: epoch(ready[:len(batches)]), lambda: epoch(constant))["ratio"]
    save("feeding", "speed of stepping on real batches, relative to one constant batch", results,
         batch_size=256, examples=len(fashion.train), data=fashion.name)


if __name__ == "__main__":
    main()
