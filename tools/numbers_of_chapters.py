"""The numbers of the chapters beside their titles: in the contents of every page, at previous and next, and in the tab.

The text names chapters by number ("03"), and so do the files. `make site` calls this when the book is built.
"""

import re
from pathlib import Path

SITE = Path(__file__).parents[1] / "_build" / "html"
CONTENTS = re.compile(r'(<li class="toctree-l1[^"]*"><a class="[^"]*" href=")([^"]*)(">)(?!<span class="chapter")')
NEIGHBOUR = re.compile(r'(<a class="(?:left-prev|right-next)"\s+href=")([^"]*)("(?:.|\n)*?<p class="prev-next-title">)'
                       r'(?!<span class="chapter")')
TAB = re.compile(r"<title>(?!\d\d )")


def number(address: str) -> str | None:
    """The number of the chapter that an address leads to."""
    found = re.search(r"(?:^|/)(\d\d)_\w+\.html$", address)
    return found and found[1]


def numbered(page: str, own: str) -> str:
    """A page, whose own address is ``own``, with the numbers of the chapters."""
    def written(found: re.Match) -> str:
        which = number(own if found[2] == "#" else found[2])
        return found[0] + (f'<span class="chapter">{which}</span> ' if which else "")
    page = NEIGHBOUR.sub(written, CONTENTS.sub(written, page))
    return TAB.sub(f"<title>{number(own)} ", page, count=1) if number(own) else page


def main() -> None:
    for path in SITE.rglob("*.html"):
        if "_static" not in path.parts:
            page = numbered(path.read_text(encoding="utf-8"), path.relative_to(SITE).as_posix())
            path.write_text(page, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
