"""The printed book (`make test-pdf`): everything is in it, and everything leads somewhere."""

import json
import re
from itertools import accumulate

import pypdf
import pytest

import edition
from chapters import NOTEBOOKS
from pdf import PDF
from questions import of_chapter
from shared import __version__

A4 = (595, 842)
# what the code of the chapters does not write
TEX = re.compile(r"\\(?:frac|sum|prod|begin|left|text|sqrt|exp|max|cdot|operatorname)\b|\\[(\[]|\$\$")


@pytest.fixture(scope="module")
def book():
    assert PDF.is_file(), "the book is not printed: run make pdf"
    return pypdf.PdfReader(PDF)


@pytest.fixture(scope="module")
def texts(book):
    """The text of each page, without the running head and the number of the page, which come first."""
    return [re.sub(rf"^(?:.*\n)?{number}\n", "", page.extract_text()) for number, page in enumerate(book.pages, 1)]


@pytest.fixture(scope="module")
def expected():
    return edition.pages()


def bookmarks(book):
    """Level, title and number of the page of each."""
    def walk(entries, level):
        for entry in entries:
            if isinstance(entry, list):
                yield from walk(entry, level + 1)
            else:
                yield level, entry.title, book.get_destination_page_number(entry) + 1
    return list(walk(book.outline, 1))


def links(book):
    """Number of the page, address or None, name of the place or None of each link."""
    for number, page in enumerate(book.pages, 1):
        for note in page.get("/Annots") or []:
            note = note.get_object()
            if note["/Subtype"] == "/Link":
                yield number, note.get("/A", {}).get("/URI"), note.get("/Dest")


def test_it_has_the_size_of_a_book(book):
    assert 700 < len(book.pages) < 1800
    assert 10e6 < PDF.stat().st_size < 100e6
    assert {tuple(round(float(side)) for side in page.mediabox[2:]) for page in book.pages} == {A4}


def test_the_first_page_says_what_it_is(book, texts):
    assert book.metadata.title == edition.TITLE and book.metadata.author
    assert edition.TITLE in texts[0] and f"Version {__version__}, " in texts[0]
    assert re.search(r"\d{1,2} [A-Z][a-z]+ 20\d\d", texts[0])


def test_it_can_be_heard(book):
    """Every page and every link names its own entry in the list of tags."""
    root = book.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"] and root["/Lang"] == "en"
    known = root["/StructTreeRoot"]["/ParentTree"]["/Nums"][::2]
    named = [page["/StructParents"] for page in book.pages]
    named += [note.get_object()["/StructParent"] for page in book.pages for note in page.get("/Annots", [])]
    assert sorted(named) == known == list(range(len(known)))


def test_every_part_page_and_section_has_a_bookmark_in_its_order(book, expected):
    found = bookmarks(book)
    assert [title for level, title, _ in found if level == 1] == [
        "Contents", *dict.fromkeys(page.part for page in expected if page.part)]
    assert [title for level, title, _ in found if level == 2] == [page.title for page in expected]
    assert [title for level, title, _ in found if level == 3] == [
        section.find("h2").text_content() for page in expected for section in page.article.findall("./section/section")]
    numbers = [number for _, _, number in found]
    assert numbers == list(accumulate(numbers, max))


def test_every_page_of_the_book_begins_on_a_sheet_of_its_own_and_the_contents_tell_which(book, texts, expected):
    flat = [re.sub(r"\s+", " ", text).replace("\u02bc", "\u2019") for text in texts]  # the font has one sign for both
    first = next(number for level, _, number in bookmarks(book) if level == 2)
    contents = " ".join(flat[1:first - 1])
    for level, title, number in bookmarks(book):
        title = re.sub(r"\s+", " ", title)
        if level in (2, 3):
            assert f"{title} {number}" in contents, title
        if level == 2:
            assert title in flat[number - 1] and title not in flat[number - 2][:200], title


def test_formulas_are_set(texts):
    raw = {number: found for number, text in enumerate(texts, 1) if (found := TEX.findall(text))}
    assert not raw


def test_answers_and_solutions_are_open(texts):
    text = re.sub(r"\s+", "", "".join(texts))
    for path in NOTEBOOKS:
        for question in of_chapter(path):
            for sentence in (question.text, question.answer):  # a few words of it without marks
                if plain := re.search(r"[A-Za-z ,]{20,}", sentence):
                    assert plain[0].replace(" ", "") in text, (path.stem, question.number)
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        hidden = ["".join(cell["source"]) for cell in cells if "hide-cell" in cell["metadata"].get("tags", [])]
        missing = [code for code in hidden if re.sub(r"\s+", "", code.splitlines()[0]) not in text]
        assert not missing, path.stem


def test_pictures_are_there(book, expected):
    wanted = {image.get("src") for page in expected for image in page.article.iter("img")}
    placed = {found.indirect_reference.idnum for page in book.pages
              for found in (page["/Resources"].get("/XObject") or {}).values()
              for found in [found.get_object()] if found["/Subtype"] == "/Image"}
    assert len(wanted) > 300
    assert len(placed) >= len(wanted)


def test_letters_come_from_the_books_own_fonts(book):
    """A letter that these have not would come from whatever the machine has."""
    fonts = [font.get_object() for page in book.pages for font in page["/Resources"].get("/Font", {}).values()]
    found = {font.get("/BaseFont") or font["/FontDescriptor"]["/FontName"] for font in fonts}
    assert {re.split(r"[+/_-]", name)[2] for name in found} == {"SourceSerif4", "NotoSansSC", "DejaVuSansMono",
                                                                "MathJax"}


def test_links_lead_into_the_book_or_to_the_internet(book):
    inside, outside = 0, 0
    known = book.named_destinations
    for number, address, place in links(book):
        assert (address is None) != (place is None), number
        if address is None:
            inside += 1
            assert place in known, (number, place)
        else:
            outside += 1
            assert address.startswith(("https://", "http://", "mailto:")), (number, address)
            assert ".invalid" not in address, (number, address)
    assert inside > 2000 and outside > 300


def test_links_to_pages_that_are_left_out_lead_to_them_online(book):
    online = edition.site_address(edition.address())
    found = {address for _, address, _ in links(book) if address and address.startswith(online)}
    assert f"{online}/book/questions.html" in found
