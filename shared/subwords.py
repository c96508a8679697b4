"""Words in pieces: byte-pair encoding (Sennrich, Haddow and Birch 2016).

Every word begins as its characters; again and again the most frequent pair of neighbouring pieces becomes
one piece. Frequent words end up whole, rare ones in parts, and nothing made of known characters is unknown.

>>> subwords = Subwords([["low", "lower", "lowest"]], size=10)
>>> subwords.encode(["low", "slower"])
['lo@@', 'w', 's@@', 'lowe@@', 'r']

A piece after which its word goes on ends in ``@@``, so that words can be put together again (the words of
the text must not hold this mark):

>>> subwords.decode(['lo@@', 'w', 's@@', 'lowe@@', 'r'])
['low', 'slower']
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from shared.batches import whole_number

MORE = "@@"  # the word goes on
Pair = tuple[str, str]


class Subwords:
    """The pieces of a language, learnt from its words.

    lines   lists of words
    size    how many different pieces there are to be, single characters included; fewer if no pair is
            left that occurs twice, more if there are more characters than that

    ``merges`` lists the pairs in the order in which they were joined, ``pieces`` the pieces: characters
    first, then one for each merge. Of equally frequent pairs the one first in the alphabet is joined, so
    that the same text gives the same pieces.
    """

    def __init__(self, lines: Iterable[Sequence[str]], size: int):
        counts = Counter(word for line in lines for word in line)
        self.pieces = sorted({piece for word in counts for piece in characters(word)})
        self.merges = learn_merges(counts, max(0, whole_number("size", size) - len(self.pieces)))
        self.pieces += [joined(pair) for pair in self.merges]
        self._rank = {pair: i for i, pair in enumerate(self.merges)}
        self._known: dict[str, list[str]] = {}

    def split(self, word: str) -> list[str]:
        """The pieces of one word: the merges, in the order in which they were learnt."""
        if word not in self._known:
            pieces = characters(word)
            while len(pieces) > 1:
                best = min(pairwise(pieces), key=lambda pair: self._rank.get(pair, len(self._rank)))
                if best not in self._rank:
                    break
                pieces = join(pieces, best)
            self._known[word] = pieces
        return self._known[word]

    def encode(self, words: Iterable[str]) -> list[str]:
        """The pieces of a sentence."""
        return [piece for word in words for piece in self.split(word)]

    def decode(self, pieces: Iterable[str]) -> list[str]:
        """The words that pieces make; a last word that is broken off is kept as far as it goes."""
        words, begun = [], ""
        for piece in pieces:
            begun += piece.removesuffix(MORE)
            if not piece.endswith(MORE):
                words.append(begun)
                begun = ""
        return words + [begun] * bool(begun)


def characters(word: str) -> list[str]:
    """A word as single characters, each but the last marked as going on."""
    return [c + MORE for c in word[:-1]] + [*word[-1:]]


def joined(pair: Pair) -> str:
    """One piece of two neighbours."""
    return pair[0].removesuffix(MORE) + pair[1]


def join(pieces: Sequence[str], pair: Pair) -> list[str]:
    """Pieces with each occurrence of a pair made one, from the left."""
    (first, second), whole = pair, joined(pair)
    result, last = [], None
    for piece in pieces:
        if last == first and piece == second:
            result[-1], last = whole, None
        else:
            result.append(piece)
            last = piece
    return result


def learn_merges(counts: Counter, num_merges: int) -> list[Pair]:
    """At most so many pairs, the most frequent first, counted anew after each merge. Only words that
    hold the pair are touched, and a heap finds the next one: a large text takes seconds."""
    words = [(characters(word), n) for word, n in counts.items()]
    totals, where = Counter(), defaultdict(set)
    for i, (pieces, n) in enumerate(words):
        for pair in pairwise(pieces):
            totals[pair] += n
            where[pair].add(i)
    heap, merges = [(-n, pair) for pair, n in totals.items()], []
    heapq.heapify(heap)
    while heap and len(merges) < num_merges:
        n, best = heapq.heappop(heap)
        if -n != totals[best]:
            continue  # counted before a merge that changed it
        if -n < 2:
            break
        merges.append(best)
        changed = set()
        for i in where.pop(best):
            pieces, n = words[i]
            after = join(pieces, best)
            if len(after) == len(pieces):
                continue  # an earlier merge took the pair away
            for pair in pairwise(pieces):
                totals[pair] -= n
            for pair in pairwise(after):
                totals[pair] += n
                where[pair].add(i)
            changed.update(pairwise(pieces), pairwise(after))
            words[i] = after, n
        for pair in changed - {best}:
            heapq.heappush(heap, (-totals[pair], pair))
    return merges
