"""What nbval does not know about this book's notebooks.

A cell tagged ``data`` prints what depends on the data. nbval compares it only if the notebook
has used real data; once it says that it works on a built-in sample, such cells are executed but
not compared. A figure's text is not compared: it tells the size, not what the figure shows. Of an error
only the type is compared: PyTorch words the same error differently from version to version.
"""

import json
from pathlib import Path

import nbformat
import pytest

SAMPLE = ": built-in sample"


def _streams(outputs) -> str:
    return "".join(o.get("text", "") for o in outputs if o.get("output_type") == "stream")


def _alike(outputs):
    """Every figure counts as one and the same: that it is there is compared, its pixels are not. Of an
    error the type is left."""
    figure = nbformat.v4.new_output("display_data", {"text/plain": "a figure"})
    outputs = [figure if "image/png" in o.get("data", {}) else o for o in outputs]
    return [nbformat.v4.new_output("error", ename=o.ename, evalue="", traceback=[])
            if o.get("output_type") == "error" else o for o in outputs]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if type(item).__name__ == "IPyNbCell":
            _teach(item)


def _teach(item) -> None:
    compare, notebook = item.compare_outputs, item.parent
    depends_on_data = "data" in item.cell.metadata.get("tags", [])

    def compare_outputs(test, ref, skip_compare=None):
        if SAMPLE in _streams(test):
            notebook.on_sample = True
        if depends_on_data and getattr(notebook, "on_sample", False):
            return True
        return compare(_alike(test), _alike(ref), skip_compare)
    item.compare_outputs = compare_outputs


# --- how long each notebook took: told at the end, and kept for the results page

SECONDS = Path(__file__).parent / "_build" / "seconds.json"
_seconds: dict[str, float] = {}


def pytest_runtest_logreport(report):
    name, found, _ = report.nodeid.partition(".ipynb::")
    if found:
        name = Path(name).stem
        _seconds[name] = _seconds.get(name, 0.0) + report.duration


def pytest_sessionfinish(session):
    if _seconds and not hasattr(session.config, "workerinput"):
        SECONDS.parent.mkdir(exist_ok=True)
        SECONDS.write_text(json.dumps(dict(sorted(_seconds.items())), indent=1) + "\n", encoding="utf-8")


def pytest_terminal_summary(terminalreporter):
    if _seconds:
        terminalreporter.section("seconds per notebook")
        for name, seconds in sorted(_seconds.items()):
            terminalreporter.line(f"{seconds:6.0f}  {name}")
