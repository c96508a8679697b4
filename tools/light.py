"""Make the built pages light: what a reader's browser would load and never use is taken away.

Nothing that can be seen changes. `make site` calls this when the book is built; it works on ``_build/html`` and may
run twice.

- Code: words that have the colour of the text anyway need no element of their own.
- Scripts: each page loads those that it needs. The index of the search is for the page of results, MathJax for pages
  with formulas; of the glossary a chapter has the terms that stand in it. Icons come from their fonts alone.
- Pictures: WebP without loss; their size is said beforehand, and they are loaded when they come near.
- Style sheets and fonts: see ``light_styles.py``.
"""

import hashlib
import json
import re
import shutil
from pathlib import Path

from PIL import Image

import light_styles

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
KNOWN = ROOT / "_build" / "webp"  # pictures that were converted before, by their content
KEPT_AS_IT_IS = re.compile(r"(<(pre|script|style|textarea)\b.*?</\2>)", re.S)
SCRIPT = r'\n?[ ]*<script[^>]* src="[^"]*(?:{})\.js[^"]*"></script>'
NOWHERE = re.compile(SCRIPT.format("scripts/fontawesome|_static/design-tabs"))
SEARCH = re.compile(SCRIPT.format("_static/searchtools|_static/language_data|/searchindex"))
FORMULAS = re.compile(r"\n?[ ]*<script>window\.MathJax = .*?</script>|" + SCRIPT.format("mathjax/startup"))
GLOSSARY = re.compile(SCRIPT.format("_static/glossary"))
PICTURE = re.compile(r'<img ([^>]*?)src="((?:\.\./)*_images/[^"]+)"([^>]*?)\s*(/?)>')


def looks(pygments: str) -> tuple[dict[str, tuple], tuple]:
    """How each class of words of code looks in the light and in the dark, and how the text around them does."""
    text = tuple(re.findall(r'(?m)^html\[data-theme="\w+"\] \.highlight \{.*?; (color: \S+) \}', pygments))
    words: dict[str, tuple] = {}
    for name, style in re.findall(r'(?m)^html\[data-theme="\w+"\] \.highlight \.(\w+) \{ (.*?) \}', pygments):
        words[name] = (*words.get(name, ()), style)
    return words, text


def light_code(page: str, words: dict[str, tuple], text: tuple) -> str:
    """A page without elements around words of code that look like the text, and with one around neighbours that
    look the same."""
    first: dict[tuple, str] = {}
    for name, look in words.items():
        first.setdefault(look, name)
    page = re.sub(r'<span class="(\w+)">([^<]*)</span>',
                  lambda m: m[2] if words.get(m[1]) == text else
                  f'<span class="{first[words[m[1]]]}">{m[2]}</span>' if m[1] in words else m[0], page)
    same = re.compile(r'(<span class="(\w+)">[^<]*)</span><span class="\2">')
    while (shorter := same.sub(r"\1", page)) != page:
        page = shorter
    return page


def light_markup(page: str) -> str:
    """A page without blank lines and indents, but for code and scripts."""
    parts = KEPT_AS_IT_IS.split(page)  # text, what is kept, the name of its element, text ...
    parts[::3] = [re.sub(r"\s*\n\s*", "\n", text) for text in parts[::3]]
    return "".join(part for i, part in enumerate(parts) if i % 3 != 2)


def glossary_of(page: str, chapter: bool, script: str) -> str:
    """The script of the glossary with the terms that stand on a page; a page that is no chapter shows none."""
    start, terms, end = re.fullmatch(r"(window\.glossary = )(.*?)(;\nwindow\.book = .*)\n", script).groups()
    text = page.casefold()
    found = {term: entry for term, entry in json.loads(terms).items() if term.casefold() in text}
    return f"\n<script>{start}{json.dumps(found, ensure_ascii=False)}{end}</script>" if chapter else ""


def light_scripts(page: str, name: str, glossary: str) -> str:
    """A page without the scripts that only other pages need."""
    page = NOWHERE.sub("", page)
    if name != "search":
        page = SEARCH.sub("", page)
    if 'class="math' not in page:
        page = FORMULAS.sub("", page)
    return GLOSSARY.sub(lambda _: glossary_of(page, name.startswith("notebooks/"), glossary), page)


def light_picture(path: Path) -> Path:
    """A picture as WebP without loss, if that is smaller. The picture itself goes."""
    if path.suffix != ".png":
        return path
    result = path.with_suffix(".webp")
    if not result.exists():
        known = KNOWN / f"{hashlib.sha256(path.read_bytes()).hexdigest()}.webp"
        if not known.exists():
            KNOWN.mkdir(parents=True, exist_ok=True)
            Image.open(path).save(known, lossless=True, exact=True, method=4)
        if known.stat().st_size >= path.stat().st_size:
            return path
        shutil.copyfile(known, result)
    return result


def light_pictures(page: str, folder: Path) -> str:
    """A page whose pictures have a size, so that nothing moves when they arrive, and arrive when they come near."""
    def written(found: re.Match) -> str:
        before, source, after, end = found.groups()
        path = light_picture((folder / source).resolve())
        source = source.rsplit("/", 1)[0] + "/" + path.name
        more = ""
        if path.suffix in (".png", ".webp") and "height=" not in before + after:
            width, height = Image.open(path).size
            more = f' width="{width}" height="{height}"'
        if "loading=" not in before + after:
            more += ' loading="lazy"'
        return f'<img {before}src="{source}"{after}{more}{end}>'
    return PICTURE.sub(written, page)


def main() -> None:
    words, text = looks((SITE / "_static" / "pygments.css").read_text(encoding="utf-8"))
    pages = [path for path in SITE.rglob("*.html") if "_static" not in path.parts]
    glossary = (SITE / "_static" / "glossary.js").read_text(encoding="utf-8")
    for path in pages:
        name = path.relative_to(SITE).with_suffix("").as_posix()
        page = light_scripts(path.read_text(encoding="utf-8"), name, glossary)
        page = light_pictures(light_markup(light_code(page, words, text)), path.parent)
        path.write_text(page, encoding="utf-8", newline="\n")
    for picture in (SITE / "_images").glob("*.webp"):
        picture.with_suffix(".png").unlink(missing_ok=True)
    light_styles.main(SITE, pages)


if __name__ == "__main__":
    main()
