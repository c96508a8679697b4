"""The questions of all chapters, once more in one place: a page for each part of the book, and a deck for Anki.

`make site` writes ``book/questions_PART.md``, where every answer is folded as in its chapter, and
``book/_static/questions.txt``, which Anki imports (File, Import): one card a line, question and answer as HTML with
mathematics as Anki's MathJax, and the chapter as a tag. Both are made from the notebooks and never edited by hand.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

from setup_cell import address

ROOT = Path(__file__).parents[1]
BOOK, DECK = ROOT / "book", ROOT / "book" / "_static" / "questions.txt"
PAGES = {"Tools": "questions_tools", "First models": "questions_models", "Images": "questions_images",
         "Text and sequences": "questions_sequences"}
BEGINNING = re.compile(r"(?m)^\*\*Question \d+\.")
QUESTION = re.compile(r"(?m)^\*\*Question (\d+)\.\*\* ((?:(?!<details>|\*\*Question ).)+?)\s*"
                      r"<details><summary>Answer</summary>\s*(.+?)\s*</details>", re.S)
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]*)\)")


@dataclass(frozen=True)
class Question:
    """One question of a chapter (file name without its ending), with its answer, both as Markdown."""
    chapter: str
    number: int
    text: str
    answer: str


@functools.cache
def of_chapter(path: Path) -> tuple[Question, ...]:
    """The questions of a notebook, in their order. Raises ValueError if one has another form than the others."""
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            matches = list(QUESTION.finditer(cell.source))
            if len(matches) != len(BEGINNING.findall(cell.source)):
                raise ValueError(f"{path.name}: a question must read '**Question n.** ...' and then "
                                 f"'<details><summary>Answer</summary> ... </details>', got {cell.source[:60]!r}")
            found += [Question(path.stem, int(match[1]), match[2], match[3]) for match in matches]
    return tuple(found)


@functools.cache
def title(path: Path) -> str:
    """The title of a chapter: the heading of its first cell."""
    return nbformat.read(path, as_version=4).cells[0].source.splitlines()[0].lstrip("# ")


def relinked(markdown: str, chapter: str, base: str, ending: str) -> str:
    """The text with links that work elsewhere: from ``base``, a folder or an address, to files with this ending."""
    def link(match: re.Match) -> str:
        text, target = match.groups()
        if re.match(r"\w+:", target):
            return match[0]
        if target.startswith("#"):
            target = f"{chapter}.ipynb{target}"
        return f"[{text}]({base}{target.replace('.ipynb', ending)})"
    return LINK.sub(link, markdown)


def page(part: str, chapters: list[Path]) -> str:
    """The page of a part, as Markdown."""
    lines = [f"# Questions: {part[0].lower() + part[1:]}", "",
             "Every question of these chapters. Try to answer aloud before you unfold; the answer leads back to where "
             "the matter is explained and shown. How to use them as cards: [questions and cards](questions.md).", ""]
    for path in chapters:
        questions = of_chapter(path)
        lines += [f"## {path.stem[:2]} {title(path)}", "", f"From [{title(path)}](../notebooks/{path.name}).", ""] \
            if questions else []
        for q in questions:
            text, answer = (relinked(part, q.chapter, "../notebooks/", ".ipynb") for part in (q.text, q.answer))
            lines += [f"**{q.chapter[:2]}.{q.number}** {text}", "", "<details><summary>Answer</summary>", "", answer,
                      "", "</details>", ""]
    return "\n".join(lines)


def to_html(markdown: str) -> str:
    r"""Markdown as one line of HTML, with mathematics between \( and \) or \[ and \], as Anki's MathJax reads it."""
    parser = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, double_inline=True).use(amsmath_plugin)
    for kind in ("math_inline", "math_inline_double", "math_block", "math_block_label", "amsmath"):
        left, right = (r"\(", r"\)") if kind == "math_inline" else (r"\[", r"\]")
        parser.add_render_rule(kind, lambda self, tokens, i, options, env, left=left, right=right:
                               f"{left}{html.escape(tokens[i].content.strip())}{right}")
    rendered = parser.render(markdown).strip().replace("\t", " ")
    code = re.split(r"(<pre>.*?</pre>)", rendered, flags=re.S)  # line ends stay where they count
    return "".join(part.replace("\n", "<br>" if i % 2 else " ") for i, part in enumerate(code))


def cards(chapters: list[Path], site: str) -> Iterator[str]:
    """The lines of the deck: what Anki is told about the file, and a card for each question."""
    yield from ("#separator:tab", "#html:true", "#notetype:Basic", "#deck:Deep Learning You Can Check",
                "#tags column:3")
    for path in chapters:
        for q in of_chapter(path):
            source = f"[{path.stem[:2]} {title(path)}, question {q.number}](#questions-and-answers)"
            text, answer = (to_html(relinked(part, q.chapter, f"{site}/notebooks/", ".html"))
                            for part in (q.text, f"{q.answer}\n\n{source}"))
            yield "\t".join((text, answer, f"chapter_{q.chapter}"))


def site_address(repository: str) -> str:
    """Where the pages of a repository of GitHub stand, e.g. https://owner.github.io/name."""
    owner, name = repository.rstrip("/").split("/")[-2:]
    return f"https://{owner}.github.io/{name}"


def main() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = []
    for part in toc["parts"]:
        if part["caption"] in PAGES:
            own = [ROOT / f"{chapter['file']}.ipynb" for chapter in part["chapters"]]
            (BOOK / f"{PAGES[part['caption']]}.md").write_text(page(part["caption"], own), encoding="utf-8",
                                                               newline="\n")
            chapters += own
    lines = cards(chapters, site_address(address()))
    DECK.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
