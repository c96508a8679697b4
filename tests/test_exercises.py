"""The exercises that check themselves: what `check` says of right and wrong answers, and the notebooks of them."""

import json
import os
import re
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, writes

import exercises as tool
from chapters import CONFIG, NOTEBOOKS, ROOT, prose
from shared.exercises import Exercise, Exercises, bound, difference, pack, unpack

numbers = arrays.arrays(np.float64, arrays.array_shapes(min_dims=1, max_dims=3, min_side=2, max_side=4),
                        elements=st.floats(1, 100) | st.floats(-100, -1))


# ---- comparing -----------------------------------------------------------------------------------------------------

@given(numbers, st.booleans())
def test_equal_numbers_agree_as_arrays_tensors_and_lists(x, as_list):
    wanted = torch.tensor(x)
    assert difference(x.tolist() if as_list and x.ndim == 1 else x, wanted) == ""
    assert difference(x * (1 + 1e-6), wanted) == ""


@given(numbers, st.sampled_from(["sign", "factor", "one", "shape", "nan"]))
def test_wrong_numbers_are_named(x, how):
    wrong = {"sign": -x, "factor": 3 * x, "one": x.copy(), "shape": x[..., None], "nan": x * np.nan}[how]
    if how == "one":
        wrong.flat[0] += 50
    said = difference(wrong, x)
    assert {"sign": "opposite sign", "factor": "3 times", "shape": "has the shape",
            "nan": f"{x.size} of {x.size}", "one": f"1 of {x.size}"}[how] in said, said


@pytest.mark.parametrize("yours, wanted, said", [
    (torch.arange(4.).reshape(2, 2).T, torch.arange(4.).reshape(2, 2), "transpose"),
    (torch.zeros(3, 2), torch.zeros(2, 3), "another order"),
    (torch.arange(3.) + 1, torch.arange(3.), "same number everywhere"),
    (torch.zeros(3), torch.zeros(3, dtype=torch.bool), "type float32"),
    (None, 3.0, "is None, and should be a number"), (None, True, "True or False"),
    (3.5, 3.0, "too large"), (2, 3, "too small"),
    ("yes", "no", "which is not it"), (1, "no", "is 1"), ({1}, {2}, "other elements"),
    ([1, 2], [1, 2, 3], "has 2 parts"), (5, [1], "is 5"), ([1, (2, "a")], (1, [2, "b"]), "in part 2 in part 2"),
    ({"a": 1}, {"a": 2}, "at 'a' is 1"), ({"a": 1}, {"b": 1}, "keys"), ([], {"b": 1}, "dictionary"),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}), "in its names"),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]}), "in its values"),
    (pd.Series([1, 2]), pd.Series([1]), "Series of shape")])
def test_what_is_different_is_said(yours, wanted, said):
    assert said in difference(yours, wanted)


@pytest.mark.parametrize("yours, wanted", [
    (1, torch.tensor(1)), ([1, 2], (1, 2)), (torch.tensor([1, 2]), [1, 2]), (float("nan"), float("nan")),
    (np.float32(1), 1.0), (True, torch.tensor(True)), (None, None), ("a", "a"), ({"a": [1]}, {"a": (1,)}),
    (pd.Series([1]), pd.Series([1])), (torch.zeros(0), torch.zeros(0)), (torch.zeros(1), 0.0)])
def test_what_means_the_same_agrees(yours, wanted):
    assert difference(yours, wanted) == ""


def test_what_cannot_be_compared_is_left_to_the_assertions():
    assert difference(object(), torch.nn.ReLU()) is None
    assert difference([1, object()], [1, torch.nn.ReLU()]) is None
    assert difference([2, object()], [1, torch.nn.ReLU()])


# ---- checking ------------------------------------------------------------------------------------------------------

SOLUTION = """\
def helper(x):
    return 2 * x

def twice(x):  # (n,)
    return helper(x)

given = torch.arange(3.0)
print(twice(given))
assert torch.equal(twice(given), 2 * given)"""


def checking(code=SOLUTION, names=None, **fields):
    names = {"torch": torch} | (names or {})
    return Exercises(pack({1: Exercise(code, **fields)}), names), names


@pytest.mark.parametrize("answer, said", [
    (None, "not yet there: twice"), (lambda x: 2 * x, "right."), (lambda x: -2 * x, "opposite sign"),
    (lambda x: None, "is None"), (lambda: 3, "raises TypeError"), (3, "should be a function"),
    (lambda x: x.mul_(2), "another state")])
def test_a_function_is_held_against_the_solutions(answer, said, capsys):
    check, names = checking(make=["twice"])
    if answer:
        names["twice"] = answer
    before = dict(names)
    verdict = check.verdict(1)
    assert said in verdict.text and verdict.right == (said == "right.")
    assert names == before, "the reader's names must stay as they were"
    check(1)
    assert capsys.readouterr().out == f"Exercise 1: {verdict.text}\n"


def test_the_readers_own_helpers_are_not_replaced_while_hers_is_called():
    check, names = checking(make=["twice"])
    exec("def helper(x):\n    return x\ndef twice(x):\n    return helper(x) + helper(x)", names)
    assert check.verdict(1).right
    exec("def helper(x):\n    return 3 * x", names)
    assert not check.verdict(1).right


@pytest.mark.parametrize("answer, said", [(4, "right."), (-4, "opposite sign"), (..., "not yet there"),
                                          ("four", "is 'four'")])
def test_a_variable_is_held_against_the_solutions(answer, said):
    check, names = checking("four = 2 + 2\nassert four == 4", make=["four"])
    names["four"] = answer
    assert said in check.verdict(1).text


def test_what_is_free_must_meet_the_assertions():
    code = "class Net(torch.nn.Linear):\n    ...\nassert Net(2, 3).weight.shape == (3, 2), 'the shape'\nassert Net.good"
    check, names = checking(code, free=["Net"])
    names["Net"] = type("Mine", (torch.nn.Linear,), {"good": True})
    assert check.verdict(1).right
    names["Net"] = type("Mine", (torch.nn.Linear,), {"good": False})
    assert check.verdict(1).text == "not yet. An assertion of the solution about Net does not hold."
    names["Net"] = torch.nn.Bilinear
    assert "With your Net, TypeError" in check.verdict(1).text
    names["Net"] = lambda a, b: torch.nn.Linear(b, a)
    assert "the shape" in check.verdict(1).text


def test_chance_is_left_to_the_assertions_unless_it_can_be_repeated():
    noise = "def noise():\n    return generator.random()\nassert 0 <= noise() < 1"
    check, names = checking(noise, {"generator": np.random.default_rng(0)}, make=["noise"])
    names["noise"] = lambda: .5
    assert check.verdict(1).right
    names["noise"] = lambda: 2
    assert not check.verdict(1).right
    check, names = checking("def noise():\n    return torch.rand(2)\nnoise()", make=["noise"])
    names["noise"] = lambda: torch.rand(2)
    assert check.verdict(1).right
    names["noise"] = lambda: torch.randn(2)
    assert not check.verdict(1).right


def test_a_check_changes_neither_objects_nor_chance_nor_prints_nor_draws(capsys):
    code = ("import matplotlib.pyplot as plt\nnet.weight.data.zero_()\nheld.append(1)\nprint('seen')\nplt.plot([1])\n"
            "torch.rand(1)\nanswer = 1\nassert held == [1]")
    net, held = torch.nn.Linear(2, 2), []
    check, names = checking(code, {"net": net, "held": held}, make=["answer"])
    names["answer"], weight = 1, net.weight.clone()
    state = torch.get_rng_state()
    assert check.verdict(1).right and check.verdict(1).right
    assert torch.equal(net.weight, weight) and held == [] and torch.equal(torch.get_rng_state(), state)
    assert capsys.readouterr().out == "" and not sys.modules["matplotlib.pyplot"].get_fignums()
    assert "plt" not in names


def test_an_earlier_solution_is_supplied_where_the_reader_has_none():
    code = {1: Exercise("def one():\n    return 1", make=["one"]),
            2: Exercise("two = one() + 1", make=["two"], before=[1])}
    names = {"two": 2}
    assert Exercises(pack(code), names).verdict(2).right and "one" not in names


def test_a_solution_that_does_not_run_here_is_not_the_readers_fault():
    check, names = checking("answer = lost + 1", make=["answer"])
    names["answer"] = 1
    assert "Run the cells from the chapter again (NameError" in check.verdict(1).text


def test_bad_input_is_refused():
    check, _ = checking(make=["twice"])
    with pytest.raises(ValueError, match="the exercises are 1; got 2"):
        check(2)
    with pytest.raises(ValueError, match="take a fresh copy"):
        unpack("damaged")
    with pytest.raises(ValueError, match="take a fresh copy"):
        unpack(pack({1: Exercise("a = 1")})[:-8])


@given(st.dictionaries(st.integers(1, 99), st.builds(Exercise, st.text(), st.lists(st.text()), st.lists(st.text()),
                                                    st.lists(st.integers(1, 9)))))
def test_packing_loses_nothing(exercises):
    packed = pack(exercises)
    assert unpack(packed) == exercises == unpack(packed[:5] + "\n " + packed[5:])


@pytest.mark.parametrize("code, names", [
    ("a, (b, *c) = d", "a b c"), ("a.b[0] = c", "a"), ("a += b", "a"), ("import a.b, c as d", "a d"),
    ("for a in b:\n    c = 1", "a c"), ("def a(b):\n    c = 1", "a"), ("a = [b for b in c]", "a"),
    ("with a as b: pass", "b"), ("a(b)", "")])
def test_names_that_code_binds(code, names):
    import ast
    assert bound(ast.parse(code)) == set(names.split())


# ---- the notebooks -------------------------------------------------------------------------------------------------

def chapter(tmp_path, *code, solution="assert f(data) == 1", text="Write it.", **said):
    cells = [new_markdown_cell("# A chapter\n"), new_code_cell("the set-up"), *map(new_code_cell, code),
             new_markdown_cell(f"## Exercises\n\n**Exercise 1.** {text}"),
             new_markdown_cell("<details><summary>Solution</summary>\n\nSo.\n\n</details>"),
             new_code_cell(solution, metadata={"exercise": said} if said else {})]
    path = tmp_path / "05_a_chapter.ipynb"
    path.write_text(writes(new_notebook(cells=cells)), encoding="utf-8")
    return tool.Chapter(path)


@pytest.mark.parametrize("code, solution, taken", [
    (("a = 1", "b = 2"), "c = a", "a = 1"),
    (("a = 1", "a = 2"), "c = a", "a = 2"),
    (("a = 1\nb = a + 1", "a = 3"), "c = b", "a = 1|b = a + 1"),
    (("def f():\n    return a", "a = 3", "a = 4"), "c = f()", "def f():\n    return a|a = 4"),
    (("a = []\nfor i in b:\n    a.append(i)", "print(a)"), "c = a", "a = []|for i in b:\n    a.append(i)"),
    (("net = 1\nother = 2\nrecord = fit(net)", "fit(other)"), "c = net", "net = 1|record = fit(net)"),
    (("a = 1\na += 1",), "c = a", "a = 1|a += 1"),
    (("seed_all(0)\na = 1", "seed_all(1)"), "c = a", "seed_all(0)|a = 1"),
    (("# one\na = 1  # more", "i = 5"), "c = [i for i in range(a)]", "# one\na = 1  # more"),
    (("i = 5", "a = 2"), "for i in range(a):\n    c = i", "a = 2"),
    (("i = 5", "a = 2"), "def c(a):\n    return i + a", "i = 5")])
def test_of_the_chapter_an_exercise_gets_what_it_uses(tmp_path, code, solution, taken):
    read = chapter(tmp_path, *code, solution=solution)
    assert "|".join(s.text for s in read.used_by(read.tasks[0])) == taken


def test_names_in_the_text_and_names_called_for_are_supplied(tmp_path):
    read = chapter(tmp_path, "a = 1", "b = 2", "c = 3", solution="d = 4", text="Use `b(...)` and `d`.", uses=["c"])
    assert [s.text for s in read.used_by(read.tasks[0])] == ["b = 2", "c = 3"]


def test_the_empty_cell_says_what_to_make(tmp_path):
    code = ("@wraps\ndef f(a,\n      b=1):  # (n,)\n    return a\n\nn = 3\nclass Net(nn.Module):\n"
            "    def __init__(self): ...\n\ndef g(x): return x")
    read = chapter(tmp_path, solution=code, make=["f", "n"], free=["Net", "g"])
    assert tool.stub(read.tasks[0]) == (
        "n = ...\n\ndef f(a,\n      b=1):\n    ...\n\n\nclass Net(nn.Module):\n    ...\n\n\ndef g(x):\n    ...")


def test_broken_answers_are_found_out_and_the_finding_out_can_fail(tmp_path):
    good = chapter(tmp_path, "data = 2", solution="def f(x):\n    return x + 1\nassert f(data) == 3", make=["f"])
    assert list(tool.trials(good, [1])) == []
    weak = chapter(tmp_path, "data = 2", solution="def f(x):\n    return x + 1\nassert f(data) != 4", free=["f"])
    assert list(tool.trials(weak, [1])) == [f"1: {what}" for what in (
        "the empty answer is called right", "f is called right as stub", "f is called right as sign")]
    lost = chapter(tmp_path, "data = 2", solution="def f(x):\n    return lost\nf(data)", make=["f"])
    assert "NameError" in next(tool.trials(lost, [1]))
    early = chapter(tmp_path, "f = 2", solution="assert f == 2", make=["f"])
    assert "1: f is defined before the answer" in list(tool.trials(early, [1]))


EVERY = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@EVERY
def test_the_notebook_of_exercises_is_what_the_chapter_gives(path):
    stored = (ROOT / "exercises" / path.name).read_text(encoding="utf-8")
    assert stored == tool.written(tool.Chapter(path)), "run: make exercises"
    nbformat.validate(nbformat.reads(stored, as_version=4))


@EVERY
def test_every_exercise_says_what_to_make_and_has_a_hint(path):
    read = tool.Chapter(path)
    assert [task.number for task in read.tasks] == list(range(1, len(read.tasks) + 1))
    for task in read.tasks:
        assert task.make or task.free, task.number
        assert set(task.make + task.free) <= bound(tool.ast.parse(task.solution)), task.number
        assert re.search(r"\n\n<details><summary>Hint</summary>\n\n.+\n\n</details>\s*$", task.text, re.S), task.number
    marked = [cell for cell in read.cells if "exercise" in cell.metadata]
    assert len(marked) == len(read.tasks), "each solution's first cell says what to make"
    assert not any(set(cell.metadata["exercise"]) - {"make", "free", "uses"} for cell in marked)


@EVERY
def test_the_chapter_leads_to_it(path):
    repository = CONFIG["repository"]["url"].replace("https://github.com", "https://colab.research.google.com/github")
    assert prose(path).split("\n## Exercises\n\n")[1].split("\n")[0] == tool.line(path.name)
    assert f"`exercises/{path.name}`" in tool.line(path.name)
    assert f"({repository}/blob/main/exercises/{path.name})" in tool.line(path.name)


def test_the_line_is_written_once_and_nothing_else_changes(tmp_path):
    path = chapter(tmp_path, "a = 1").path
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1) + "\n")
    before = path.read_text().splitlines()
    tool.lead(path)
    once = path.read_text()
    new = [text for text in once.splitlines() if text not in before]
    assert len(once.splitlines()) == len(before) + 2 and len(new) == 1 and "`exercises/05_a_chapter.ipynb`" in new[0]
    tool.lead(path)
    assert path.read_text() == once


@pytest.mark.slow
@EVERY
def test_stored_solutions_are_right_and_broken_ones_are_not(path):
    run = subprocess.run([sys.executable, ROOT / "tools" / "exercises.py", "try", path.stem[:2]], capture_output=True,
                         text=True, env=os.environ | {"BOOK_PROGRESS": "0", "BOOK_STATIC": "1"}, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
