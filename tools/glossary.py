"""The definitions of the glossary for every page: ``book/_static/glossary.js``, made when the site is built.

`book/_static/book.js` underlines the first use of a term in a chapter that does not define it, and shows the
definition to whoever points at it or reaches it with the keyboard.
"""

import json
import re
from pathlib import Path

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


def main() -> None:
    found = {e["term"]: [plain(e["definition"]), e["chapter"]] for e in entries(PAGE.read_text(encoding="utf-8"))}
    SCRIPT.write_text(f"window.glossary = {json.dumps(found, ensure_ascii=False)};\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
