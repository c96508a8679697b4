"""The set-up cell, the same in every notebook, made from the address in _config.yml.

    make address      writes it into every notebook, and the address into CITATION.cff

On Colab it installs the helper from the branch that the notebook was opened from; it leaves
Colab's own torch, torchvision and numpy alone (--no-deps). Elsewhere nothing happens.
"""

import re
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).parents[1]


def address() -> dict:
    return yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]


def setup_cell() -> str:
    repository = address()
    return ('import sys\n'
            'if "google.colab" in sys.modules:  # elsewhere the helper is installed already\n'
            f'    %pip install -q --no-deps pooch git+{repository["url"]}@{repository["branch"]}')


def main() -> None:
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        first = next(cell for cell in notebook.cells if cell.cell_type == "code")
        if first.source != setup_cell():
            first.source = setup_cell()
            nbformat.write(notebook, path)
            print(f"rewritten: {path.name}")
    citation = ROOT / "CITATION.cff"
    text = citation.read_text(encoding="utf-8")
    rewritten = re.sub(r"(?m)^repository-code: .*$", f"repository-code: {address()['url']}", text)
    if rewritten != text:
        citation.write_text(rewritten, encoding="utf-8")
        print(f"rewritten: {citation.name}")


if __name__ == "__main__":
    main()
