"""Muon (Jordan et al. 2024): steps of equal size in all directions for the kernels of convolutions.

The gradient of a matrix of weights has a few large singular values and many small ones, so that a step of SGD moves it
almost only in a few directions. Muon takes the nearest matrix whose singular values are all 1 instead. PyTorch's own
`torch.optim.Muon` takes matrices only; this one reads a kernel (outputs, inputs, height, width) as a matrix with a row
for each output."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.cifar10 import biases_and_others


def orthogonal(G: Tensor, steps: int = 3) -> Tensor:
    """A matrix with the singular vectors of G, and singular values that are about 1 where those of G are not very small
    beside the largest. Each step of Newton and Schulz applies a polynomial to them, with coefficients that Jordan found
    to pull them up fast: a few products of matrices instead of a decomposition."""
    wide = G.shape[0] <= G.shape[1]
    X = (G if wide else G.T).bfloat16()
    X = X / (X.norm() + 1e-7)
    for _ in range(steps):
        A = X @ X.T
        B = torch.addmm(A, A, A, beta=-4.7750, alpha=2.0315)
        X = torch.addmm(X, B, X, beta=3.4445)  # 3.4445 X - 4.7750 A X + 2.0315 A A X
    return (X if wide else X.T).to(G.dtype)


class Muon(torch.optim.SGD):
    """For a list of layers: the kernels of the convolutions, but for those that are not learnt, are brought to a fixed
    norm before each step, and a step is ``kernel_lr`` times a matrix that is nearly orthogonal. Their momentum is 0.6,
    that of everything else ``momentum``. Biases of batch normalisation have a rate of their own, and what is left, the
    last layer and the bias of the first, another."""

    def __init__(self, layers: nn.Sequential, kernel_lr: float = .12, bias_lr: float = .053, lr: float = .67,
                 decay: float = .001, momentum: float = .85):
        biases, rest = biases_and_others(layers)
        kernels, others = [p for p in rest if p.ndim == 4], [p for p in rest if p.ndim < 4]
        super().__init__([{"params": biases, "lr": bias_lr, "weight_decay": decay / bias_lr},
                          {"params": others, "lr": lr, "weight_decay": decay / lr},
                          {"params": kernels, "lr": kernel_lr}], momentum=momentum, nesterov=True)

    @torch.no_grad()
    def step(self, closure: Callable | None = None) -> None:
        group = self.param_groups[-1]
        for p in group["params"]:
            if p.grad is None:
                continue
            if "velocity" not in self.state[p]:
                self.state[p]["velocity"] = torch.zeros_like(p)
            velocity = self.state[p]["velocity"]
            velocity.mul_(.6).add_(p.grad)
            ahead = p.grad.add(velocity, alpha=.6)
            p.mul_(len(p) ** .5 / p.norm())
            p.sub_(orthogonal(ahead.flatten(1)).view_as(p), alpha=group["lr"])
            p.grad = None  # nothing is left for SGD
        super().step(closure)
