"""Errata, glossary and sources: complete, well-formed, and true."""

import re

import pytest

import cards as cards_tool
from chapters import NOTEBOOKS, ROOT, anchors, parts, path_of, prose, read

BOOK = ROOT / "book"
CHAPTERS = [p.stem for p in NOTEBOOKS]


def rows(page):
    """The cells of every table row of a page, headers left out."""
    text = (BOOK / page).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|") and not re.match(r"\|[\s:|-]+\|$", line)]
    table = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in table if row[0] not in ("no.", "English", "section", "symbol", "name", "model", "chapter")]


def test_every_erratum_has_a_test_and_every_test_an_erratum():
    numbers = [row[0] for row in rows("errata.md")]
    tests = re.findall(r"def test_erratum_(\d\d)_(\d\d)", "".join(
        p.read_text(encoding="utf-8") for p in (ROOT / "tests").glob("test_errata*.py")))
    assert sorted(numbers) == sorted(f"{a}.{b}" for a, b in tests)
    assert len(set(numbers)) == len(numbers)


def test_sources_tell_which_chapters_exist_and_which_are_to_come():
    text = (BOOK / "sources.md").read_text(encoding="utf-8")
    covered, to_come = text.split("## Sections that chapters to come will cover")
    to_come = to_come.split("\n## ")[0]
    exist = {chapter[:2] for chapter in CHAPTERS}
    coming = set(re.findall(r"\| (\d\d), ", to_come)) | set(re.findall(r"Chapter (\d\d),", to_come))
    assert exist | coming == {f"{n:02}" for n in range(1, 34)} and not exist & coming
    assert exist <= set(re.findall(r"notebooks/(\d\d)_", covered))


def test_every_erratum_is_told_whole():
    for row in rows("errata.md"):
        assert len(row) == 5 and all(row), row
        assert re.fullmatch(r"00[0-4],? .+", row[1]), row


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_has_entries_on_all_three_pages(chapter):
    assert any(row[0].startswith(f"{chapter[:2]}.") for row in rows("errata.md"))
    for page in ("glossary.md", "sources.md"):
        assert any(f"{chapter}.ipynb" in cell for row in rows(page) for cell in row), page


def test_the_glossary_is_in_three_languages_sorted_and_without_repetition():
    terms = rows("glossary.md")
    names = [row[0].lower() for row in terms]
    assert names == sorted(names) and len(set(names)) == len(names)
    for english, simplified, traditional, where in terms:
        assert all(re.search(r"[\u4e00-\u9fff]", term) for term in (simplified, traditional)), english
        chapter, anchor = re.fullmatch(r"\[\d\d\]\(\.\./notebooks/(.+)\.ipynb#(.+)\)", where).groups()
        assert anchor in anchors(prose(path_of(chapter)), first_level=2), (english, anchor)


@pytest.mark.parametrize("page", sorted(p.name for p in BOOK.glob("*.md")))
def test_links_of_pages_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", (BOOK / page).read_text(encoding="utf-8")):
        if not re.match(r"https?:", target):
            assert (BOOK / target.split("#")[0]).exists(), target


def cards():
    """The cards of the first page: chapter, part of the book, footer."""
    text = (BOOK / "index.md").read_text(encoding="utf-8")
    found = re.findall(r"\{grid-item-card\} .+\n:link: \.\./notebooks/(\w+)\n(?:.*\n)*?:::\{card-header\}\n(.+)\n"
                       r"(?:.*\n)*?:::\{card-footer\}\n(.+)\n", text)
    return {chapter: (part, footer) for chapter, part, footer in found}


def test_every_chapter_has_a_card_in_the_order_of_the_contents():
    in_order = [(file.removeprefix("notebooks/"), part) for part, files in parts() for file in files
                if file.startswith("notebooks/")]
    assert [(chapter, part) for chapter, (part, _) in cards().items()] == in_order
    assert sorted(chapter for chapter, _ in in_order) == CHAPTERS


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_card_says_what_the_chapter_says(chapter):
    """Needs and run time on the card are those of the chapter's first lines."""
    _, footer = cards()[chapter]
    first = prose(path_of(chapter)).split("\n\n")
    needs = sorted(set(re.findall(r"\((\d\d)_\w+\.ipynb\)", next(line for line in first if "**You need**" in line))))
    runs = re.search(r"\*\*It runs\*\* (in .+?) on two CPU cores", "\n".join(first))[1]
    after = f" · after {', '.join(needs)}" if needs else ""
    assert footer == f"**{chapter[:2]}**{after} · runs {runs}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_card_has_a_picture_of_its_chapter(chapter):
    assert cards_tool.card(cards_tool.figure(path_of(chapter))).size == cards_tool.SIZE
    assert sum(bool(c.metadata.get("card")) for c in read(path_of(chapter)).cells) == 1


def test_what_chapters_point_to_is_in_the_bibliography():
    bib = (BOOK / "references.bib").read_text(encoding="utf-8")
    entries = {re.search(r"url = \{(.+)\}", e)[1]: e for e in bib.split("\n@") if "url = " in e}
    for chapter in CHAPTERS:
        for url in re.findall(r"\]\((https?://[^)\s]+)\)", prose(path_of(chapter)).split("## Further reading")[1]):
            entry = entries.get("https://d2l.ai" if url.startswith("https://d2l.ai/") else url)
            assert entry and re.search(rf"note = .*\b{chapter[:2]}\b", entry), (chapter, url)
