"""What the PDF and the EPUB are made from: pages, links and formulas. The files themselves: tests/editions."""

import pytest
from lxml import html

import edition
import epub
from chapters import NOTEBOOKS
from questions import site_address
from setup_cell import address


def test_all_chapters_belong_to_the_book_and_no_page_of_questions():
    names = list(edition.names())
    assert [name for name in names if name.startswith("notebooks/")] == [f"notebooks/{p.stem}" for p in NOTEBOOKS]
    assert names[0] == "book/index" and not [name for name in names if "questions" in name]


ONLINE = site_address(address())


@pytest.mark.parametrize("href, wanted", [
    ("#shapes", "page-08_softmax/shapes"),
    ("09_mlp.html", "page-09_mlp/"),
    ("../book/glossary.html#term-loss", "page-glossary/term-loss"),
    ("../book/questions.html", f"{ONLINE}/book/questions.html"),
    ("../_static/questions.txt", f"{ONLINE}/_static/questions.txt"),
    ("https://pytorch.org/#a", "https://pytorch.org/#a")])
def test_links_lead_into_the_book_or_to_the_pages_online(href, wanted):
    page = edition.Page("First models", "notebooks/08_softmax", "", html.fromstring(f'<p><a href="{href}">x</a></p>'))
    edition.relink(page, lambda key, anchor: f"{key}/{anchor}")
    assert page.article.find("a").get("href") == wanted


@pytest.mark.parametrize("written, wanted", [
    (r"\(a_1\)", ("a_1", False)),
    (r"\[a_1\]", ("a_1", True)),
    ("\\[\n\\begin{split}a\\\\\n\\end{split}\n\\]", ("\n\\begin{split}a\\\\\n\\end{split}\n", True)),
    (r"\begin{align}a\\[2pt]b\end{align}", (r"\begin{align}a\\[2pt]b\end{align}", True))])
def test_formulas_lose_their_marks_only(written, wanted):
    assert epub.tex(html.fromstring(f'<div class="math notranslate">{written}</div>')) == wanted
