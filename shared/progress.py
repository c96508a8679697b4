"""What a reader sees while `shared.training.fit` runs: a bar, and in a notebook a live curve."""

from __future__ import annotations

import os
import sys
import time

from shared import processes
from shared.devices import in_notebook
from shared.meters import Record

PAUSE = 1 / 3      # seconds between two pictures, at least
SHARE = 1 / 15     # of the time that passes, at most, goes into drawing
PICTURES = 200     # at most, in one run


class Progress:
    """A bar that counts batches, and the curves of ``record`` redrawn in place. Nothing when nobody
    watches, nothing for a run of less than half a second, and nothing left behind."""

    def __init__(self, wanted: bool | None, record: Record, num_epochs: int, steps_per_epoch: int | None,
                 clock=time.perf_counter):
        if wanted is None:
            watched = processes.rank() == 0 and (in_notebook() or sys.stderr.isatty())
            wanted = watched and os.environ.get("BOOK_PROGRESS") != "0"
        self.record, self.num_epochs, self.clock = record, num_epochs, clock
        self.total = num_epochs * steps_per_epoch if steps_per_epoch else None
        self.done = len(record.train_loss) * (steps_per_epoch or 0)
        self.starts = clock() + .5 if wanted else float("inf")
        self.bar, self.curve = None, LiveCurve(record, clock) if wanted and in_notebook() else None

    def __enter__(self) -> Progress:
        return self

    def step(self) -> None:
        """One more batch."""
        self.done += 1
        if self.bar is not None:
            self.bar.update()
        elif self.clock() >= self.starts:
            from tqdm.auto import tqdm
            self.bar = tqdm(total=self.total, initial=self.done, unit="batch", leave=False)

    def epoch(self) -> None:
        """One more epoch is in the record."""
        if self.curve is not None:
            self.curve.offer(len(self.record.train_loss) / self.num_epochs)

    def __exit__(self, *exc) -> None:
        if self.bar is not None:
            self.bar.close()
        if self.curve is not None:
            self.curve.close()


class LiveCurve:
    """The curves of a running training in one figure, redrawn in place; gone when closed."""

    def __init__(self, record: Record, clock=time.perf_counter):
        self.record, self.clock = record, clock
        self.handle = self.figure = None
        self.last, self.fraction, self.cost = clock(), 0.0, .1  # the first picture takes about so long

    def offer(self, fraction: float) -> None:
        """Draw, if it is time to: so much of the run is done."""
        now = self.clock()
        if now - self.last >= max(PAUSE, self.cost / SHARE) and fraction - self.fraction >= 1 / PICTURES:
            self.draw()
            self.last, self.fraction = self.clock(), fraction
            self.cost = self.last - now

    def draw(self) -> None:
        from IPython.display import display
        from matplotlib.figure import Figure

        from shared.plots import curves
        if self.figure is None:
            self.figure = Figure(figsize=(7.2, 2.6))
        self.figure.clear()
        curves(self.record, self.figure)
        if self.handle is None:
            self.handle = display(self.figure, display_id=True)
        else:
            self.handle.update(self.figure)

    def close(self) -> None:
        if self.handle is not None:
            from IPython.display import HTML
            self.handle.update(HTML(""))
