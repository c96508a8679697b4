"""The built folder, opened from a disk and without a network: formulas, search and colours work."""

import pytest
from test_pages import typeset

# characters of the fonts of MathJax, in boxes that have a size
DRAWN = """() => [...document.querySelectorAll('mjx-container')].filter(e =>
  e.querySelector('mjx-c') && (e.offsetWidth > 0 || !e.offsetParent)).length"""
RAW = r"""() => [...document.querySelectorAll('.math.notranslate')].filter(e => {
  const copy = e.cloneNode(true);
  copy.querySelectorAll('mjx-assistive-mml').forEach(m => m.remove());
  return /\\[a-zA-Z(\[]|\$/.test(copy.textContent);
}).length"""


@pytest.mark.parametrize("name", ["notebooks/08_softmax", "notebooks/32_transformer", "book/notation"])
def test_formulas_are_drawn(open_page, folder, name):
    page = open_page(f"{folder}/{name}.html")
    typeset(page)
    page.evaluate("document.fonts.ready.then(() => true)")
    assert page.evaluate(RAW) == 0
    assert page.evaluate(DRAWN) == page.locator("mjx-container").count() >= page.locator(".math.notranslate").count()
    assert page.locator("mjx-merror").count() == 0
    fonts = page.evaluate("[...document.fonts].filter(f => f.status === 'loaded').map(f => f.family)")
    assert {"MJXTEX", "MJXTEX-I"} <= {family.strip('"') for family in fonts}
    assert page.complaints == []


def test_search_finds_a_word(open_page, folder):
    page = open_page(f"{folder}/book/index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("perplexity")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=perplexity")
    page.locator("#search-results ul.search li a[href*='24_rnn']").first.click()
    page.wait_for_load_state()
    assert "/notebooks/24_rnn.html" in page.url
    assert page.complaints == []


def test_the_colours_change(open_page, folder):
    page = open_page(f"{folder}/notebooks/08_softmax.html", color_scheme="light")
    colours = "['color', 'backgroundColor'].map(name => getComputedStyle(document.body)[name])"
    before = page.evaluate(colours)
    for _ in range(2):
        page.locator("button.theme-switch-button:visible").first.click()
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            break
    assert all(a != b for a, b in zip(before, page.evaluate(colours), strict=True))
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark", "and the choice is kept"
    assert page.complaints == []


def test_icons_are_drawn_without_a_script(open_page, folder):
    page = open_page(f"{folder}/notebooks/08_softmax.html", java_script_enabled=False)
    icons = page.locator("i[class*='fa-']:visible")
    assert icons.count() >= 3
    assert all(box["width"] > 5 for box in (icon.bounding_box() for icon in icons.all()))
