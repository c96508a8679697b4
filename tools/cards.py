"""A small picture for each chapter on the first page, from the chapter's own figures.

The figure of the cell whose metadata say ``"card": true`` is made smaller and put on a white card:
``book/_cards/NN_name.png``. One figure is also shown as it is, ``book/_cards/first.png``. `make site` calls
this before it builds the book.
"""

import base64
import io
from pathlib import Path

import nbformat
from PIL import Image

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "book" / "_cards"
SIZE, MARGIN = (480, 270), 12
FIRST = "31_attention"  # the chapter whose figure a visitor sees first


def figure(path: Path) -> Image.Image:
    """The picture that the marked cell of a notebook drew. Raises ValueError without one."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.metadata.get("card"):
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    return Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))).convert("RGBA")
    raise ValueError(f"{path.name}: no cell with a figure has \"card\": true in its metadata")


def card(picture: Image.Image) -> Image.Image:
    """As large as fits, in the middle of a white card."""
    picture = picture.copy()
    picture.thumbnail([side - 2 * MARGIN for side in SIZE], Image.LANCZOS)
    result = Image.new("RGB", SIZE, "white")
    result.paste(picture, [(a - b) // 2 for a, b in zip(SIZE, picture.size)], picture)
    return result


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        card(figure(path)).save(FOLDER / f"{path.stem}.png", optimize=True)
    figure(ROOT / "notebooks" / f"{FIRST}.ipynb").save(FOLDER / "first.png", optimize=True)


if __name__ == "__main__":
    main()
