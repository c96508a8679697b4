"""Errata, glossary and sources: complete, well-formed, and true."""

import re

import pytest

import cards as cards_tool
import glossary as glossary_tool
import road as road_tool
from chapters import CONFIG, NOTEBOOKS, ROOT, anchors, parts, path_of, prose, read
from shared import __version__

BOOK = ROOT / "book"
CHAPTERS = [p.stem for p in NOTEBOOKS]
BEYOND = {"32"}  # the notes say nothing of the transformer, so there is nothing to correct


def rows(page):
    """The cells of every table row of a page, headers left out."""
    text = (BOOK / page).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|") and not re.match(r"\|[\s:|-]+\|$", line)]
    table = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in table if row[0] not in ("no.", "English", "section", "symbol", "name", "model", "chapter")]


ENTRY = re.compile(r"(?m)^\*\*(\d\d\.\d\d)\*\* · (00[0-4],? .+)\n: \*The source:\* (.+)\n: \*What happens:\* (.+)\n"
                   r": \*Right:\* (.+)$")
# the part of the book, and the page with the errata of its sources
ERRATA = {"Tools": "errata_tools", "First models": "errata_models", "Images": "errata_images",
          "Text and sequences": "errata_sequences"}


def errata():
    """All entries, in the order of the pages: number, where, and what is told."""
    return [entry for page in ERRATA.values()
            for entry in ENTRY.findall((BOOK / f"{page}.md").read_text(encoding="utf-8"))]


def test_every_erratum_has_a_test_and_every_test_an_erratum():
    numbers = [entry[0] for entry in errata()]
    tests = re.findall(r"def test_erratum_(\d\d)_(\d\d)", "".join(
        p.read_text(encoding="utf-8") for p in (ROOT / "tests").glob("test_errata*.py")))
    assert sorted(numbers) == sorted(f"{a}.{b}" for a, b in tests)
    assert len(set(numbers)) == len(numbers)


def test_sources_tell_what_each_chapter_stands_on():
    text = (BOOK / "sources.md").read_text(encoding="utf-8")
    covered, beyond = (set(re.findall(r"notebooks/(\d\d)_", part)) for part in text.split("## Beyond the notes"))
    assert {chapter[:2] for chapter in CHAPTERS} == {f"{n:02}" for n in range(1, 34)}
    assert covered == {f"{n:02}" for n in range(1, 34)} - BEYOND and BEYOND <= beyond


def test_every_erratum_is_told_whole_on_the_page_of_its_part():
    for part, page in ERRATA.items():
        text = (BOOK / f"{page}.md").read_text(encoding="utf-8")
        found = ENTRY.findall(text)
        assert len(found) == len(re.findall(r"(?m)^\*\*\d\d\.\d\d\*\*", text)), f"an entry of {page} has another form"
        chapters = {file.removeprefix("notebooks/")[:2] for name, files in parts() for file in files if name == part}
        assert {entry[0][:2] for entry in found} == chapters - BEYOND
        assert all(all(len(told) > 3 for told in entry) for entry in found)


def test_the_errata_stand_at_the_end_and_those_of_this_book_first():
    last, files = parts()[-1]
    assert [f for f in files if "errata" in f] == ["book/errata", *(f"book/{page}" for page in ERRATA.values())]
    assert files[-4:] == [f"book/{page}" for page in ERRATA.values()]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_has_entries_on_all_three_pages(chapter):
    assert chapter[:2] in BEYOND or any(entry[0].startswith(f"{chapter[:2]}.") for entry in errata())
    assert any(f"{chapter}.ipynb" in cell for row in rows("sources.md") for cell in row)
    assert any(term["chapter"] == chapter for term in terms())


def terms():
    return glossary_tool.entries((BOOK / "glossary.md").read_text(encoding="utf-8"))


def section(chapter, anchor):
    """The text of a chapter from a heading to the next one of the same or a higher level."""
    text = prose(path_of(chapter))
    for heading in re.finditer(r"(?m)^(#{2,3}) .+$", text):
        if anchor in anchors(heading[0]):
            return re.split(rf"(?m)^#{{1,{len(heading[1])}}} ", text[heading.end():])[0]
    raise AssertionError(f"{chapter} has no heading {anchor}")


def test_the_glossary_is_in_three_languages_sorted_and_without_repetition():
    names = [term["term"].lower() for term in terms()]
    text = (BOOK / "glossary.md").read_text(encoding="utf-8")
    assert len(names) == text.split("```")[1].count("\n\n"), "an entry has another form"
    assert names == sorted(names) and len(set(names)) == len(names)
    for term in terms():
        assert all(re.search(r"[\u4e00-\u9fff]", term[script]) for script in ("simplified", "traditional")), term
        assert not re.search(r"\([\u4e00-\u9fff]|[\u4e00-\u9fff]\)", term["simplified"] + term["traditional"]), \
            "parentheses of full width in Chinese"
        assert 10 < len(term["definition"]) < 300 and term["definition"].endswith((".", "?", "`")), term


def test_the_glossary_leads_to_the_sections_that_define_its_terms():
    """The term stands there, in bold, as a word that is defined does; which of two senses is added in parentheses."""
    lost = []
    for term in terms():
        word = re.escape(re.sub(r" \(.+\)$", "", term["term"]))
        text = section(term["chapter"], term["anchor"]).replace("\n", " ").replace("$", "")
        if not re.search(rf"(?i)(?:^|[\s(])\*\*[^*]*{word}[^*]*\*\*", text):  # not between two others in bold
            lost.append((term["term"], term["chapter"], term["anchor"]))
    assert lost == []


def test_definitions_reach_every_page_as_plain_text(tmp_path, monkeypatch):
    monkeypatch.setattr(glossary_tool, "SCRIPT", tmp_path / "glossary.js")
    glossary_tool.main()
    script = (tmp_path / "glossary.js").read_text(encoding="utf-8")
    assert all(f'"{term["term"]}": ["' in script for term in terms())
    assert f'window.book = {{"version": "{__version__}", "repository": "{CONFIG["repository"]["url"]}"}}' in script
    assert glossary_tool.plain("the *sum* of `x` ([08](a.ipynb)), $x^2$") == "the sum of x (08), x^2"


# ------------------------------------------------------------------------------ the road

def test_the_map_shows_what_stands_and_what_is_to_come():
    assert road_tool.PICTURE.read_text(encoding="utf-8") == road_tool.draw(road_tool.road()), "run: make cards"
    numbers = [chapter["number"] for _, chapters in road_tool.road() for chapter in chapters]
    assert numbers == [f"{n:02}" for n in range(1, 34)]
    in_order = [(part, chapter["path"].stem) for part, chapters in road_tool.road() for chapter in chapters
                if chapter["path"]]
    assert in_order == [(part, file.removeprefix("notebooks/")) for part, files in parts() for file in files
                        if file.startswith("notebooks/")]


def test_a_chapter_needs_earlier_ones_only():
    for _, chapters in road_tool.road():
        for chapter in chapters:
            assert all(need < chapter["number"] for need in chapter["needs"]), chapter


def test_the_map_leaves_out_what_is_needed_anyway():
    road = [("", [{"number": "1", "needs": []}, {"number": "2", "needs": ["1"]}, {"number": "3", "needs": ["1", "2"]}])]
    assert road_tool.direct(road) == {"1": [], "2": ["1"], "3": ["2"]}


@pytest.mark.parametrize("page", sorted(p.name for p in BOOK.glob("*.md")))
def test_links_of_pages_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", (BOOK / page).read_text(encoding="utf-8")):
        if not re.match(r"https?:", target):
            assert (BOOK / target.split("#")[0]).exists(), target


def cards():
    """The cards of the first page: chapter, part of the book, footer."""
    text = (BOOK / "index.md").read_text(encoding="utf-8").split("## The chapters")[1]
    found = {}
    for section in text.split("\n### ")[1:]:
        part, rest = section.split("\n", 1)
        for chapter, footer in re.findall(r"\{grid-item-card\} .+\n:link: \.\./notebooks/(\w+)\n(?:.*\n)*?"
                                          r":::\{card-footer\}\n(.+)\n", rest):
            found[chapter] = (part, footer)
    return found


def test_every_chapter_has_a_card_in_the_order_of_the_contents():
    in_order = [(file.removeprefix("notebooks/"), part) for part, files in parts() for file in files
                if file.startswith("notebooks/")]
    assert [(chapter, part) for chapter, (part, _) in cards().items()] == in_order
    assert sorted(chapter for chapter, _ in in_order) == CHAPTERS


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_card_says_what_the_chapter_says(chapter):
    """Needs and run time on the card are those of the chapter's first lines."""
    _, footer = cards()[chapter]
    needs = road_tool.needs(path_of(chapter))
    runs = re.search(r"\*\*It runs\*\* (in .+?) on two CPU cores", prose(path_of(chapter)))[1]
    after = f" · after {', '.join(needs)}" if needs else ""
    assert footer == f"**{chapter[:2]}**{after} · runs {runs}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_card_has_a_picture_of_its_chapter(chapter):
    assert cards_tool.card(cards_tool.figure(path_of(chapter))).size == cards_tool.SIZE
    assert sum(bool(c.metadata.get("card")) for c in read(path_of(chapter)).cells) == 1


BOOKS = ("https://d2l.ai", "https://www.deeplearningbook.org")  # a link may lead to a chapter of theirs


def test_what_chapters_point_to_is_in_the_bibliography():
    bib = (BOOK / "references.bib").read_text(encoding="utf-8")
    entries = {re.search(r"url = \{(.+)\}", e)[1]: e for e in bib.split("\n@") if "url = " in e}
    for chapter in CHAPTERS:
        for url in re.findall(r"\]\((https?://[^)\s]+)\)", prose(path_of(chapter)).split("## Further reading")[1]):
            entry = entries.get(next((book for book in BOOKS if url.startswith(f"{book}/")), url))
            assert entry and re.search(rf"note = .*\b{chapter[:2]}\b", entry), (chapter, url)
