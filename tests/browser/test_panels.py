"""The slider through the panels of a picture: with the keyboard, in the light and in the dark, on every screen."""

import io

import pytest
from PIL import Image

from chapters import NOTEBOOKS, code

CHAPTERS = [path.stem for path in NOTEBOOKS if any("\nexplore(" in f"\n{cell.source}" for cell in code(path))]
SIZE = "(view => [view.offsetWidth, view.offsetHeight])(document.querySelector('.panels-view'))"


def seen(page, view):
    """What is shown, but for its edge, as pixels."""
    picture = Image.open(io.BytesIO(view.screenshot())).convert("RGB")
    return picture.crop((8, 8, picture.width - 8, picture.height - 8))


def drawn(picture):
    """The share of the picture that is not white paper."""
    return sum(picture.convert("L").point(lambda v: 255 * (v < 240)).histogram()[255:]) / picture.width / picture.height


@pytest.mark.parametrize("width, colours", [(1300, "light"), (390, "dark")])
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_panel_is_shown_alone_and_all_come_back(open_page, site, chapter, width, colours):
    page = open_page(f"{site}/notebooks/{chapter}.html", width=width, color_scheme=colours)
    bar = page.locator(".panels-bar")
    assert bar.count() == 1
    view, button = page.locator(".panels-view"), bar.locator("button")
    picture = view.locator("img")
    panels = picture.get_attribute("data-panels").split(";")
    button.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('.panels-view img').naturalWidth > 0")
    together = page.evaluate(SIZE)
    assert bar.locator("input").is_hidden()

    button.focus()
    page.keyboard.press("Enter")
    slider = bar.get_by_role("slider")
    assert slider.is_visible() and slider.evaluate("e => e === document.activeElement")
    assert slider.get_attribute("aria-valuetext") == f"1 of {len(panels)}"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = []
    for i in range(len(panels)):
        assert bar.locator("output").inner_text() == f"{i + 1} of {len(panels)}"
        shown.append(seen(page, view))
        assert drawn(shown[-1]) > .005, "a panel, not paper"
        page.keyboard.press("ArrowRight")
    assert all(a.tobytes() != b.tobytes() for a, b in zip(shown, shown[1:]))
    page.keyboard.press("Home")
    assert seen(page, view).tobytes() == shown[0].tobytes()

    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    assert bar.locator("input").is_hidden() and page.evaluate(SIZE) == together
    assert page.complaints == []


def test_without_a_script_the_picture_is_as_it_was(open_page, site):
    page = open_page(f"{site}/notebooks/24_rnn.html", java_script_enabled=False)
    assert page.locator("img[data-panels]").count() == 1 and page.locator(".panels-bar").count() == 0


def test_the_slider_has_a_name_that_is_heard(open_page, site):
    page = open_page(f"{site}/notebooks/24_rnn.html")
    page.locator(".panels-bar button").click()
    assert page.get_by_role("slider", name="temperature").is_visible()
