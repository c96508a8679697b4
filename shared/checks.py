"""Two ways to be held to one's word: `agree` and `expect`. Each prints one line, and raises
when what it says is false, so a notebook that runs to its end has kept its promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def _worst(a: Tensor, b: Tensor) -> float:
    """Largest difference, relative where the values are larger than 1."""
    a, b = a.detach().double(), b.detach().double()
    return float(((a - b).abs() / b.abs().clamp(min=1)).max()) if a.numel() else 0.0


def _as_tuple(x) -> tuple:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _compare(kind: str, ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    if ours.shape != theirs.shape:
        raise AssertionError(f"{kind}: shapes differ, ours {tuple(ours.shape)}, "
                             f"reference {tuple(theirs.shape)}")
    same_nan = torch.equal(ours.isnan(), theirs.isnan())
    worst = _worst(ours.nan_to_num(), theirs.nan_to_num())
    if not same_nan or not worst <= tolerance:
        raise AssertionError(f"{kind} differs by {worst:.3g}, more than the tolerance {tolerance:g}"
                             + ("" if same_nan else ", and not in the same places NaN"))


def agree(ours: Callable, reference: Callable, *inputs, name: str = "", tolerance: float = 1e-5,
          parameters: tuple[Sequence[Tensor], Sequence[Tensor]] | None = None) -> None:
    """Check that two functions give the same values *and* the same gradients.

    Both are called on ``inputs``. Every floating tensor among the inputs is copied and
    differentiated; gradients flow back from a fixed random weighting of all outputs, so an
    error in any output element shows. ``parameters=(ours, theirs)`` are two lists of tensors,
    paired in order, whose gradients must agree as well (a layer's weights, say).

    ``tolerance`` is the largest difference allowed, absolute below 1 and relative above.
    Raises AssertionError that says what differs and by how much.
    """
    label = name or getattr(ours, "__name__", "the function")
    results = []
    for function, extra in zip((ours, reference), parameters or ((), ())):
        copies = [x.detach().clone().requires_grad_(True)
                  if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs]
        leaves = [x for x in copies if isinstance(x, Tensor) and x.requires_grad] + list(extra)
        outputs = _as_tuple(function(*copies))
        generator = torch.Generator().manual_seed(0)
        weighted = [(o * torch.randn(o.shape, generator=generator).to(o)).sum()
                    for o in outputs if o.is_floating_point()]
        with_graph = [w for w in weighted if w.requires_grad]
        if leaves and not with_graph:
            raise AssertionError(f"{label}: no gradient reaches the inputs; "
                                 "was the graph cut with detach or no_grad?")
        gradients = torch.autograd.grad(sum(with_graph), leaves, allow_unused=True) if leaves else ()
        gradients = [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(gradients, leaves)]
        results.append((outputs, gradients))
    (our_out, our_grad), (their_out, their_grad) = results
    if len(our_out) != len(their_out):
        raise AssertionError(f"{label}: ours returns {len(our_out)} tensors, "
                             f"the reference {len(their_out)}")
    for i, (a, b) in enumerate(zip(our_out, their_out)):
        _compare(f"{label}, output {i}", a, b, tolerance)
    if len(our_grad) != len(their_grad):
        raise AssertionError(f"{label}: {len(our_grad)} gradients against {len(their_grad)}")
    for i, (a, b) in enumerate(zip(our_grad, their_grad)):
        _compare(f"{label}, gradient {i}", a, b, tolerance)
    what = "values and gradients agree" if our_grad else "values agree"
    print(f"ok: {label}: {what} (tolerance {tolerance:g})")


def expect(claim: str, holds: bool | Tensor, on=None) -> None:
    """State a claim and check it.

    ``on`` names what the claim is about: a data set or loader with an attribute ``real``.
    A claim about real data says nothing about a built-in sample, so there it is printed as
    not checked instead of being asserted.

    Raises AssertionError if the claim does not hold.
    """
    if on is not None and not on.real:
        print(f"not checked on the built-in sample: {claim}")
        return
    if not bool(holds):
        raise AssertionError(f"the claim does not hold: {claim}")
    print(f"ok: {claim}")
