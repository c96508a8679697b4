"""The book as an EPUB for e-readers: ``_build/epub/deep-learning-you-can-check.epub``.

    make epub

A file of XHTML for each page of the book, with formulas as MathML, which MathJax makes from their TeX. What is folded
stays folded where a reader knows ``details``, and is open elsewhere.
"""

from __future__ import annotations

import re
import uuid
import zipfile
from html import escape
from itertools import groupby
from pathlib import Path

from lxml import etree, html

from edition import AUTHOR, NAME, ROOT, SITE, TITLE, Page, address, chromium, edition, pages, relink
from formulas import source as mathjax
from setup_cell import git

FOLDER = ROOT / "_build" / "epub"
EPUB = FOLDER / f"{NAME}.epub"
XHTML, OPS = "http://www.w3.org/1999/xhtml", "http://www.idpf.org/2007/ops"
CONTAINER = """<?xml version="1.0"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="book/content.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""
TO_MATHML = """async formulas => {
  const found = [];
  for (const [tex, display] of formulas) found.push(await MathJax.tex2mmlPromise(tex, {display}));
  return found;
}"""
FORMULA = ".//*[contains(concat(' ', @class, ' '), ' notranslate ') and contains(@class, 'math')]"


def tex(formula: html.HtmlElement) -> tuple[str, bool]:
    r"""The TeX of a formula of the site, without the marks around it, and whether it stands in a line of its own."""
    text = formula.text_content().strip()
    inline = re.fullmatch(r"\\\((.*)\\\)", text, re.S)
    return (inline[1], False) if inline else (re.sub(r"^\\\[|\\\]$", "", text), True)


def mathml(formulas: list[tuple[str, bool]]) -> list[etree._Element]:
    """The formulas as MathML. Raises ValueError for what MathJax cannot read."""
    with chromium() as browser:
        page = browser.new_page()
        page.goto((mathjax() / "tex-chtml.js").as_uri())
        page.add_script_tag(content="MathJax = {startup: {typeset: false}}")
        page.add_script_tag(url=(mathjax() / "tex-chtml.js").as_uri())
        page.evaluate("MathJax.startup.promise.then(() => 0)")
        found = [etree.fromstring(text) for text in page.evaluate(TO_MATHML, formulas)]
    for (source, _), math in zip(formulas, found):
        if math.find(".//{*}merror") is not None:
            raise ValueError(f"MathJax cannot read {source}")
        math.set("alttext", re.sub(r"\s+", " ", source.strip()))
        for element in math.iter():
            for name in element.keys():
                if name.startswith("data-") or name == "class":
                    del element.attrib[name]
    return found


def put(new: etree._Element, old: html.HtmlElement) -> None:
    """An element in the place of another."""
    new.tail = old.tail
    old.getparent().replace(old, new)


def mend(article: html.HtmlElement) -> None:
    """What HTML lets pass and XHTML does not."""
    for fold in article.iter("details"):
        if "hide" in fold.get("class", ""):
            fold[0].clear()
            fold[0].text, fold[0].tail = "Code", "\n"
    for entry in article.xpath(".//*[@role='doc-biblioentry']"):  # a role that is no longer recommended
        del entry.attrib["role"]
    for svg in article.iter("svg"):
        svg.set("viewBox", svg.attrib.pop("viewbox"))


def xhtml(title: str, body: str) -> str:
    return f"""<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="{XHTML}" xmlns:epub="{OPS}" lang="en" xml:lang="en">
<head><title>{escape(title)}</title><link rel="stylesheet" type="text/css" href="epub.css"/></head>
<body>
{body}
</body>
</html>
"""


def as_xml(article: html.HtmlElement) -> str:
    """The article as XHTML."""
    return etree.tostring(article, encoding="unicode", with_tail=False)


def contents(book: list[Page]) -> str:
    """The contents, which a reader shows as a tree: parts, pages, sections."""
    lines = []
    for part, own in groupby(book, lambda page: page.part):
        entries = []
        for page in own:
            inner = "".join(f'<li><a href="{page.key}.xhtml#{section.get("id")}">'
                            f'{escape(section.find("h2").text_content())}</a></li>'
                            for section in page.article.findall("./section/section"))
            entries.append(f'<li><a href="{page.key}.xhtml">{escape(page.title)}</a>'
                           f'{f"<ol>{inner}</ol>" if inner else ""}</li>\n')
        lines += [f"<li><span>{escape(part)}</span><ol>{''.join(entries)}</ol></li>\n"] if part else entries
    return xhtml("Contents", f'<nav epub:type="toc"><h1>Contents</h1><ol>{"".join(lines)}</ol></nav>')


def package(book: list[Page], files: dict[str, str], images: list[str]) -> str:
    """What is in the EPUB, and in which order it is read."""
    changed = git("log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd")
    items = []
    for page in book:
        kinds = [kind for kind, tag in (("mathml", "<math"), ("svg", "<svg")) if tag in files[f"{page.key}.xhtml"]]
        items.append(f'<item id="{page.key}" href="{page.key}.xhtml" media-type="application/xhtml+xml"'
                     + (f' properties="{" ".join(kinds)}"' if kinds else "") + "/>\n")
    items += [f'<item id="picture-{i}" href="{image}" media-type="image/{Path(image).suffix[1:]}"/>\n'
              for i, image in enumerate(images)]
    spine = "".join(f'<itemref idref="{page.key}"/>\n' for page in book)
    return f"""<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" xml:lang="en">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f"{address()} {edition()}")}</dc:identifier>
<dc:title>{TITLE}</dc:title><dc:language>en</dc:language><dc:creator>{escape(AUTHOR)}</dc:creator>
<dc:source>{address()}</dc:source><dc:rights>Text and figures CC BY 4.0, code MIT</dc:rights>
<meta property="dcterms:modified">{changed}</meta>
<meta property="schema:accessMode">textual</meta><meta property="schema:accessMode">visual</meta>
<meta property="schema:accessModeSufficient">textual</meta>
<meta property="schema:accessibilityFeature">alternativeText</meta>
<meta property="schema:accessibilityFeature">MathML</meta>
<meta property="schema:accessibilityFeature">tableOfContents</meta>
<meta property="schema:accessibilityHazard">none</meta>
</metadata>
<manifest>
<item id="css" href="epub.css" media-type="text/css"/>
<item id="title" href="title.xhtml" media-type="application/xhtml+xml"/>
<item id="contents" href="contents.xhtml" media-type="application/xhtml+xml" properties="nav"/>
{"".join(items)}</manifest>
<spine>
<itemref idref="title"/><itemref idref="contents"/>
{spine}</spine>
</package>
"""


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    book = pages()
    formulas = [formula for page in book for formula in page.article.xpath(FORMULA)]
    for formula, math in zip(formulas, mathml([tex(formula) for formula in formulas])):
        put(math, formula)
    files = {"contents.xhtml": contents(book), "title.xhtml": xhtml(
        TITLE, f'<h1>{TITLE}</h1>\n<p>For curious programmers who know Python and school mathematics</p>\n'
               f'<p>{edition()}</p>\n<p><a href="{address()}">{address()}</a></p>\n'
               '<p>Text and figures CC BY 4.0, code MIT</p>')}
    for page in book:
        relink(page, lambda key, anchor: f"{key}.xhtml{'#' if anchor else ''}{anchor}")
        mend(page.article)
        files[f"{page.key}.xhtml"] = xhtml(page.title, as_xml(page.article))
    colours = re.findall(r'(?m)^html\[data-theme="light"\] (.*)', (SITE / "_static/pygments.css").read_text("utf-8"))
    files["epub.css"] = Path(__file__).with_name("epub.css").read_text("utf-8") + "\n".join(colours) + "\n"
    images = sorted(set(re.findall(r'<img[^>]* src="([^"]+)"', "".join(files.values()))))
    files["content.opf"] = package(book, files, images)
    with zipfile.ZipFile(EPUB, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        archive.writestr("META-INF/container.xml", CONTAINER)
        for name, text in files.items():
            archive.writestr(f"book/{name}", text)
        for image in images:
            archive.write(SITE / image, f"book/{image}", zipfile.ZIP_STORED)
    print(f"{EPUB.relative_to(ROOT)}: {len(book)} pages, {len(formulas)} formulas, {EPUB.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
