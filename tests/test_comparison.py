"""The rules by which stored outputs are compared: a changed number is caught, and cells that
depend on the data are compared only where the data was real."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def cell(source, output, tags=()):
    return new_code_cell(source, execution_count=1, metadata={"tags": list(tags)},
                         outputs=[new_output("stream", name="stdout", text=output)])


def run(folder, *cells):
    nbformat.write(new_notebook(cells=list(cells)), folder / "example.ipynb")
    shutil.copy(ROOT / "conftest.py", folder)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--nbval",
                           "--nbval-current-env", "--nbval-sanitize-with", str(ROOT / "tests" / "sanitize.cfg"), "."],
                          cwd=folder, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return done.returncode, done.stdout


@pytest.mark.parametrize("stored, code", [("3\n", 0), ("4\n", 1)])
def test_a_changed_number_is_caught(tmp_path, stored, code):
    found, log = run(tmp_path, cell("print(1 + 2)", stored))
    assert found == code, log


@pytest.mark.parametrize("said, code", [("X: built-in sample", 0), ("X: real data (cache)", 1)])
def test_data_cells_are_compared_only_on_real_data(tmp_path, said, code):
    load = cell(f"print('{said}')", "X: real data (BOOK_DATA)\n", ["data"])
    found, log = run(tmp_path, load, cell("print(7)", "8\n", ["data"]))
    assert found == code, log
    assert ("Cell 1" in log) == bool(code)  # the source itself is not compared


def test_untagged_cells_are_compared_on_samples_too(tmp_path):
    load = cell("print('X: built-in sample')", "X: real data (BOOK_DATA)\n", ["data"])
    found, log = run(tmp_path, load, cell("print(7)", "8\n"))
    assert found == 1, log


def test_a_missing_figure_is_caught_and_its_size_is_not_compared(tmp_path):
    draw = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    figure = new_code_cell(draw, execution_count=1, outputs=[new_output(
        "display_data", {"image/png": "", "text/plain": "<Figure size 1x1 with 1 Axes>"})])
    assert run(tmp_path, figure)[0] == 0
    figure.source = "1"
    assert run(tmp_path, figure)[0] == 1


@pytest.mark.parametrize("kind, code", [("ValueError", 0), ("TypeError", 1)])
def test_of_an_error_the_type_is_compared_and_not_the_wording(tmp_path, kind, code):
    cell = new_code_cell("raise ValueError('new words')", execution_count=1, metadata={"tags": ["raises-exception"]},
                         outputs=[new_output("error", ename=kind, evalue="old words", traceback=[])])
    assert run(tmp_path, cell)[0] == code


def test_an_error_that_is_no_longer_raised_is_caught(tmp_path):
    cell = new_code_cell("1 + 1;", execution_count=1, metadata={"tags": ["raises-exception"]},
                         outputs=[new_output("error", ename="ValueError", evalue="words", traceback=[])])
    assert run(tmp_path, cell)[0] == 1
