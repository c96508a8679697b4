"""The tools: the set-up cell and its commit, what is recorded, and what `python -m shared` tells."""

import ast
import base64
import dataclasses
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from importlib.metadata import version

import nbformat
import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

import record
import setup_cell
from chapters import NOTEBOOKS, ROOT, code
from shared import __main__ as report
from shared import __version__, devices
from shared.data import SPECS

COMMIT = "0123456789abcdef0123456789abcdef01234567"


# ------------------------------------------------------------------------------ the set-up cell

def run_cell(folder, *paths):
    """Run the set-up cell in a folder with these on the path, and no others but the standard library;
    what pip was asked for, and the last line of an error."""
    source = setup_cell.setup_cell(COMMIT)
    source = source.replace("%pip ", "print(f'''pip ").replace("{commit}", "{commit}''')")
    script = folder / "first_cell.py"
    path = [str(folder), *map(str, paths)]
    script.write_text(f"import sys\nsys.path[:0] = {path}\n{source}", encoding="utf-8")
    result = subprocess.run([sys.executable, "-I", "-S", str(script)], cwd=folder, capture_output=True,
                            text=True)
    return result.stdout.strip(), result.stderr.strip().splitlines()[-1:]


def test_where_the_helper_is_there_nothing_happens(tmp_path):
    assert run_cell(tmp_path, ROOT) == ("", [])


def test_where_the_helper_is_missing_its_commit_is_installed_and_nothing_big(tmp_path):
    said, error = run_cell(tmp_path)
    assert said == f"pip install -q --no-deps pooch git+{setup_cell.address()}@{COMMIT}" and not error


def test_a_folder_that_is_called_shared_is_no_helper(tmp_path):
    """Without __init__.py it is a namespace: what is installed wins over it."""
    (tmp_path / "shared").mkdir()
    assert run_cell(tmp_path)[0].startswith("pip install")
    assert run_cell(tmp_path, ROOT) == ("", [])


@pytest.mark.parametrize("name", ["shared.py", "shared/__init__.py"])
@pytest.mark.parametrize("paths", [[], [ROOT]], ids=["alone", "before ours"])
def test_a_foreign_package_is_named_with_what_to_do(tmp_path, name, paths):
    foreign = tmp_path / name
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text("", encoding="utf-8")
    said, (error,) = run_cell(tmp_path, *paths)
    assert not said and error.startswith(f"ImportError: {foreign} hides the book's package")
    assert "rename it" in error and "another folder" in error


def test_the_cell_is_short_and_narrow():
    lines = setup_cell.setup_cell(COMMIT).splitlines()
    assert len(lines) <= 10 and max(map(len, lines)) <= 80
    assert setup_cell.pinned("\n".join(lines)) == COMMIT


def written(folder, notebook, name="01_x.ipynb"):
    """A notebook in a file, as Jupyter writes it."""
    path = folder / name
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    return path


def test_writing_the_cell_changes_nothing_else(tmp_path):
    cells = [new_markdown_cell("# Ü"), new_code_cell("old", metadata={"tags": ["hide-cell"]}),
             new_code_cell("1 + 1")]
    path = written(tmp_path, new_notebook(cells=cells, metadata={"z": 1, "a": 2}))
    before = path.read_text(encoding="utf-8")
    assert setup_cell.write_cell(path, 'x = "1"\nnew')
    assert path.read_text(encoding="utf-8") == before.replace('"old"', '"x = \\"1\\"\\n",\n    "new"')
    assert not setup_cell.write_cell(path, 'x = "1"\nnew')


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_files_that_the_tool_can_rewrite_byte_by_byte(path):
    text = path.read_text(encoding="utf-8")
    assert json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n" == text


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A small repository with a helper in its first commit, and another commit after it."""
    monkeypatch.setattr(setup_cell, "ROOT", tmp_path)
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):  # set where a hook of git runs the tests
        monkeypatch.delenv(name, raising=False)
    for key in ("NAME", "EMAIL"):
        monkeypatch.setenv(f"GIT_AUTHOR_{key}", "nobody@example.org")
        monkeypatch.setenv(f"GIT_COMMITTER_{key}", "nobody@example.org")
    (tmp_path / "shared").mkdir()
    setup_cell.git("init", "-q")
    for file in ("shared/__init__.py", "README.md"):
        (tmp_path / file).write_text("", encoding="utf-8")
        setup_cell.git("add", file)
        setup_cell.git("commit", "-qm", file)
    return tmp_path


@pytest.mark.skipif(not shutil.which("git"), reason="no git")
def test_the_commit_is_the_last_that_changed_the_helper(repository):
    assert setup_cell.last_commit() == setup_cell.git("rev-parse", "HEAD~1")
    (repository / "pyproject.toml").write_text("", encoding="utf-8")
    setup_cell.git("add", "pyproject.toml")
    setup_cell.git("commit", "-qm", "settings")
    assert setup_cell.last_commit() == setup_cell.git("rev-parse", "HEAD")


@pytest.mark.skipif(not shutil.which("git"), reason="no git")
@pytest.mark.parametrize("file", ["shared/__init__.py", "shared/new.py"])
def test_a_helper_that_is_not_committed_cannot_be_pinned(repository, file):
    (repository / file).write_text("changed = True", encoding="utf-8")
    with pytest.raises(SystemExit, match=rf"(?s){file}.*Commit them, then run: make pin"):
        setup_cell.last_commit()


def test_all_notebooks_install_the_same_commit_and_it_is_the_helper_that_stands_here():
    commits = {setup_cell.pinned(code(path)[0].source) for path in NOTEBOOKS}
    assert len(commits) == 1 and None not in commits, f"commit shared/, then: make pin ({commits})"
    (commit,) = commits
    try:
        inside = setup_cell.git("rev-parse", "--show-toplevel")
        shallow = setup_cell.git("rev-parse", "--is-shallow-repository") == "true"
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git checkout")
    if not (ROOT / ".git").exists():
        pytest.skip(f"no checkout of its own, but a part of {inside}")
    try:
        setup_cell.git("cat-file", "-e", f"{commit}^{{commit}}")
    except subprocess.CalledProcessError:
        if shallow:
            pytest.skip("a shallow clone, without the commit")
        pytest.fail(f"the notebooks install {commit}, which is not here: commit shared/, then: make pin")
    changed = setup_cell.git("diff", "--name-only", commit, "--", *setup_cell.HELPER)
    changed += setup_cell.git("ls-files", "--others", "--exclude-standard", "--", *setup_cell.HELPER)
    assert not changed, (f"the notebooks install {commit}, before changes of:\n{changed}\n"
                         "Commit shared/, then: make pin")


# ------------------------------------------------------------------------------ recording

PRINTS = new_code_cell("print(2 + 3)", id="mine")
LOADS = new_code_cell("from shared import data\nwine = data.wine()", id="data")


def test_cells_keep_their_ids_and_new_ones_get_one_from_their_content(tmp_path):
    notebook = new_notebook(cells=[PRINTS, *(new_code_cell("x = 1") for _ in range(3)),
                                   new_markdown_cell("x = 1")])
    raw = json.loads(nbformat.writes(notebook))
    for cell in raw["cells"][1:]:
        del cell["id"]
    raw["cells"].append(dict(raw["cells"][0], source=["copied"]))
    path = tmp_path / "01_x.ipynb"
    path.write_text(json.dumps(raw), encoding="utf-8")
    first, second = ([cell.id for cell in record.read(path).cells] for _ in range(2))
    assert first == second, "the same content, the same ids"
    assert first[0] == "mine" and len(set(first)) == 6
    raw["cells"].insert(0, {"cell_type": "markdown", "metadata": {}, "source": ["before"]})
    path.write_text(json.dumps(raw), encoding="utf-8")
    assert [cell.id for cell in record.read(path).cells][1:] == first, "what comes before changes no id"


def test_loaders_are_found_by_their_calls():
    def sets(*sources):
        return record.data_sets(new_notebook(cells=[new_code_cell(s) for s in sources]))
    assert sets("d = data.fashion_mnist()", "house_prices()") == {"fashion-mnist", "house-prices"}
    assert sets("wine = 3", "load_data_fashion_mnist()", "Xwine()") == set()
    assert record.data_sets(new_notebook(cells=[new_markdown_cell("`wine()`")])) == set()


def test_every_data_set_has_a_loader_of_its_name():
    tree = ast.parse((ROOT / "shared" / "data.py").read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {name.replace("-", "_") for name in SPECS} <= functions


@pytest.fixture
def executed(monkeypatch):
    """Stand-in for Jupyter: counts the executions, and gives every cell of code the same output."""
    class Client:
        runs, text = [], "5\n"

        def __init__(self, notebook, **options):
            self.notebook = notebook

        def execute(self):
            self.runs.append(self.notebook)
            for cell in self.notebook.cells:
                cell.outputs = [new_output("stream", name="stdout", text=self.text)]
    monkeypatch.setattr(record, "NotebookClient", Client)
    return Client


@pytest.mark.parametrize("sample", [False, True])
def test_data_are_looked_at_before_anything_runs(tmp_path, monkeypatch, executed, sample):
    monkeypatch.setenv("BOOK_DATA", "sample")
    path = written(tmp_path, new_notebook(cells=[LOADS]))
    before = path.read_bytes()
    if sample:
        record.record(path, sample=True)
        assert len(executed.runs) == 1 and path.read_bytes() != before
    else:
        with pytest.raises(ValueError, match="no real data for wine: set BOOK_DATA"):
            record.record(path)
        assert not executed.runs and path.read_bytes() == before


def test_what_came_from_a_sample_after_all_is_not_written(tmp_path, monkeypatch, executed):
    executed.text = "white wine quality: built-in sample\n"
    path = written(tmp_path, new_notebook(cells=[PRINTS]))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="a built-in sample was used"):
        record.record(path)
    assert executed.runs and path.read_bytes() == before


@pytest.mark.slow
def test_two_notebooks_at_a_time_and_a_broken_one_keeps_its_file(tmp_path, capsys):
    good, other = (written(tmp_path, new_notebook(cells=[PRINTS, new_code_cell(source, id="two")]), name)
                   for name, source in (("a.ipynb", "'a'"), ("b.ipynb", "print('before')\n1 / 0")))
    before = other.read_bytes()
    assert record.main(["--jobs", "2", str(good), str(other)]) == 1
    said = capsys.readouterr()
    assert str(good) in said.out and f"{other}: not recorded" in said.err and "ZeroDivisionError" in said.err
    assert other.read_bytes() == before
    cells = nbformat.read(good, as_version=4).cells
    assert [(c.id, c.execution_count) for c in cells] == [("mine", 1), ("two", 2)]
    assert cells[0].outputs[0].text == "5\n"


def test_as_many_are_recorded_at_a_time_as_was_said(monkeypatch, tmp_path):
    """Two that wait for each other end only if both run."""
    meeting = threading.Barrier(2, timeout=20)
    monkeypatch.setattr(record, "record", lambda path, sample: str(meeting.wait()))
    assert record.main(["-j2", "a.ipynb", "b.ipynb"]) == 0


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
@pytest.mark.parametrize("words,jobs,threads", [([], 1, 2), (["-j2"], 2, 1), (["JOBS=3"], 3, 1)])
def test_make_says_how_many(words, jobs, threads):
    plain = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    shown = subprocess.run(["make", "-n", "record", *words], cwd=ROOT, capture_output=True, text=True,
                           env=plain).stdout
    assert f"--jobs {jobs} " in shown and f"OMP_NUM_THREADS={threads} " in shown


def test_what_would_be_dead_on_the_page_is_not_stored():
    outputs = [new_output("stream", name="stdout", text="a"), new_output("stream", name="stdout", text="b"),
               new_output("stream", name="stderr", text="10%|#\r20%|##"),
               new_output("display_data", {record.WIDGET: {}, "text/plain": "slider"}),
               new_output("display_data", {"text/plain": "figure"}, metadata={"needs": "background"}),
               new_output("error", ename="E", evalue="why", traceback=["File /home/me"])]
    meant = {"tags": ["data"], "mystnb": {"image": {"alt": "a line"}}, "card": True, "exercise": {"make": ["x"]}}
    metadata = meant | {"execution": {"iopub.status.busy": "now"}}
    notebook = new_notebook(cells=[new_code_cell("x", outputs=outputs, metadata=metadata)],
                            metadata={"widgets": {}, "accelerator": "GPU"})
    record.clean(notebook)
    kept = notebook.cells[0]
    assert set(notebook.metadata) == {"kernelspec", "language_info", "accelerator"}
    assert kept.metadata == meant
    text, figure, error = kept.outputs
    assert text.text == "ab" and figure.metadata == {} and error.traceback == ["E: why"]


# ------------------------------------------------------------------------------ python -m shared

@pytest.fixture
def told(own_cache, monkeypatch, tmp_path):
    """The report of a machine with an empty cache, as a function; the network must not be asked."""
    monkeypatch.setattr("requests.get", lambda *a, **k: pytest.fail("asked the network"))
    monkeypatch.setattr("requests.head", lambda *a, **k: pytest.fail("asked the network"))
    monkeypatch.delenv("BOOK_DATA", raising=False)
    return lambda: list(report.lines())


def test_it_tells_versions_and_device(told):
    lines = told()
    assert lines[0] == f"Deep Learning You Can Check {__version__}"
    assert lines[1].startswith(f"Python {sys.version.split()[0]}, ")
    assert f"torch {torch.__version__.split('+')[0]}" in lines[2]
    for package in ("torchvision", "numpy", "pandas", "matplotlib"):
        assert f"{package} {version(package)}" in lines[2]
    assert lines[3] == f"device: {devices.describe()}; threads: {torch.get_num_threads()}"


def test_a_missing_package_is_called_missing():
    assert report.installed("no-such-package") == "no-such-package is missing"


def test_it_tells_the_folders(told, monkeypatch, tmp_path, own_cache):
    assert f"cache: {own_cache}" in told() and "BOOK_DATA: not set" in told()
    monkeypatch.setenv("BOOK_DATA", str(tmp_path))
    assert f"BOOK_DATA: {tmp_path}" in told()


@pytest.mark.parametrize("place", ["BOOK_DATA", "cache", "network, else built-in sample"])
def test_it_tells_where_each_set_would_be_found(told, monkeypatch, tmp_path, own_cache, place):
    spec = SPECS["wine"]
    file = dataclasses.replace(spec.files[0], sha256=hashlib.sha256(b"wine").hexdigest())
    monkeypatch.setitem(SPECS, "wine", dataclasses.replace(spec, files=(file,)))
    monkeypatch.setenv("BOOK_DATA", str(tmp_path))
    for where, folder in (("BOOK_DATA", tmp_path), ("cache", own_cache)):
        if where == place:
            (folder / spec.folder).mkdir(parents=True)
            (folder / spec.folder / file.name).write_bytes(b"wine")
    lines = told()
    assert f"{spec.title}: {place}" in lines
    assert {line.split(": ")[0] for line in lines[-len(SPECS):]} == {s.title for s in SPECS.values()}


def test_it_tells_that_samples_were_asked_for(told, monkeypatch):
    monkeypatch.setenv("BOOK_DATA", "sample")
    assert all(line.endswith(": built-in sample") for line in told()[-len(SPECS):])


@pytest.mark.parametrize("system,nvidia,cuda,helped", [
    ("Windows", "nvidia-smi.exe", None, True), ("Windows", None, None, False),
    ("Windows", "nvidia-smi.exe", "13.0", False), ("Linux", "nvidia-smi", None, False)])
def test_windows_with_a_gpu_and_a_build_without_cuda_gets_the_command(told, monkeypatch, system, nvidia,
                                                                      cuda, helped):
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("shutil.which", lambda name: nvidia)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    assert any("pip install" in line and "torch torchvision" in line for line in told()) == helped


@pytest.mark.parametrize("opaque", [False, True])
def test_pictures_are_packed_without_a_change_of_a_pixel(opaque):
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (9, 9, 4), dtype=np.uint8), np.ones((20, 20, 1), np.uint8))
    if opaque:
        pixels[..., 3] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", compress_level=1)
    png = base64.b64encode(buffer.getvalue()).decode()
    packed = record.smaller(png)
    assert len(packed) < len(png) and record.smaller(packed) == packed
    stored = Image.open(io.BytesIO(base64.b64decode(packed)))
    assert stored.mode == ("RGB" if opaque else "RGBA")
    assert np.array_equal(np.asarray(stored.convert("RGBA")), pixels)


@pytest.mark.slow
def test_it_runs_as_a_command(tmp_path):
    result = subprocess.run([sys.executable, "-m", "shared"], cwd=ROOT, capture_output=True, text=True,
                            env=os.environ | {"BOOK_DATA": "sample"}, check=True)
    assert result.stdout.startswith("Deep Learning You Can Check") and len(result.stdout.splitlines()) > 10
