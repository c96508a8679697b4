"""The built pages as one book: what the PDF (tools/pdf.py) and the EPUB (tools/epub.py) are made from.

The pages are those of the site, in the order of ``_toc.yml``, without what belongs to a screen: buttons, anchors beside
headings, the cards of the first page. The pages of questions are left out, since every question stands in its chapter;
a link to a page that is left out leads to the page online.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urldefrag

import yaml
from lxml import html
from playwright.sync_api import Browser, sync_playwright

from glossary import version
from numbers_of_chapters import number
from questions import site_address
from setup_cell import address, git

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
PACKAGES = ROOT / "_build" / "npm" / "node_modules"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
TITLE, AUTHOR = CONFIG["title"], CONFIG["author"]
NAME = "deep-learning-you-can-check"
LEFT_OUT = ("Questions", "Exercises")  # parts
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OF_SCREENS = ".//a[@class='headerlink'] | .//button | .//script | .//section[@id='the-chapters'] | .//style[@scoped]"


def key(name: str) -> str:
    """What a page of the site is called within the book; it begins with a letter."""
    return "page-" + name.split("/")[-1]


@dataclass(frozen=True)
class Page:
    """A page of the book: its part, its file on the site without the ending, its title and its article."""
    part: str
    name: str
    title: str
    article: html.HtmlElement

    @property
    def key(self) -> str:
        return key(self.name)


def names() -> dict[str, str]:
    """The pages of the book in their order, each with its part; the first page has none."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return {toc["root"]: ""} | {chapter["file"]: part["caption"] for part in toc["parts"]
                                if part["caption"] not in LEFT_OUT for chapter in part["chapters"]}


def page(name: str, part: str) -> Page:
    """A page of the site. Raises FileNotFoundError if the site is not built."""
    article = html.fromstring((SITE / f"{name}.html").read_bytes()).find(".//article")
    for element in article.xpath(OF_SCREENS):
        element.drop_tree()
    for image in article.iter("img"):
        if not image.get("src").startswith("data:"):
            image.set("src", posixpath.normpath(posixpath.join(posixpath.dirname(name), image.get("src"))))
    heading = article.find(".//h1")
    if name == next(iter(names())):
        heading.text = "What this book is"
    elif which := number(f"{name}.html"):
        heading.text = f"{which} {heading.text}"
    return Page(part, name, heading.text_content(), article)


def pages() -> list[Page]:
    """All pages of the book."""
    return [page(name, part) for name, part in names().items()]


def relink(one: Page, within: Callable[[str, str], str]) -> None:
    """Links of a page to pages of the book become ``within(key, anchor)``; others lead to the pages online."""
    known, online = names(), site_address(address())
    for link in one.article.iter("a"):
        href = link.get("href")
        if href and not re.match(r"\w+:", href):
            file, anchor = urldefrag(href)
            target = posixpath.normpath(f"{posixpath.dirname(one.name)}/{file}") if file else f"{one.name}.html"
            name = target.removesuffix(".html")
            link.set("href", within(key(name), anchor) if name in known
                     else f"{online}/{target}{'#' if anchor else ''}{anchor}")


def edition() -> str:
    """Version and day of the book: the day of its last commit, so that the same book says the same."""
    day = date.fromisoformat(git("log", "-1", "--format=%cs"))
    return f"Version {version()}, {day.day} {day:%B %Y}"


def installed_browser() -> str | None:
    """Where Chromium or Chrome of this machine is, if it has one of them."""
    return next((path for name in CHROMIUM if (path := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium or Chrome of this machine, or else Playwright's own; it may read files."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed_browser(), chromium_sandbox=False,
                                             args=["--allow-file-access-from-files", "--disable-gpu"])
        yield browser
        browser.close()
