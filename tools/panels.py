"""Where the panels of an explorer's picture are, so that a page can show one at a time.

A live notebook has a slider where it calls ``explore``; its stored output is one picture with a panel for each value.
How many columns and rows that picture has, is told by its size and by the ``figsize`` of the call; where they part, by
the white between them. `make site` calls this when the book is built: the pictures get ``data-panels``, from which
`book/_static/book.js` makes a slider.
"""

import ast
import base64
import hashlib
import inspect
import io
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image

from shared.plots import STYLE, explore

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
WHITE = 253  # of 255: what is lighter is the paper


def call_of(source: str) -> ast.Call | None:
    """The call of ``explore`` that a cell makes, if it makes one."""
    if not re.search(r"(?m)^explore\(", source):
        return None
    return next(node for node in ast.walk(ast.parse(source))
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "explore")


def size_of(call: ast.Call) -> tuple[float, float]:
    """The pixels of one panel, before the paper around all of them was cut away."""
    inches = next((ast.literal_eval(word.value) for word in call.keywords if word.arg == "figsize"),
                  inspect.signature(explore).parameters["figsize"].default)
    return tuple(side * STYLE["figure.dpi"] for side in inches)


def name_of(call: ast.Call) -> str:
    """What is turned: the first name."""
    return ast.literal_eval(call.args[1].keys[0])


def cuts(blank: np.ndarray, parts: int) -> list[int]:
    """Where a picture parts: in the middle of the white nearest to an equal share. ``blank``: which lines are white."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], blank.astype(int), [0]))))
    runs = list(zip(edges[::2], edges[1::2]))
    found = []
    for i in range(1, parts):
        wanted = len(blank) * i / parts
        start, end = min(runs, key=lambda run: max(run[0] - wanted, wanted - run[1], 0), default=(0, 0))
        if max(start - wanted, wanted - end) > len(blank) / parts / 4:
            raise ValueError(f"no white near {wanted:.0f} of {len(blank)} pixels")
        found.append(int(start + end) // 2)
    return [0, *found, len(blank)]


def panels(picture: Image.Image, size: tuple[float, float]) -> list[tuple[int, int, int, int]]:
    """Left, top, width and height of each panel, row by row; places without one are left out."""
    paper = Image.new("RGBA", picture.size, "white")
    blank = np.asarray(Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")).min(2) >= WHITE
    columns, rows = (max(1, round(side / one)) for side, one in zip(picture.size, size))
    found = []
    down = cuts(blank.all(1), rows)
    for top, bottom in zip(down, down[1:]):
        across = cuts(blank[top:bottom].all(0), columns)
        found += [(left, top, right - left, bottom - top) for left, right in zip(across, across[1:])
                  if not blank[top:bottom, left:right].all()]
    return found


def explorers(path: Path) -> Iterator[tuple[ast.Call, bytes]]:
    """The explorers of a notebook: the call, and the picture that is stored."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and (call := call_of(cell.source)):
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    yield call, base64.b64decode(output.data["image/png"])


def main() -> None:
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = SITE / "notebooks" / f"{path.stem}.html"
        text = page.read_text(encoding="utf-8")
        for call, picture in explorers(path):
            boxes = panels(Image.open(io.BytesIO(picture)), size_of(call))
            said = f'data-panels="{";".join(",".join(map(str, box)) for box in boxes)}" data-turned="{name_of(call)}"'
            file = f"_images/{hashlib.sha256(picture).hexdigest()}."  # the name that the book gives to a picture
            text, times = re.subn(rf'<img (?!data-panels)([^>]*?{re.escape(file)})', rf"<img {said} \1", text)
            if not times and file not in text:
                raise ValueError(f"{path.name}: the picture of an explorer is not on its page")
        page.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
