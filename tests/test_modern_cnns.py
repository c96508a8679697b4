"""AlexNet, VGG, NiN and GoogLeNet: the program that measures, and what chapter 18 shows of its record."""

import ast
import contextlib
import io

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import modern_cnns
from benchmarks.common import load
from chapters import code, path_of
from shared import data

CHAPTER = path_of("18_modern_cnns")


def written(name: str) -> dict:
    """A dictionary of the chapter, put together from the cells that write or extend it."""
    found = {}
    for cell in code(CHAPTER):
        if cell.source.startswith((f"{name} = {{", f"{name} |= {{")):
            found |= ast.literal_eval(ast.parse(cell.source).body[0].value)
    return found


def test_what_the_chapter_shows_is_the_record():
    runs = load("modern_cnns")["settings"]["runs"]
    assert written("short") == {
        name: (row["lr"], *(round(5_000 * a) for a in (*row["accuracy"], *row["moved"])),
               round(sorted(row["seconds"])[1], 1))
        for name, row in runs["short"].items()}


@pytest.fixture(scope="module")
def chapter():
    """The chapter's cells that build networks, executed."""
    names = {}
    for cell in code(CHAPTER):
        source = cell.source
        begins = ("import ", "def ", "class ", "FORMS", "CHANGES", "BLOCKS", "conv_arch")
        if source.startswith(begins) and "%" not in source:
            tree = ast.parse(source)
            kept = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))
                    or isinstance(n, (ast.Assign, ast.AugAssign)) and ast.unparse(n).startswith(
                        ("FORMS", "CHANGES", "BLOCKS", "Row", "conv_arch"))]
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(ast.Module(kept, []), "chapter", "exec"), names)
    return names


@pytest.mark.slow
def test_the_networks_of_the_program_are_those_of_the_chapter(chapter):
    theirs = chapter["FORMS"] | chapter["CHANGES"]
    assert set(theirs) == set(modern_cnns.ROWS)
    for name, row in modern_cnns.ROWS.items():
        torch.manual_seed(0)
        ours = row.build()
        torch.manual_seed(0)
        shown = theirs[name]()
        assert [p.shape for p in ours.parameters()] == [p.shape for p in shown.parameters()], name
        X = torch.rand(2, 1, 28, 28)
        for net in (ours, shown):
            net.apply(modern_cnns.he)
        shown.load_state_dict(dict(zip(shown.state_dict(), ours.state_dict().values())))
        assert torch.allclose(ours.eval()(X), shown.eval()(X), atol=1e-5), name


def test_the_forms_have_about_the_same_work():
    for row in modern_cnns.FORMS.values():
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            row.build()(torch.zeros(1, 1, 28, 28))
        assert 2.75e6 < counter.get_total_flops() / 2 < 2.95e6


@pytest.mark.slow
def test_the_program_learns_at_small_size():
    fashion = data.fashion_mnist()
    X, y = fashion.train
    net, seconds, _ = modern_cnns.train(modern_cnns.small_googlenet, .003, (X[:1500], y[:1500]), 2, seed=0)
    assert modern_cnns.accuracy(net, (X[-500:], y[-500:])) > .4 and seconds > 0
    assert modern_cnns.accuracy(net, (X[-500:], y[-500:]), 4) > .1
