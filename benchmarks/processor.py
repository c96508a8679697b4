"""Two things that make a training step of convolutions in bfloat16 faster on a processor, and change results by
rounding only.

What a step costs beside its products is easily overlooked: fresh memory for each large tensor, and products of a shape
for which the library has no fast way. `benchmarks.two_cores` trains with both.

    python -m benchmarks.processor"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import cifar10
from benchmarks.common import save, seconds_of, spread, take_turns
from benchmarks.models import channels_last
from shared.devices import mixed_precision

TRIM_THRESHOLD, MMAP_MAX = -1, -4        # of mallopt, in malloc.h
WIDTH = 32                               # numbers of a row that a product in bfloat16 takes at a time


def keep_memory() -> bool:
    """From now on, memory that is freed stays with this program. Otherwise the C library of Linux gives a large block
    back to the system at once and asks for the next one, and each of its pages, 4 KiB, is cleared and entered in a
    table when it is touched first: for an activation of 60 MB, 15,000 times in each step. False where the library does
    not know this (https://man7.org/linux/man-pages/man3/mallopt.3.html)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, 2**31 - 1))


def side_by_side(X: Tensor, gap: int) -> Tensor:
    """Puts as many maps of (batch, channels, height, width) into one row as have room in 32 columns and divide the
    batch, each with ``gap`` columns of zeros behind it: (batch / k, channels, height, k * (width + gap))."""
    n, c, h, w = X.shape
    k = next(k for k in range(max(1, WIDTH // (w + gap)), 0, -1) if n % k == 0)
    rows = X.new_zeros(n // k, h, k, w + gap, c)
    rows[:, :, :, :w] = X.permute(0, 2, 3, 1).reshape(n // k, k, h, w, c).transpose(1, 2)
    return rows.view(n // k, h, k * (w + gap), c).permute(0, 3, 1, 2)


def gradients(G: Tensor, X: Tensor, weight: Tensor, wanted: list[bool]) -> tuple[Tensor, Tensor, Tensor]:
    """PyTorch's, for inputs, weights and bias of a convolution that keeps the size of its maps."""
    padding = [size // 2 for size in weight.shape[2:]]
    return torch.ops.aten.convolution_backward(G, X, weight, [0], [1, 1], padding, [1, 1], False, [0, 0], 1, wanted)


class _SideBySide(torch.autograd.Function):
    @staticmethod
    def forward(ctx, X: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(X, weight)
        return F.conv2d(X, weight, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx, G: Tensor) -> tuple[Tensor, Tensor]:
        X, weight = ctx.saved_tensors
        rows = (side_by_side(T, gap=weight.shape[-1] // 2) for T in (G, X))
        return gradients(G, X, weight, [True, False, False])[0], gradients(*rows, weight, [False, True, False])[1]


class Convolution(nn.Conv2d):
    """A convolution with stride 1 and a square kernel that keeps the size of its maps, without a bias. ValueError for
    others. The gradient of its weights is a sum over all places of all maps; with several maps in a row, and zeros
    between them as at the edges, it is the same sum. In bfloat16 that is faster for maps up to 7 pixels wide, two to
    five times where it was tried, probably because 32 places of a row are multiplied at a time and most of them would
    stay empty. For wider maps nothing was gained."""
    def __init__(self, inputs: int, outputs: int, size: int, padding: int, bias: bool = False):
        if bias or size % 2 == 0 or padding != size // 2:
            raise ValueError(f"a convolution of size {size} with padding {padding} and bias={bias}: only odd sizes are "
                             "possible, with half of that as padding, and no bias")
        super().__init__(inputs, outputs, size, padding=padding, bias=False)

    def forward(self, X: Tensor) -> Tensor:
        if X.dtype != torch.bfloat16 or X.shape[-1] > 7 or not torch.is_grad_enabled():
            return super().forward(X)
        return _SideBySide.apply(X, self.weight.to(X.dtype))


def step(net: nn.Module, X: Tensor, y: Tensor, mixed: bool = True) -> Callable[[], None]:
    """The costly part of a step of training, to be timed: scores and gradients for pictures with their classes."""
    X, net = channels_last(X), net.to(X.device)
    weights = [p for p in net.parameters() if p.requires_grad]

    def function() -> None:
        with mixed_precision(X.device, mixed):
            loss = F.cross_entropy(net(X).float(), y)
        torch.autograd.grad(loss, weights)

    return function


def main(side: int = 32, batch_size: int = 512, widths: tuple[int, ...] = (64, 256, 256)) -> None:
    """A step in bfloat16 of the recipe of `benchmarks.cifar10` with ReLU: as it is, with memory kept (one after the
    other: what is kept stays kept), and then with small maps side by side (in turns)."""
    torch.manual_seed(0)
    X, y = torch.randn(batch_size, 3, side, side), torch.randint(10, (batch_size,))
    plain, rows = (step(cifar10.network(X, widths, nn.ReLU, c).to(memory_format=torch.channels_last), X, y)
                   for c in (nn.Conv2d, Convolution))
    fresh = [seconds_of(plain, times=1, warm_up=1, device=X.device) for _ in range(7)]
    known = keep_memory()
    seconds_of(plain, times=1, warm_up=20, device=X.device)
    turns = take_turns(rows, plain)
    save("processor", "a step of convolutions in bfloat16 on a processor",
         {"as it is": {"seconds": spread(fresh)}, "memory kept": {"seconds": turns["seconds_theirs"]},
          "memory kept, small maps side by side": {"seconds": turns["seconds_ours"], "ratio": turns["ratio"]}},
         side=side, batch_size=batch_size, widths=widths, kept=known)


if __name__ == "__main__":
    main()
