"""Figures of one style: images, heat maps, curves, an explorer to turn.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart. Figures are
PNG on white. A figure of a built-in sample says so.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shared.devices import in_notebook

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE = {
    "figure.figsize": (5.2, 3.2), "figure.dpi": 110, "figure.facecolor": "white",
    "savefig.facecolor": "white", "figure.constrained_layout.use": True,
    "axes.prop_cycle": plt.cycler(color=COLOURS), "axes.grid": True, "grid.alpha": .25,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": "medium",
    "image.cmap": "gray", "legend.frameon": False, "lines.linewidth": 1.8, "font.size": 9.5,
}
plt.rcParams.update(STYLE)


def _array(x) -> np.ndarray:
    return x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


def _sign(figure: Figure, on) -> None:
    """Name the sample on the figure, so that it is never taken for the real thing."""
    if on is not None and not on.real:
        figure.text(.995, .005, "built-in sample", ha="right", va="bottom", fontsize=7, color="#777777")


def show_images(images, titles: Sequence[str] | None = None, columns: int = 8, scale: float = 1.15,
                cmap: str = "gray", limits: tuple[float, float] | None = None, on=None) -> np.ndarray:
    """A grid of images; returns its axes, flat.

    ``images``: ``(n, h, w)``, ``(n, 1, h, w)``, ``(n, 3, h, w)`` or ``(n, h, w, 3)``, uint8 or
    float. ``titles``: one per image. ``on``: the data set, named on the figure if it is a sample.
    Raises ValueError for other shapes and for a wrong number of titles.
    """
    pictures = _array(images)
    if pictures.ndim == 4 and pictures.shape[1] in (1, 3) and pictures.shape[-1] != 3:
        pictures = pictures.transpose(0, 2, 3, 1)
    if pictures.ndim == 4 and pictures.shape[-1] == 1:
        pictures = pictures[..., 0]
    if pictures.ndim not in (3, 4) or (pictures.ndim == 4 and pictures.shape[-1] != 3):
        raise ValueError("images must be (n, h, w), (n, 1, h, w), (n, 3, h, w) or (n, h, w, 3), "
                         f"got {tuple(_array(images).shape)}")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"{len(pictures)} images but {len(titles)} titles")
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    lines = max((t.count("\n") + 1 for t in titles), default=0) if titles is not None else 0
    figure, axes = plt.subplots(rows, columns, squeeze=False,
                                figsize=(columns * scale, rows * (scale + .17 * lines)))
    low, high = limits or (None, None)
    for i, ax in enumerate(axes.flat):
        ax.axis("off")
        if i < len(pictures):
            ax.imshow(pictures[i], cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
            if titles is not None:
                ax.set_title(titles[i], fontsize=8)
    _sign(figure, on)
    return axes.ravel()


def heatmap(matrix, xlabel: str = "", ylabel: str = "", xticks: Sequence[str] | None = None,
            yticks: Sequence[str] | None = None, numbers: str | None = None, cmap: str = "Blues",
            title: str = "", ax: Axes | None = None, on=None) -> Axes:
    """A matrix as colours, with a bar; ``numbers`` is a format such as ``".0f"`` to print them."""
    values = _array(matrix)
    if values.ndim != 2:
        raise ValueError(f"a heat map needs a matrix, got shape {values.shape}")
    if ax is None:
        _, ax = plt.subplots(figsize=(max(3.2, .42 * values.shape[1] + 1.6),
                                      max(2.4, .36 * values.shape[0] + .9)))
    picture = ax.imshow(values, cmap=cmap, aspect="auto")
    ax.figure.colorbar(picture, ax=ax)
    ax.grid(False)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if xticks is not None:
        ax.set_xticks(range(len(xticks)), xticks, rotation=60, ha="right", rotation_mode="anchor")
    if yticks is not None:
        ax.set_yticks(range(len(yticks)), yticks)
    if numbers is not None:
        middle = (values.min() + values.max()) / 2
        for (i, j), v in np.ndenumerate(values):
            ax.text(j, i, format(v, numbers), ha="center", va="center", fontsize=7,
                    color="white" if v > middle else "black")
    _sign(ax.figure, on)
    return ax


def lines(x, ys: dict[str, Sequence], xlabel: str = "", ylabel: str = "", title: str = "",
          xscale: str = "linear", yscale: str = "linear", ax: Axes | None = None, on=None) -> Axes:
    """Curves over a common x, each with its name; styles differ as well as colours."""
    if ax is None:
        _, ax = plt.subplots()
    for (name, y), style in zip(ys.items(), ("-", "--", "-.", ":") * len(ys)):
        ax.plot(_array(x), _array(y), style, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title, xscale=xscale, yscale=yscale)
    if len(ys) > 1:
        ax.legend()
    _sign(ax.figure, on)
    return ax


def curves(record, figure: Figure | None = None) -> np.ndarray:
    """The curves of a training `Record`: loss on the left, accuracy (if any) on the right. Drawn into
    ``figure`` or a new one; returns the axes."""
    kinds = ["loss"] + (["accuracy"] if record.train_accuracy or record.test_accuracy else [])
    if figure is None:
        figure = plt.figure(figsize=(3.6 * len(kinds), 2.6))
    axes = figure.subplots(1, len(kinds), squeeze=False)[0]
    for ax, kind in zip(axes, kinds):
        for part, style, mark in ("train", "-", "o"), ("test", "--", "s"):
            if values := getattr(record, f"{part}_{kind}"):
                ax.plot(range(1, len(values) + 1), values, style, marker=mark if len(values) <= 40 else "",
                        markersize=3, label=part)
        ax.set(xlabel="epoch", ylabel=kind)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
    _sign(figure, record)
    return axes


def explore(draw: Callable[..., None], values: dict[str, Sequence], columns: int = 3,
            figsize: tuple[float, float] = (2.5, 2.1)) -> None:
    """Something to turn: ``draw(ax, name=value)`` draws one picture for one setting.

    In a live notebook, one slider per name. On paper and in the book, small multiples of the
    first name's values, the others at their first. ``BOOK_STATIC=1`` forces the small multiples.
    """
    if in_notebook() and os.environ.get("BOOK_STATIC") != "1":
        import ipywidgets as widgets

        def redraw(**setting):
            _, ax = plt.subplots(figsize=(figsize[0] * 1.7, figsize[1] * 1.7))
            draw(ax, **setting)
            plt.show()

        sliders = {name: widgets.SelectionSlider(options=list(options), description=name,
                                                 continuous_update=False)
                   for name, options in values.items()}
        widgets.interact(redraw, **sliders)
        return
    (name, options), *others = values.items()
    rest = {other: choices[0] for other, choices in others}
    columns = min(columns, len(options))
    rows = math.ceil(len(options) / columns)
    figure, axes = plt.subplots(rows, columns, squeeze=False,
                                figsize=(figsize[0] * columns, figsize[1] * rows))
    for ax in axes.flat[len(options):]:
        ax.axis("off")
    for ax, option in zip(axes.flat, options):
        draw(ax, **{name: option}, **rest)
        if not ax.get_title():
            ax.set_title(f"{name} = {option}")
    plt.show()
