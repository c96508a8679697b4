"""Errata, glossary and sources: complete, well-formed, and true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "book"
CHAPTERS = sorted(p.stem for p in (ROOT / "notebooks").glob("*.ipynb"))


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


def test_every_erratum_is_told_whole():
    for row in rows("errata.md"):
        assert len(row) == 5 and all(row), row
        assert re.fullmatch(r"00[0-4],? .+", row[1]), row


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_has_entries_on_all_three_pages(chapter):
    for page in ("errata.md", "glossary.md", "sources.md"):
        text = (BOOK / page).read_text(encoding="utf-8")
        assert f"{chapter}.ipynb" in text or f"## Chapter {chapter[:2]}" in text, page


def test_the_glossary_is_in_three_languages_sorted_and_without_repetition():
    terms = rows("glossary.md")
    names = [row[0].lower() for row in terms]
    assert names == sorted(names) and len(set(names)) == len(names)
    for english, simplified, traditional, where in terms:
        assert re.search(r"[\u4e00-\u9fff]", simplified + traditional), english
        assert ".ipynb" in where, english


@pytest.mark.parametrize("page", sorted(p.name for p in BOOK.glob("*.md")))
def test_links_of_pages_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", (BOOK / page).read_text(encoding="utf-8")):
        if not re.match(r"https?:", target):
            assert (BOOK / target.split("#")[0]).exists(), target
