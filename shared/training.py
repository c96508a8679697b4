"""`fit` trains, `evaluate` measures. The loop is the one that the chapter on softmax regression writes
out. What is added around it has its own place: sums over batches and the record of a run in
`shared.meters`, files in `shared.checkpoints`, errors in `shared.diagnosis`, what moves on the screen in
`shared.progress`, several processes in `shared.processes`."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from shared import processes
from shared.checkpoints import Checkpoint
from shared.devices import describe, get_device, mixed_precision, synchronize
from shared.diagnosis import NonFiniteLoss, Watch, check_arguments, forward, one_number
from shared.meters import Meter, Record, Scores
from shared.progress import Progress

__all__ = ["NonFiniteLoss", "Record", "Scores", "cosine", "default_loss", "evaluate", "fit"]


def default_loss(y_hat: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy for whole-number targets, mean squared error for real ones.

    Scores are (n, classes, ...) for targets (n, ...), as PyTorch takes them. Raises ValueError for shapes
    that would be compared in another way than meant.
    """
    if y.is_floating_point():
        if y_hat.shape != y.shape:
            raise ValueError(f"predictions {tuple(y_hat.shape)} and targets {tuple(y.shape)} differ "
                             "in shape; broadcasting would compare the wrong pairs")
        return nn.functional.mse_loss(y_hat, y)
    if y_hat.ndim < 2 or y_hat.shape[1] == 1:
        raise ValueError(f"one output {tuple(y_hat.shape)} for whole-number targets {tuple(y.shape)}: two classes "
                         "need two outputs, or loss=..., such as binary cross-entropy with logits")
    return nn.functional.cross_entropy(y_hat, y)


@torch.no_grad()
def evaluate(net: nn.Module, batches: Iterable, loss: Callable | None = None,
             device: str | torch.device | None = None) -> Scores:
    """Mean loss and accuracy over all examples, in evaluation mode, which is undone afterwards.

    Each batch counts by its number of targets, so a short last batch does not weigh too much.
    Accuracy is None where it has no meaning (`shared.meters.num_correct`). Raises ValueError without
    batches.
    """
    device = get_device(device) if device is not None else _device_of(net, batches)
    loss = loss or default_loss
    was_training = net.training
    net.eval()
    meter = Meter(loss)
    processes.start(device)
    try:
        for batch, counts in processes.share(batches):
            *X, y = (part.to(device) for part in batch)
            y_hat = forward(net, X, y)
            if counts:
                meter.add(one_number(loss(y_hat, y)), y_hat, y)
    finally:
        net.train(was_training)
    return meter.scores(device)


def _device_of(net: nn.Module, batches) -> torch.device:
    first = next(net.parameters(), None)
    return first.device if first is not None else get_device(getattr(batches, "device", None))


def fit(net: nn.Module, train: Iterable, test: Iterable | None = None, *,
        num_epochs: int = 10, lr: float = 0.1, optimizer: torch.optim.Optimizer | None = None,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        schedule: Callable[[float], float] | None = None, clip: float | None = None,
        device: str | torch.device | None = None, mixed: bool | None = None,
        checkpoint: str | os.PathLike | None = None, progress: bool | None = None,
        verbose: bool = True) -> Record:
    """Train ``net`` on the batches of ``train`` and return the `Record` of the run.

    train, test     give batches ``(X, y)``, again each epoch (`shared.batches.Batches`); with
                    several inputs ``(X1, X2, y)``, the model is called as ``net(X1, X2)``
    optimizer       over ``net.parameters()``; default: SGD with learning rate ``lr``
    loss            a mean over the batch; default: cross-entropy or squared error by target type
    schedule        a function from progress in [0, 1] to a factor on the learning rate
    clip            largest norm of the gradient of all parameters together
    device          default: the best that works; the model and batches are moved there
    mixed           bfloat16 mixed precision; default: on CUDA GPUs that have it
    checkpoint      a file: written after each epoch; if it is there already, training goes on
                    from it, to the same result as without the break (on the CPU, bit by bit)
    progress        a bar and a live curve while running; default: if somebody is watching
    verbose         print the closing line

    Interrupting (Ctrl-C, the stop button) keeps the model and the record up to that moment. Started by
    torchrun, every process takes its part of each batch (`shared.processes`). Raises NonFiniteLoss with
    step and parameter when a number is none any longer, and ValueError for bad arguments.
    """
    check_arguments(net, train, test, num_epochs, optimizer, schedule)
    device = get_device(device if device is not None else getattr(train, "device", None))
    processes.start(device)
    net.to(device).train()
    optimizer = optimizer or torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=lr)
    length = len(train) if hasattr(train, "__len__") else 0
    rates = _Rates(optimizer, schedule, num_epochs * length)
    record = Record(device=describe(device), data=getattr(train, "name", ""), real=getattr(train, "real", True))
    saved = Checkpoint(checkpoint, net, optimizer, rates.base, train, device)
    first_epoch, record = saved.resume(record)
    rates.step = first_epoch * length
    run = _Run(net, optimizer, loss or default_loss, rates, clip, device, mixed, record)
    with rates, processes.several(net, device) as model, Progress(progress, record, num_epochs, length) as show:
        try:
            for epoch in range(first_epoch, num_epochs):
                run.train(model, train, show)
                if test is not None:
                    run.test(test)
                saved.save(epoch + 1, record)
                show.epoch()
        except KeyboardInterrupt:
            record.interrupted = True
    if verbose:
        print(record)
    _write_down(record)
    return record


class _Run:
    """One call of `fit`: what its epochs share, and the record to which they add."""

    def __init__(self, net: nn.Module, optimizer: torch.optim.Optimizer, loss: Callable, rates: _Rates,
                 clip: float | None, device: torch.device, mixed: bool | None, record: Record):
        self.net, self.optimizer, self.loss, self.rates, self.clip = net, optimizer, loss, rates, clip
        self.device, self.mixed, self.record = device, mixed, record
        self.watch = Watch(net, device, first_epoch=len(record.train_loss))
        self.started = time.perf_counter() - record.seconds

    def train(self, model: nn.Module, batches: Iterable, show: Progress) -> None:
        """One epoch: a step for each batch. ``model`` is the net, or its wrapper for several processes."""
        meter = Meter(self.loss)
        synchronize(self.device)
        tick = time.perf_counter()
        try:
            for batch, counts in processes.share(batches):
                *X, y = (part.to(self.device) for part in batch)
                self.rates.move()
                with mixed_precision(self.device, self.mixed):
                    y_hat = forward(model, X, y)
                    l = one_number(self.loss(y_hat, y))
                self.optimizer.zero_grad()
                processes.weigh(l, y.numel() if counts else 0).backward()
                if self.clip is not None:
                    nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
                self.watch.look(l)
                self.optimizer.step()
                if counts:
                    meter.add(l, y_hat, y)
                show.step()
            self.watch.epoch_ends()
            synchronize(self.device)
        except KeyboardInterrupt:
            self.record.examples += meter.examples
            raise
        finally:
            self._stop_the_clock(tick)
        scores = meter.scores(self.device)
        self.record.examples += scores.examples
        self.record.add_epoch("train", scores)

    def test(self, batches: Iterable) -> None:
        """The scores after an epoch."""
        scores = evaluate(self.net, batches, self.loss, self.device)
        self.watch.test_loss(scores.loss)
        self.record.add_epoch("test", scores)
        self._stop_the_clock()

    def _stop_the_clock(self, tick: float | None = None) -> None:
        now = time.perf_counter()
        self.record.seconds = now - self.started
        if tick is not None:
            self.record.train_seconds += now - tick


class _Rates:
    """The learning rates of an optimizer: moved along a schedule, and put back in the end."""

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Callable[[float], float] | None, num_steps: int):
        self.optimizer, self.schedule, self.num_steps = optimizer, schedule, num_steps
        self.base = [group["lr"] for group in optimizer.param_groups]
        self.step = 0

    def move(self) -> None:
        """To where the schedule has them in the next step."""
        if self.schedule is not None:
            self._set(self.schedule(self.step / self.num_steps))
        self.step += 1

    def _set(self, factor: float) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base, strict=True):
            group["lr"] = base * factor

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc) -> None:
        if self.schedule is not None:
            self._set(1.0)


def _write_down(record: Record) -> None:
    """Append the record as a line of JSON to the file that BOOK_RECORDS names, if it names one."""
    if (path := os.environ.get("BOOK_RECORDS")) and processes.rank() == 0:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record.as_dict()) + "\n")


def cosine(warmup: float = 0.0) -> Callable[[float], float]:
    """A schedule for `fit`: rise linearly during the fraction ``warmup``, then fall to zero along
    half a cosine (Loshchilov and Hutter 2017)."""
    def factor(progress: float) -> float:
        if progress < warmup:
            return progress / warmup
        return .5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
    return factor
