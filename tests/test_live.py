"""What a reader sees who runs a chapter: a live curve that leaves one line behind, and sliders."""

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

TRAIN = """
import time
import torch
from torch import nn
from shared.batches import Batches
from shared.training import fit
X = torch.randn(500, 2)
batches = Batches((X, (X[:, 0] > 0).long()), 50, shuffle=True)
def slow_loss(y_hat, y):
    time.sleep(.05)
    return nn.functional.cross_entropy(y_hat, y)
record = fit(nn.Linear(2, 2), batches, batches, num_epochs=3, loss=slow_loss)
"""
EXPLORE = """
from shared.plots import explore
explore(lambda ax, k, m: ax.plot([0, k], [0, m]), {"k": [1, 2, 3], "m": [5, 6]})
"""
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def live():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in (TRAIN, EXPLORE)])
    with pytest.MonkeyPatch.context() as patch:
        for name in ("BOOK_STATIC", "BOOK_PROGRESS"):
            patch.delenv(name, raising=False)
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return notebook


def test_training_leaves_its_two_lines_and_an_empty_place_where_the_curve_was(live):
    outputs = live.cells[0].outputs
    streams = [o for o in outputs if o.output_type == "stream"]
    assert [o.name for o in streams] == ["stdout"] and streams[0].text.count("\n") == 2
    assert "3 epochs in" in streams[0].text
    curve = [o for o in outputs if "text/html" in o.get("data", {})]
    assert len(curve) == 1 and curve[0].data["text/html"] == ""
    assert not any("image/png" in o.get("data", {}) for o in outputs)


def test_the_explorer_has_one_slider_for_each_name(live):
    assert sum(WIDGET in o.get("data", {}) for o in live.cells[1].outputs) == 1
    models = live.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"].values()
    sliders = [m["state"] for m in models if m["model_name"] == "SelectionSliderModel"]
    assert {s["description"]: s["_options_labels"] for s in sliders} == {"k": ["1", "2", "3"], "m": ["5", "6"]}
