"""The built site: every page is there, every link and picture too, and the buttons lead home."""

import re
import subprocess
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urlparse

import pytest

import chapters
from chapters import CONFIG, NOTEBOOKS, ROOT, SITE


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.links, self.images, self.ids, self.text = [], [], set(), path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            self.ids.add(attrs["id"])
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag == "img":
            self.images.append(attrs)


@pytest.fixture(scope="module")
def pages():
    assert SITE.is_dir(), "the site is not built: run make site"
    return {name: Page(SITE / f"{name}.html") for name in chapters.pages()}


def test_every_page_of_the_contents_is_built(pages):
    assert (SITE / "index.html").is_file()
    on_disk = {f"notebooks/{p.stem}" for p in NOTEBOOKS}
    assert on_disk <= set(pages)


def test_the_site_is_not_older_than_the_notebooks(pages):
    for name in pages:
        if name.startswith("notebooks/"):
            assert (SITE / f"{name}.html").stat().st_mtime >= (ROOT / f"{name}.ipynb").stat().st_mtime, name


def test_internal_links_and_anchors_resolve(pages):
    cache = {}
    for name, page in pages.items():
        for href in page.links:
            target = urlparse(href)
            if target.scheme or href.startswith("//"):
                continue
            file, anchor = urldefrag(unquote(href))
            path = ((SITE / f"{name}.html").parent / file).resolve() if file else SITE / f"{name}.html"
            assert path.exists(), f"{name}: {href}"
            if anchor and path.suffix == ".html":
                if path not in cache:
                    cache[path] = Page(path).ids
                assert anchor in cache[path], f"{name}: {href}"


def test_pictures_exist_and_have_alt_texts(pages):
    for name, page in pages.items():
        for image in page.images:
            source = image["src"]
            assert source.startswith("data:") or ((SITE / f"{name}.html").parent / source).exists(), source
            assert image.get("alt") or image.get("aria-hidden") == "true" or "logo" in source, (name, source)


def test_launch_buttons_name_tracked_files(pages):
    tracked = set(subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split("\n"))
    tail = CONFIG["repository"]["url"].removeprefix("https://github.com/")
    start = f"https://colab.research.google.com/github/{tail}/blob/{CONFIG['repository']['branch']}/"
    for name, page in pages.items():
        colab = [href for href in page.links if "colab.research" in href]
        assert all(href.startswith(start) for href in colab), colab
        if name.startswith("notebooks/"):
            assert [href.removeprefix(start) for href in colab] == [
                f"{name}.ipynb", f"exercises/{name.removeprefix('notebooks/')}.ipynb"], colab
            assert all(href.removeprefix(start) in tracked for href in colab), colab


def test_formulas_are_left_to_mathjax_and_not_eaten(pages):
    page = pages["notebooks/08_softmax"]
    assert len(re.findall(r'class="math notranslate', page.text)) > 20
    assert "$$" not in re.sub(r"<script.*?</script>|<pre>.*?</pre>", "", page.text, flags=re.S)


def test_solutions_are_folded(pages):
    page = pages["notebooks/08_softmax"]
    assert page.text.count('class="hide above-input"') + page.text.count("hide-cell") >= 6
