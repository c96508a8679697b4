"""Every page of the book in a real browser: it opens, it can be read, by everybody, on every screen."""

import ast
from urllib.parse import parse_qs, urlparse

import pytest
import yaml

from chapters import ROOT, pages
from shared import __version__

every = pytest.mark.parametrize("name", pages())
SERIOUS = ("serious", "critical")
# axe's rules on colour look at every word: they are asked for once in the light and once in the dark
AXE = """async rules => {
  const found = await axe.run(document, {resultTypes: ['violations'], ...rules});
  return found.violations.map(v => [v.impact, v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(' | ')]);
}"""


def typeset(page):
    page.wait_for_function("window.MathJax && MathJax.startup && MathJax.startup.promise")
    page.evaluate("MathJax.startup.promise.then(() => true)")


def serious(page, axe, **rules):
    page.add_style_tag(content="* {transition: none !important; animation: none !important}")  # colours stand still
    page.evaluate("document.fonts.ready.then(() => true)")
    page.evaluate(axe + "\n;0")
    return [v for v in page.evaluate(AXE, rules) if v[0] in SERIOUS]


@every
def test_it_opens_without_complaints_and_everything_shows(open_page, site, axe, name):
    page = open_page(f"{site}/{name}.html")
    formulas = page.locator(".math.notranslate").count()
    if formulas:
        typeset(page)
        assert page.locator("mjx-container").count() >= formulas
        assert page.locator("mjx-merror").count() == 0
    page.evaluate("document.querySelectorAll('img[loading=lazy]').forEach(i => i.loading = 'eager')")
    page.wait_for_function("[...document.images].every(i => i.complete)")
    missing = page.evaluate("[...document.images].filter(i => !i.naturalWidth).map(i => i.src.slice(0, 80))")
    assert missing == []
    assert page.complaints == []
    assert serious(page, axe) == []


@every
def test_it_can_be_read_in_the_dark(open_page, site, axe, name):
    page = open_page(f"{site}/{name}.html", color_scheme="dark")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert serious(page, axe, runOnly=["color-contrast"]) == []


@every
def test_nothing_is_wider_than_a_telephone(open_page, site, name):
    page = open_page(f"{site}/{name}.html", width=380, height=800)
    if page.locator(".math.notranslate").count():
        typeset(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    hidden = page.evaluate("""() => [...document.querySelectorAll('.bd-article *')].filter(e => {
      if (e.getBoundingClientRect().right <= 381 || !e.offsetParent) return false;
      for (let p = e; p && p !== document.body; p = p.parentElement)
        if (['auto', 'scroll'].includes(getComputedStyle(p).overflowX)) return false;
      return !e.closest('mjx-assistive-mml, svg, .sd-d-none');
    }).map(e => e.outerHTML.slice(0, 120))""")
    assert hidden == [], "cut off: it reaches beyond the screen and cannot be scrolled"


@pytest.mark.parametrize("term, chapter", [("perplexity", "24_rnn"), ("teacher forcing", "29_seq2seq"),
                                           ("cross-entropy", "08_softmax")])
def test_search_finds_it(open_page, site, term, chapter):
    page = open_page(f"{site}/search.html?q={term}")
    page.wait_for_selector("#search-results ul.search li a")
    found = page.locator("#search-results ul.search li a").evaluate_all("links => links.map(a => a.href)")
    assert any(chapter in address for address in found), found
    assert page.complaints == []


def test_a_solution_opens_when_it_is_asked_for(open_page, site):
    page = open_page(f"{site}/notebooks/08_softmax.html")
    cell = page.locator("details.hide").last
    assert cell.locator(".highlight").first.is_hidden()
    cell.locator("summary").click()
    assert cell.locator(".highlight").first.is_visible()


def test_the_switch_of_light_and_dark_works(open_page, site):
    page = open_page(f"{site}/book/index.html", color_scheme="light")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for _ in range(2):
        page.locator("button.theme-switch-button:visible").first.click()
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            break
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


def test_a_term_of_an_earlier_chapter_shows_its_definition(open_page, site):
    page = open_page(f"{site}/notebooks/09_mlp.html")
    term = page.locator("a.term").first
    shown = "getComputedStyle(document.querySelector('a.term'), '::after').content"
    assert page.evaluate(shown) == "none"
    term.hover()
    assert page.evaluate(shown).strip('"') == term.get_attribute("data-definition").replace('"', '\\"')
    page.mouse.move(0, 0)
    assert page.evaluate(shown) == "none"
    page.keyboard.press("Tab")
    term.focus()  # after a key was used, a focus is shown
    assert page.evaluate(shown) != "none"
    term.click()
    page.wait_for_load_state()
    assert "/book/glossary.html#term-" in page.url
    assert page.evaluate("document.getElementById(location.hash.slice(1)) !== null")


def test_all_terms_lead_to_an_entry_of_the_glossary(open_page, site):
    glossary = open_page(f"{site}/book/glossary.html")
    ids = set(glossary.evaluate("[...document.querySelectorAll('dt[id]')].map(e => e.id)"))
    page = open_page(f"{site}/notebooks/31_attention.html")
    targets = page.locator("a.term").evaluate_all("links => links.map(a => a.hash.slice(1))")
    assert targets and set(targets) <= ids and len(set(targets)) == len(targets), "each once"


def test_every_section_can_be_asked_about(open_page, site):
    page = open_page(f"{site}/notebooks/09_mlp.html")
    headings = page.locator(".bd-article section > h2, .bd-article section > h3")
    links = page.locator("a.ask")
    assert links.count() == headings.count() > 10
    assert page.evaluate("getComputedStyle(document.querySelector('a.ask')).opacity") == "0"
    links.first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("getComputedStyle(document.querySelector('a.ask')).opacity") == "1"
    sent = parse_qs(urlparse(links.first.get_attribute("href")).query)
    title = page.evaluate("document.querySelector('.bd-article section > h2').firstChild.textContent")
    assert sent["page"] == ["09_mlp"] and sent["section"] == [title] and sent["version"] == [__version__]
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / sent["template"][0]).read_text(encoding="utf-8"))
    assert {"page", "section", "version"} <= {part["id"] for part in form["body"]}, "the form has what is filled in"


def test_the_code_of_a_chapter_is_one_file(open_page, site):
    page = open_page(f"{site}/notebooks/09_mlp.html")
    page.get_by_label("Download this page").first.click()
    link = page.locator("a.btn-download-code-button:visible")
    assert link.inner_text().strip() == ".py, code only"
    code = page.request.get(link.evaluate("a => a.href")).text()
    ast.parse(code)
    assert code.count("\n# In[") > 50 and "Question 1." not in code, "all cells, and no prose"


def test_the_notebook_of_exercises_can_be_saved(open_page, site):
    page = open_page(f"{site}/notebooks/09_mlp.html")
    link = page.locator("a.save-exercises")
    assert link.inner_text() == "exercises/09_mlp.ipynb"
    saved = page.request.get(link.evaluate("a => a.href")).text()
    assert saved == (ROOT / "exercises" / "09_mlp.ipynb").read_text(encoding="utf-8")


def test_a_chapter_on_the_map_is_a_link(open_page, site):
    page = open_page(f"{site}/book/index.html")
    page.locator("svg.road a", has_text="Softmax").click()
    page.wait_for_load_state()
    assert page.url.endswith("/notebooks/08_softmax.html")
