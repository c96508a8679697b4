"""The graph that autograd keeps, drawn: values forwards, gradients and local slopes backwards.

>>> u = x * y
>>> w = u * u + torch.sin(x)
>>> graph(w, {"x": x, "y": y, "u": u, "w": w}).show()
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from shared.drawings import GREEN, GREY, ORANGE, SKY, Canvas, number

BOX = 2.3  # cells: the width of a node


def graph(root: Tensor, names: Mapping[str, Tensor], gradients: bool = True) -> Canvas:
    """The graph of how ``root`` was computed, read from its ``grad_fn``, as far as gradients flow.

    names       tensors by name: leaves and results on the way. Their values stand in the boxes (their
                shapes if they have several elements)
    gradients   backwards: the gradient of root in orange under each value, and on each edge the local
                slope, where both ends are single numbers

    Returns the canvas, to be shown. ``.grad`` of no tensor is changed. Raises ValueError if root is not
    one number or nothing was recorded.
    """
    if root.grad_fn is None or root.numel() != 1:
        raise ValueError(f"a graph needs one number that was computed with gradients, got shape {tuple(root.shape)}, "
                         f"grad_fn {root.grad_fn}")
    nodes, edges = _walk(root.grad_fn)
    labels = {_node(t): (name, t) for name, t in names.items()}
    incoming, slopes = _backward(root, nodes) if gradients else ({}, {})
    canvas, parts, (places, ways) = Canvas(), {}, _layout(nodes, edges)
    for node, corner in places.items():
        text, grad = _label(node, labels.get(node)), incoming.get(node)
        extra = f"\n$\\nabla$ {number(grad)}" if grad is not None and grad.numel() == 1 else ""
        leaf = hasattr(node, "variable")
        parts[node] = canvas.box(text + extra, corner, size=(BOX, .45 + .5 * (1 + text.count("\n") + bool(extra))),
                                 colour=GREEN if leaf else ORANGE if node is root.grad_fn else SKY)
    for (start, end), count in edges.items():
        for k in range(count):
            slope = slopes.get((end, start, k))
            turn = 2 * k - count + 1  # edges between the same two nodes part
            canvas.arrow(parts[start], parts[end], number(slope) if slope is not None else "", curve=.35 * turn,
                         side=-.2 if turn > 0 else .2, through=[(x + BOX / 2, y + .7) for x, y in ways[start, end]],
                         colour=ORANGE if slope is not None else GREY)
    return canvas


def _node(t: Tensor):
    """The node of a tensor in the graph; of a leaf, the one that would collect its gradient."""
    return t.grad_fn if t.grad_fn is not None else torch.autograd.graph.get_gradient_edge(t).node


def _walk(root) -> tuple[list, dict]:
    """All nodes from the root, each before what it was computed from; how many edges join two."""
    nodes, edges, seen = [], {}, set()

    def visit(node) -> None:
        if node in seen:
            return
        seen.add(node)
        for source, _ in node.next_functions:
            if source is not None:
                edges[source, node] = edges.get((source, node), 0) + 1
                visit(source)
        nodes.append(node)

    visit(root)
    return nodes[::-1], edges


def _backward(root: Tensor, nodes: list) -> tuple[dict, dict]:
    """What arrives at each node, and the slope of each edge between single numbers, from hooks."""
    incoming, slopes, hooks = {}, {}, []
    leaves = {node: node.variable for node in nodes if hasattr(node, "variable")}

    def hook(node):
        def keep(grad_inputs, grad_outputs) -> None:
            incoming[node] = grad_outputs[0]
            taken: dict = {}
            for (source, _), grad in zip(node.next_functions, grad_inputs):
                if source is not None and grad is not None:
                    k = taken[source] = taken.get(source, -1) + 1
                    if grad.numel() == grad_outputs[0].numel() == 1 and float(grad_outputs[0]):
                        slopes[node, source, k] = grad / grad_outputs[0]
        return keep

    for node in nodes:
        if node not in leaves:
            hooks.append(node.register_hook(hook(node)))
    try:
        found = torch.autograd.grad(root, list(leaves.values()), retain_graph=True)
    finally:
        for handle in hooks:
            handle.remove()
    return incoming | dict(zip(leaves, found)), slopes


def _label(node, named: tuple[str, Tensor] | None) -> str:
    operation = "" if hasattr(node, "variable") else node.name().removesuffix("0").removesuffix("Backward").lower()
    if named is None:
        return operation or "(no name)"
    name, t = named
    value = number(t.detach()) if t.numel() == 1 else f"({', '.join(map(str, t.shape))})"
    return f"{name} = {value}" + (f"\n{operation}" if operation else "")


def _layout(nodes: list, edges: Mapping) -> tuple[dict, dict]:
    """A corner for each node, and the places that each edge passes on its way: what is computed later
    stands further right, or lower in a deep graph."""
    depth: dict = {}
    for node in nodes:  # each before its sources
        depth[node] = max((depth[end] + 1 for start, end in edges if start is node), default=0)
    # an edge that skips levels passes each of them at a place of its own, where no box stands
    ways = {(start, end): [((start, end), level) for level in range(depth[start] - 1, depth[end], -1)]
            for start, end in edges}
    later: dict = {}
    for (start, end), way in ways.items():
        for a, b in zip([start, *way], [*way, end]):
            later.setdefault(a, []).append(b)
    deepest, place = max(depth.values()), {}
    for level in range(deepest + 1):
        row = [node for node in nodes if depth[node] == level] + [
            stop for way in ways.values() for stop in way if stop[1] == level]
        row.sort(key=lambda stop: np.mean([place[end][0] for end in later.get(stop, [])] or [0]))
        place |= {stop: (i - (len(row) - 1) / 2, deepest - level) for i, stop in enumerate(row)}
    wide, tall = (2.9, 2.6) if deepest > 3 else (2.2, 3.4)
    corners = {stop: (wide * i, tall * k) if deepest > 3 else (tall * k, wide * i) for stop, (i, k) in place.items()}
    return ({node: corners[node] for node in nodes},
            {edge: [corners[stop] for stop in way] for edge, way in ways.items()})
