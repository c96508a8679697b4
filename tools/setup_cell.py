"""The set-up cell, the same in every notebook.

    make pin      writes it into every notebook, and the book's address into CITATION.cff

Where the helper is missing (Colab, Kaggle, Codespaces) the cell installs it, from the commit that the
notebook was tested with: the last one that changed the helper. It leaves torch, torchvision and numpy
of such a place alone (--no-deps). Where another package named shared hides ours it says so. Elsewhere
it does nothing.
"""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
HELPER = ("shared", "pyproject.toml")  # what the cell installs is made from these
CELL = '''\
from importlib.util import find_spec
found = find_spec("shared")
if not (found and found.origin):  # no helper yet: Colab, Kaggle, Codespaces
    helper = "git+{url}"
    commit = "{commit}"
    %pip install -q --no-deps pooch {{helper}}@{{commit}}
elif not (found.parent and find_spec("shared.seq2seq")):
    raise ImportError(f"{{found.origin}} hides the book's package shared:"
                      " rename it, or start the kernel in another folder")'''


def git(*arguments: str) -> str:
    """What a git command prints. Raises CalledProcessError if it fails."""
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True,
                          text=True).stdout.rstrip()


def address() -> str:
    """The repository's address, from the one place where it stands."""
    return yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]


def setup_cell(commit: str) -> str:
    """The code of the cell that installs the helper of this commit (its full hash)."""
    return CELL.format(url=address(), commit=commit)


def pinned(source: str) -> str | None:
    """The commit that a set-up cell installs; None if it names none."""
    found = re.search(r'(?m)^ +commit = "([0-9a-f]{40})"$', source)
    return found and found[1]


def last_commit() -> str:
    """The last commit that changed the helper. Raises SystemExit if there are changes after it:
    no commit has what the notebooks would install."""
    changed = git("status", "--porcelain", "--", *HELPER)
    if changed:
        raise SystemExit(f"{' and '.join(HELPER)} have changes that are not committed:\n{changed}\n"
                         "Commit them, then run: make pin")
    return git("log", "-1", "--format=%H", "--", *HELPER)


def rewrite(path: Path, chosen: Callable[[dict], object], change: Callable[[str], str]) -> bool:
    """Change the source of the first cell of a notebook that is chosen; everything else stays as it is, byte by byte
    if the file was written as Jupyter writes it. Returns whether anything changed."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cell = next(cell for cell in notebook["cells"] if chosen(cell))
    old = "".join(cell["source"])
    if (new := change(old)) == old:
        return False
    cell["source"] = new.splitlines(keepends=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    return True


def write_cell(path: Path, source: str) -> bool:
    """Make this the first cell of code of a notebook. Returns whether anything changed."""
    return rewrite(path, lambda cell: cell["cell_type"] == "code", lambda _: source)


def main() -> None:
    source = setup_cell(last_commit())
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if write_cell(path, source):
            print(f"rewritten: {path.name}")
    citation = ROOT / "CITATION.cff"
    text = citation.read_text(encoding="utf-8")
    rewritten = re.sub(r"(?m)^repository-code: .*$", f"repository-code: {address()}", text)
    if rewritten != text:
        citation.write_text(rewritten, encoding="utf-8", newline="\n")
        print(f"rewritten: {citation.name}")


if __name__ == "__main__":
    main()
