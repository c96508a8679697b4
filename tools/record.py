"""Execute notebooks on real data and store their cleaned outputs.

    make record NB=notebooks/08_softmax.ipynb        one chapter
    make record -j2                                  all, two at a time

What is stored: the outputs that a reader should see. What is not: progress bars, widgets and
their state, times of execution, and anything else that would be dead text on the page. A notebook
is written only if it ran without an error, and on real data.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

from shared import fetch
from shared.data import SPECS

ROOT = Path(__file__).parents[1]
WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "nbconvert_exporter": "python"},
}
ADVICE = "set BOOK_DATA to a folder with the real data, or pass --sample to record a sample"


def read(path: Path) -> nbformat.NotebookNode:
    """A notebook whose cells all have an id: their own, or for a new cell one made from its content."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["nbformat_minor"] = max(5, notebook["nbformat_minor"])
    taken = set()
    for cell in notebook["cells"]:
        digest = hashlib.sha256((cell["cell_type"] + "".join(cell["source"])).encode()).hexdigest()
        choices = [cell.get("id"), *(digest[start:start + 8] for start in range(0, 56, 8))]
        cell["id"] = next(choice for choice in choices if choice and choice not in taken)
        taken.add(cell["id"])
    return nbformat.reads(json.dumps(notebook), as_version=4)


def data_sets(notebook: nbformat.NotebookNode) -> set[str]:
    """Names of the data sets whose loaders its code calls."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return {name for name in SPECS if re.search(rf"\b{name.replace('-', '_')}\(\)", code)}


def without_real_data(names: set[str]) -> list[str]:
    """Those of the data sets that are nowhere to be had; the network is asked last."""
    return sorted(name for name in names if next(iter(fetch.sources(name, SPECS)), None) is None)


def on_sample(notebook: nbformat.NotebookNode) -> bool:
    """Does an output say that it was made with a built-in sample?"""
    return any(": built-in sample" in output.get("text", "") for cell in notebook.cells
               for output in cell.get("outputs", []))


def smaller(png: str) -> str:
    """The same picture, pixel by pixel, in fewer bytes (both in base64, as notebooks keep them).

    matplotlib writes the opacity of each pixel; where all are opaque, it is left out."""
    picture, buffer = Image.open(io.BytesIO(base64.b64decode(png))), io.BytesIO()
    if picture.mode == "RGBA" and picture.getextrema()[3] == (255, 255):
        picture = picture.convert("RGB")
    picture.save(buffer, "png", optimize=True)
    packed = base64.b64encode(buffer.getvalue()).decode()
    return packed if len(packed) < len(png) else png


def clean(notebook: nbformat.NotebookNode) -> None:
    """Keep what a reader should see; make two recordings of the same thing equal."""
    keep = {key: notebook.metadata[key] for key in ("accelerator",) if key in notebook.metadata}
    notebook.metadata = nbformat.from_dict(METADATA | keep)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict(
            {k: v for k, v in cell.metadata.items() if k in ("tags", "mystnb", "card", "exercise")})
        if cell.cell_type != "code":
            continue
        outputs = []
        for output in cell.outputs:
            if WIDGET in output.get("data", {}):
                continue
            if output.output_type == "stream" and output.name == "stderr" and "\r" in output.text:
                continue
            if output.output_type in ("display_data", "execute_result"):
                output.metadata = nbformat.from_dict({})
                if "image/png" in output.data:
                    output.data["image/png"] = smaller(output.data["image/png"])
            if output.output_type == "error":  # the frames name files of this machine
                output.traceback = [f"{output.ename}: {output.evalue}"]
            same = outputs and output.output_type == "stream" == outputs[-1].output_type
            if same and outputs[-1].name == output.name:
                outputs[-1].text += output.text  # a stream may arrive in pieces
            else:
                outputs.append(output)
        cell.outputs = outputs


def record(path: Path, sample: bool = False) -> str:
    """Execute a notebook and write it with its outputs; one line that says so.

    Raises ValueError, and leaves the file alone, if a data set of its is not real (unless ``sample``);
    and what the notebook raised.
    """
    notebook = read(path)
    if not sample and (missing := without_real_data(data_sets(notebook))):
        raise ValueError(f"no real data for {', '.join(missing)}: {ADVICE}")
    started = time.perf_counter()
    NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False,
                   resources={"metadata": {"path": str(path.parent)}}).execute()
    seconds = time.perf_counter() - started
    if not sample and on_sample(notebook):
        raise ValueError(f"a built-in sample was used: {ADVICE}")
    clean(notebook)
    nbformat.validate(notebook)
    text = nbformat.writes(notebook) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")
    return f"{path}: {seconds:.0f} s, {path.stat().st_size / 1e3:.0f} kB"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--sample", action="store_true", help="allow outputs of built-in samples")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="how many notebooks run at a time")
    options = parser.parse_args(arguments)
    os.environ.update(BOOK_PROGRESS="0", BOOK_STATIC="1",
                      MPLBACKEND="module://matplotlib_inline.backend_inline")
    failures = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        runs = {path: pool.submit(record, path, options.sample) for path in options.notebooks}
        for path, run in runs.items():
            try:
                print(run.result(), flush=True)
            except Exception as error:  # the others go on; this one keeps what it had
                failures += 1
                print(f"{path}: not recorded: {error}", file=sys.stderr, flush=True)
    return failures


if __name__ == "__main__":
    sys.exit(main())
