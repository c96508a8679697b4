"""Several processes train one model: what `torchrun` starts, put to use by `shared.training.fit`.

    torchrun --nproc-per-node=2 chapter.py

Started without torchrun, every function here does nothing, at no cost. With it:

- Each process takes its part of every batch: of W processes the r-th takes the examples r, r + W, ...
  A batch with fewer examples than processes, or from a loader that cannot be shared out, goes whole to
  all, and only the first process *counts* it (`share`).
- The loss of a batch is a mean over its targets, and parts may have unequally many. So each process
  scales its own mean by its share of all targets, none if it does not count (`weigh`). Then
  DistributedDataParallel averages the gradients, and all models take the same step: that of one process.
- Batch normalisation takes mean and variance over all parts. Random numbers, such as dropout's, differ
  from process to process while training, and go on together afterwards (`several`).
- Sums of losses, right answers and targets are added over processes (`add_all`).
- The first process saves, the others wait for it (`wait`). A process that waits for another longer than
  ``BOOK_TIMEOUT`` seconds (`PATIENCE`) ends with an error, and torchrun ends them all.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import types
from collections.abc import Iterable, Iterator
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm

PATIENCE = 50  # seconds
_counts = True  # does this process count the batch that it has in hand?


def _from_torchrun(name: str, otherwise: int) -> int:
    """A number that torchrun hands over; other programs use the same names for other things."""
    return int(os.environ.get(name, otherwise)) if "TORCHELASTIC_RUN_ID" in os.environ else otherwise


def world_size() -> int:
    """How many processes there are, as torchrun says."""
    return _from_torchrun("WORLD_SIZE", 1)


def rank() -> int:
    """The number of this process, from 0."""
    return _from_torchrun("RANK", 0)


def local_device(device: torch.device) -> torch.device:
    """A GPU of its own for each process of this machine; other devices as they are."""
    if world_size() > 1 and device.type == "cuda" and device.index is None:
        return torch.device("cuda", _from_torchrun("LOCAL_RANK", 0))
    return device


def start(device: torch.device) -> None:
    """Connect the processes, once: NCCL between CUDA GPUs, gloo elsewhere."""
    if world_size() > 1 and not dist.is_initialized():
        patience = timedelta(seconds=float(os.environ.get("BOOK_TIMEOUT", PATIENCE)))
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=patience)
        atexit.register(dist.destroy_process_group)


def share(batches: Iterable) -> Iterator[tuple[tuple, bool]]:
    """This process's part of each batch, and whether it is this process that counts it."""
    global _counts
    if world_size() > 1 and hasattr(batches, "share"):
        parts = batches.share(rank(), world_size())
    else:
        parts = ((batch, rank() == 0) for batch in batches)
    for part, _counts in parts:  # noqa: UP028 (the module's _counts is set, too)
        yield part, _counts


def weigh(mean: Tensor, count: int) -> Tensor:
    """Scale a mean over ``count`` targets of this process so that the average over processes is
    the mean over all their targets."""
    if world_size() == 1:
        return mean
    return mean * (count * world_size() / add(torch.tensor(float(count), device=mean.device)))


def add(value: Tensor) -> Tensor:
    """The sum over all processes."""
    if world_size() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def add_all(numbers: list[float], device: torch.device) -> list[float]:
    """Each number, summed over all processes, in double precision where the device has it."""
    if world_size() == 1:
        return numbers
    kind = torch.float32 if device.type == "mps" else torch.float64
    return add(torch.tensor(numbers, device=device, dtype=kind)).tolist()


def agreed(value: bool, device: torch.device) -> bool:
    """What the first process says, in all of them: files may come and go between two looks."""
    return bool(add_all([float(value and rank() == 0)], device)[0])


def wait() -> None:
    """Go on when all processes have come here."""
    if world_size() > 1:
        dist.barrier()


@contextlib.contextmanager
def several(net: nn.Module, device: torch.device) -> Iterator[nn.Module]:
    """The model to call in training: all processes start from the first one's values and average
    gradients; parameters that a batch does not use are left alone, as in one process."""
    if world_size() == 1:
        yield net
        return
    layers = [layer for layer in net.modules()
              if isinstance(layer, _BatchNorm) and not isinstance(layer, SyncBatchNorm)]
    for layer in layers:  # PyTorch's SyncBatchNorm does this on GPUs only
        layer.forward = types.MethodType(_normalise_over_processes, layer)
    _seed_apart()
    try:
        # PyTorch warns once if it looks for unused parameters in vain; without looking, they would be an error
        yield nn.parallel.DistributedDataParallel(net, find_unused_parameters=True,
                                                  device_ids=[device] if device.type == "cuda" else None)
    finally:
        for layer in layers:
            del layer.forward
    _go_on_together(device)


def _seed_apart() -> None:
    """Other random numbers in every process, so that not all drop the same units."""
    if rank() > 0:
        seed = int(torch.randint(2**62, ()))
        torch.manual_seed(seed + rank())


def _go_on_together(device: torch.device) -> None:
    """All processes take over the first one's generator, so that what a chapter draws next is the same
    in all, and the same as in one process."""
    state = torch.get_rng_state().to(device)
    dist.broadcast(state, 0)
    torch.set_rng_state(state.cpu())


class _AddOverProcesses(torch.autograd.Function):
    """`add`, for values with gradients: every process's loss depends on every process's value."""
    @staticmethod
    def forward(ctx, value: Tensor) -> Tensor:
        return add(value)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return add(gradient)


def _normalise_over_processes(layer: _BatchNorm, X: Tensor) -> Tensor:
    """Batch normalisation (Ioffe and Szegedy 2015) with mean and variance of the whole batch
    (examples, channels, ...), of which every process has a part."""
    if not layer.training and layer.running_mean is not None:
        return type(layer).forward(layer, X)
    layer._check_input_dim(X)
    axes, shape = [0, *range(2, X.ndim)], [1, -1] + [1] * (X.ndim - 2)
    count = add(torch.tensor(_counts * X.numel() / X.shape[1], device=X.device))
    mean = _AddOverProcesses.apply(_counts * X.sum(axes)) / count                          # (channels,)
    centred = X - mean.view(shape)
    variance = _AddOverProcesses.apply(_counts * centred.square().sum(axes)) / count       # (channels,)
    if layer.training and layer.running_mean is not None:
        layer.num_batches_tracked += 1
        share = 1 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
        layer.running_mean.lerp_(mean.detach(), share)
        layer.running_var.lerp_(variance.detach() * count / (count - 1), share)
    Y = centred / (variance.view(shape) + layer.eps).sqrt()
    return Y * layer.weight.view(shape) + layer.bias.view(shape) if layer.affine else Y
