"""Depth, blocks and the small residual network: the program that measures, and what chapter 20 shows of its record."""

import pytest
import torch

from benchmarks import quality, resnet
from benchmarks.common import load
from chapters import defined_in, recorded_in, three
from shared import data

CHAPTER = "20_resnet"


def rounded(values: list[float]) -> tuple[float, ...]:
    return tuple(round(v, 4) for v in values)


@pytest.mark.parametrize("name, part", [("deep", "depth"), ("blocks", "block")])
def test_what_the_chapter_shows_of_towers_is_the_record(name, part):
    assert recorded_in(CHAPTER, name) == {row: (run["lr"], *rounded(run["training"]), *rounded(run["validation"]))
                             for row, run in load("resnet")["settings"]["runs"][part].items()}


def test_what_the_chapter_shows_of_the_small_network_is_the_record():
    runs = load("resnet")["settings"]["runs"]["small"]
    assert recorded_in(CHAPTER, "ablation") == {
        row: (*rounded(run["plain"]), *rounded(run["validation"]),
              round(sorted(run["seconds"])[len(run["seconds"]) // 2], 1)) for row, run in runs.items()}
    best = load("quality")["results"]["small residual network"]
    shown = recorded_in(CHAPTER, "quality")
    for name, key, digits in (("test accuracy", "accuracy", 4), ("without the mirror image", "plain", 4),
                              ("seconds in all", "seconds", 0)):
        assert shown[name] == three(best[key], digits)


@pytest.fixture(scope="module")
def chapter():
    return defined_in(CHAPTER)


def same(ours, shown) -> bool:
    """The same function, with the same parameters in the same order, in both modes."""
    shown.load_state_dict(dict(zip(shown.state_dict(), ours.state_dict().values(), strict=True)))
    X = torch.rand(4, 1, 28, 28)
    return all(torch.allclose(ours.train(mode)(X), shown.train(mode)(X), atol=1e-5) for mode in (True, False))


@pytest.mark.parametrize("name", resnet.BLOCK)
def test_the_blocks_of_the_program_are_those_of_the_chapter(chapter, name):
    kind = resnet.BLOCK[name].__name__
    torch.manual_seed(0)
    ours = resnet.block_tower(name, 2)
    shown = chapter["pre_activated_tower"](2) if kind == "PreActivated" else chapter["tower"](chapter[kind], 2)
    assert same(ours, shown)
    scales = [[p.std().item() for p in net.parameters() if p.ndim == 4] for net in (ours, shown)]
    assert scales[0] == scales[1]


def test_the_small_network_is_that_of_the_results(chapter):
    torch.manual_seed(0)
    assert same(resnet.Recipe().network(), chapter["small_resnet"]())
    assert same(quality.network(), chapter["small_resnet"]())


@pytest.mark.slow
def test_the_program_learns_at_small_size():
    X, y = data.fashion_mnist().train
    some, others = (X[:1500], y[:1500]), (X[-500:], y[-500:])
    net, seconds = resnet.train_tower(resnet.DEPTH["residual 8"], .01, some, 2, seed=0)
    assert resnet.accuracy(net, others) > .3 and seconds > 0
    assert resnet.train_small(resnet.Recipe(mixed=False), some, others, seed=0)[1] > .4
