"""Tests of words: lines read, others refused with their number; the sample asks for words that the other sample has."""

import os
from collections import Counter

import pytest

from shared import data, judgements


def test_pairs_are_read_past_remarks():
    text = "# of a collection\n# Word 1\tWord 2\tmean\nTiger\tcat\t7.35\n\nbook  paper 10\n"
    assert judgements.pairs(text) == [("Tiger", "cat", 7.35), ("book", "paper", 10.)]
    assert judgements.pairs("") == []


@pytest.mark.parametrize("line", ["tiger\tcat", "tiger\tcat\tmuch", "a b c 1"])
def test_a_line_that_is_no_pair_is_named(line):
    with pytest.raises(ValueError, match="^line 2 is .*expected two words and a number"):
        judgements.pairs(f"a b 1\n{line}")


def test_analogies_are_read_by_section():
    text = ": capitals of\nAthens Greece Oslo Norway\n\n: plural\na b c d\ne f g h\n"
    assert judgements.analogies(text) == {"capitals of": [("Athens", "Greece", "Oslo", "Norway")],
                                          "plural": [("a", "b", "c", "d"), ("e", "f", "g", "h")]}


@pytest.mark.parametrize("text, said", [("a b c d", "line 1 is 'a b c d', expected ': section'"),
                                        (": x\na b c", "line 2 is 'a b c', expected four words")])
def test_a_line_that_is_no_analogy_is_named(text, said):
    with pytest.raises(ValueError, match=f"^{said}$"):
        judgements.analogies(text)


def test_the_sample_asks_for_words_of_the_sample(monkeypatch):
    monkeypatch.setenv("BOOK_DATA", "sample")
    tests, corpus = data.word_tests(), data.brown()
    counts = Counter(word for sentence in corpus.train for word, _ in sentence)
    assert not tests.real and tests == data.word_tests()
    pairs = tests.wordsim + tests.simlex
    assert min(counts[word] for a, b, _ in pairs for word in (a, b)) > 100 and all(0 <= s <= 10 for *_, s in pairs)
    assert all(len({(a, b) for a, b, _ in part}) == len(part) > 15 for part in (tests.wordsim, tests.simlex))
    assert len(tests.analogies) == 3
    for section in tests.analogies.values():
        assert len(set(section)) == 30 and min(counts[word] for words in section for word in words) > 1
        for a, b, c, d in section:
            stems = [os.path.commonprefix(pair) for pair in ((a, b), (c, d))]
            assert stems[0] != stems[1] and [w.removeprefix(stems[0]) for w in (a, b)] == [
                w.removeprefix(stems[1]) for w in (c, d)]
