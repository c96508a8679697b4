"""The form of every notebook: what an author forgets, a test remembers."""

import ast
import json
import re
from urllib.parse import unquote, urldefrag

import nbformat
import pytest

from chapters import NOTEBOOKS, anchors, code, pages, prose, read, tags
from setup_cell import pinned, setup_cell

TAGS = {"nbval-ignore-output", "data", "raises-exception", "hide-cell", "hide-input"}
WIDEST = 80   # columns of code: what fits into its box on the page
LONGEST = 25  # lines of a cell
every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def outputs_text(cell):
    parts = []
    for o in cell.outputs:
        parts.append(o.get("text", ""))
        parts += [str(v) for k, v in o.get("data", {}).items() if not k.startswith("image/")]
    return "\n".join(parts)


def has_figure(cell):
    return any("image/png" in o.get("data", {}) for o in cell.outputs)


def test_there_are_notebooks():
    assert NOTEBOOKS


@every
def test_it_is_a_valid_notebook_under_a_megabyte(path):
    nbformat.validate(read(path))
    assert path.stat().st_size < 1_000_000
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem)


@every
def test_it_was_executed_from_top_to_bottom(path):
    assert [c.execution_count for c in code(path)] == list(range(1, len(code(path)) + 1))


@every
def test_there_is_no_widget_state_and_no_dead_progress_bar(path):
    raw = path.read_text(encoding="utf-8")
    assert "widgets" not in read(path).metadata
    assert "application/vnd.jupyter.widget" not in raw
    assert not re.search(r"\d+%\|", raw)


@every
def test_errors_and_warnings_only_where_they_are_taught(path):
    for cell in code(path):
        raised = any(o.output_type == "error" for o in cell.outputs)
        assert raised == ("raises-exception" in tags(cell)), cell.source
        warned = any(o.output_type == "stream" and o.name == "stderr" for o in cell.outputs)
        assert not warned or "warn" in cell.source.lower(), cell.source


@every
def test_tags_are_known(path):
    assert set().union(*(tags(c) for c in read(path).cells)) <= TAGS


@every
def test_every_figure_has_a_text_for_those_who_do_not_see_it(path):
    for cell in code(path):
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        assert has_figure(cell) == bool(alt), cell.source
        assert not alt or 25 <= len(alt) <= 400, alt
        for output in cell.outputs:
            assert not any(k.startswith("image/") and k != "image/png" for k in output.get("data", {}))


@every
def test_a_heavy_chapter_asks_colab_for_a_gpu(path):
    heavy = re.search(r"\*\*It runs\*\* in .*minute and a half", prose(path)) is not None
    assert (read(path).metadata.get("accelerator") == "GPU") == heavy


@every
def test_the_first_cell_of_code_is_the_set_up_cell(path):
    first = code(path)[0]
    assert first.source == setup_cell(pinned(first.source)), "commit shared/, then: make pin"
    assert "hide-cell" in tags(first) and not first.outputs


@every
def test_every_cell_has_an_id_of_its_own(path):
    ids = [cell.get("id") for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    assert None not in ids and len(set(ids)) == len(ids)


@every
def test_cells_are_short(path):
    for cell in code(path):
        assert len(cell.source.splitlines()) <= LONGEST, cell.source
        if cell is not code(path)[0]:  # the set-up cell holds an address
            assert all(len(line) <= WIDEST for line in cell.source.splitlines()), cell.source
    short = [len(c.source.splitlines()) <= 8 for c in code(path) if "hide-cell" not in tags(c)]
    assert sum(short) / len(short) > .5


@every
def test_nothing_is_imported_with_a_star(path):
    assert not any(re.search(r"import\s+\*", c.source) for c in code(path))


@every
def test_every_import_is_used(path):
    cells = [c.source for c in code(path) if "%pip" not in c.source]
    tree = ast.parse("\n".join(cells))
    imported = {(a.asname or a.name).split(".")[0] for node in ast.walk(tree)
                if isinstance(node, (ast.Import, ast.ImportFrom)) for a in node.names}
    assert imported <= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def bound_by(tree):
    """The names that a cell binds for the cells after it."""
    inner = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    todo, names = [tree], set()
    while todo:
        for child in ast.iter_child_nodes(todo.pop()):
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                names.add(child.name)
            elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                names.add(child.id)
            if not isinstance(child, inner):
                todo.append(child)
    return names


def needed_by(function, functions):
    """The names from outside that a function of the notebook reads, itself and through others."""
    found, todo = set(), [function]
    while todo:
        node = functions.get(todo.pop())
        inside = [n for n in ast.walk(node) if isinstance(n, ast.Name)] if node else []
        own = {n.id for n in inside if isinstance(n.ctx, ast.Store)} | {
            a.arg for a in ast.walk(node) if isinstance(a, ast.arg)} if node else set()
        new = {n.id for n in inside} - own - found
        found |= new
        todo.extend(new)
    return found


@every
def test_nothing_that_a_slider_draws_from_is_renamed_below_it(path):
    """A reader may turn a slider when the whole chapter has run."""
    trees = [ast.parse(c.source) for c in code(path) if "%pip" not in c.source]
    for place, tree in enumerate(trees):
        functions = {n.name: n for earlier in trees[:place + 1] for n in earlier.body if isinstance(n, ast.FunctionDef)}
        drawn = [n.args[0].id for n in ast.walk(tree) if isinstance(n, ast.Call) and n.args
                 and getattr(n.func, "id", "") == "explore" and isinstance(n.args[0], ast.Name)]
        later = set().union(*map(bound_by, trees[place + 1:]))
        for function in drawn:
            assert not (needed_by(function, functions) | {function}) & later, function


@every
def test_it_begins_with_a_title_and_three_lines(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    for start in ("**You will be able to**", "**You need**", "**It runs**"):
        assert start in first.source
    assert len(re.findall(r"(?m)^# ", prose(path))) == 1


@every
def test_it_has_the_sections_of_a_chapter(path):
    headings = re.findall(r"(?m)^## (.+)$", prose(path))
    wanted = ["Common mistakes", "Questions and answers", "Exercises", "Summary", "Further reading"]
    assert [h for h in headings if h in wanted] == wanted
    summary = prose(path).split("## Summary")[1].split("##")[0].strip().splitlines()
    assert 1 <= len(summary) <= 6


@every
def test_every_exercise_has_an_executed_solution_that_asserts(path):
    cells, found = read(path).cells, []
    for i, cell in enumerate(cells):
        for number in re.findall(r"\*\*Exercise (\d+)\.\*\*", cell.source) if cell.cell_type == "markdown" else []:
            found.append(int(number))
            solution = next((c for c in cells[i + 1:] if c.cell_type == "code"), None)
            between = "".join(c.source for c in cells[i + 1:cells.index(solution)]) if solution else ""
            assert solution is not None and "**Exercise" not in between, f"exercise {number} has no solution"
            assert "hide-cell" in tags(solution), f"the solution of exercise {number} is not folded"
            assert re.search(r"\b(assert|agree\(|expect\()", solution.source), f"exercise {number} asserts nothing"
            assert cell.source.count("**Exercise") == 1, "one exercise a cell"
    assert len(found) >= 5 and found == list(range(1, len(found) + 1))


@every
def test_every_solution_begins_with_folded_words(path):
    cells = read(path).cells
    for i, cell in enumerate(cells):
        if cell.cell_type == "markdown" and cell.source.startswith("**Exercise"):
            words = cells[i + 1].source if cells[i + 1].cell_type == "markdown" else ""
            assert words.startswith("<details><summary>Solution</summary>\n\n"), cell.source
            assert words.rstrip().endswith("\n\n</details>"), cell.source


@every
def test_answers_to_questions_are_folded(path):
    section = prose(path).split("## Questions and answers")[1].split("\n## ")[0]
    questions = re.split(r"(?m)^(?=\*\*Question)", section)[1:]
    for n, question in enumerate(questions, 1):
        assert question.startswith(f"**Question {n}.** "), question
        assert re.search(r"<details><summary>Answer</summary>\n\n(.|\n)+\n\n</details>", question), question
    assert len(questions) >= 3


@every
def test_operations_are_drawn_from_computed_values(path):
    drawings = [c for c in code(path) if re.search(r"\b(Canvas|graph)\(", c.source) and has_figure(c)]
    assert len(drawings) >= 2
    for cell in drawings:
        assert tags(cell) & {"hide-input", "hide-cell"}, cell.source


@every
def test_strangers_are_not_quarrelled_with(path):
    everything = prose(path) + "\n".join(c.source for c in code(path))
    assert not re.search(r"(?i)\b(the|study|these|those) notes\b", everything)


@every
def test_claims_are_asserted(path):
    assert sum("expect(" in c.source for c in code(path)) >= 3
    assert any("agree(" in c.source for c in code(path))


@every
def test_no_path_of_a_machine(path):
    raw = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.:/])/(home|root|tmp|work|Users|mnt)/|[A-Z]:\\\\\\\\", raw)
    for cell in read(path).cells:
        assert not re.search(r"/(home|root|tmp|work|Users|mnt)/", json.dumps(cell.get("outputs", [])))


@every
def test_relative_links_resolve(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", target):
            assert target.startswith(("https://", "http://")), target
            continue
        file, anchor = urldefrag(unquote(target))
        found = path if not file else path.parent / file
        assert found.exists(), target
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found.read_text(encoding="utf-8")), target


@every
def test_it_stands_in_the_table_of_contents(path):
    assert f"notebooks/{path.stem}" in pages()


@every
def test_cells_that_tell_the_source_of_data_are_tagged(path):
    for cell in code(path):
        text = outputs_text(cell)
        if ": real data (" in text:
            assert "data" in tags(cell), cell.source
        assert ": built-in sample" not in text, "recorded on a sample: run make record with BOOK_DATA"


@every
def test_claims_about_real_data_are_tagged(path):
    for cell in code(path):
        calls = [n for n in ast.walk(ast.parse(cell.source.replace("%pip", "pass  #"))) if isinstance(n, ast.Call)]
        if any(getattr(c.func, "id", "") == "expect" and any(k.arg == "on" for k in c.keywords) for c in calls):
            assert tags(cell) & {"data", "nbval-ignore-output"}, cell.source


@every
def test_times_and_devices_are_not_compared(path):
    for cell in code(path):
        if re.search(r"\d+(\.\d+)? m?s\b|CPU \(|examples/s", outputs_text(cell)):
            assert "nbval-ignore-output" in tags(cell), cell.source


@every
def test_prose_is_plain_markdown(path):
    text = prose(path)
    assert "```{" not in text and ":::" not in text
    outside_code = re.sub(r"`[^`\n]*`", "", text)
    assert not re.search(r"<(?!/?(details|summary)\b)[a-z]+[ >]", outside_code)
    for inline in re.findall(r"(?<!\$)\$(?!\$)([^$\n]+)\$(?!\$)", text):
        assert "|" not in inline, f"write \\lvert instead of | in ${inline}$"
    assert "!" not in re.sub(r"!=|\]\(|`[^`]*`|\$[^$]*\$|“[^”]*”|\"[^\"]*\"", "", text), "no exclamations"


@every
def test_letters_of_formulas_are_intact(path):
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", prose(path)), "a backslash was eaten (\\f, \\b, \\t)"
