"""The chapters, contents and settings of the book, as the tests read them."""

import ast
import functools
import re
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def path_of(chapter):
    return ROOT / "notebooks" / f"{chapter}.ipynb"


@functools.cache
def parts():
    """The parts of the book: caption, files (without their ending)."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [("", [toc["root"]])] + [(part["caption"], [c["file"] for c in part["chapters"]]) for part in toc["parts"]]


def pages():
    return [file for _, files in parts() for file in files]


@functools.cache
def read(path):
    """A notebook; all tests share it, so none may change it."""
    return nbformat.read(path, as_version=4)


def code(path):
    return [c for c in read(path).cells if c.cell_type == "code"]


def statements(chapter: str) -> list[ast.stmt]:
    """All statements of a chapter's cells, but for the set-up cell, which is not plain Python."""
    return [n for cell in code(path_of(chapter))[1:] for n in ast.parse(cell.source).body]


def recorded_in(chapter: str, name: str = "recorded") -> dict:
    """The dictionary of this name in a chapter, put together from the statements that write or extend it."""
    found = {}
    for n in statements(chapter):
        target = n.targets[0] if isinstance(n, ast.Assign) else n.target if isinstance(n, ast.AugAssign) else None
        if isinstance(target, ast.Name) and target.id == name and isinstance(n.value, ast.Dict):
            found |= ast.literal_eval(n.value)
    assert found, f"{chapter} has no dictionary {name}"
    return found


def three(row: dict, digits: int = 2) -> tuple:
    """Median, smallest and largest of a record's spread, as chapters show them."""
    return tuple(round(row[k], digits) for k in ("median", "min", "max"))


def defined_in(chapter: str, *assigned: str) -> dict:
    """Imports, functions and classes of a chapter, executed, and the assignments to names that begin so."""
    names: dict = {}
    kept = [n for n in statements(chapter)
            if isinstance(n, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))
            or assigned and isinstance(n, (ast.Assign, ast.AugAssign)) and ast.unparse(n).startswith(assigned)]
    exec(compile(ast.Module(kept, []), chapter, "exec"), names)
    return names


def tags(cell):
    return set(cell.metadata.get("tags", []))


def prose(path):
    return "\n\n".join(c.source for c in read(path).cells if c.cell_type == "markdown")


def anchors(markdown, first_level=1):
    """The anchors of headings down to the third level, as the site writes them."""
    titles = re.findall(rf"(?m)^#{{{first_level},3}} (.+)$", markdown)
    return {re.sub(r"[^\w\- ]", "", t.lower()).strip().replace(" ", "-") for t in titles}
