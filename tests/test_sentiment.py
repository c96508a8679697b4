"""The program of the chapter on trees: bags, sequences and trees read the sentences that they are said to read."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from benchmarks import sentiment
from benchmarks.common import load
from benchmarks.sentiment import KINDS, interval, of_size, probabilities, right, train
from benchmarks.sentiment_models import (
    NONE,
    Bag,
    Coded,
    Mean,
    Recipe,
    Sequential,
    TreeLSTM,
    TreeRNN,
    Words,
    branching,
    levels,
    padded,
    rows_of,
)
from shared import sample_texts
from shared.trees import Tree, parse

TREES = parse("(3 (2 (2 the) (2 Film)) (3 (2 (2 is) (3 (2 not) (1 bad))) (2 .)))\n(4 great)\n(1 (2 the) (1 end))")
SMALL = Recipe(dropout=0., num_hiddens=8)
SOME = sample_texts.treebank(counts=(300, 60))
WORDS = Words(SOME[0])
SHAPES = st.recursive(st.builds(Tree, st.integers(0, 4), st.sampled_from(["film", "not", "good", "."])),
                      lambda trees: st.builds(Tree, st.integers(0, 4), st.none(), st.tuples(trees, trees)))


def test_the_record_keeps_what_the_program_asserts():
    sentiment.check(load("sentiment")["settings"]["runs"])


def test_words_that_occur_once_are_one_unknown_word():
    words = Words(parse("(2 (2 A) (2 (2 b) (2 c)))\n(2 (2 a) (2 b))"))
    assert words.words == {"a": 1, "b": 2} and words.pairs == {("a", "b"): 1}
    assert words.encode(["B", "A", "b", "new"]).tolist() == [[2, 1, 2, 0], [0, 0, 1, 0]]


@given(SHAPES)
def test_rows_have_every_phrase_once_with_its_label(tree):
    found = Counter((*ids[0, :i + 1], label) for ids, labels in rows_of(tree, WORDS, True)
                    for i, label in enumerate(labels) if label != NONE)
    assert found == Counter((*WORDS.encode(node.words())[0], node.label) for node in tree.nodes())
    ((ids, labels),) = rows_of(tree, WORDS, False)
    assert np.array_equal(ids, WORDS.encode(tree.words())) and labels == [NONE] * (len(labels) - 1) + [tree.label]


@pytest.mark.parametrize("model", [Bag, Mean, Sequential])
def test_what_is_read_in_one_go_is_what_each_phrase_alone_gives(model):
    torch.manual_seed(0)
    net, rows = model(WORDS, SMALL).eval(), [row for tree in TREES for row in rows_of(tree, WORDS, True)]
    for p in net.parameters():
        torch.nn.init.normal_(p)
    alone = [net(padded([(ids[:, :i + 1], [NONE] * i + [label])])) for ids, labels in rows
             for i, label in enumerate(labels) if label != NONE]
    assert torch.allclose(net(padded(rows)), torch.cat(alone), atol=1e-5)


def test_the_bag_is_a_logistic_regression_on_counts():
    net = Bag(WORDS, SMALL).eval()
    for p in net.parameters():
        torch.nn.init.normal_(p)
    words, pairs = WORDS.encode("the film is not the film .".split())
    scores = net.bias + sum(torch.bincount(torch.from_numpy(ids), minlength=len(part.weight)).float() @ part.weight
                            for ids, part in ((words, net.words), (pairs, net.pairs)))
    row = padded([(np.stack([words, pairs]), [NONE] * 6 + [3])])
    assert torch.allclose(net(row)[0], scores, atol=1e-5)


def test_the_mean_is_one():
    net, (ids, _) = Mean(WORDS, SMALL).eval(), rows_of(TREES[0], WORDS, False)[0]
    row = padded([(ids, [NONE] * 5 + [3])])
    assert torch.allclose(net(row), net.out(net.embedding(row.words).mean(1)), atol=1e-6)


def one_by_one(net, tree):
    """The states of all nodes, children before parents, as the papers' equations say."""
    def state(node):
        if node.word:
            x = net.embedding.weight[torch.from_numpy(WORDS.encode([node.word])[0])]
            if isinstance(net, TreeLSTM):
                c, o = (x @ net.leaf.weight.T + net.leaf.bias).chunk(2, 1)
                found.append((torch.sigmoid(o) * torch.tanh(c), c))
            else:
                found.append((torch.tanh(x @ net.leaf.weight.T + net.leaf.bias), None))
            return found[-1]
        (h_l, c_l), (h_r, c_r) = map(state, node.children)
        z = torch.cat([h_l, h_r], 1) @ net.both.weight.T + net.both.bias
        if isinstance(net, TreeLSTM):
            u, i, o, f_l, f_r = z.chunk(5, 1)
            c = i.sigmoid() * u.tanh() + f_l.sigmoid() * c_l + f_r.sigmoid() * c_r
            found.append((o.sigmoid() * c.tanh(), c))
        else:
            found.append((z.tanh(), None))
        return found[-1]
    found = []
    state(tree)
    return torch.cat([h for h, _ in found])


@pytest.mark.parametrize("model", [TreeRNN, TreeLSTM])
@given(trees=st.lists(SHAPES, min_size=1, max_size=4))
def test_all_nodes_of_a_height_at_once_give_what_one_after_the_other_gives(model, trees):
    torch.manual_seed(0)
    net, coded = model(WORDS, SMALL).eval(), [Coded(tree, WORDS) for tree in trees]
    batch = levels(coded)
    order = np.argsort(np.concatenate([tree.height for tree in coded]), kind="stable")
    expected = net.out(torch.cat([one_by_one(net, tree) for tree in trees]))[order]
    assert torch.allclose(net(batch), expected, atol=1e-5)
    assert torch.equal(batch.labels[batch.roots], torch.tensor([tree.label for tree in trees]))
    assert [len(order) - n for order, n in batch.steps][-1:] in ([], [len(trees)]), "what is joined waits no more"
    alone = torch.cat([net(levels([tree]))[-1:] for tree in coded])
    assert torch.allclose(net(batch)[batch.roots], alone, atol=1e-5)


def test_labels_of_roots_and_words_only():
    (tree, *_), coded = TREES, Coded(TREES[0], WORDS, False)
    kept = [label for label in coded.labels if label != NONE]
    assert kept == [2, 2, 2, 2, 1, 2, 3] and len(coded.labels) == len(tree.nodes())


def test_other_trees_over_the_same_words():
    tree = TREES[0]
    other = branching(tree, lambda n: 1)
    assert other.words() == tree.words() and other.label == 3 and other.height == len(tree.words()) - 1
    assert [node.label for node in other.nodes() if node.word] == [2, 2, 2, 2, 1, 2]
    assert {node.label for node in other.nodes() if node.children} == {3, NONE}
    assert branching(TREES[1], lambda n: 1) == TREES[1]
    random = KINDS["Tree-LSTM, random trees"].coded(SOME[0], WORDS, True)
    again = KINDS["Tree-LSTM, random trees"].coded(SOME[0], WORDS, True)
    own = KINDS["Tree-LSTM, roots and words"].coded(SOME[0], WORDS, True)
    assert all(np.array_equal(a.children, b.children) and np.array_equal(a.words, c.words)
               for a, b, c in zip(random, again, own))
    assert sum(np.array_equal(a.height, c.height) for a, c in zip(random, own)) < .2 * len(own)
    straight = KINDS["Tree-LSTM, right-branching"].coded(SOME[0], WORDS, True)
    assert all(a.height[-1] == len(a.words) - 1 and a.children[-1, 0] == 0 for a in straight)
    assert sum(a.height[-1] == len(a.words) - 1 for a in random) < .2 * len(random)


@pytest.mark.parametrize("name", KINDS)
def test_sentences_keep_their_order_when_they_are_judged(name):
    torch.manual_seed(0)
    kind = KINDS[name]
    net, coded = kind.model(WORDS, SMALL), kind.coded(SOME[1], WORDS, False)
    for p in net.parameters():
        torch.nn.init.normal_(p)
    p = probabilities(kind, net, coded)
    assert p.shape == (60, 5) and torch.allclose(p[17:18], probabilities(kind, net, coded[17:18]), atol=1e-5)
    labels = sum((len(b.labels[b.labels != NONE]) for b in kind.batches(coded, np.random.default_rng(0))), 0)
    assert labels == sum(int((part.labels != NONE).sum()) for part in kind.batches(coded))


def test_networks_have_as_many_parameters():
    sizes = [sentiment.num_parameters(KINDS[name].model(WORDS, Recipe(num_hiddens=of_size(KINDS[name], WORDS))))
             for name in ("LSTM, phrases", "TreeRNN", "Tree-LSTM")]
    assert max(sizes) < 1.03 * min(sizes)


def test_five_classes_and_two():
    p = torch.tensor([[.3, .3, .4, 0, 0], [.1, .1, .1, .3, .4], [0, 0, 1, 0, 0], [.1, 0, .7, .2, 0]])
    five, two = right(p, torch.tensor([0, 4, 2, 1]))
    assert five.tolist() == [False, True, True, False] and two.tolist() == [True, True, False]


def test_an_interval_is_as_wide_as_it_should_be():
    values = np.random.default_rng(1).integers(0, 2, 1000).astype(float)
    found, half = interval("x", values), 1.96 * values.std() / 1000 ** .5
    assert found["x low"] == pytest.approx(values.mean() - half, abs=.004)
    assert found["x high"] == pytest.approx(values.mean() + half, abs=.004)


@pytest.mark.slow
@pytest.mark.parametrize("name, least", [("LSTM, phrases", .6), ("TreeRNN", .75), ("Tree-LSTM", .75)])
def test_a_network_learns_the_small_grammar(name, least):
    torch.set_num_threads(1)
    kind = replace(KINDS[name], seconds=6)
    y = torch.tensor([tree.label for tree in SOME[1]])
    parts = kind.coded(SOME[0], WORDS, True), kind.coded(SOME[1], WORDS, False)
    recipe = Recipe(.01, .1, 32)
    net, accuracy, kept, passes, seconds = train(kind, recipe, WORDS, parts[0], (parts[1], y), 0)
    assert accuracy > least and 0 < kept <= passes and seconds >= 6
    assert (probabilities(kind, net, parts[1]).argmax(1) == y).double().mean().item() == pytest.approx(accuracy)


def test_what_loses_in_validation_is_not_kept(monkeypatch):
    """Of all looks in a training, the best is kept."""
    kind, given = replace(KINDS["Tree-LSTM"], seconds=.4), iter([.1, .9, .3, .2, .2, .2, .2, .2, .2])
    monkeypatch.setattr(sentiment, "probabilities", lambda *_: F.one_hot(
        torch.tensor([i >= 10 * share for share in [next(given)] for i in range(10)]).long(), 5))
    found = train(kind, SMALL, WORDS, kind.coded(SOME[0][:64], WORDS, True), ([], torch.zeros(10)), 0)
    assert found[1] == .9 and found[2] < found[3]
