"""Drawings show the numbers that they are given, fit a narrow screen, and hide nothing."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgba

from shared import drawings
from shared.drawings import BLUE, GREEN, ORANGE, WIDEST, Canvas, Part, number
from shared.graphs import graph


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def texts(canvas):
    return [t.get_text() for t in canvas.ax.texts]


def box(canvas, artist):
    """Left, top, right, bottom of what an artist drew, in cells."""
    extent = artist.get_window_extent(canvas.figure.canvas.get_renderer())
    (left, bottom), (right, top) = canvas.ax.transData.inverted().transform(extent)
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


def fill(canvas, part):
    """The colour of the cell at a part's place."""
    (patch,) = [p for p in canvas.ax.patches if hasattr(p, "get_xy") and p.get_fill()
                and np.allclose(p.get_xy(), (part.x, part.y)) and p.get_width() == pytest.approx(part.width)]
    return patch.get_facecolor()


@pytest.mark.parametrize("value, text", [
    (3, "3"), (torch.tensor(-2), "−2"), (True, "1"), (0.0, "0"), (-.0, "0"), (2.5, "2.5"), (1 / 3, "0.33"),
    (-1.0, "−1"), (.004, "4e−3"), (123456., "1e5"), (float("nan"), "nan"), (float("-inf"), "−inf"), ("a", "a"),
    (np.float32(.25), "0.25"), (9999.5, "9999.5")])
def test_numbers_are_short_and_true(value, text):
    assert number(value) == text


@given(st.floats(-9999, 9999).filter(lambda v: v == 0 or abs(v) >= .005))
def test_a_number_in_a_cell_is_that_number_to_two_decimals(value):
    assert float(number(value).replace("−", "-")) == pytest.approx(value, abs=.0051)


def test_every_number_stands_in_its_own_cell():
    X = torch.tensor([[1., -20.25, 3.5], [4., 5., -6000.125]])
    canvas = Canvas()
    part = canvas.cells(X, at=(2, 1), name="X")
    assert (part.rows, part.columns) == (2, 3)
    canvas.figure.canvas.draw()
    for i in range(2):
        for j in range(3):
            (text,) = [t for t in canvas.ax.texts if t.get_position() == part.cell(i, j).center]
            assert text.get_text() == number(X[i, j])
            left, top, right, bottom = box(canvas, text)
            cell = part.cell(i, j)
            assert cell.x <= left and right <= cell.opposite[0] and cell.y <= top and bottom <= cell.opposite[1]


def test_a_vector_is_a_row_and_a_number_one_cell():
    canvas = Canvas()
    assert (canvas.cells([1, 2, 3]).rows, canvas.cells(torch.arange(3)).columns) == (1, 3)
    assert canvas.cells(torch.tensor(7)).columns == 1


def test_three_axes_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 3, 4\)"):
        Canvas().cells(torch.zeros(2, 3, 4))


def test_highlights_colour_what_they_name_and_nothing_else():
    X = torch.arange(6).reshape(2, 3)
    for highlight in ((0, slice(None)), X < 3, (X < 3).numpy()):
        canvas = Canvas()
        part = canvas.cells(X, highlight=highlight)
        coloured = [[fill(canvas, part.cell(i, j)) != to_rgba("white") for j in range(3)] for i in range(2)]
        assert coloured == [[True] * 3, [False] * 3]
    canvas = Canvas()
    part = canvas.cells(X, highlight={GREEN: (0, 0), ORANGE: (1, 2)})
    assert fill(canvas, part.cell(0, 0)) != fill(canvas, part.cell(1, 2)) != to_rgba("white")
    with pytest.raises(ValueError, match="mask has shape"):
        Canvas().cells(X, highlight=torch.ones(3, 2, dtype=torch.bool))


def luminance(colour):
    rgb = [c / 12.92 if c <= .03928 else ((c + .055) / 1.055) ** 2.4 for c in to_rgba(colour)[:3]]
    return .2126 * rgb[0] + .7152 * rgb[1] + .0722 * rgb[2]


@pytest.mark.parametrize("options", [dict(shade=True), dict(highlight=(0, slice(None)), colour=BLUE),
                                     *(dict(highlight=(0, 0), colour=c) for c in drawings.COLOURS)])
def test_numbers_can_be_read_on_their_cells(options):
    canvas = Canvas()
    part = canvas.cells(torch.linspace(-1, 1, 9), **options)
    for j in range(9):
        (text,) = [t for t in canvas.ax.texts if t.get_position() == part.cell(0, j).center]
        high, low = sorted([luminance(fill(canvas, part.cell(0, j))), luminance(text.get_color())], reverse=True)
        assert (high + .05) / (low + .05) >= 4.5, "WCAG's contrast for text"


def test_shading_goes_with_the_values():
    canvas = Canvas()
    part = canvas.cells([[0.2, 0.7, 0.1]], shade=True)
    light = [luminance(fill(canvas, part.cell(0, j))) for j in range(3)]
    assert sorted(range(3), key=lambda j: -light[j]) == [2, 0, 1]
    part = canvas.cells([[1., 1.]], at=(0, 3), shade=True)  # no division by a range of zero
    assert np.isfinite(fill(canvas, part.cell(0, 0))).all()


def test_parts_stand_where_they_are_put():
    part = Part(1, 2, 4, 6, rows=3, columns=2)
    assert part.cell(1, 1) == Part(3, 4, 2, 2) == part.cell(-2, -1)
    assert part.beside(.5) == (5.5, 2) and part.below(.5) == (1, 8.5) and part.center == (3, 5)
    for outside in ((3, 0), (0, 2), (-4, 0)):
        with pytest.raises(IndexError, match="3 x 2 cells"):
            part.cell(*outside)


@given(st.floats(-9, 9), st.floats(-9, 9))
def test_an_arrow_leaves_a_part_at_its_rim(x, y):
    part = Part(-1, -2, 2, 4)
    a, b = part.edge((x, y))
    if (x, y) == (0, 0):
        assert (a, b) == (0, 0)
        return
    if max(abs(x), abs(y)) > 1e-3:
        assert max(abs(a) / 1, abs(b) / 2) == pytest.approx(1)  # on the rim
        assert a * y == pytest.approx(b * x, abs=1e-6) and a * x + b * y >= 0  # on the way there


def test_what_is_shown_is_cut_to_what_was_drawn_and_can_be_read_at_380_pixels(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    canvas = Canvas()
    A = canvas.cells(torch.zeros(3, 11), name="a matrix")
    canvas.arrow(A, canvas.box("conv", A.below(2), shape=(1, 6, 28, 28)), "in words")
    canvas.show()
    canvas.figure.canvas.draw()
    left, top, right, bottom = canvas.bounds(margin=0)
    assert (left, right) == pytest.approx((canvas.ax.get_xlim()[0] + .15, canvas.ax.get_xlim()[1] - .15), abs=.05)
    width = canvas.figure.get_size_inches()[0]
    smallest = min(t.get_fontsize() for t in canvas.ax.texts)
    assert smallest / 72 * 380 / width >= 7.5, "pixels of height when the page is 380 pixels wide"
    # an inch is the same in both directions: circles stay round
    height = canvas.figure.get_size_inches()[1]
    assert height / (bottom - top + .3) == pytest.approx(width / (right - left + .3), rel=.01)
    wide = Canvas()
    wide.cells(torch.zeros(1, int(WIDEST) + 1))
    with pytest.raises(ValueError, match="13 can be read on a narrow screen"):
        wide.show()


def test_words_of_boxes_and_circles_stand_inside():
    canvas = Canvas()
    parts = [canvas.box("a convolution", shape=(16, 10, 10)), canvas.box("two\nlines", (0, 4)),
             canvas.circle("0.25", (6, 1))]
    canvas.figure.canvas.draw()
    for part, text in zip(parts, canvas.ax.texts):
        left, top, right, bottom = box(canvas, text)
        assert part.x <= left and right <= part.opposite[0] and part.y <= top and bottom <= part.opposite[1]
    assert "(16, 10, 10)" in texts(canvas)[0]


@pytest.mark.parametrize("direction", [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1)])
def test_the_words_of_an_arrow_stand_beside_it(direction):
    for side in (.22, -.22):
        canvas = Canvas()
        start, end = (5, 5), (5 + 4 * direction[0], 5 + 4 * direction[1])
        canvas.arrow(start, end, "w", side=side)
        x, y = canvas.ax.texts[0].get_position()
        cross = (end[0] - start[0]) * (y - start[1]) - (end[1] - start[1]) * (x - start[0])
        assert np.sign(cross) == -np.sign(side), "to the left, as seen in its direction, is where y is smaller"


def test_a_stack_tells_how_many_maps_there_are_and_draws_four_at_most():
    canvas = Canvas()
    canvas.stack(2, (1, 1), name="two")
    canvas.stack(64, (1, 1), at=(4, 0))
    assert len(canvas.ax.patches) == 2 + 4 and texts(canvas) == ["two"]


# -------------------------------------------------------------------------------- the graph

@pytest.fixture
def small():
    x, y = torch.tensor(2., requires_grad=True), torch.tensor(-1., requires_grad=True)
    u = x * y
    w = u * u + torch.sin(x)
    return dict(x=x, y=y, u=u, w=w)


def test_the_graph_shows_values_gradients_and_slopes(small):
    canvas = graph(small["w"], small)
    shown = texts(canvas)
    x, y = 2., -1.
    slope_x, slope_y = 2 * x * y * y + np.cos(x), 2 * x * y * x
    for name, value, grad in ("x", x, slope_x), ("y", y, slope_y), ("u", x * y, 2 * x * y), ("w", 4 + np.sin(x), 1):
        assert any(t.startswith(f"{name} = {number(value)}") and t.endswith(f"$ {number(grad)}") for t in shown), name
    assert shown.count(number(-2.)) == 2, "u * u has two edges, each with the slope u"
    assert number(np.cos(x)) in shown and number(y) in shown
    assert all(t.grad is None for t in (small["x"], small["y"]))


def test_nodes_of_the_graph_do_not_cover_each_other_or_an_edge(small):
    deep = (small["w"].exp() + small["u"]).tanh()
    for root in small["w"], deep:
        canvas = graph(root, small)
        for i, a in enumerate(canvas.parts):
            for b in canvas.parts[:i]:
                assert a.x >= b.opposite[0] or b.x >= a.opposite[0] or a.y >= b.opposite[1] or b.y >= a.opposite[1]
            for line in canvas.ax.lines:  # pieces of edges that skip a level
                for x, y in np.linspace(*line.get_xydata(), 9)[1:]:
                    assert not (a.x < x < a.opposite[0] and a.y < y < a.opposite[1])
        left, _, right, _ = canvas.bounds()
        assert right - left <= WIDEST


def test_without_gradients_the_graph_shows_none(small):
    assert not any("nabla" in t for t in texts(graph(small["w"], small, gradients=False)))


def test_tensors_of_several_elements_show_their_shape():
    W, x = torch.randn(2, 3, requires_grad=True), torch.randn(3)
    shown = texts(graph((W @ x).sum(), {"W": W}))
    assert "W = (2, 3)" in shown


def test_a_graph_needs_one_number_with_a_history():
    for root in torch.tensor(1.), torch.ones(2, requires_grad=True) * 2:
        with pytest.raises(ValueError, match="one number"):
            graph(root, {})


def test_parts_are_as_large_as_what_is_drawn():
    canvas = Canvas()
    circle = canvas.circle("1", (5, 4), radius=2)
    assert (circle.x, circle.y, circle.width, circle.height) == (3, 2, 4, 4)
    assert box(canvas, canvas.ax.patches[-1]) == pytest.approx((3, 2, 7, 6), abs=.05)
    for count in (1, 2, 9):
        before = len(canvas.ax.patches)
        stack = canvas.stack(count, (2, 3), at=(1, 5))
        drawn = np.array([box(canvas, patch) for patch in canvas.ax.patches[before:]])
        found = (*drawn[:, :2].min(0), *drawn[:, 2:].max(0))
        assert found == pytest.approx((stack.x, stack.y, *stack.opposite), abs=.05)
    for text, lines in ("one", 1), ("one\ntwo\nthree", 3):
        part = canvas.box(text)
        left, top, right, bottom = box(canvas, canvas.ax.texts[-1])
        assert part.height < 1.6 * (bottom - top) + .6 and part.width < 1.8 * (right - left) + .8, lines
    assert canvas.box("wide", size=(4, 2)).opposite == (4, 2)


def test_dashes_are_for_what_is_not_there():
    canvas = Canvas()
    canvas.cells([1, 2], dashed=True)
    canvas.arrow((0, 0), (3, 3), dashed=True, through=[(1, 2)])
    assert all(patch.get_linestyle() == "--" for patch in canvas.ax.patches)
    assert [line.get_linestyle() for line in canvas.ax.lines] == ["--"]
    plain = Canvas()
    plain.cells([1, 2])
    plain.arrow((0, 0), (3, 3), through=[(1, 2)])
    assert {p.get_linestyle() for p in (*plain.ax.patches, *plain.ax.lines)} <= {"-", "solid"}
    assert plain.ax.lines[0].get_color() == plain.ax.patches[-1].get_edgecolor() or \
        to_rgba(plain.ax.lines[0].get_color()) == plain.ax.patches[-1].get_edgecolor()


def test_only_words_on_arrows_have_a_ground_of_their_own():
    canvas = Canvas()
    canvas.text("plain", (1, 1))
    canvas.arrow((0, 0), (5, 0), "over it")
    plain, over = canvas.ax.texts
    assert plain.get_bbox_patch() is None and over.get_bbox_patch().get_facecolor()[:3] == (1, 1, 1)
    left, top, right, bottom = box(canvas, over.get_bbox_patch())
    assert bottom - top < .7, "it hides no more than it must"


@pytest.mark.parametrize("curve", [.5, -.5])
def test_the_words_of_a_bent_arrow_stand_on_the_outside_of_its_bend(curve):
    canvas = Canvas()
    canvas.arrow((0, 5), (6, 5), "w", curve=curve, side=-.2 if curve > 0 else .2)
    top, bottom = box(canvas, canvas.ax.patches[-1])[1::2]
    middle = top if curve < 0 else bottom  # where the arrow is furthest from the straight line
    y = canvas.ax.texts[0].get_position()[1]
    assert abs(y - 5) > abs(middle - 5) > .5 and (y > 5) == (middle > 5)


def test_a_name_stands_above_and_a_wide_number_widens_its_cells():
    canvas = Canvas()
    part = canvas.cells([[1, 22222]], at=(1, 3), name="X")
    name = canvas.ax.texts[-1]
    left, top, right, bottom = box(canvas, name)
    assert bottom <= 3 and (left + right) / 2 == pytest.approx(part.center[0], abs=.02)
    assert part.width > 2 and canvas.cells([[1, 22222]], width=3).width == 6
