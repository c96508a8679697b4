"""The measurements of chapter 15 on a GPU: the price of an order and of a copy, the two limits of the roofline,
number types, fusing, and where the training steps of three networks lie below the roof.

    python -m benchmarks.devices"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.common import save, seconds_of
from benchmarks.models import linear, mlp, modern_lenet
from shared.devices import Timer, get_device, mixed_precision, seed_all, synchronize

SIDE, LENGTH, ROUNDS = 8192, 2**28, 5


def seconds(work: Callable[[], object], device: torch.device, calls: int | None = None) -> float:
    """The shortest of five times of a call, each time over so many calls that it takes some 20 ms."""
    work()
    if calls is None:
        calls = max(1, round(.02 / seconds_of(work, 1, warm_up=0, device=device)))
    return min(seconds_of(work, calls, warm_up=0, device=device) for _ in range(ROUNDS))


def orders(device: torch.device, side: int) -> dict:
    """Microseconds until Python is free again after a large product, until its result is there, and for a call
    that does next to nothing."""
    big = torch.randn(side, side, device=device)
    big @ big
    written, done = [], []
    for _ in range(ROUNDS):
        synchronize(device)
        start = time.perf_counter()
        big @ big
        written.append(time.perf_counter() - start)
        synchronize(device)
        done.append(time.perf_counter() - start)
    speck = torch.ones(1, 1, device=device)
    return {"us_to_order": 1e6 * statistics.median(written), "us_to_compute": 1e6 * statistics.median(done),
            "us_of_a_tiny_call": 1e6 * seconds(lambda: speck @ speck, device)}


def copies(device: torch.device, most: int) -> dict:
    """Microseconds of a copy from the host to the device, by its size and the kind of memory."""
    result = {}
    for size in (16, 2**10, 2**16, 2**20, 2**24, most):
        paged = torch.ones(size, dtype=torch.uint8)
        target = torch.empty_like(paged, device=device)
        kinds = {"pageable": paged} | ({"pinned": paged.pin_memory()} if device.type == "cuda" else {})
        for kind, source in kinds.items():
            result[f"{kind}, {size} bytes, us"] = 1e6 * seconds(
                lambda: target.copy_(source, non_blocking=True), device)
    return result


def limits(device: torch.device, side: int, length: int) -> dict:
    """GFLOP a second of a product of two matrices in three ways of counting, and GB a second of adding vectors."""
    result, matrix = {}, torch.randn(side, side, device=device)
    for name, tf32, kind in (("float32", False, torch.float32), ("tf32", True, torch.float32),
                             ("bfloat16", False, torch.bfloat16)):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        M = matrix.to(kind)
        result[f"{name}, gflop_per_second"] = 2 * side**3 / seconds(lambda: M @ M, device) / 1e9
    torch.backends.cuda.matmul.allow_tf32 = False
    u, v, w = torch.ones(3, length, device=device)
    result["add, gb_per_second"] = 3 * u.nbytes / seconds(lambda: torch.add(u, v, out=w), device) / 1e9
    return result


def eight_steps(x: Tensor) -> Tensor:
    x = ((x * .5 + 1).relu() - .3).abs()
    return -(x.square() + .1)


def fusing(device: torch.device, length: int) -> dict:
    """Milliseconds of eight simple steps on a long vector, and seconds of the first compiled call."""
    x = torch.randn(length, device=device)
    compiled = torch.compile(eight_steps, dynamic=False)
    with Timer(device) as first:
        fused = compiled(x)
    assert torch.allclose(fused, eight_steps(x), rtol=1e-5, atol=1e-5)
    del fused
    return {"as_written_ms": 1e3 * seconds(lambda: eight_steps(x), device),
            "compiled_ms": 1e3 * seconds(lambda: compiled(x), device), "first_call_seconds": first.seconds}


def steps(device: torch.device) -> dict:
    """Microseconds of a training step (forwards, backwards, Adam) of three networks, by batch size and number type."""
    result = {}
    for name, build in (("softmax", linear), ("MLP", mlp), ("LeNet", modern_lenet)):
        for size in (16, 256, 4096):
            for kind, mixed in (("float32", False), ("mixed", True)):
                seed_all(0)
                net: nn.Module = build().to(device)
                adam = torch.optim.Adam(net.parameters(), lr=1e-3)
                X, y = torch.rand(size, 1, 28, 28, device=device), torch.randint(10, (size,), device=device)

                def step() -> None:
                    with mixed_precision(device, mixed):
                        loss = F.cross_entropy(net(X), y)
                    adam.zero_grad()
                    loss.backward()
                    adam.step()
                result[f"{name}, batch {size}, {kind}, us"] = 1e6 * seconds(step, device)
    return result


def main() -> None:
    device = get_device()
    if device.type == "cpu":
        sys.exit("chapter 15 measures a CPU by itself; this program measures a GPU, and there is none here")
    results = {"orders": orders(device, SIDE), "copies": copies(device, LENGTH),
               "limits": limits(device, SIDE, LENGTH), "steps": steps(device), "fusing": fusing(device, LENGTH)}
    save("devices", "what an order, a copy, a product and a training step take on a GPU", results)


if __name__ == "__main__":
    main()
