"""Trees in brackets: written and read back, at any depth; what is no tree is refused, with its line."""

import os
import sys
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import data, sample_texts
from shared.trees import SENTIMENTS, Tree, parse

WORDS = st.text(st.characters(exclude_characters="() \t\r\n", codec="utf-8"), min_size=1, max_size=5)
LABELS = st.integers(-9, 99)
TREES = st.recursive(st.builds(Tree, LABELS, WORDS), lambda trees: st.builds(
    Tree, LABELS, st.none(), st.lists(trees, min_size=1, max_size=3).map(tuple)))
LINE = "(3 (2 It) (4 (4 (2 's) (4 (3 (2 a) (4 lovely)) (2 film))) (2 .)))"


@given(st.lists(TREES, max_size=4))
def test_what_is_written_is_read_back(trees):
    assert parse("\n".join(map(str, trees))) == trees
    assert parse("\r\n\n".join(map(str, trees)).replace(" ", "  ").replace("(", "( ")) == trees


@given(TREES)
def test_nodes_come_after_their_children_and_heights_grow(tree):
    nodes = tree.nodes()
    place = {id(node): i for i, node in enumerate(nodes)}
    assert nodes[-1] is tree and str(tree).count("(") == len(nodes)
    for node in nodes:
        below = [child.height for child in node.children]
        assert all(place[id(child)] < place[id(node)] for child in node.children)
        assert node.height == max(below, default=-1) + 1
    assert [node.word for node in nodes if node.word is not None] == tree.words()


def test_a_tree_is_what_the_brackets_say():
    (tree,) = parse(LINE + "\n")
    assert str(tree) == repr(tree) == LINE and tree.words() == "It 's a lovely film .".split()
    assert (tree.label, tree.word, len(tree.children), tree.height) == (3, None, 2, 5)
    assert tree.children[0] == Tree(2, "It") and hash(tree.children[0]) == hash(Tree(2, "It"))
    assert tree != Tree(3, "It") and tree != LINE
    assert [str(node) for node in tree.nodes()[:4]] == ["(2 It)", "(2 's)", "(2 a)", "(4 lovely)"]
    with pytest.raises(AttributeError):
        tree.label = 0


def test_a_tree_deeper_than_the_recursion_limit():
    tree = Tree(0, "first")
    for i in range(10 * sys.getrecursionlimit()):
        tree = Tree(i % 5, None, (tree, Tree(1, "more")))
    assert parse(str(tree)) == [tree] and tree.height == 10 * sys.getrecursionlimit()
    assert len(tree.nodes()) == 2 * tree.height + 1 and tree.words() == ["first"] + ["more"] * tree.height


@pytest.mark.parametrize("word, children", [(None, ()), ("a", (Tree(0, "b"),)), ("", ()), ("a b", ()), ("(", ()),
                                            ("a\n", ())])
def test_a_node_with_neither_or_both_and_a_word_that_is_none_are_refused(word, children):
    with pytest.raises(ValueError, match="has a word or children|has one character or more"):
        Tree(0, word, children)


@pytest.mark.parametrize("line, said", [
    ("(3 a) (2 b)", "2 trees or words beside each other"), ("(3 (2 a)", r"1 '\(' without '\)'"),
    ("(3 a))", r"a '\)' without its '\('"), ("word", "word"), ("(3 (2 a) b)", r"\(3 \(2 a\) b\)"),
    ("(x a)", r"\(x a\)"), ("(2)", r"\(2\)"), ("()", r"\(\)"), ("(2 a b)", r"\(2 a b\)"), ("((2 a))", r"\(\(2 a\)\)"),
    (f"(3 {'(2 a) ' * 99}b)", r"\(3 \(2 a\).{60,70}\.\.\.")])
def test_a_line_that_is_no_tree_is_named(line, said):
    with pytest.raises(ValueError, match=rf"^line 3 is not one tree: {said}; a tree is \(label word\) or") as error:
        parse(f"(1 a)\n\n{line}\n(1 b)")
    assert len(str(error.value)) < 250


def test_blanks_of_another_kind_are_part_of_a_word():
    (tree,) = parse("(2 (2 8\xa01\\/2) (3 stars\x85))")
    assert tree.words() == ["8\xa01\\/2", "stars\x85"]


def test_the_sample_is_a_task_for_trees():
    parts = sample_texts.treebank()
    assert parts == sample_texts.treebank() and [len(part) for part in parts] == [1200, 200, 400]
    sentences = [" ".join(tree.words()) for part in parts for tree in part]
    assert len(set(sentences)) == 1800
    for part in parts:
        labels = Counter(tree.label for tree in part)
        assert set(labels) == set(range(len(SENTIMENTS))) and max(labels.values()) < .4 * len(part)
    assert {(len(node.children), type(node.label)) for part in parts for tree in part for node in tree.nodes()} == {
        (0, int), (2, int)}
    said = [(tree.label, 2 + sum(node.label - 2 for node in tree.nodes() if node.word)) for tree in parts[0]]
    right = sum(label == max(0, min(4, of_words)) for label, of_words in said) / len(said)
    assert .5 < right < .75, "words alone tell much, not all"


@pytest.fixture(scope="module")
def phrases():
    found = defaultdict(set)
    for tree in sample_texts.treebank(counts=(12_000,))[0]:
        for node in tree.nodes():
            found[" ".join(node.words())].add(node.label)
    return found


@pytest.mark.parametrize("words, label", [
    ("not good", 1), ("not bad", 3), ("very good", 4), ("never very funny", 1), ("rather terrible", 1), ("not long", 2),
    ("slow but good", 3), ("good but slow", 1), ("funny and good", 4)])
def test_the_sample_composes(phrases, words, label):
    assert phrases[words] == {label}


def test_the_loader_says_what_it_gives(monkeypatch):
    monkeypatch.setenv("BOOK_DATA", "sample")
    bank = data.sst()
    assert not bank.real and isinstance(bank, data.Treebank) and bank.train[0].height > 2
    assert [len(part) for part in (bank.train, bank.validation, bank.test)] == [1200, 200, 400]


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("BOOK_DATA", "sample") in ("", "sample"), reason="no real data here")
def test_the_treebank_has_its_official_parts():
    bank = data.sst()
    assert bank.real
    assert [len(part) for part in (bank.train, bank.validation, bank.test)] == [8544, 1101, 2210]
    nodes = [node for tree in bank.test for node in tree.nodes()]
    assert {len(node.children) for node in nodes} == {0, 2} and {node.label for node in nodes} == set(range(5))
    assert sum(tree.label != 2 for tree in bank.test) == 1821, "as in the paper"
