"""Style sheets without the rules that no page can use, and fonts of icons with those that are shown.

A rule stays if every class and every name in its selector stands in a page or in a script. The theme brings a whole
library of styles, and fonts with two thousand icons; the pages use a tenth of the one and twenty of the other.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fontTools import subset

NAMES = re.compile(r'\b(?:class|id)="([^"]*)"')
ICON = re.compile(r'"\\(f[0-9a-f]{3})"')
PROPERTY = re.compile(r"""(?<![\w-])(--[A-Za-z][\w-]*)\s*:(?:"[^"]*"|'[^']*'|[^;{}"'])*;?""")
GROUPS = ("@media", "@supports", "@container", "@layer")


def rules(style: str) -> Iterator[tuple[str, str | None]]:
    """What a style sheet consists of: heads with what stands in their braces, statements with None."""
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.S)
    start = depth = opened = 0
    for mark in re.finditer(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|\\.|url\([^"\')]*\)|[{};]', style):
        if mark[0] == "{":
            opened, depth = (mark.start() if depth == 0 else opened), depth + 1
        elif mark[0] == "}":
            depth -= 1
            if depth == 0:
                yield style[start:opened].strip(), style[opened + 1:mark.start()].strip()
                start = mark.end()
        elif mark[0] == ";" and depth == 0:
            yield style[start:mark.end()].strip(), None
            start = mark.end()


def possible(selector: str, names: set[str]) -> bool:
    """Can an element match, if these are the classes and names that there are?"""
    while (shorter := re.sub(r"\([^()]*\)", "", selector)) != selector:  # what stands in :not() need not be there
        selector = shorter
    selector = re.sub(r"\[[^\]]*\]", "", selector)
    return "\\" in selector or all(name in names for name in re.findall(r"[.#](-?[A-Za-z_][\w-]*)", selector))


def light(style: str, names: set[str]) -> str:
    """A style sheet without rules that match nothing."""
    kept = []
    for head, body in rules(style):
        if body is None:
            kept.append(head)
        elif head.startswith(GROUPS):
            if inner := light(body, names):
                kept.append(f"{head}{{{inner}}}")
        elif head.startswith("@"):
            kept.append(f"{head}{{{body}}}")
        else:
            selectors = [s for s in re.split(r",(?![^(]*\))", head) if possible(s, names)]
            if selectors and body:
                kept.append(f"{','.join(selectors)}{{{body}}}")
    return "\n".join(kept)


def read_properties(texts: Iterable[str]) -> set[str]:
    """The names of all properties of a theme's own (``--name``) that a style, a page or a script reads."""
    return {name for text in texts for name in re.findall(r"--[A-Za-z][\w-]*(?!\s*:|[\w-])", text)}


def scripts(site: Path) -> list[Path]:
    """The scripts that may add classes to a page: not those of icons and formulas, which bring their own styles."""
    return [path for path in (site / "_static").rglob("*.js")
            if path.stem != "fontawesome" and "mathjax" not in path.parts]


def names_in(site: Path, pages: list[Path]) -> set[str]:
    """The classes and names of all pages, and every word of the scripts, which may add them."""
    found = {name for page in pages for names in NAMES.findall(page.read_text(encoding="utf-8"))
             for name in names.split()}
    for script in scripts(site):
        found.update(re.findall(r"[\w-]+", script.read_text(encoding="utf-8")))
    return found


def light_font(path: Path, icons: set[int]) -> None:
    """A font with these characters only, in the format that it has."""
    options = subset.Options(flavor=None, notdef_outline=True)
    font = subset.load_font(str(path), options)
    chosen = subset.Subsetter(options)
    chosen.populate(unicodes=icons)
    chosen.subset(font)
    subset.save_font(font, str(path), options)


def main(site: Path, pages: list[Path]) -> None:
    names = names_in(site, pages)
    sheets = {path: light(path.read_text(encoding="utf-8"), names) for path in (site / "_static").rglob("*.css")}
    others = [path.read_text(encoding="utf-8") for path in [*pages, *scripts(site)]]
    for _ in range(3):  # what a property was read for may itself be read by none
        read = read_properties([*sheets.values(), *others])
        sheets = {path: PROPERTY.sub(lambda found: found[0] if found[1] in read else "", style)  # noqa: B023
                  for path, style in sheets.items()}
    for path, style in sheets.items():
        # a font of twenty icons needs no compression, which would need a library of its own
        style = re.sub(r'url\([^)]*\.woff2\) format\("woff2"\),', "", style)
        path.write_text(style + "\n", encoding="utf-8", newline="\n")
    icons = {int(code, 16) for style in sheets.values() for code in ICON.findall(style)}
    for path in (site / "_static" / "vendor").rglob("*.ttf"):
        light_font(path, icons)
        path.with_suffix(".woff2").unlink(missing_ok=True)
