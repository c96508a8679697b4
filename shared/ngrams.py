"""Counting as a language model: interpolated, modified Kneser-Ney, the best cheap baseline for text.

A table of counts says how often a token followed a context of n - 1 tokens. Kneser-Ney takes a little off
every count (the *discount*), and gives what it saved to a table with a context one token shorter, down to a
table that finds all tokens equally likely. A shorter table is asked only for what the longer one does not
know, so it counts not how *often* a token occurs, but after how many *different* tokens it does.

Kneser and Ney 1995; the three discounts are those of Chen and Goodman 1999.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shared.batches import whole_number


@dataclass(frozen=True)
class _Table:
    """What one length of context knows. An n-gram is a number with the vocabulary's size as its base."""
    grams: np.ndarray     # sorted
    share: np.ndarray     # of each: its discounted count, over the count of its context
    contexts: np.ndarray  # sorted
    saved: np.ndarray     # of each: the share that goes to the table with a shorter context


class KneserNey:
    """A language model of counts: the next token from the last ``order - 1``.

    corpus       numbers of the tokens of the training text, from 0 up
    order        length of the longest n-grams that are counted: 1 for no context at all
    vocab_size   how many tokens there are; each has a probability above zero after every context

    Raises ValueError for a corpus that is no vector of numbers below ``vocab_size``, and for an order so
    long that its n-grams cannot be numbered in 64 bits.
    """

    def __init__(self, corpus: Sequence[int] | Tensor, order: int, vocab_size: int):
        self.order, self.vocab_size = whole_number("order", order), whole_number("vocab_size", vocab_size)
        if self.vocab_size ** self.order > np.iinfo(np.int64).max:
            raise ValueError(f"{self.vocab_size} tokens can be counted in groups of "
                             f"{int(np.log(2.0 ** 63) / np.log(self.vocab_size))} at most, got order {self.order}")
        keys = self._keys(self._numbers(corpus)[None], self.order)
        self._tables = []
        for n, key in enumerate(keys, 1):
            if n == self.order:
                grams, counts = np.unique(key[0, n - 1:], return_counts=True)
            else:  # how many different tokens stood before
                longer = np.unique(keys[n][0, n:])
                grams, counts = np.unique(longer % self.vocab_size ** n, return_counts=True)
            self._tables.append(self._table(grams, counts))

    def surprises(self, corpus: Sequence[int] | Tensor) -> Tensor:
        """-log p of each token, given those before it in ``corpus``, as a float64 vector of its length.

        The mean is the cross-entropy, its exponential the perplexity.
        """
        p = self._probabilities(self._numbers(corpus)[None])[0]
        return torch.from_numpy(-np.log(p))

    def distribution(self, context: Sequence[int] | Tensor) -> Tensor:
        """The probability of each token after ``context`` (vocab_size,), of which only the end counts."""
        context = self._numbers(context)[max(0, len(context) - self.order + 1):]
        rows = np.tile(context, (self.vocab_size, 1))                       # (vocab, context)
        rows = np.concatenate([rows, np.arange(self.vocab_size)[:, None]], 1)
        return torch.from_numpy(self._probabilities(rows)[:, -1])

    def _numbers(self, corpus) -> np.ndarray:
        tokens = torch.as_tensor(corpus).cpu().numpy()
        if tokens.ndim != 1 or (tokens.size and (tokens.dtype.kind not in "iu" or tokens.min() < 0
                                                 or tokens.max() >= self.vocab_size)):
            raise ValueError(f"the corpus must be a vector of whole numbers from 0 to {self.vocab_size - 1}, "
                             f"got shape {tokens.shape}, type {tokens.dtype}")
        return tokens.astype(np.int64)

    def _keys(self, rows: np.ndarray, order: int) -> list[np.ndarray]:
        """For n = 1, ..., order: the number of the n-gram that ends at each place, -1 where none does."""
        keys = [rows]
        for n in range(1, order):
            key = np.full_like(rows, -1)
            key[:, n:] = keys[-1][:, n:] + rows[:, :-n] * self.vocab_size ** n
            keys.append(key)
        return keys

    def _table(self, grams: np.ndarray, counts: np.ndarray) -> _Table:
        discount = _discounts(counts)[np.minimum(counts, 3)]
        contexts, index = np.unique(grams // self.vocab_size, return_inverse=True)
        totals = np.bincount(index, counts, len(contexts))
        return _Table(grams, (counts - discount) / totals[index], contexts,
                      np.bincount(index, discount, len(contexts)) / totals)

    def _probabilities(self, rows: np.ndarray) -> np.ndarray:
        """From the shortest context to the longest; a context that was never seen adds nothing."""
        p = np.full(rows.shape, 1 / self.vocab_size)
        for table, key in zip(self._tables, self._keys(rows, self.order)):
            context = np.where(key < 0, -1, key // self.vocab_size)
            p = _look_up(table.grams, table.share, key, 0.0) + _look_up(table.contexts, table.saved, context, 1.0) * p
        return p


def _discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken off a count of 0, 1, 2, and 3 or more: Chen and Goodman's estimate from how many n-grams
    occurred once, twice, three and four times; one discount for all where these are too few."""
    n1, n2, n3, n4 = (int((counts == k).sum()) for k in (1, 2, 3, 4))
    one = n1 / (n1 + 2 * n2) if n1 and n2 else .5
    if n1 and n2 and n3:
        three = 1 - 2 * one * n2 / n1, 2 - 3 * one * n3 / n2, 3 - 4 * one * n4 / n3
        if all(0 < d < k for k, d in enumerate(three, 1)):
            return np.array([0.0, *three])
    return np.array([0.0, one, one, one])


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray, otherwise: float) -> np.ndarray:
    """``values`` where ``wanted`` is among the sorted ``keys``."""
    if not len(keys):
        return np.full(wanted.shape, otherwise)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], otherwise)
