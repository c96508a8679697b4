"""What makes the built pages light, and the sliders in them: on small pages, styles and pictures."""

import ast
import io
import re

import numpy as np
import pytest
from PIL import Image

import formulas
import light
import light_styles as styles
import numbers_of_chapters as numbers
import panels
from chapters import NOTEBOOKS, ROOT

EXPLORERS = [(path.stem, *found) for path in NOTEBOOKS for found in panels.explorers(path)]
PYGMENTS = """html[data-theme="light"] .highlight { background: #fff; color: #080808 }
html[data-theme="light"] .highlight .n { color: #080808 } /* Name */
html[data-theme="light"] .highlight .o { color: #00622F } /* Operator */
html[data-theme="light"] .highlight .s { color: #00622F } /* String */
html[data-theme="light"] .highlight .k { color: #080808; font-weight: bold } /* Keyword */
html[data-theme="light"] .highlight .x { color: #080808 } /* the text's colour in the light only */
html[data-theme="dark"] .highlight { background: #222; color: #F8F8F2 }
html[data-theme="dark"] .highlight .n { color: #F8F8F2 } /* Name */
html[data-theme="dark"] .highlight .o { color: #ABE338 } /* Operator */
html[data-theme="dark"] .highlight .s { color: #ABE338 } /* String */
html[data-theme="dark"] .highlight .k { color: #F8F8F2; font-weight: bold } /* Keyword */
html[data-theme="dark"] .highlight .x { color: #ABE338 } /* the text's colour in the light only */
"""


@pytest.mark.parametrize("code, lighter", [
    ('<span class="n">x</span>', "x"),
    ('<span class="k">if</span>', '<span class="k">if</span>'),
    ('<span class="x">y</span>', '<span class="x">y</span>'),
    ('<span class="o">+</span><span class="s">"a"</span>', '<span class="o">+"a"</span>'),
    ('<span class="o">+</span> <span class="o">-</span>', '<span class="o">+</span> <span class="o">-</span>'),
    ('<span class="math">n</span>', '<span class="math">n</span>')])
def test_words_of_code_keep_their_looks(code, lighter):
    assert light.light_code(code, *light.looks(PYGMENTS)) == lighter


def test_code_keeps_its_blank_lines_and_indents():
    page = "<p>a</p>\n\n   <p>b</p>\n<pre>x\n\n    y</pre>\n\n<script>\n\n let z</script>\n"
    assert light.light_markup(page) == "<p>a</p>\n<p>b</p>\n<pre>x\n\n    y</pre>\n<script>\n\n let z</script>\n"


def test_a_picture_keeps_every_pixel_and_says_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(light, "KNOWN", tmp_path / "known")
    pixels = np.random.default_rng(1).integers(0, 3, (40, 60, 4), dtype=np.uint8) * 100
    (tmp_path / "_images").mkdir()
    Image.fromarray(pixels).save(tmp_path / "_images" / "a.png")
    page = light.light_pictures('<img alt="of" src="_images/a.png" class="c" />', tmp_path)
    assert page == '<img alt="of" src="_images/a.webp" class="c" width="60" height="40" loading="lazy"/>'
    assert (np.asarray(Image.open(tmp_path / "_images" / "a.webp").convert("RGBA")) == pixels).all()
    assert light.light_pictures(page, tmp_path) == page, "twice is once"


def test_a_chapter_has_the_terms_that_stand_in_it():
    script = 'window.glossary = {"Bias": ["a", "03"], "gate": ["b", "25"]};\nwindow.book = {"version": "1"};\n'
    page = '<p>biases</p>\n<script src="../_static/glossary.js?v=1"></script>'
    assert light.light_scripts(page, "notebooks/09_mlp", script) == (
        '<p>biases</p>\n<script>window.glossary = {"Bias": ["a", "03"]};\nwindow.book = {"version": "1"};</script>')
    assert light.light_scripts(page, "book/faq", script) == "<p>biases</p>"


@pytest.mark.parametrize("style, left", [
    (".used{a:b}.gone{c:d}", ".used{a:b}"),
    (".gone,.used>p{a:b}", ".used>p{a:b}"),
    ("p:not(.gone){a:b}", "p:not(.gone){a:b}"),
    ("p:is(.gone,h1){a:b}", "p:is(.gone,h1){a:b}"),
    ("@media print{.gone{a:b}}", ""),
    ("@media print{.used{a:b}.gone{a:b}}", "@media print{.used{a:b}}"),
    ("@keyframes turn{from{a:b}to{c:d}}", "@keyframes turn{from{a:b}to{c:d}}"),
    ('.used:before{content:"}"}.gone{a:b}', '.used:before{content:"}"}'),
    ('@charset "UTF-8";/* .gone{ */.used{a:url(data:x;y)}', '@charset "UTF-8";\n.used{a:url(data:x;y)}'),
    (r".w-1\/2{a:b}", r".w-1\/2{a:b}")])
def test_a_style_loses_what_matches_nothing(style, left):
    assert styles.light(style, {"used"}) == left


def test_a_property_that_is_read_stays():
    assert styles.read_properties(["a{--one:1;--two:var(--three)}", "style.getPropertyValue('--four')"]) == {
        "--three", "--four"}
    assert styles.PROPERTY.sub("", '.a--b:hover{--one:"x;y";--two: 1;c:d}') == ".a--b:hover{c:d}"


def test_mathjax_uses_the_helpers_that_stand_once():
    copy = "r=this&&this.__values||function(t){var e={a:[1]};return e(t)},o=2"
    assert formulas.shorter(copy) == "r=MathJaxHelpers.values,o=2"
    copy = "n=this&&this.__extends||(i=function(){},function(t){i(t)});x"
    assert formulas.shorter(copy) == "n=MathJaxHelpers.extends;x"
    built = ROOT / "book" / "_static" / "mathjax"
    scripts = {path.name: path.read_text(encoding="utf-8") for path in built.rglob("*.js")}
    assert '"3.2.2"' in scripts["startup.js"] and scripts["startup.js"].startswith("var MathJaxHelpers")
    assert not any("this.__values||" in script for script in scripts.values())


def test_a_mathjax_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(formulas, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install django-static-mathjax"):
        formulas.source()


@pytest.mark.parametrize("chapter, call, picture", EXPLORERS, ids=[found[0] for found in EXPLORERS])
def test_the_panels_of_an_explorer_are_found(chapter, call, picture):
    image = Image.open(io.BytesIO(picture))
    found = panels.panels(image, panels.size_of(call))
    values = call.args[1].values[0]
    if isinstance(values, ast.List):
        assert len(found) == len(values.elts)
    assert len(found) > 1 and sum(w * h for _, _, w, h in found) <= image.width * image.height
    widths, heights = ({box[i] for box in found} for i in (2, 3))
    assert max(widths) < 1.2 * min(widths) and max(heights) < 1.2 * min(heights)


def test_every_explorer_of_the_book_has_a_slider():
    cells = [path.stem for path in NOTEBOOKS for line in path.read_text(encoding="utf-8").splitlines()
             if line.strip().startswith('"explore(')]
    assert [found[0] for found in EXPLORERS] == cells


def test_a_place_without_a_panel_is_left_out():
    pixels = np.full((200, 300, 3), 255, np.uint8)
    for x, y in ((10, 10), (110, 10), (210, 10), (10, 110)):
        pixels[y:y + 80, x:x + 80] = 0
    assert [box[:2] for box in panels.panels(Image.fromarray(pixels), (100, 100))] == [
        (0, 0), (100, 0), (200, 0), (0, 100)]
    with pytest.raises(ValueError, match="no white"):
        panels.panels(Image.fromarray(np.zeros((100, 200, 3), np.uint8)), (100, 100))


def test_a_chapter_has_its_number_wherever_it_is_named():
    entry = '<li class="toctree-l1{}"><a class="reference internal" href="{}">{}</a></li>'
    page = "".join(["<title>Devices - Book</title>", entry.format(" current active", "#", "Devices"),
                    entry.format("", "14_modules.html", "Modules"), entry.format("", "../book/faq.html", "Faq"),
                    '<a class="left-prev"\nhref="14_modules.html"><p class="prev-next-title">Modules</p></a>'])
    written = numbers.numbered(page, "notebooks/15_devices.html")
    assert re.sub("<[^>]*>", "", written) == "15 Devices - Book15 Devices14 ModulesFaq14 Modules"
    assert numbers.numbered(written, "notebooks/15_devices.html") == written, "twice is once"
