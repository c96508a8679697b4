"""shared.subwords: against byte-pair encoding said slowly, and there and back."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.subwords import MORE, Subwords, characters, join, joined, learn_merges

words = st.text("abc", min_size=1, max_size=6)
lines = st.lists(st.lists(words, max_size=6), max_size=8)


def slowly(text, num_merges):
    """All pairs of all words counted anew for each merge."""
    tokens = [characters(word) for line in text for word in line]
    merges = []
    for _ in range(num_merges):
        counts = Counter(pair for pieces in tokens for pair in pairwise(pieces))
        if not counts or max(counts.values()) < 2:
            break
        most = max(counts.values())
        merges.append(min(pair for pair, n in counts.items() if n == most))
        tokens = [join(pieces, merges[-1]) for pieces in tokens]
    return merges, tokens


@settings(deadline=None, max_examples=300)
@given(lines, st.integers(0, 30))
def test_merges_are_those_of_the_slow_count(text, num_merges):
    counts = Counter(word for line in text for word in line)
    merges, tokens = slowly(text, num_merges)
    assert learn_merges(counts, num_merges) == merges
    letters = {piece for word in counts for piece in characters(word)}
    subwords = Subwords(text, max(1, len(letters) + num_merges))
    assert subwords.merges == merges
    assert [subwords.split(word) for line in text for word in line] == tokens
    assert subwords.pieces == sorted(letters) + [joined(pair) for pair in merges]


@given(lines, st.integers(1, 40), st.lists(st.text("abcdé-'", min_size=1, max_size=8), max_size=6))
def test_there_and_back_also_with_new_words_and_new_characters(text, size, new):
    subwords = Subwords(text, size)
    for line in [*text, new]:
        pieces = subwords.encode(line)
        assert subwords.decode(pieces) == line
        assert sum(not piece.endswith(MORE) for piece in pieces) == len(line)
    known = set(subwords.pieces)
    assert all(set(subwords.encode(line)) <= known for line in text), "nothing learnt is unknown"


def test_the_worked_example():
    text = [["low", "lower", "lowest"]]
    subwords = Subwords(text, 9)
    assert subwords.pieces[:7] == ["e@@", "l@@", "o@@", "r", "s@@", "t", "w"]
    with_more = Subwords(text, 100)
    assert with_more.merges[:2] == [("l@@", "o@@"), ("lo@@", "w@@")]
    assert with_more.encode(["low", "slower"]) == ["lo@@", "w", "s@@", "lowe@@", "r"]


def test_neighbours_are_joined_from_the_left_and_only_inside_words():
    assert characters("abc") == ["a@@", "b@@", "c"] and characters("a") == ["a"] and characters("") == []
    assert joined(("a@@", "b@@")) == "ab@@" and joined(("a@@", "b")) == "ab"
    assert join(["a@@", "a@@", "a@@"], ("a@@", "a@@")) == ["aa@@", "a@@"]
    assert Subwords([["a", "b"]] * 9, 100).merges == [], "two words are no neighbours"


def test_a_size_below_the_number_of_characters_joins_nothing():
    assert Subwords([["ab", "ab"]], 1).pieces == ["a@@", "b"]
    with pytest.raises(ValueError, match="size"):
        Subwords([["ab"]], 0)


def test_a_word_that_is_broken_off_is_kept():
    subwords = Subwords([["ab", "ab"]], 3)
    assert subwords.decode(["ab", "a@@"]) == ["ab", "a"] and subwords.decode([]) == []


def test_the_lines_may_come_one_at_a_time_and_the_same_text_gives_the_same_pieces():
    text = [["to", "be", "or", "not", "to", "be"]] * 3
    one, other = Subwords(iter(text), 12), Subwords(text, 12)
    assert one.pieces == other.pieces and one.merges == other.merges
