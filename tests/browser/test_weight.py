"""A page is light: what it loads before a reader scrolls, and whether it stands still while it comes."""

import re

import pytest

from benchmarks.pages import look
from chapters import SITE, pages

LIMITS = {"book/index": 1_000_000}  # bytes; of any other page
OTHERS = 1_500_000


@pytest.mark.parametrize("name", pages())
def test_it_is_light_and_stands_still(open_page, site, name, record_property):
    found = look(lambda address, begin: open_page(address, begin=begin), f"{site}/{name}.html")
    record_property(name, found)
    assert 100_000 < found["bytes"] < LIMITS.get(name, OTHERS)
    assert found["shift"] < .1
    assert found["paint"] > 0


@pytest.mark.parametrize("name", pages())
def test_a_picture_says_its_size_and_comes_when_it_is_near(name):
    text = (SITE / f"{name}.html").read_text(encoding="utf-8")
    pictures = [tag for tag in re.findall(r"<img [^>]*>", text) if "_images/" in tag and ".svg" not in tag]
    assert all('loading="lazy"' in tag and re.search(r'width="\d+" height="\d+"', tag) for tag in pictures)
    assert pictures or not name.startswith("notebooks/")
