"""What can go wrong in training, said so that the reader knows what to do: wrong arguments before
the first step, numbers that are no longer finite, a batch that does not fit the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn


class NonFiniteLoss(RuntimeError):
    """A loss, gradient or parameter became NaN or infinite; the message names step and parameter."""


ADVICE = "Try a smaller learning rate, scaled inputs, or gradient clipping (clip=1)"


def check_arguments(net: nn.Module, train, test, num_epochs: int, optimizer, schedule: Callable | None) -> None:
    """Raise ValueError for what `fit` cannot work with, before anything is changed or started."""
    if isinstance(num_epochs, bool) or not isinstance(num_epochs, int) or num_epochs < 1:
        raise ValueError(f"num_epochs must be a whole number from 1 up, got {num_epochs!r}")
    for name, batches in ("training", train), ("test", test):
        if batches is None and name == "test":
            continue
        if not hasattr(batches, "__iter__"):
            raise ValueError(f"{name} data must give batches, got {type(batches).__name__}: "
                             "use shared.batches.Batches((X, y), batch_size)")
        if isinstance(batches, Iterator):
            raise ValueError(f"{name} data can be gone through only once (a generator); "
                             "use shared.batches.Batches or a list of batches")
        if hasattr(batches, "__len__") and len(batches) == 0:
            raise ValueError(f"{name} data has no batches")
    if schedule is not None and not hasattr(train, "__len__"):
        raise ValueError("a schedule needs training data with a length")
    parameters = {id(p) for p in net.parameters() if p.requires_grad}
    if not parameters:
        raise ValueError("the model has no parameters to train")
    if optimizer is not None:
        if parameters.isdisjoint(id(p) for group in optimizer.param_groups for p in group["params"]):
            raise ValueError("the optimizer holds no parameter of this model: make it from net.parameters()")


def forward(net: nn.Module, X: list[Tensor], y: Tensor) -> Tensor:
    """``net(*X)``. An error of the model gets a note that says what it was given; predictions must be
    as many as targets."""
    try:
        y_hat = net(*X)
    except RuntimeError as error:
        shapes = ", ".join(f"{tuple(part.shape)} {part.dtype}" for part in X)
        error.add_note(f"This happened when the model was given a batch of shape {shapes}.")
        raise
    if len(y_hat) != len(y):
        raise ValueError(f"the model returned {len(y_hat)} predictions {tuple(y_hat.shape)} for "
                         f"{len(y)} targets {tuple(y.shape)}: the first axis must count examples")
    return y_hat


def one_number(loss: Tensor) -> Tensor:
    """The loss itself. Raises ValueError if it was not averaged over the batch."""
    if loss.ndim:
        raise ValueError(f"the loss must be one number, got shape {tuple(loss.shape)}; "
                         "average it over the batch (reduction='mean')")
    return loss


class Watch:
    """Looks at the loss of every step, and at all parameters after every epoch.

    On an accelerator, looking at a number makes the device wait, so losses are looked at 50 at a time.
    """
    def __init__(self, net: nn.Module, device: torch.device, first_epoch: int = 0):
        self.net, self.every = net, 1 if device.type == "cpu" else 50
        self.step, self.epoch, self.losses = 0, first_epoch, []

    def look(self, l: Tensor) -> None:
        """After the backward pass of a step and before its update: its loss must be finite."""
        self.step += 1
        self.losses.append(l.detach())
        if len(self.losses) == self.every:
            self._check()

    def epoch_ends(self) -> None:
        """All losses, and with them a last wrong gradient that has just reached the parameters."""
        self._check()
        if name := self._first_not_finite():
            raise NonFiniteLoss(f"after the last step of epoch {self.epoch + 1} {name} is not finite, though the "
                                f"loss still was: its gradient is wrong, as the slope of a root or a logarithm at 0. "
                                f"{ADVICE}")
        self.epoch += 1

    def test_loss(self, l: float) -> None:
        """The test loss of the epoch that has just ended must be finite."""
        if not math.isfinite(l):
            raise NonFiniteLoss(f"the test loss is {l} after epoch {self.epoch}, though the training loss is finite: "
                                "look at the test inputs (missing values, another scale) and at layers that behave "
                                "otherwise in evaluation mode, such as batch normalisation")

    def _check(self) -> None:
        losses, self.losses = self.losses, []
        if not losses or bool(torch.isfinite(losses[0] if len(losses) == 1 else torch.stack(losses)).all()):
            return
        step = self.step - len(losses) + 1 + next(i for i, l in enumerate(losses) if not torch.isfinite(l))
        name = self._first_not_finite()
        where = (f"the first that is not finite is {name}" if name else
                 "all parameters and gradients are still finite: look at the inputs and at the loss itself")
        raise NonFiniteLoss(f"the loss is not finite at step {step} (epoch {self.epoch + 1}); {where}. {ADVICE}")

    def _first_not_finite(self) -> str:
        """The first parameter (else gradient, else buffer) with a value that is no number; empty if all are."""
        for what, tensors in (("parameter", self.net.named_parameters()),
                              ("the gradient of", ((name, p.grad) for name, p in self.net.named_parameters())),
                              ("buffer", self.net.named_buffers())):
            for name, t in tensors:
                bad = t is not None and (t.isnan() if what == "buffer" else ~torch.isfinite(t)).any()
                if bad:  # a buffer may be infinite, as a mask of scores is
                    return f"{what} '{name}'"
        return ""
