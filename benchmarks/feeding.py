"""What does it cost to feed real batches? One epoch of `fit` on `Batches` against one epoch of
`fit` on one constant batch that is already on the device, equally often. A ratio of 0.95 means
that feeding costs 5 %.

The constant batch stays in the processor's cache, real data cannot. So a third side shows the
limit: as many steps on 40 different batches that were converted beforehand, which costs nothing
but reading them from memory."""

from __future__ import annotations

import torch

from benchmarks.common import save, take_turns
from benchmarks.models import linear, mlp, modern_lenet
from shared import data
from shared.batches import Batches
from shared.devices import get_device
from shared.training import fit

MODELS = {"softmax": linear, "MLP 256": mlp, "LeNet": modern_lenet}


def main() -> None:
    fashion, results = data.fashion_mnist(), {}
    for name, model in MODELS.items():
        net = model().to(get_device())
        optimizer = torch.optim.SGD(net.parameters(), lr=.01)
        batches = Batches(fashion.train, 256, shuffle=True)
        constant = [next(iter(batches))] * len(batches)
        ready = [batch for _, batch in zip(range(40), batches)] * 6

        def epoch(source):
            fit(net, source, num_epochs=1, optimizer=optimizer, progress=False, verbose=False)

        results[name] = take_turns(lambda: epoch(batches), lambda: epoch(constant))
        results[name]["limit"] = take_turns(lambda: epoch(ready[:len(batches)]), lambda: epoch(constant))["ratio"]
    save("feeding", "speed of stepping on real batches, relative to one constant batch", results,
         batch_size=256, examples=len(fashion.train), data=fashion.name)


if __name__ == "__main__":
    main()
