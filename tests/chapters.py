"""The chapters, contents and settings of the book, as the tests read them."""

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


def tags(cell):
    return set(cell.metadata.get("tags", []))


def prose(path):
    return "\n\n".join(c.source for c in read(path).cells if c.cell_type == "markdown")


def anchors(markdown, first_level=1):
    """The anchors of headings down to the third level, as the site writes them."""
    titles = re.findall(rf"(?m)^#{{{first_level},3}} (.+)$", markdown)
    return {re.sub(r"[^\w\- ]", "", t.lower()).strip().replace(" ", "-") for t in titles}
