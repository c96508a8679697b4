"""The pages of questions and the deck: every question of every chapter, with links and mathematics that work."""

import re

import pytest
from nbformat.v4 import new_markdown_cell, new_notebook, writes

import questions as tool
from chapters import NOTEBOOKS, ROOT, anchors, parts, prose


def written(tmp_path, *cells):
    path = tmp_path / "05_some_chapter.ipynb"
    path.write_text(writes(new_notebook(cells=[new_markdown_cell(cell) for cell in cells])), encoding="utf-8")
    return path


QUESTION = "**Question 1.** Why {}?\n\n<details><summary>Answer</summary>\n\n{}\n\n</details>"


def test_no_question_of_a_chapter_is_missing():
    for path in NOTEBOOKS:
        numbers = [q.number for q in tool.of_chapter(path)]
        assert numbers == list(range(1, len(re.findall(r"(?m)^\*\*Question \d+\.", prose(path))) + 1)), path.stem


def test_pages_and_deck_hold_all_of_them_once():
    asked = {path.stem: len(tool.of_chapter(path)) for path in NOTEBOOKS}
    for part, files in parts():
        if part in tool.PAGES:
            own = [ROOT / f"{file}.ipynb" for file in files]
            numbers = re.findall(r"(?m)^\*\*(\d\d)\.\d+\*\* ", tool.page(part, own))
            assert numbers == [p.stem[:2] for p in own for _ in range(asked[p.stem])]
    cards = [line for line in tool.cards(NOTEBOOKS, "https://example.org") if not line.startswith("#")]
    assert len(cards) == sum(asked.values()) == len({card.split("\t")[0] for card in cards})


def test_every_card_has_a_question_an_answer_and_a_tag_and_nothing_raw():
    for line in tool.cards(NOTEBOOKS, "https://example.org"):
        if line.startswith("#"):
            continue
        question, answer, tag = line.split("\t")
        assert question.startswith("<p>") and answer.endswith("</p>") and re.fullmatch(r"chapter_\d\d_\w+", tag)
        text = re.sub(r"<pre>.*?</pre>|<code>.*?</code>|\\\(.*?\\\)|\\\[.*?\\\]", "", question + answer)
        assert not re.search(r"\$|\*\*|`|\]\(|\\[a-z]", text), text[:200]
        assert all(link.startswith("https://") for link in re.findall(r'href="([^"]*)"', answer))


def test_links_lead_to_chapters_and_headings_that_exist():
    for path in NOTEBOOKS:
        for q in tool.of_chapter(path):
            text = tool.relinked(q.text + q.answer, q.chapter, "../notebooks/", ".ipynb")
            for stem, anchor in re.findall(r"\]\(\.\./notebooks/(\w+)\.ipynb(?:#([^)]*))?\)", text):
                target = ROOT / "notebooks" / f"{stem}.ipynb"
                assert target.exists() and (not anchor or anchor in anchors(prose(target))), (q.chapter, stem, anchor)


@pytest.mark.parametrize("markdown, html", [
    ("$a<b_1*c*$", r"<p>\(a&lt;b_1*c*\)</p>"),
    ("so\n\n$$\nx^2\n$$", r"<p>so</p> \[x^2\]"),
    ("`a<b` and *c*", "<p><code>a&lt;b</code> and <em>c</em></p>"),
    ("```python\na = 1\nb = 2\n```", '<pre><code class="language-python">a = 1<br>b = 2<br></code></pre>'),
    ("a\tb\nc", "<p>a b c</p>")])
def test_markdown_becomes_one_line_that_anki_reads(markdown, html):
    assert tool.to_html(markdown) == html


@pytest.mark.parametrize("link, there", [("[x](06_next.ipynb#y)", "[x](at/06_next.html#y)"),
                                         ("[x](#y)", "[x](at/05_some_chapter.html#y)"),
                                         ("[x](https://example.org/a.ipynb)", "[x](https://example.org/a.ipynb)")])
def test_links_are_made_whole(link, there):
    assert tool.relinked(link, "05_some_chapter", "at/", ".html") == there


def test_a_question_may_be_followed_by_a_heading(tmp_path):
    path = written(tmp_path, "# Some chapter", QUESTION.format("this", "Because.") + "\n\n## Exercises")
    assert tool.of_chapter(path) == (tool.Question("05_some_chapter", 1, "Why this?", "Because."),)


def test_a_question_without_an_answer_is_refused(tmp_path):
    path = written(tmp_path, "# Some chapter", "**Question 1.** Why?")
    with pytest.raises(ValueError, match="05_some_chapter.ipynb: a question must read"):
        tool.of_chapter(path)
