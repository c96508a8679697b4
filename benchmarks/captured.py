"""A training step recorded once as a CUDA graph and replayed: where a step is many small kernels,
Python and the driver need longer to launch them than the GPU to compute them. Replaying launches them
all at once. Shapes must stay the same, and nothing in the step may wait for a number.

On other devices the same step runs as it is, so that programs and tests are the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from shared.devices import mixed_precision

WARM_UP = 3  # steps before recording, as PyTorch asks for: libraries choose their kernels in them


class Step:
    """``step(*inputs, y)`` takes one step of ``optimizer`` and returns the loss, without waiting.

    The optimizer must be new, and made with ``capturable=True`` if it has that option. ``examples``
    are a batch of the right shapes on the device."""

    def __init__(self, net: nn.Module, loss: Callable, optimizer: torch.optim.Optimizer,
                 examples: Sequence[Tensor], clip: float | None = None, mixed: bool | None = None,
                 captured: bool = True):
        self.net, self.loss, self.optimizer, self.clip, self.mixed = net, loss, optimizer, clip, mixed
        self.device = examples[0].device
        self.graph = None
        if captured and self.device.type == "cuda":
            self._capture(examples)

    def _step(self, *batch: Tensor) -> Tensor:
        *X, y = batch
        with mixed_precision(self.device, self.mixed):
            l = self.loss(self.net(*X), y)
        self.optimizer.zero_grad(set_to_none=False)  # the graph writes into the same gradients each time
        l.backward()
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
        self.optimizer.step()
        return l.detach()

    def _capture(self, examples: Sequence[Tensor]) -> None:
        self.inputs = [t.clone() for t in examples]
        before = {name: t.clone() for name, t in self.net.state_dict().items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._step(*self.inputs)
        torch.cuda.current_stream().wait_stream(side)
        self.net.load_state_dict(before)
        for state in self.optimizer.state.values():  # as new, but in the same memory
            for value in state.values():
                if isinstance(value, Tensor):
                    value.zero_()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.result = self._step(*self.inputs)

    def __call__(self, *batch: Tensor) -> Tensor:
        if self.graph is None:
            return self._step(*batch)
        for place, value in zip(self.inputs, batch, strict=True):
            place.copy_(value)
        self.graph.replay()
        return self.result
