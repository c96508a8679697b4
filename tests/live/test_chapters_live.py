"""Every chapter as a reader runs it: with progress, live curves and sliders, whole and for real.

The other tests run the chapters quiet. What only a reader sees has its own ways to fail: a curve that is drawn
too often makes a chapter endless, figures that pile up fill the memory, a slider may stumble over a value.
"""

import asyncio
import json
import os
import time
from datetime import date

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from chapters import NOTEBOOKS, code, read

MEMORY = 3_000   # megabytes
SLOWER = 1.3     # times the seconds of a quiet run

# LIVE_MINUTES=20 begins no chapter after 20 minutes. Every day another one is the first, so that each has its turn.
MINUTES = float(os.environ.get("LIVE_MINUTES", "inf"))
TURN = date.today().toordinal() % len(NOTEBOOKS)
STARTED = time.monotonic()

# Moves every slider of every explorer to each of its values. Errors in the drawing are caught by ipywidgets and
# shown in the explorer: here they are kept, as are the pictures.
LAST_CELL = """
import gc, json, resource, sys, time
started = time.perf_counter()
from ipywidgets import interactive
errors, pictures, same = [], [], []
shell = get_ipython()
shell.showtraceback = lambda *args, **options: errors.append(repr(sys.exc_info()[1]))
def keep(message):
    pictures.extend(v for k, v in message["content"].get("data", {}).items() if k == "image/png")
    return message
shell.display_pub.register_hook(keep)
explorers = [w for w in gc.get_objects() if type(w) is interactive]
moves = 0
for explorer in explorers:
    for slider in explorer.children[:-1]:
        for index in [*range(1, len(slider.options)), 0]:
            pictures.clear()
            slider.index = index
            moves += 1
            if len(pictures) != 1:
                errors.append(f"{slider.description} = {slider.label}: {len(pictures)} pictures")
            else:
                same.append(pictures[0])
shell.display_pub.unregister_hook(keep)
megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
print(json.dumps({"explorers": len(explorers), "moves": moves, "pictures": len(set(same)), "errors": errors,
                  "megabytes": megabytes, "seconds": time.perf_counter() - started}))
"""


async def run(path, **settings):
    """Run a chapter in a kernel of its own: seconds without those of the last cell, and what that one found."""
    notebook = read(path).copy()
    notebook.cells = [*notebook.cells, new_code_cell(LAST_CELL)]
    environment = {k: v for k, v in os.environ.items() if k not in ("BOOK_PROGRESS", "BOOK_STATIC")}
    environment["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // 2))  # the other kernel has the other half
    started = time.perf_counter()
    await NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False,
                         resources={"metadata": {"path": str(path.parent)}}).async_execute(env=environment | settings)
    seconds = time.perf_counter() - started
    said = "".join(o.text for o in notebook.cells[-1].outputs if o.output_type == "stream")
    found = json.loads(said.splitlines()[-1])
    return seconds - found["seconds"], found


async def quiet_and_live(path):
    """Both at the same time, side by side, so that what else the machine does slows down both."""
    return await asyncio.gather(run(path, BOOK_PROGRESS="0", BOOK_STATIC="1"), run(path))


@pytest.mark.parametrize("path", NOTEBOOKS[TURN:] + NOTEBOOKS[:TURN], ids=lambda p: p.stem)
def test_it_runs_live_as_well_as_quiet(path):
    if time.monotonic() - STARTED > 60 * MINUTES:
        pytest.skip(f"the {MINUTES:g} minutes of this run are over; make test-live runs all chapters")
    for _ in range(3):  # machines are noisy: two more tries
        (quiet, _), (live, found) = asyncio.run(quiet_and_live(path))
        if live <= SLOWER * quiet:
            break
    print(f"\n{path.stem}: quiet {quiet:.1f} s, live {live:.1f} s, {found['megabytes']:.0f} MB, {found['moves']} moves")
    assert found["errors"] == []
    assert found["explorers"] == sum(c.source.count("explore(") for c in code(path))
    assert found["pictures"] > found["explorers"] or not found["explorers"], "sliders change the picture"
    assert found["megabytes"] < MEMORY
    assert live <= SLOWER * quiet, f"live {live:.1f} s, quiet {quiet:.1f} s"
