"""The book as a PDF, printed by Chromium: ``_build/pdf/deep-learning-you-can-check.pdf``.

    make pdf

Each page of the book is printed alone, since all at once are more than Chromium can hold, and is told how many sheets
are before it. Then they are bound (tools/binding.py). Whatever is folded is open: paper cannot be clicked.
MathJax sets the formulas, ``pdf.css`` the page. The contents come last, when the numbers of all pages are known.
"""

from __future__ import annotations

from html import escape
from itertools import groupby
from pathlib import Path

from lxml import html
from playwright.sync_api import Browser

from binding import ELSEWHERE, Book, Piece
from edition import AUTHOR, NAME, PACKAGES, ROOT, SITE, TITLE, Page, address, chromium, edition, pages, relink
from formulas import source as mathjax

FOLDER = ROOT / "_build" / "pdf"
PDF = FOLDER / f"{NAME}.pdf"
LONG = 30  # lines; longer code and outputs may be torn by the end of a page
# parts of code without a colour, and operators: each would be a tag of its own in the PDF, half a million of them
PLAIN = ".//pre//span[@class='n' or @class='p' or @class='o' or @class='w' or @class='nn' or not(@class)]"
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
    // a full stop after a formula stays in its line
    const formula = item.typesetRoot.closest(".math"), text = formula.nextSibling;
    const marks = !item.display && text?.nodeType === Node.TEXT_NODE && text.data.match(/^[.,;:!?)]+/);
    if (marks) {
      text.splitText(marks[0].length);
      const line = document.createElement("span");
      line.style.whiteSpace = "nowrap";
      formula.before(line);
      line.append(formula, text);
    }
  }
  await document.fonts.ready;
  // what is wider than its place becomes smaller; all is measured before anything changes
  const boxes = [...document.querySelectorAll("mjx-container, table")];
  const ratios = boxes.map(box => box.closest("li, dd, td, p, div, section").clientWidth / box.scrollWidth);
  boxes.forEach((box, i) => { if (ratios[i] < 1) box.style.fontSize = `${Math.floor(95 * ratios[i])}%`; });
  return [...document.querySelectorAll("mjx-merror")].map(e => e.textContent).concat(
    [...document.images].filter(image => !image.naturalWidth).map(image => image.src));
}"""
HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map(h => [+h.tagName[1], h.textContent])"""


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
    relink(page, lambda key, anchor: ("#" if key == page.key else ELSEWHERE) + key + (anchor and f"--{anchor}"))
    for element in page.article.xpath(".//*[@id]"):
        element.set("id", f"{page.key}--{element.get('id')}")
    for token in page.article.xpath(PLAIN):
        token.drop_tag()
    for box in page.article.iter("pre"):
        if box.text_content().count("\n") > LONG:
            box.set("class", "long")
    for image in page.article.iter("img"):
        image.set("src", (SITE / image.get("src")).as_uri())
        image.attrib.pop("loading", None)  # all of them, not when they come near
    page.article.set("id", page.key)
    # Chromium writes down those places only to which a link leads
    places = "".join(f'<a href="#{place}"></a>' for place in page.article.xpath("descendant-or-self::*/@id"))
    return f'{html.tostring(page.article, encoding="unicode", with_tail=False)}<nav hidden>{places}</nav>'


def sections(page: Page) -> list[tuple[str, str]]:
    """Places and titles of the page's own sections, once it is printed()."""
    return [(section.get("id"), section.find("h3").text_content())
            for section in page.article.findall("./section/section") if section.find("h3") is not None]


def contents(book: list[Page], places: dict[str, int]) -> str:
    """The first page, then parts, pages and sections with the numbers of their pages."""
    def line(kind: str, place: str, title: str) -> str:
        return (f'<p class="{kind}"><a href="{ELSEWHERE}{place}"><span>{escape(title)}</span> '
                f'<b>{places.get(place, 0)}</b></a></p>')
    lines = []
    for part, own in groupby(book, lambda page: page.part):
        lines += [f'<p class="of-part">{escape(part)}</p>'] if part else []
        for page in own:
            lines.append(line("of-page", page.key, page.title))
            lines += [line("of-section", *section) for section in sections(page)]
    return f"""<div class="cover"><p class="title">{TITLE}</p>
<p>For curious programmers who know Python and school mathematics</p>
<p class="edition">{edition()}</p><p><a href="{address()}">{address()}</a></p>
<p>Text and figures CC BY 4.0, code MIT</p></div>
<nav class="contents"><h1>Contents</h1>{"".join(lines)}</nav>"""


def sheet(body: str, before: int, head: str = "") -> str:
    """A piece of the book as a page of HTML: how many printed pages are before it, and its running head."""
    sheets = [*(PACKAGES / name for name in FONTS), SITE / "_static/pygments.css", Path(__file__).with_name("pdf.css")]
    faces = [f"@font-face {{ font-family: {family}; font-weight: {weight}; src: url({(DEJAVU / file).as_uri()}) }}\n"
             for family, weight, file in (("Sans", 400, "DejaVuSans.ttf"), ("Mono", 400, "DejaVuSansMono.ttf"),
                                          ("Mono", 700, "DejaVuSansMono-Bold.ttf"))]
    return f"""<!doctype html>
<html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{TITLE}</title>
<style>html {{ counter-reset: page {before}; }} @page {{ @top-left {{ content: "{head}"; }} }}
{"".join(faces)}</style>
{"".join(f'<link rel="stylesheet" href="{sheet.as_uri()}">' for sheet in sheets)}
<script>MathJax = {MATHJAX};</script><script src="{(mathjax() / "tex-chtml.js").as_uri()}"></script>
</head><body>{body}</body></html>
"""


def print_with(browser: Browser, source: str) -> Piece:
    """A page of HTML on paper. Raises ValueError for formulas that MathJax cannot read and for missing pictures."""
    file = FOLDER / "piece.html"
    file.write_text(source, encoding="utf-8")
    page = browser.new_page(viewport={"width": 1000, "height": 1000})
    page.set_default_timeout(0)
    page.emulate_media(media="print")
    page.goto(file.as_uri())
    if wrong := page.evaluate(TYPESET):
        raise ValueError(f"formulas that MathJax cannot read, and pictures that are missing: {wrong}")
    headings = page.evaluate(HEADINGS)
    pdf = page.pdf(prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
    page.close()
    return Piece(pdf, headings)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    book = pages()
    bodies = {page.key: printed(page) for page in book}
    pieces, places, part = [], {}, ""
    with chromium() as browser:
        count = len(print_with(browser, sheet(contents(book, places), 0)).reader.pages)
        for page in book:
            opening = f'<div class="part"><h1>{escape(page.part)}</h1></div>' if page.part != part else ""
            piece = print_with(browser, sheet(opening + bodies[page.key], count, page.title))
            places |= {place: count + index + 1 for place, index in piece.places().items()}
            pieces.append(piece)
            count, part = count + len(piece.reader.pages), page.part
        pieces.insert(0, print_with(browser, sheet(contents(book, places), 0)))
    bound = Book(TITLE, AUTHOR, edition())
    for piece in pieces:
        bound.add(piece)
    bound.write(PDF)
    print(f"{PDF.relative_to(ROOT)}: {count} pages, {PDF.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
