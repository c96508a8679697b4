"""The live curve is redrawn rarely, cheaply and in one figure, however long a run and its epochs are."""

import matplotlib.pyplot as plt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import progress
from shared.meters import Record
from shared.progress import LiveCurve, Progress


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def watched(clock, seconds, cost):
    """A curve that notes when it is drawn; drawing takes ``cost`` seconds."""
    curve = LiveCurve(Record(), clock)
    curve.drawn = []

    def draw():
        curve.drawn.append(clock.now)
        clock.now += cost
    curve.draw = draw
    return curve


@given(st.integers(1, 3000), st.floats(.0005, 60), st.floats(.001, 2))
def test_at_most_three_pictures_a_second_two_hundred_a_run_and_a_tenth_of_the_time(epochs, seconds, cost):
    clock = Clock()
    curve = watched(clock, seconds, cost)
    for epoch in range(epochs):
        clock.now += seconds
        curve.offer((epoch + 1) / epochs)
    assert len(curve.drawn) <= 200
    assert all(b - a - cost >= 1 / 3 - 1e-9 for a, b in zip(curve.drawn, curve.drawn[1:]))
    # the cost of a picture is known after it: the last one may be a surprise, the others fit into a tenth
    assert (len(curve.drawn) - 1) * cost <= .1 * (clock.now - 100)


def test_the_first_picture_waits_as_if_it_would_take_a_tenth_of_a_second():
    clock = Clock()
    curve = watched(clock, 1, .05)
    for _ in range(30):
        clock.now += .1
        curve.offer((clock.now - 100) / 10)
    assert curve.drawn[0] == pytest.approx(101.5, abs=.11)
    assert curve.drawn[1] - curve.drawn[0] == pytest.approx(.75 + .05, abs=.11)


def test_long_epochs_are_all_drawn():
    clock = Clock()
    curve = watched(clock, 5, .1)
    for epoch in range(10):
        clock.now += 5
        curve.offer((epoch + 1) / 10)
    assert len(curve.drawn) == 10


def test_it_draws_into_one_figure_and_leaves_nothing(monkeypatch):
    from IPython import display as ipython
    shown = []

    class Handle:
        def update(self, thing):
            shown.append(thing)
    monkeypatch.setattr(ipython, "display", lambda thing, display_id: shown.append(thing) or Handle())
    record = Record([2., 1.], [.5, .6], [2., 1.5], [.4, .5])
    curve = LiveCurve(record)
    curve.close()
    assert shown == [], "a run too short for a picture leaves no place for one"
    for _ in range(3):
        curve.draw()
        record.train_loss.append(.5)
    assert len(shown) == 3 and all(figure is curve.figure for figure in shown)
    assert len(curve.figure.axes) == 2 and len(curve.figure.axes[0].lines) == 2
    assert list(curve.figure.axes[0].lines[0].get_ydata()) == [2., 1., .5, .5]
    curve.close()
    assert shown[-1].data == "" and plt.get_fignums() == []


def bar_of(monkeypatch, **options):
    bars = []

    class Bar:
        def __init__(self, **options):
            self.options, self.updates, self.closed = options, 0, False
            bars.append(self)

        def update(self):
            self.updates += 1

        def close(self):
            self.closed = True
    import tqdm.auto
    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    clock = Clock()
    settings = dict(wanted=True, record=Record([1.]), num_epochs=3, steps_per_epoch=20, clock=clock)
    with Progress(**settings | options) as show:
        for _ in range(10):
            clock.now += .25
            show.step()
        show.epoch()
    return bars


def test_the_bar_comes_after_half_a_second_and_counts_what_a_checkpoint_had_done(monkeypatch):
    bar, = bar_of(monkeypatch)
    assert bar.options["total"] == 60 and bar.options["initial"] == 22 and bar.updates == 8 and bar.closed
    assert bar.options["leave"] is False


def test_without_a_length_the_bar_has_no_end(monkeypatch):
    bar, = bar_of(monkeypatch, steps_per_epoch=0)
    assert bar.options["total"] is None and bar.options["initial"] == 2


@pytest.mark.parametrize("notebook, terminal, setting, rank, shows", [
    (True, False, None, 0, True), (False, True, None, 0, True), (False, False, None, 0, False),
    (True, True, "0", 0, False), (True, True, "1", 0, True), (True, True, None, 1, False)])
def test_it_shows_itself_if_somebody_watches(monkeypatch, notebook, terminal, setting, rank, shows):
    class Stderr:
        def isatty(self):
            return terminal
    monkeypatch.setattr(progress, "in_notebook", lambda: notebook)
    monkeypatch.setattr(progress.sys, "stderr", Stderr())
    monkeypatch.setattr(progress.processes, "rank", lambda: rank)
    monkeypatch.delenv("BOOK_PROGRESS") if setting is None else monkeypatch.setenv("BOOK_PROGRESS", setting)
    assert bool(bar_of(monkeypatch, wanted=None)) == shows
    assert (Progress(None, Record(), 1, 1).curve is not None) == (shows and notebook)


def test_wanted_or_not_can_be_said(monkeypatch):
    assert bar_of(monkeypatch, wanted=True) and not bar_of(monkeypatch, wanted=False)
