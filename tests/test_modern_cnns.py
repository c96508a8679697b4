"""AlexNet, VGG, NiN and GoogLeNet: the program that measures, and what chapter 18 shows of its record."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import modern_cnns
from benchmarks.common import load
from chapters import defined_in, recorded_in
from shared import data

CHAPTER = "18_modern_cnns"


def test_what_the_chapter_shows_is_the_record():
    runs = load("modern_cnns")["settings"]["runs"]
    assert recorded_in(CHAPTER, "short") == {
        name: (row["lr"], *(round(5_000 * a) for a in (*row["accuracy"], *row["moved"])),
               round(sorted(row["seconds"])[1], 1))
        for name, row in runs["short"].items()}


def test_the_long_trainings_of_the_chapter_are_the_recorded_ones():
    runs = load("modern_cnns")["settings"]["runs"]
    rows = runs["long"] | {f"{name}, 8 passes": row for name, row in runs["longest"].items()}
    assert recorded_in(CHAPTER, "long") == {
        name: (*(round(10_000 * a) for a in (*row["accuracy"], *row["moved"])), round(sorted(row["seconds"])[1]))
        for name, row in rows.items()}
    assert recorded_in(CHAPTER, "curves") == {name: tuple(round(a, 3) for a in row["curves"][0])
                                              for name, row in rows.items()}


@pytest.mark.slow
def test_the_networks_of_the_program_are_those_of_the_chapter():
    chapter = defined_in(CHAPTER, "FORMS", "CHANGES", "BLOCKS", "Row", "conv_arch")
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
