"""The book as a PDF, printed by Chromium: ``_build/pdf/deep-learning-you-can-check.pdf``.

    make pdf

All pages of the book stand in one, so that links within the book lead to pages of the PDF. Whatever is folded is open:
paper cannot be clicked. MathJax sets the formulas, ``pdf.css`` the page. When the book is printed, the numbers of its
pages are known: the contents are printed once more with them, and put in their place.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from html import escape
from itertools import groupby
from pathlib import Path

from lxml import html
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DictionaryObject, NameObject, NumberObject, TextStringObject

from edition import AUTHOR, NAME, PACKAGES, ROOT, SITE, TITLE, Page, address, chromium, edition, pages, relink

FOLDER = ROOT / "_build" / "pdf"
PDF = FOLDER / f"{NAME}.pdf"
LONG = 30  # lines; longer code and outputs may be torn by the end of a page
FONTS = ["@fontsource/source-serif-4/400.css", "@fontsource/source-serif-4/400-italic.css",
         "@fontsource/source-serif-4/700.css", "@fontsource/source-serif-4/700-italic.css",
         "@fontsource-variable/noto-sans-sc/index.css"]
DEJAVU = PACKAGES / "dejavu-fonts-ttf" / "ttf"
MATHJAX = """{options: {processHtmlClass: "math", enableMenu: false, enableAssistiveMml: false},
              startup: {typeset: false}}"""
TYPESET = """async () => {
  const formulas = [...document.querySelectorAll(".math.notranslate")];
  await MathJax.typesetPromise(formulas);
  // who hears the PDF hears the formula's TeX
  for (const item of MathJax.startup.document.math) {
    item.typesetRoot.setAttribute("role", "img");
    item.typesetRoot.setAttribute("aria-label", item.math);
  }
  await document.fonts.ready;
  // what is wider than its place becomes smaller; all is measured before anything changes
  const boxes = [...document.querySelectorAll("mjx-container, table")];
  const ratios = boxes.map(box => box.closest("li, dd, td, p, div, section").clientWidth / box.scrollWidth);
  boxes.forEach((box, i) => { if (ratios[i] < 1) box.style.fontSize = `${Math.floor(95 * ratios[i])}%`; });
  return [...document.querySelectorAll("mjx-merror")].map(e => e.textContent).concat(
    [...document.images].filter(image => !image.naturalWidth).map(image => image.src));
}"""
HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map(h => h.textContent)"""
LINES = """() => [...document.querySelectorAll(".contents a")].map(a => a.getAttribute("href").slice(1))"""
NUMBER = """numbers => {
  document.querySelectorAll("article, .part").forEach(e => e.remove());
  document.querySelectorAll(".contents b").forEach((b, i) => b.textContent = numbers[i]);
}"""
SETTINGS = {"prefer_css_page_size": True, "print_background": True, "tagged": True}


def unfold(article: html.HtmlElement) -> None:
    """What is folded stands open, under its title; the code of drawings needs none."""
    for fold in article.xpath(".//details"):
        fold.tag = "div"
        summary = fold.find("summary")
        if "hide" in fold.get("class", ""):
            summary.drop_tree()
        else:
            fold.set("class", "fold")
            summary.tag = "p"
            summary.set("class", "fold-title")


def lower_headings(article: html.HtmlElement) -> None:
    """The title of a page is a heading of the second level: the first is that of the parts."""
    for level in (5, 4, 3, 2, 1):
        for heading in article.iter(f"h{level}"):
            heading.tag = f"h{level + 1}"


def printed(page: Page) -> str:
    """The article of a page as it is printed: names of places are prefixed by the page's."""
    unfold(page.article)
    lower_headings(page.article)
    relink(page, lambda key, anchor: f"#{key}--{anchor}" if anchor else f"#{key}")
    for element in page.article.xpath(".//*[@id]"):
        element.set("id", f"{page.key}--{element.get('id')}")
    for box in page.article.iter("pre"):
        if box.text_content().count("\n") > LONG:
            box.set("class", "long")
    for image in page.article.iter("img"):
        image.set("src", (SITE / image.get("src")).as_uri())
    page.article.set("id", page.key)
    return html.tostring(page.article, encoding="unicode", with_tail=False)


def sections(page: Page) -> list[tuple[str, str]]:
    """Places and titles of the page's own sections, once it is printed()."""
    return [(section.get("id"), section.find("h3").text_content())
            for section in page.article.findall("./section/section") if section.find("h3") is not None]


def contents(book: list[Page]) -> str:
    """Parts, pages and sections; b is for the number of the page."""
    lines = []
    for part, own in groupby(book, lambda page: page.part):
        lines += [f'<p class="of-part">{escape(part)}</p>'] if part else []
        for page in own:
            lines.append(f'<p class="of-page"><a href="#{page.key}"><span>{escape(page.title)}</span> <b>0</b></a></p>')
            lines += [f'<p class="of-section"><a href="#{place}"><span>{escape(title)}</span> <b>0</b></a></p>'
                      for place, title in sections(page)]
    return f'<nav class="contents"><h1>Contents</h1>{"".join(lines)}</nav>'


def whole(book: list[Page]) -> str:
    """The book as one page of HTML."""
    articles = {page.key: printed(page) for page in book}
    body = []
    for part, own in groupby(book, lambda page: page.part):
        body += [f'<div class="part"><h1>{escape(part)}</h1></div>'] if part else []
        body += [articles[page.key] for page in own]
    heads = "".join(f'@page {page.key} {{ @top-left {{ content: "{page.title}" }} }} #{page.key} {{ page: {page.key} }}'
                    for page in book)
    sheets = [*(PACKAGES / name for name in FONTS), SITE / "_static/pygments.css", Path(__file__).with_name("pdf.css")]
    faces = [f"@font-face {{ font-family: {family}; font-weight: {weight}; src: url({(DEJAVU / file).as_uri()}) }}\n"
             for family, weight, file in (("Sans", 400, "DejaVuSans.ttf"), ("Mono", 400, "DejaVuSansMono.ttf"),
                                          ("Mono", 700, "DejaVuSansMono-Bold.ttf"))]
    return f"""<!doctype html>
<html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{TITLE}</title>
{"".join(f'<link rel="stylesheet" href="{sheet.as_uri()}">' for sheet in sheets)}
<style>{heads}{"".join(faces)}</style>
<script>MathJax = {MATHJAX};</script><script src="{(PACKAGES / "mathjax/es5/tex-chtml.js").as_uri()}"></script>
</head><body>
<div class="cover"><p class="title">{TITLE}</p>
<p>For curious programmers who know Python and school mathematics</p>
<p class="edition">{edition()}</p><p><a href="{address()}">{address()}</a></p>
<p>Text and figures CC BY 4.0, code MIT</p></div>{contents(book)}{"".join(body)}</body></html>
"""


def bookmarks(entry: DictionaryObject, level: int = 0) -> Iterator[tuple[int, DictionaryObject]]:
    """All entries below this one in the outline of a PDF, with their level."""
    below = entry.get("/First")
    while below is not None:
        below = below.get_object()
        yield level, below
        yield from bookmarks(below, level + 1)
        below = below.get("/Next")


def numbers(book: PdfReader, places: list[str]) -> list[int]:
    """The numbers of the pages on which these places are."""
    known = book.named_destinations
    return [book.get_destination_page_number(known[f"/{place}"]) + 1 for place in places]


def name_bookmarks(writer: PdfWriter, headings: list[str]) -> None:
    """Chromium writes a heading at the top of a page twice, and joins its lines without a space. Sections are
    folded. Raises ValueError if an entry is not that of its heading."""
    entries = list(bookmarks(writer.root_object["/Outlines"]))
    for (level, entry), heading in zip(entries, headings, strict=True):
        if "".join(heading.split()) not in "".join(entry["/Title"].split()):
            raise ValueError(f"the bookmark {entry['/Title']!r} stands at the heading {heading!r}")
        entry[NameObject("/Title")] = TextStringObject(" ".join(heading.split()))
        if level and "/Count" in entry:
            entry[NameObject("/Count")] = NumberObject(-abs(entry["/Count"]))


def put_contents(writer: PdfWriter, contents: PdfReader) -> None:
    """The first pages, printed again with numbers, in the place of those without: what is drawn is exchanged,
    links and tags stay."""
    for old, new in zip(writer.pages, contents.pages):
        for name in ("/Contents", "/Resources"):
            old[NameObject(name)] = new.raw_get(name).clone(writer)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    source = FOLDER / "book.html"
    source.write_text(whole(pages()), encoding="utf-8")
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1000, "height": 1000})
        page.set_default_timeout(0)
        page.emulate_media(media="print")
        page.goto(source.as_uri())
        if wrong := page.evaluate(TYPESET):
            raise SystemExit(f"formulas that MathJax cannot read, and pictures that are missing: {wrong}")
        headings = page.evaluate(HEADINGS)
        page.pdf(path=PDF, outline=True, **SETTINGS)
        writer = PdfWriter(PDF, incremental=True)
        page.evaluate(NUMBER, numbers(PdfReader(PDF), page.evaluate(LINES)))
        contents = PdfReader(io.BytesIO(page.pdf(**SETTINGS)))
    name_bookmarks(writer, headings)
    put_contents(writer, contents)
    writer.add_metadata({"/Author": AUTHOR, "/Subject": edition()})
    writer.write(PDF)
    print(f"{PDF.relative_to(ROOT)}: {len(writer.pages)} pages, {PDF.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
