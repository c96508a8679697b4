"""What a run measures: `Meter` adds batches up, `Scores` is what comes out, `Record` remembers a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from shared import processes


@dataclass
class Record:
    """What a run left behind: one list entry per epoch, and how it was run.

    ``seconds`` is wall-clock time of training and evaluation together; ``train_seconds`` of the
    training steps alone. Accuracies are fractions. ``train_*`` are averages over the epoch while
    the model changed; ``test_*`` were measured at the end of each epoch.
    """
    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)
    seconds: float = 0.0
    train_seconds: float = 0.0
    examples: int = 0
    device: str = ""
    data: str = ""
    real: bool = True
    interrupted: bool = False

    def __str__(self) -> str:
        """Two lines: the last scores; how long it took, where, how fast."""
        scores = []
        for part in ("train", "test"):
            values = [(what, getattr(self, f"{part}_{what}")) for what in ("loss", "accuracy")]
            if said := ", ".join(f"{what} {curve[-1]:.3f}" for what, curve in values if curve):
                scores.append(f"{part} {said}")
        epochs = len(self.train_loss)
        took = [f"{epochs} epoch{'s' if epochs != 1 else ''} in {self.seconds:.1f} s on {self.device}"]
        if self.train_seconds:
            took[-1] += f", {self.examples / self.train_seconds:,.0f} examples/s"
        if not self.real:
            took.append("built-in sample")
        if self.interrupted:
            took.append("interrupted")
        return "\n".join("; ".join(parts) for parts in (scores, took) if parts)

    def as_dict(self) -> dict:
        return asdict(self)

    def add_epoch(self, part: str, scores: Scores) -> None:
        """Append the scores of an epoch to the curves of ``part``, "train" or "test"."""
        getattr(self, f"{part}_loss").append(scores.loss)
        if scores.accuracy is not None:
            getattr(self, f"{part}_accuracy").append(scores.accuracy)

    def plot(self):
        """Draw the curves: the loss, and the accuracies if there are any."""
        from shared.plots import curves
        return curves(self)


@dataclass(frozen=True)
class Scores:
    """Mean loss, accuracy (None where there is none), and how many examples they are about."""
    loss: float
    accuracy: float | None
    examples: int = 0

    def __iter__(self):
        return iter((self.loss, self.accuracy))


class Meter:
    """Sums over batches; numbers stay on the device until `scores` is asked for.

    Each batch counts by its number of targets, so a short last batch does not weigh too much.
    """
    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor]):
        self.loss, self.examples, self.targets = loss, 0, 0
        self.total: Tensor | float = 0.0
        self.correct: Tensor | None = None
        self._threshold: float | None = None

    def add(self, l: Tensor, y_hat: Tensor, y: Tensor) -> None:
        """One more batch: its mean loss, predictions and targets."""
        y_hat = y_hat.detach()
        if self.targets == 0 and _one_output(y_hat, y):
            self._threshold = decision_threshold(self.loss, y_hat, y)
        right = num_correct(y_hat, y, self._threshold)
        if self.targets == 0:
            self.correct = right
        elif self.correct is not None:  # one batch without an accuracy, and the epoch has none
            self.correct = None if right is None else self.correct + right
        self.total = self.total + l.detach() * y.numel()
        self.targets += y.numel()
        self.examples += len(y)

    def scores(self, device: torch.device) -> Scores:
        """Mean loss and accuracy over what all processes added. Raises ValueError without batches."""
        correct = float("nan") if self.correct is None else float(self.correct)
        if self.targets == 0:  # another process may have counted the batches
            correct = 0.0
        total, correct, targets, examples = processes.add_all(
            [float(self.total), correct, self.targets, self.examples], device)
        if targets == 0:
            raise ValueError("there are no batches")
        return Scores(total / targets, None if correct != correct else correct / targets, int(examples))


def num_correct(y_hat: Tensor, y: Tensor, threshold: float | None = None) -> Tensor | None:
    """How many of the predictions are right; None where there is no such number.

    y_hat, y        scores (n, classes, ...) of whole-number targets (n, ...), as cross-entropy takes
                    them, or (n, ..., classes): the largest score is the prediction. Where both readings
                    fit, as (n, 5, 5) for (n, 5), nobody can tell which is meant: None
    threshold       for one output per target, shape (n,) or (n, 1), and targets 0 and 1: larger outputs
                    predict a 1. NaN is returned for other targets, None without a threshold

    Real-valued targets have no accuracy.
    """
    if y.is_floating_point() or y.is_complex():
        return None
    if _one_output(y_hat, y):
        if threshold is None:
            return None
        right = ((y_hat.reshape(y.shape) > threshold) == (y == 1)).sum()
        return torch.where(((y == 0) | (y == 1)).all(), right.float(), torch.nan)
    axes = {axis for axis in (1, y_hat.ndim - 1) if 0 < axis < y_hat.ndim and y_hat.shape[axis] > 1
            and y_hat.shape[:axis] + y_hat.shape[axis + 1:] == y.shape}
    return (y_hat.argmax(dim=axes.pop()) == y).sum() if len(axes) == 1 else None


def _one_output(y_hat: Tensor, y: Tensor) -> bool:
    """Whole-number targets, and one real output for each."""
    return (not y.is_floating_point() and y_hat.is_floating_point() and y_hat.numel() == y.numel()
            and y_hat.shape[:1] == y.shape[:1] and y_hat.squeeze(-1).shape == y.squeeze(-1).shape)


def decision_threshold(loss: Callable, y_hat: Tensor, y: Tensor) -> float | None:
    """Where one output stops to mean class 0: where the loss is the same for both classes, and larger
    outputs suit class 1. That is 0 for logits, .5 for probabilities and squared errors; None if it is
    neither, or cannot be found."""
    def price(output: float, label: int) -> float:
        return float(loss(torch.full_like(y_hat[:1], output), torch.full_like(y[:1], label)))
    for threshold in (0.0, .5):
        try:
            zero, one = price(threshold, 0), price(threshold, 1)
            if math.isclose(zero, one, rel_tol=1e-5) and price(1, 1) < price(1, 0):
                return threshold
        except Exception:  # a loss that cannot be asked so: no accuracy rather than a wrong one
            return None
    return None
