"""Execute notebooks on real data and store their cleaned outputs.

    make record NB=notebooks/08_softmax.ipynb

What is stored: the outputs that a reader should see. What is not: progress bars, widgets and
their state, times of execution, and anything else that would be dead text on the page.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "nbconvert_exporter": "python"},
}


def clean(notebook: nbformat.NotebookNode) -> None:
    """Keep what a reader should see; make two recordings of the same thing equal."""
    keep = {key: notebook.metadata[key] for key in ("accelerator",) if key in notebook.metadata}
    notebook.metadata = nbformat.from_dict(METADATA | keep)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
        cell.metadata = nbformat.from_dict(
            {k: v for k, v in cell.metadata.items() if k in ("tags", "mystnb", "card")})
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
            if output.output_type == "error":  # the frames name files of this machine
                output.traceback = [f"{output.ename}: {output.evalue}"]
            same = outputs and output.output_type == "stream" == outputs[-1].output_type
            if same and outputs[-1].name == output.name:
                outputs[-1].text += output.text  # a stream may arrive in pieces
            else:
                outputs.append(output)
        cell.outputs = outputs


def record(path: Path) -> float:
    notebook = nbformat.read(path, as_version=4)
    started = time.perf_counter()
    NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False,
                   resources={"metadata": {"path": str(path.parent)}}).execute()
    seconds = time.perf_counter() - started
    clean(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--sample", action="store_true", help="allow outputs of built-in samples")
    arguments = parser.parse_args()
    os.environ.update(BOOK_PROGRESS="0", BOOK_STATIC="1",
                      MPLBACKEND="module://matplotlib_inline.backend_inline")
    for path in arguments.notebooks:
        seconds = record(path)
        text = path.read_text(encoding="utf-8")
        print(f"{path}: {seconds:.0f} s, {path.stat().st_size / 1e3:.0f} kB")
        if ": built-in sample" in text and not arguments.sample:
            sys.exit(f"{path} was run on a built-in sample: set BOOK_DATA to a folder with the real "
                     "data (git restore the file), or pass --sample to keep it")


if __name__ == "__main__":
    main()
