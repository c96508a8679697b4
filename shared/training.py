"""`fit` trains, `evaluate` measures, `Record` remembers. The loop is the one that the chapter
on softmax regression writes out; what is added here is care: progress, checkpoints, errors
that say what to do, and a stop button that keeps what was learnt."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from shared import processes
from shared.devices import describe, get_device, in_notebook, mixed_precision, synchronize


class NonFiniteLoss(RuntimeError):
    """The loss became NaN or infinite; the message names the step and a parameter."""


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
        parts = []
        for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
            if values := getattr(self, name):
                parts.append(f"{name.replace('_', ' ')} {values[-1]:.3f}")
        speed = self.examples / max(self.train_seconds, 1e-9)
        epochs = len(self.train_loss)
        parts.append(f"{epochs} epoch{'s' if epochs != 1 else ''} in {self.seconds:.1f} s "
                     f"on {self.device}, {speed:,.0f} examples/s")
        if not self.real:
            parts.append("built-in sample")
        if self.interrupted:
            parts.append("interrupted")
        return "; ".join(parts)

    def as_dict(self) -> dict:
        return asdict(self)

    def plot(self):
        """Draw the curves: the loss, and the accuracies if there are any."""
        from shared.plots import curves
        return curves(self)


@dataclass(frozen=True)
class Scores:
    loss: float
    accuracy: float | None

    def __iter__(self):
        return iter((self.loss, self.accuracy))


def default_loss(y_hat: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy for whole-number targets, mean squared error for real ones."""
    if y.is_floating_point():
        if y_hat.shape != y.shape:
            raise ValueError(f"predictions {tuple(y_hat.shape)} and targets {tuple(y.shape)} differ "
                             "in shape; broadcasting would compare the wrong pairs")
        return nn.functional.mse_loss(y_hat, y)
    return nn.functional.cross_entropy(y_hat, y)


def _num_correct(y_hat: Tensor, y: Tensor) -> Tensor | None:
    if y.is_floating_point() or y_hat.ndim < 2:
        return None
    return (y_hat.argmax(dim=1) == y).sum()


def _scalar(value: Tensor) -> Tensor:
    if value.ndim:
        raise ValueError(f"the loss must be one number, got shape {tuple(value.shape)}; "
                         "average it over the batch (reduction='mean')")
    return value


@torch.no_grad()
def evaluate(net: nn.Module, batches: Iterable, loss: Callable | None = None,
             device: str | torch.device | None = None) -> Scores:
    """Mean loss and accuracy over all examples, in evaluation mode, which is undone afterwards.

    Each batch counts by its number of targets, so a short last batch does not weigh too much.
    Accuracy is None where the targets are real numbers. Raises ValueError without batches.
    """
    device = get_device(device) if device is not None else _device_of(net, batches)
    loss = loss or default_loss
    was_training = net.training
    net.eval()
    total, correct, count = 0.0, None, 0
    processes.start(device)
    try:
        for batch, counts in processes.share(batches):
            *X, y = (part.to(device) for part in batch)
            y_hat = _forward(net, X, y)
            l = _scalar(loss(y_hat, y)).detach()
            if counts:
                total, correct, count = _count(total, correct, count, l, y_hat, y)
    finally:
        net.train(was_training)
    total, correct, count = _over_processes(total, correct, count, device)
    if count == 0:
        raise ValueError("nothing to evaluate: there are no batches")
    return Scores(float(total) / count, None if correct is None else float(correct) / count)


def _count(total, correct, count: int, l: Tensor, y_hat: Tensor, y: Tensor) -> tuple:
    """Sums of losses, right answers (None where there are none) and targets, with one more batch."""
    right = _num_correct(y_hat.detach(), y)
    if right is not None and correct is not None:
        right = correct + right
    return total + l * y.numel(), right, count + y.numel()


def _over_processes(total, correct, count: int, device: torch.device) -> tuple[float, float | None, int]:
    """The same sums, added over all processes, of which some may have counted nothing."""
    parts = [float(total), float(correct or 0), correct is not None, count]
    if processes.world_size() > 1:  # in double precision where the device has it
        kind = torch.float32 if device.type == "mps" else torch.float64
        parts = processes.add(torch.tensor(parts, device=device, dtype=kind)).tolist()
    return parts[0], parts[1] if parts[2] else None, int(parts[3])


def _device_of(net: nn.Module, batches) -> torch.device:
    first = next(net.parameters(), None)
    return first.device if first is not None else get_device(getattr(batches, "device", None))


def _check(train, num_epochs: int) -> None:
    if isinstance(num_epochs, bool) or not isinstance(num_epochs, int) or num_epochs < 1:
        raise ValueError(f"num_epochs must be a whole number from 1 up, got {num_epochs!r}")
    if not hasattr(train, "__iter__"):
        raise ValueError(f"training data must give batches, got {type(train).__name__}: "
                         "use shared.batches.Batches((X, y), batch_size)")
    if iter(train) is train:
        raise ValueError("training data can be gone through only once (a generator); "
                         "use shared.batches.Batches or a list of batches")
    if hasattr(train, "__len__") and len(train) == 0:
        raise ValueError("training data has no batches")


def _blame(net: nn.Module, losses: list[Tensor], first_step: int, epoch: int) -> NonFiniteLoss:
    step = first_step + 1 + next(i for i, l in enumerate(losses) if not torch.isfinite(l))
    bad = [(what, name) for name, p in net.named_parameters()
           for what, t in (("value", p), ("gradient", p.grad))
           if t is not None and not torch.isfinite(t).all()]
    where = (f"the first parameter with a non-finite {bad[0][0]} is '{bad[0][1]}'" if bad else
             "all parameters are still finite: look at the inputs and at the loss itself")
    return NonFiniteLoss(f"the loss is not finite at step {step} (epoch {epoch + 1}); {where}. "
                         "Try a smaller learning rate, scaled inputs, or gradient clipping (clip=1)")


def _all_finite(losses: list[Tensor]) -> bool:
    if len(losses) == 1:
        return math.isfinite(losses[0].item())
    return bool(torch.isfinite(torch.stack(losses)).all()) if losses else True


def _forward(net: nn.Module, X: list[Tensor], y: Tensor) -> Tensor:
    try:
        y_hat = net(*X)
    except RuntimeError as error:
        if "shape" not in str(error) and "size" not in str(error):
            raise
        shapes = ", ".join(str(tuple(part.shape)) for part in X)
        raise ValueError(f"the model cannot take a batch of shape {shapes}: "
                         f"{str(error).splitlines()[0]}") from error
    if len(y_hat) != len(y):
        raise ValueError(f"the model returned {len(y_hat)} predictions {tuple(y_hat.shape)} for "
                         f"{len(y)} targets {tuple(y.shape)}: the first axis must count examples")
    return y_hat


def _save(path: Path, **state) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    torch.save(state, temporary)
    os.replace(temporary, path)  # a crash while saving leaves the old checkpoint whole


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

    Started by torchrun, every process takes its part of each batch and gradients are averaged
    (`shared.processes`): the result is that of one process with the same batches.

    Interrupting (Ctrl-C, the stop button) keeps the model and the record up to that moment.
    Raises NonFiniteLoss with the step and the parameter when the loss is no longer a number, and
    ValueError for bad arguments.
    """
    _check(train, num_epochs)
    device = get_device(device if device is not None else getattr(train, "device", None))
    processes.start(device)
    net.to(device).train()
    loss = loss or default_loss
    parameters = [p for p in net.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("the model has no parameters to train")
    optimizer = optimizer or torch.optim.SGD(parameters, lr=lr)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if held.isdisjoint(map(id, parameters)):
        raise ValueError("the optimizer holds no parameter of this model: make it from net.parameters()")
    base_lrs = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]
    record = Record(device=describe(device), data=getattr(train, "name", ""),
                    real=getattr(train, "real", True))
    steps_per_epoch = len(train) if hasattr(train, "__len__") else None
    if schedule is not None and steps_per_epoch is None:
        raise ValueError("a schedule needs training data with a length")
    first_epoch, path = 0, Path(checkpoint) if checkpoint is not None else None
    if path is not None and path.exists():
        first_epoch, record = _resume(path, net, optimizer, train, device)
    check_every = 1 if device.type == "cpu" else 50  # looking at a number makes a GPU wait
    model = processes.replicate(net, device)
    show = _Progress(progress, num_epochs, steps_per_epoch, record)
    started, before = time.perf_counter(), record.seconds
    step, examples = first_epoch * (steps_per_epoch or 0), 0
    try:
        for epoch in range(first_epoch, num_epochs):
            synchronize(device)
            tick = time.perf_counter()
            total, correct, count, examples, pending = 0.0, None, 0, 0, []
            for batch, counts in processes.share(train):
                *X, y = (part.to(device) for part in batch)
                if schedule is not None:
                    factor = schedule(step / (num_epochs * steps_per_epoch))
                    for group, base in zip(optimizer.param_groups, base_lrs):
                        group["lr"] = base * factor
                with mixed_precision(device, mixed):
                    y_hat = _forward(model, X, y)
                    l = _scalar(loss(y_hat, y))
                optimizer.zero_grad()
                processes.weigh(l, y.numel() if counts else 0).backward()
                if clip is not None:
                    nn.utils.clip_grad_norm_(net.parameters(), clip)
                pending.append(l.detach())
                if len(pending) == check_every:
                    if not _all_finite(pending):
                        raise _blame(net, pending, step + 1 - len(pending), epoch)
                    pending = []
                optimizer.step()
                step += 1
                if counts:
                    total, correct, count = _count(total, correct, count, l.detach(), y_hat, y)
                    examples += len(y)
                show.step()
            if not _all_finite(pending):
                raise _blame(net, pending, step - len(pending), epoch)
            synchronize(device)
            record.train_seconds += time.perf_counter() - tick
            total, correct, count = _over_processes(total, correct, count, device)
            if count == 0:
                raise ValueError("training data has no batches")
            record.train_loss.append(total / count)
            record.examples += int(processes.add(torch.tensor(examples, device=device)))
            examples = 0
            if correct is not None:
                record.train_accuracy.append(correct / count)
            if test is not None:
                scores = evaluate(net, test, loss, device)
                record.test_loss.append(scores.loss)
                if scores.accuracy is not None:
                    record.test_accuracy.append(scores.accuracy)
            record.seconds = before + time.perf_counter() - started
            if path is not None and processes.rank() == 0:
                _save(path, epoch=epoch + 1, net=net.state_dict(), optimizer=optimizer.state_dict(),
                      record=record.as_dict(), rng=torch.get_rng_state(),
                      batches=train.state_dict() if hasattr(train, "state_dict") else None)
            show.epoch()
    except KeyboardInterrupt:
        record.interrupted = True
        record.examples += examples
        record.seconds = before + time.perf_counter() - started
    finally:
        show.close()
        for group, base in zip(optimizer.param_groups, base_lrs):
            group["lr"] = base
    if verbose:
        print(record)
    _write_down(record)
    return record


def _write_down(record: Record) -> None:
    """Append the record as a line of JSON to the file that BOOK_RECORDS names, if it names one."""
    if (path := os.environ.get("BOOK_RECORDS")) and processes.rank() == 0:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record.as_dict()) + "\n")


def _resume(path: Path, net: nn.Module, optimizer, train, device) -> tuple[int, Record]:
    try:
        state = torch.load(path, map_location=device)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, KeyError, ValueError) as error:
        raise ValueError(f"the checkpoint {path.name} does not belong to this model and optimizer "
                         f"({str(error).splitlines()[0]}); give another file name to start afresh") from error
    torch.set_rng_state(state["rng"].cpu())
    if state["batches"] is not None and hasattr(train, "load_state_dict"):
        train.load_state_dict({k: v.cpu() for k, v in state["batches"].items()})
    return state["epoch"], Record(**state["record"])


def cosine(warmup: float = 0.0) -> Callable[[float], float]:
    """A schedule for `fit`: rise linearly during the fraction ``warmup``, then fall to zero along
    half a cosine (Loshchilov and Hutter 2017)."""
    def factor(progress: float) -> float:
        if progress < warmup:
            return progress / warmup
        return .5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
    return factor


class _Progress:
    """A bar per run and a live curve in a notebook; nothing when nobody watches."""

    def __init__(self, wanted: bool | None, num_epochs: int, steps: int | None, record: Record):
        if wanted is None:
            watched = processes.rank() == 0 and (in_notebook() or sys.stderr.isatty())
            wanted = watched and os.environ.get("BOOK_PROGRESS") != "0"
        self.bar = self.curve = None
        if wanted:
            from tqdm.auto import tqdm
            from shared.plots import LiveCurve
            done = len(record.train_loss) * (steps or 0)
            self.bar = tqdm(total=num_epochs * steps if steps else None, initial=done,
                            unit="batch", leave=False)
            self.curve = LiveCurve(record) if in_notebook() else None

    def step(self) -> None:
        if self.bar is not None:
            self.bar.update()

    def epoch(self) -> None:
        if self.curve is not None:
            self.curve.update()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        if self.curve is not None:
            self.curve.close()
