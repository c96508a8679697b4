"""What the script of the pages has to know: ``book/_static/glossary.js``, made when the site is built.

The definitions of the glossary: `book/_static/book.js` underlines the first use of a term in a chapter that does not
define it, and shows the definition to whoever points at it or reaches it with the keyboard. And the book's version and
address, which a question about a section is sent with.
"""

import json
import re
from pathlib import Path

from setup_cell import address

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "book" / "glossary.md"
SCRIPT = ROOT / "book" / "_static" / "glossary.js"
ENTRY = re.compile(r"(?m)^(\S.*)\n  (.+)\n  ([^·\n]+?) · ([^·\n]+?) · \[\d\d\]\(\.\./notebooks/(\w+)\.ipynb#(.+)\)$")


def entries(text: str) -> list[dict[str, str]]:
    """The entries of the page: term, definition, simplified, traditional, chapter and anchor."""
    names = ("term", "definition", "simplified", "traditional", "chapter", "anchor")
    return [dict(zip(names, found.groups())) for found in ENTRY.finditer(text)]


def plain(markdown: str) -> str:
    """A definition without the marks of Markdown and mathematics: a tooltip shows plain text."""
    return re.sub(r"[*`$\\]", "", re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", markdown))


def version() -> str:
    """The version of the book, from the one place where it stands."""
    found = re.search(r'__version__ = "(.+)"', (ROOT / "shared" / "__init__.py").read_text(encoding="utf-8"))
    if found is None:
        raise ValueError('shared/__init__.py must hold a line __version__ = "..."')
    return found[1]


def main() -> None:
    found = {e["term"]: [plain(e["definition"]), e["chapter"]] for e in entries(PAGE.read_text(encoding="utf-8"))}
    book = {"version": version(), "repository": address()}
    script = f"window.glossary = {json.dumps(found, ensure_ascii=False)};\nwindow.book = {json.dumps(book)};\n"
    SCRIPT.write_text(script, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
