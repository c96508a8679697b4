"""The vocabulary of the book's drawings: cells with numbers, boxes, circles, arrows. (`shared.graphs` draws
with them what autograd has recorded.)

A drawing is a `Canvas`. It is measured in cells, x to the right and y *downwards*, as the rows of a
matrix are counted. Each thing drawn is returned as a `Part`, which knows its edges, so that the next one
can stand beside it and an arrow can find it:

>>> canvas = Canvas()
>>> A = canvas.cells(X, name="X", highlight=(slice(None), 1))
>>> B = canvas.cells(X.sum(0), at=A.below(1), name="X.sum(0)")
>>> canvas.arrow(A, B, "add over the rows")
>>> canvas.show()

Numbers are those of the tensors that are passed: if an operation changes, so does its drawing. What is
drawn is never wider than `WIDEST` cells, so that it can be read on a telephone. The colours are those
of `shared.plots`, and whatever a colour says a frame or a place says, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle
from torch import Tensor

from shared.plots import COLOURS

UNIT = .42     # inches: the side of a cell
WIDEST = 13.0  # cells: on a screen 380 pixels wide, the text is then as high as 8 pixels
FONT = 9.0     # points
SMALL = 8.0
BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY, BLACK = COLOURS
GREY = "#666666"
Point = tuple[float, float]


def number(value) -> str:
    """A value as it stands in a cell: whole numbers as they are, others with two decimals at most, or
    in powers of ten where these would show nothing; words unchanged."""
    if isinstance(value, str):
        return value
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, (bool, int)) or not math.isfinite(value):
        text = str(int(value)) if isinstance(value, (bool, int)) else str(value)
    elif value and not .005 <= abs(value) < 10_000:
        mantissa, exponent = f"{value:.0e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    else:
        text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Part:
    """Something drawn: its left upper corner, its size, and into how many cells it is divided."""
    x: float
    y: float
    width: float
    height: float
    rows: int = 1
    columns: int = 1

    @property
    def opposite(self) -> Point:
        """The right lower corner."""
        return self.x + self.width, self.y + self.height

    @property
    def center(self) -> Point:
        return self.x + self.width / 2, self.y + self.height / 2

    def cell(self, row: int, column: int) -> Part:
        """One cell; negative numbers count from the end. Raises IndexError outside."""
        if not (-self.rows <= row < self.rows and -self.columns <= column < self.columns):
            raise IndexError(f"there are {self.rows} x {self.columns} cells, got ({row}, {column})")
        width, height = self.width / self.columns, self.height / self.rows
        return Part(self.x + width * (column % self.columns), self.y + height * (row % self.rows), width, height)

    def beside(self, gap: float = 1.0) -> Point:
        """The corner at which something to the right begins."""
        return self.x + self.width + gap, self.y

    def below(self, gap: float = 1.0) -> Point:
        """The corner at which something underneath begins."""
        return self.x, self.y + self.height + gap

    def edge(self, towards: Point) -> Point:
        """Where a line from the centre to ``towards`` leaves the part."""
        (cx, cy), (dx, dy) = self.center, (towards[0] - self.center[0], towards[1] - self.center[1])
        reach = min(half / abs(d) if d else math.inf for half, d in ((self.width / 2, dx), (self.height / 2, dy)))
        return (cx + reach * dx, cy + reach * dy) if math.isfinite(reach) else (cx, cy)


class Canvas:
    """A sheet without edges; `show` cuts it to what was drawn."""

    def __init__(self):
        self.figure = plt.figure(figsize=(WIDEST * UNIT, WIDEST * UNIT), layout="none")
        self.ax = self.figure.add_axes((0, 0, 1, 1))
        self.ax.set(xlim=(0, WIDEST), ylim=(WIDEST, 0))
        self.ax.axis("off")
        self.parts: list[Part] = []

    def cells(self, values, at: Point = (0, 0), *, name: str = "", highlight=None, colour: str = BLUE,
              shade: bool = False, dashed: bool = False, width: float | None = None) -> Part:
        """A vector (one row) or matrix of numbers or words, one in each cell.

        name        stands above
        highlight   what to colour: an index such as ``(0, slice(None))``, or a mask of the same shape;
                    several, each with its colour, as a dict ``{colour: index or mask}``
        shade       colour each cell by its value, white for the smallest
        dashed      a frame for values that are not there in memory, such as padding or a stretched axis
        width       of a cell; by default as wide as the longest number needs

        Raises ValueError for more than two axes.
        """
        table = np.atleast_2d(values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values))
        if table.ndim > 2:
            raise ValueError(f"cells are drawn for one or two axes, got shape {table.shape}: draw one matrix "
                             "beside the other")
        texts = [[number(value) for value in row] for row in table]
        longest = max((len(text) for row in texts for text in row), default=0)
        width = width or max(1.0, .25 + .19 * longest)
        rows, columns = table.shape
        part = self._add(Part(*at, width * columns, rows, rows, columns))
        fills = _fills(table, highlight, colour, shade)
        for (i, j), fill in np.ndenumerate(fills):
            cell = part.cell(i, j)
            self.ax.add_patch(Rectangle((cell.x, cell.y), cell.width, cell.height, facecolor=fill or "white",
                                        edgecolor=GREY, linewidth=.8, linestyle="--" if dashed else "-"))
            self.text(texts[i][j], cell.center, colour="white" if _dark(fill) else BLACK)
        if name:
            self.text(name, (part.x + part.width / 2, part.y - .12), vertical="bottom")
        return part

    def frame(self, part: Part, colour: str = ORANGE) -> None:
        """A thick frame around a part or a cell."""
        self.ax.add_patch(Rectangle((part.x, part.y), part.width, part.height, fill=False, edgecolor=colour,
                                    linewidth=2.2, zorder=3))

    def box(self, text: str, at: Point = (0, 0), *, size: Point | None = None, colour: str = SKY,
            shape: Sequence[int] | None = None) -> Part:
        """A box for an operation or a state; ``shape`` is that of a tensor, and stands under the text."""
        lines = text.split("\n") + ([f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"] if shape is not None
                                    else [])
        width, height = size or (max(1.2, .5 + .2 * max(map(len, lines))), .45 + .5 * len(lines))
        part = self._add(Part(*at, width, height))
        self.ax.add_patch(FancyBboxPatch((part.x + .1, part.y + .1), width - .2, height - .2, boxstyle="round,pad=.1",
                                         facecolor=_tint(colour), edgecolor=colour, linewidth=1.2))
        self.text("\n".join(lines), part.center)
        return part

    def circle(self, text: str, center: Point, *, radius: float = .55, colour: str = SKY) -> Part:
        """A unit of a network, or a value in a graph."""
        self.ax.add_patch(Circle(center, radius, facecolor=_tint(colour), edgecolor=colour, linewidth=1.2, zorder=2))
        self.text(text, center)
        # the square inside the circle's rim, roughly: arrows end at it
        return self._add(Part(center[0] - radius, center[1] - radius, 2 * radius, 2 * radius))

    def stack(self, count: int, size: Point, at: Point = (0, 0), *, name: str = "", colour: str = SKY) -> Part:
        """So many feature maps, one behind the other (four at most are drawn)."""
        shown, step = min(count, 4), .18
        part = self._add(Part(*at, size[0] + step * (shown - 1), size[1] + step * (shown - 1)))
        for i in range(shown):
            corner = part.x + step * i, part.y + step * i
            self.ax.add_patch(Rectangle(corner, *size, facecolor=_tint(colour), edgecolor=colour, linewidth=1))
        if name:
            self.text(name, (part.x + part.width / 2, part.y + part.height + .1), vertical="top")
        return part

    def arrow(self, start: Part | Point, end: Part | Point, text: str = "", *, colour: str = GREY, curve: float = 0.0,
              along: float = .5, dashed: bool = False, side: float = .22, through: Sequence[Point] = ()) -> None:
        """An arrow between two parts or points. ``curve`` bends it to the right, seen in its direction
        (negative: to the left); ``through`` are points on its way. ``text`` stands beside it, ``along`` of the
        (last piece of the) way and ``side`` cells to its left (negative: to its right)."""
        for stop in through:
            a = start.edge(stop) if isinstance(start, Part) else start
            self.ax.plot(*zip(a, stop), color=colour, linewidth=1.2, zorder=1, linestyle="--" if dashed else "-",
                         solid_capstyle="round")
            start = stop
        from_, to = (end_.center if isinstance(end_, Part) else end_ for end_ in (start, end))
        a = start.edge(to) if isinstance(start, Part) else start
        b = end.edge(from_) if isinstance(end, Part) else end
        self.ax.add_patch(FancyArrowPatch(a, b, arrowstyle="-|>", mutation_scale=9, color=colour, linewidth=1.2,
                                          shrinkA=1.5, shrinkB=1.5, connectionstyle=f"arc3,rad={curve}", zorder=4,
                                          linestyle="--" if dashed else "-"))
        if text:
            dx, dy = b[0] - a[0], b[1] - a[1]
            length = math.hypot(dx, dy) or 1.0
            bend = side + 2 * abs(curve) * along * (1 - along) * length * (1 if curve <= 0 else -1)
            x, y = a[0] + along * dx + bend * dy / length, a[1] + along * dy - bend * dx / length
            steep = abs(dy) > abs(dx)
            flip = (dy > 0) == (side > 0)
            self.text(text, (x, y), colour=colour if colour != GREY else BLACK, size=SMALL,
                      horizontal=("left" if flip else "right") if steep else "center",
                      vertical="center" if steep else ("bottom" if (dx > 0) == (side > 0) else "top"), halo=True)

    def text(self, text: str, at: Point, *, colour: str = BLACK, size: float = FONT, horizontal: str = "center",
             vertical: str = "center", halo: bool = False) -> None:
        """Words anywhere; ``$...$`` is mathematics."""
        self.ax.text(*at, text, ha=horizontal, va=vertical, color=colour, fontsize=size, zorder=5, linespacing=1.25,
                     bbox=dict(facecolor="white", edgecolor="none", pad=.6, alpha=.85) if halo else None)

    def show(self) -> None:
        """Cut the sheet to what was drawn, and show it. Raises ValueError if that is wider than `WIDEST`."""
        left, top, right, bottom = self.bounds()
        width, height = right - left, bottom - top
        if width > WIDEST:
            plt.close(self.figure)
            raise ValueError(f"the drawing is {width:.1f} cells wide, {WIDEST:g} can be read on a narrow screen: put "
                             "parts under each other, shorten words, or round numbers")
        self.figure.set_size_inches(width * UNIT, height * UNIT)
        self.ax.set(xlim=(left, right), ylim=(bottom, top))
        plt.show()

    def bounds(self, margin: float = .15) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of all parts, words and arrows, in cells."""
        renderer, inverse = self.figure.canvas.get_renderer(), self.ax.transData.inverted()
        drawn = (*self.ax.texts, *self.ax.patches, *self.ax.lines)
        corners = [corner for part in self.parts for corner in ((part.x, part.y), part.opposite)]
        corners += [corner for a in drawn for corner in inverse.transform(a.get_window_extent(renderer))]
        corners = np.array(corners)
        (left, top), (right, bottom) = corners.min(0) - margin, corners.max(0) + margin
        return left, top, right, bottom

    def _add(self, part: Part) -> Part:
        self.parts.append(part)
        return part


def _tint(colour: str, share: float = .25) -> tuple[float, ...]:
    """A light version of a colour."""
    rgb = np.array([int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)])
    return tuple(1 - share * (1 - rgb))


def _dark(fill) -> bool:
    return fill is not None and sum(fill[:3]) < 1.4


def _fills(table: np.ndarray, highlight, colour: str, shade: bool) -> np.ndarray:
    """The colour of each cell, or None."""
    fills = np.full(table.shape, None, dtype=object)
    if shade:
        values = table.astype(float)
        low, high = np.nanmin(values), np.nanmax(values)
        for index, value in np.ndenumerate(values):
            fills[index] = plt.get_cmap("Blues")(.75 * (value - low) / ((high - low) or 1))
    chosen = highlight if isinstance(highlight, Mapping) else {colour: highlight}
    for paint, index in chosen.items():
        if index is None:
            continue
        if isinstance(index, (Tensor, np.ndarray)):
            index = np.atleast_2d(np.asarray(index, dtype=bool))
            if index.shape != table.shape:
                raise ValueError(f"the mask has shape {index.shape}, the cells {table.shape}")
        mask = np.zeros(table.shape, dtype=bool)
        mask[index] = True
        for place in zip(*mask.nonzero()):
            fills[place] = _tint(paint, .4)
    return fills
