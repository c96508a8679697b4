"""Several processes train one model: what `torchrun` starts, put to use by `shared.training.fit`.

    torchrun --nproc-per-node=2 chapter.py

Each process takes its part of every batch; gradients are averaged by DistributedDataParallel, so
all models stay equal; sums of losses and counts are added over processes. Started without torchrun,
every function here does nothing, at no cost.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn


def world_size() -> int:
    """How many processes there are, as torchrun says."""
    return int(os.environ.get("WORLD_SIZE", 1))


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", 0))


def local_device(device: torch.device) -> torch.device:
    """A GPU of its own for each process of this machine; other devices as they are."""
    if world_size() > 1 and device.type == "cuda" and device.index is None:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return device


def start(device: torch.device) -> None:
    """Connect the processes, once: NCCL between CUDA GPUs, gloo elsewhere."""
    if world_size() > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)


def replicate(net: nn.Module, device: torch.device) -> nn.Module:
    """The model to call in training: all start from the first process's values and average gradients."""
    if world_size() == 1:
        return net
    return nn.parallel.DistributedDataParallel(net, device_ids=[device] if device.type == "cuda" else None)


def share(batches: Iterable) -> Iterator[tuple]:
    """This process's part of each batch, and whether it is this process that counts it: where all
    have the same part, only the first does. Batches that cannot be shared out (they have no method
    ``share``) go whole to every process: nothing is gained, but the result is right."""
    first = rank() == 0
    if world_size() > 1 and hasattr(batches, "share"):
        return ((part, first or copies == 1) for part, copies in batches.share(rank(), world_size()))
    return ((batch, first) for batch in batches)


def weigh(mean: Tensor, count: int) -> Tensor:
    """Scale a mean over ``count`` targets of this process so that the average over processes is
    the mean over all their targets: parts may differ in size."""
    if world_size() == 1:
        return mean
    total = add(torch.tensor(float(count), device=mean.device))
    return mean * (count * world_size() / total)


def add(value: Tensor) -> Tensor:
    """The sum over all processes."""
    if world_size() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value
