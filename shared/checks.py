"""Two ways to be held to one's word: `agree` and `expect`. Each prints one line, and raises
when what it says is false, so a notebook that runs to its end has kept its promises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.testing import assert_close
from torch.utils._pytree import tree_leaves, tree_map


def agree(ours: Callable, reference: Callable, *inputs, name: str = "", tolerance: float = 1e-5,
          parameters: tuple[Iterable[Tensor], Iterable[Tensor]] | None = None, equal_nan: bool = False) -> None:
    """Check that two functions give the same values *and* the same gradients.

    Both are called on copies of ``inputs``. Inputs and outputs may be tensors or tuples, lists and
    dicts of them, however deep (``nn.LSTM`` returns a tuple in a tuple). Outputs must agree in
    number, order, shape, dtype and value. Gradients flow back from a fixed random weighting of all
    outputs, so an error in any element of any output shows; they are compared for every real or
    complex tensor among the inputs.

    ``parameters=(ours, theirs)`` are two lists of tensors, paired in order, whose gradients must
    agree as well (a layer's weights, say); each must have been used.

    ``tolerance`` is the largest difference allowed, as a fraction of the largest value of the
    reference tensor: small gradients are checked as strictly as large ones. Whole numbers must be
    equal. NaN agrees with nothing, except with NaN in the same place if ``equal_nan``.

    Raises AssertionError that says what differs and by how much, TypeError for outputs that are no
    tensors.
    """
    label = name or getattr(ours, "__name__", type(ours).__name__)
    ours_named, theirs_named = map(list, parameters or ((), ()))
    if len(ours_named) != len(theirs_named):
        raise AssertionError(f"{label}: {len(ours_named)} parameters against {len(theirs_named)} of the reference")
    our_out, our_grad = _values_and_gradients(ours, inputs, ours_named, f"{label}, ours")
    their_out, their_grad = _values_and_gradients(reference, inputs, theirs_named, f"{label}, the reference")
    if bool(our_grad) != bool(their_grad):
        who = "the reference" if our_grad else "ours"
        raise AssertionError(f"{label}: no gradient reaches the inputs in {who}; was the graph cut with detach or "
                             "no_grad, or did a step through whole numbers cut it?")
    for kind, a, b in ("output", our_out, their_out), ("gradient", our_grad, their_grad):
        _compare(f"{label}, {kind}", a, b, tolerance, equal_nan)
    what = "values and gradients agree" if our_grad else "values agree"
    print(f"ok: {label}: {what} (tolerance {tolerance:g})")


def expect(claim: str, holds: bool | np.bool_ | Tensor, on=None) -> None:
    """State a claim and check it.

    ``holds`` is a truth value: True or False, of Python, NumPy or a tensor with one element.
    ``on`` names what the claim is about: a data set or loader with an attribute ``real``.
    A claim about real data says nothing about a built-in sample, so there it is printed as
    not checked instead of being asserted.

    Raises AssertionError if the claim does not hold, TypeError for anything but a truth value:
    a list, a function or a number would count as true whatever it says.
    """
    single = isinstance(holds, Tensor) and holds.dtype == torch.bool and holds.numel() == 1
    if not single and not isinstance(holds, (bool, np.bool_)):
        raise TypeError(f"the claim {claim!r} needs True or False, got {_describe(holds)}: write a comparison, "
                        "with .all() or all(...) where there are several")
    if on is not None:
        if not isinstance(getattr(on, "real", None), bool):
            raise TypeError(f"on= takes a data set or loader that knows whether it is real, got {_describe(on)}")
        if not on.real:
            print(f"not checked on the built-in sample: {claim}")
            return
    if not holds:
        raise AssertionError(f"the claim does not hold: {claim}")
    print(f"ok: {claim}")


def _describe(x) -> str:
    if isinstance(x, Tensor):
        return f"a tensor of {x.numel()} elements and type {x.dtype}"
    return f"{x!r:.60} ({type(x).__name__})"


def _differentiable(x) -> bool:
    return isinstance(x, Tensor) and (x.is_floating_point() or x.is_complex())


def _copy(x):
    if not isinstance(x, Tensor):
        return x
    return x.detach().clone().requires_grad_(_differentiable(x))


def _values_and_gradients(function: Callable, inputs: tuple, named: list[Tensor],
                          who: str) -> tuple[list[Tensor | None], list[Tensor]]:
    """The tensors that a function returns, and the gradients of a random weighting of them; no
    gradients if there is nothing to differentiate."""
    copies = tree_map(_copy, inputs)
    outputs = tree_leaves(function(*copies))
    for output in outputs:
        if not isinstance(output, Tensor) and output is not None:
            raise TypeError(f"{who}: returned {_describe(output)}; only tensors can be compared")
    if all(output is None for output in outputs):
        raise AssertionError(f"{who}: returned no tensor")
    generator = torch.Generator().manual_seed(0)
    total = []
    for output in filter(_differentiable, outputs):
        weights = torch.randn(output.shape, generator=generator, dtype=_complex_or_real(output)).to(output)
        if output.requires_grad:
            total.append((output * weights).sum().real)
    leaves = [x for x in tree_leaves(copies) if _differentiable(x)]
    if not total or not leaves + named:
        return outputs, []
    gradients = torch.autograd.grad(sum(total), leaves + named, allow_unused=True)
    unused = [i for i, g in enumerate(gradients[len(leaves):]) if g is None]
    if unused:
        raise AssertionError(f"{who}: the parameters number {unused} are not used in what was computed")
    return outputs, [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, gradients)] + list(
        gradients[len(leaves):])


def _complex_or_real(x: Tensor) -> torch.dtype:
    return torch.complex64 if x.is_complex() else torch.float32


def _largest(x: Tensor | None) -> float:
    """The largest finite absolute value; 0 if there is none."""
    if not _differentiable(x):
        return 0.0
    sizes = x.detach().cpu().abs().double()
    sizes = sizes[sizes.isfinite()]
    return float(sizes.max()) if sizes.numel() else 0.0


def _compare(kind: str, ours: Sequence[Tensor | None], theirs: Sequence[Tensor | None], tolerance: float,
             equal_nan: bool) -> None:
    if len(ours) != len(theirs):
        raise AssertionError(f"{kind}s: ours gives {len(ours)} tensors, the reference {len(theirs)}")
    sizes = [_largest(b) for b in theirs]
    for i, (a, b, size) in enumerate(zip(ours, theirs, sizes)):
        if a is None or b is None:
            if a is not b:
                raise AssertionError(f"{kind} {i}: ours is {_describe(a)}, the reference {_describe(b)}")
            continue
        # a reference of zeros only has no size of its own: rounding is as large as beside the others
        allowed = tolerance * (size or max(sizes)) if _differentiable(b) else 0.0
        assert_close(a, b, rtol=0, atol=allowed, equal_nan=equal_nan,
                     msg=lambda why, i=i, size=size: f"{kind} {i} differs (largest value of the reference "
                                                     f"{size:.3g}): {why}")
