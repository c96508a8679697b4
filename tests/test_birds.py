"""Birds and airplanes: the drawn stand-ins, the program that measures, and what chapter 17 shows of its record."""

import ast
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import birds
from benchmarks.common import load
from chapters import code, path_of, recorded_in
from shared import data, samples
from shared.batches import Batches
from shared.training import evaluate, fit

CHAPTER = path_of("17_birds_and_airplanes")


@pytest.fixture(scope="module")
def drawn():
    """2,400 and 1,600 drawn airplanes and birds."""
    parts = samples.colour_images(12_000, 8_000)
    return birds.two_classes(parts["train"]), birds.two_classes(parts["test"])


@pytest.mark.slow
def test_drawn_birds_and_airplanes_need_more_than_their_colour(drawn):
    (X, y), (X_test, y_test) = drawn
    assert 2000 < len(y) < 2800 and .45 < y.float().mean() < .55
    torch.manual_seed(0)
    colour = nn.Linear(3, 2)
    fit(colour, Batches((X.float().mean((2, 3)) / 255, y), 100, shuffle=True), num_epochs=10, lr=1., verbose=False)
    judged = Batches((X_test.float().mean((2, 3)) / 255, y_test), 500)
    assert evaluate(colour, judged).accuracy < .75


@pytest.mark.slow
def test_a_small_network_of_convolutions_tells_drawn_birds_from_airplanes(drawn):
    two = birds.Two(drawn[0], drawn[0], drawn[1], "drawn", False)
    net, _ = birds.train(birds.Row(epochs=3), .03, two, seed=0)
    assert birds.accuracy(net, two.test, two) > .8


def small(two, n=300):
    def part(examples):
        return tuple(t[:n] for t in examples)
    return replace(two, fitting=part(two.fitting), validation=part(two.validation), test=part(two.test))


@pytest.fixture(scope="module")
def two(drawn):
    return small(birds.Two(drawn[0], drawn[1], drawn[1], "drawn", False))


@pytest.mark.slow
@pytest.mark.parametrize("name", birds.ROWS)
def test_every_row_of_the_ablation_trains(name, two):
    if "hundred" in name:
        two = small(two, 64)
    net, seconds = birds.train(replace(birds.ROWS[name], epochs=1), .01, two, seed=0)
    scores = birds.accuracy(net, two.test, two, birds.ROWS[name].always)
    assert 0 <= scores <= 1 and seconds > 0


def test_rows_change_one_thing():
    assert sum(p.numel() for p in birds.conv_net().parameters()) == 18_090
    assert sum(p.numel() for p in birds.dense_net(512).parameters()) == 1_574_402
    assert birds.ROWS[birds.BASE] == birds.Row()


def test_shuffled_pixels_keep_their_colours_and_are_the_same_each_time():
    X = torch.rand(4, 3, 32, 32)
    shuffled = birds.shuffle_pixels(X)
    assert torch.equal(shuffled, birds.shuffle_pixels(X)) and not torch.equal(shuffled, X)
    for n in (0, 3):
        a, b = (T[n].flatten(1).T for T in (X, shuffled))
        assert {tuple(p) for p in a.tolist()} == {tuple(p) for p in b.tolist()}


@pytest.mark.slow
def test_the_best_network_learns_at_small_size(two):
    recipe = birds.Recipe(filters=8, widths=(16, 16), epochs=6, batch_size=32)
    net, seconds = birds.train_best(recipe, two, two.fitting, seed=0)
    assert birds.accuracy(net, two.fitting, two) > .6 and seconds > 0


def test_whitening_makes_patches_of_variance_one_without_correlation():
    torch.manual_seed(0)
    X = F.avg_pool2d(torch.randn(200, 3, 33, 33), 2, stride=1)  # neighbours hang together
    filters = birds.whitening(X, 54, floor=0)
    assert torch.equal(filters[27:], -filters[:27])
    numbers = F.conv2d(X, filters[:27]).transpose(0, 1).flatten(1)
    assert torch.allclose(numbers @ numbers.T / numbers.shape[1], torch.eye(27), atol=1e-3)
    assert (F.conv2d(X, birds.whitening(X, 8)).square().mean((0, 2, 3)) < 1).all(), "a floor makes them smaller"


def test_the_first_layer_is_fixed_or_trained_as_the_recipe_says(two):
    for whitened in (True, False):
        recipe = birds.Recipe(filters=4, widths=(8, 8), epochs=1, batch_size=100, whitened=whitened)
        net, _ = birds.train_best(recipe, two, two.fitting, seed=0)
        at_start = birds.whitening(two.scale(two.fitting[0].float() / 255), 4)
        assert torch.allclose(net[0].weight, at_start, atol=1e-4) == whitened


def test_a_block_adds_its_input_or_not():
    torch.manual_seed(0)
    X = torch.randn(4, 8, 8, 8)
    block = birds.Block(8, norm=False)
    with_skip = block(X)
    block.skip = False
    assert torch.allclose(with_skip - X, block(X), atol=1e-6) and (block(X) >= 0).all()
    with torch.no_grad():
        assert torch.allclose(block(X), F.relu(block.conv(X)))


# ------------------------------------------------------------------------------- what the chapter shows

def test_the_chapter_builds_the_same_networks():
    """Its cells are run by themselves; the networks must print alike, with as many parameters."""
    names = {"torch": torch, "nn": nn, "F": F}
    wanted = ("def dense_net(", "def conv_net(", "class Block(", "def stage(", "def whitening(",
              "def best_net(")
    for start in wanted:
        cell = next(c.source for c in code(CHAPTER) if f"\n{start}" in f"\n{c.source}")
        tree = ast.parse(cell)
        tree.body = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
        exec(compile(tree, "cell", "exec"), names)
    X = torch.rand(20, 3, 32, 32)
    filters = birds.whitening(X, 16)
    assert torch.equal(filters, names["whitening"](X))
    for ours, theirs in ((birds.dense_net(512), names["dense_net"](512)), (birds.conv_net(), names["conv_net"]()),
                         (birds.conv_net(32, norm=True, dropout=.4), names["conv_net"](32, True, .4)),
                         (birds.conv_net(blocks=[birds.Block(8)]), names["conv_net"](blocks=[names["Block"](8)])),
                         (birds.best_net(filters), names["best_net"](filters))):
        assert repr(ours) == repr(theirs)
        assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]


def test_the_table_of_17_is_the_recorded_one():
    shown, rows = recorded_in(CHAPTER.stem, "recorded"), load(birds.NAME)["settings"]["rows"]
    assert list(shown) == list(birds.ROWS)
    for name, (rate, fitted, *right) in shown.items():
        assert rate == rows[name]["rate"] and right == [round(2000 * a) for a in rows[name]["test"]]
        assert fitted == round(sorted(rows[name]["fitting"])[len(right) // 2], 3)


def test_the_medians_on_validation_in_17_are_the_recorded_ones():
    source = next(c.source for c in code(CHAPTER) if c.source.startswith("on_validation = "))
    medians = ast.literal_eval(source[source.index("(recorded, (") + len("(recorded, "):source.rindex("))")])
    rows = load(birds.NAME)["settings"]["rows"]
    assert list(medians) == [round(2000 * sorted(rows[name]["validation"])[2]) for name in birds.ROWS]


def test_the_best_network_of_17_is_the_recorded_one():
    shown, runs = recorded_in(CHAPTER.stem, "recorded_best"), load("birds_best")["settings"]["runs"]
    ours, trained = runs["small residual network"], runs["its first layer trained, too"]
    assert list(shown.values()) == [[round(a, 4) for a in values] for values in (
        ours["plain"], ours["accuracy"], trained["plain"])]


def test_the_program_and_the_chapter_split_alike():
    """The same random order: nothing that the chapter validates on was trained on by the program."""
    source = "\n".join(c.source for c in code(CHAPTER))
    assert "torch.Generator().manual_seed(0))\nX_train, y_train = X_both[order[:8000]]" in source
    assert birds.TRAINING == 8_000 and data.CIFAR_LABELS[0] == "airplane" and data.CIFAR_LABELS[2] == "bird"
