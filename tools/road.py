"""The map of the book: all chapters from top to bottom, and arcs from what a chapter needs to the chapter.

Titles and one sentence each come from ``book/road.yml``, and for a chapter that stands, what it needs from
its own first lines. Writes ``book/_static/road.svg``, which the first page and the README show. A chapter that
stands is a link and has a full dot.
"""

import re
from html import escape
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "book" / "_static" / "road.svg"
WIDTH, LINE, LEFT = 460, 27, 118  # of the picture, of a chapter, and where the dots stand
STYLE = """
.road text { font: 15px system-ui, sans-serif; fill: #1d2730; }
.road .part { font-weight: 700; fill: #0a5f8a; }
.road .coming { fill: #5b6670; }
.road path { fill: none; stroke: #8fa3b3; stroke-width: 1.4; }
.road .dot { fill: #0072b2; stroke: #0072b2; stroke-width: 2; }
.road .dot.open { fill: #ffffff; stroke: #8fa3b3; }
.road a:hover text, .road a:focus text { text-decoration: underline; }
"""


def notebooks() -> dict[str, Path]:
    """The chapters that stand, by number."""
    return {path.name[:2]: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}


def needs(path: Path) -> list[str]:
    """The chapters that a notebook says, in its first cell, that its reader needs."""
    first = nbformat.read(path, as_version=4).cells[0].source
    line = re.search(r"\*\*You need\*\*(?:.|\n)*?(?=\n\n|\*\*It runs|$)", first)[0]
    return sorted(set(re.findall(r"\((\d\d)_\w+\.ipynb[)#]", line)))


def road() -> list[tuple[str, list[dict]]]:
    """The parts of the book with their chapters: number, title, says, needs, path (None if to come)."""
    standing = notebooks()
    parts = yaml.safe_load((ROOT / "book" / "road.yml").read_text(encoding="utf-8"))
    return [(part["part"], [chapter | {"path": standing.get(chapter["number"]),
                                       "needs": needs(standing[chapter["number"]]) if chapter["number"] in standing
                                       else chapter["needs"]} for chapter in part["chapters"]]) for part in parts]


def direct(parts: list[tuple[str, list[dict]]]) -> dict[str, list[str]]:
    """What each chapter needs, without what another of its needs needs already."""
    wanted = {chapter["number"]: chapter["needs"] for _, chapters in parts for chapter in chapters}

    def behind(number: str) -> set[str]:
        return {n for need in wanted[number] for n in (need, *behind(need))}
    return {number: [need for need in needed if not any(need in behind(other) for other in needed)]
            for number, needed in wanted.items()}


def draw(parts: list[tuple[str, list[dict]]]) -> str:
    """The map as SVG."""
    lines, places, y = [], {}, 6
    for part, chapters in parts:
        y += LINE + 4
        lines.append(f'<text class="part" x="{LEFT - 8}" y="{y}">{escape(part)}</text>')
        for chapter in chapters:
            y += LINE
            places[chapter["number"]] = y - 5
            open_tag, dot, text, end, close = (
                (f'<a href="../notebooks/{chapter["path"].stem}.html">', "dot", "standing", "", "</a>")
                if chapter["path"] else ("<g>", "dot open", "coming", " (to come)", "</g>"))
            lines.append(f'{open_tag}<title>{escape(chapter["says"])}</title><circle class="{dot}" cx="{LEFT}" '
                         f'cy="{y - 5}" r="5"/><text class="{text}" x="{LEFT + 14}" y="{y}">{chapter["number"]}&#160; '
                         f'{escape(chapter["title"])}{end}</text>{close}')
    arcs = []
    for number, needed in direct(parts).items():
        for source in needed:
            a, b = places[source], places[number]
            reach = min(LEFT - 12, 14 + .3 * (b - a))
            arcs.append(f'<path d="M{LEFT - 7} {a} C{LEFT - reach:.0f} {a} {LEFT - reach:.0f} {b} {LEFT - 7} {b}"/>')
    head = (f'<svg class="road" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 14}" role="group" '
            f'aria-label="The chapters of the book, with arcs from what each needs"><style>{STYLE}</style>')
    ground = f'<rect width="{WIDTH}" height="{y + 14}" rx="8" fill="#ffffff"/>'
    return "\n".join([head, ground, *arcs, *lines, "</svg>"]) + "\n"


def main() -> None:
    PICTURE.write_text(draw(road()), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
