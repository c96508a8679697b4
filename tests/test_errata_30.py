"""Each erratum of chapter 30: the mistake does what the errata page says, and so does the mend."""

import math

import pytest
import torch

from shared.beam_search import search

VOCAB, BEGIN = 4, 4  # a token of its own begins


def best_of(table, width, max_steps):
    """The probability of the best sequence that a beam finds, where the last two tokens decide about the next."""
    def step(tokens, past):
        return table[past[:, 0], tokens], tokens[:, None]
    [[(_, log_p)]] = search(step, torch.tensor([[BEGIN]]), torch.tensor([BEGIN]), end=0, width=width,
                            max_steps=max_steps, length_penalty=0)
    return math.exp(log_p)


def test_erratum_30_01():
    """A beam as wide as the vocabulary: sure of the best with two steps, not with three."""
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        table = (2 * torch.randn(VOCAB + 1, VOCAB + 1, VOCAB, generator=generator)).log_softmax(-1)
        for steps in 1, 2:
            assert math.isclose(best_of(table, VOCAB, steps), best_of(table, VOCAB ** steps, steps), rel_tol=1e-5)
    p = torch.full((VOCAB + 1, VOCAB + 1, VOCAB), .25)  # after most pairs, anything may come
    p[BEGIN] = torch.tensor([.01, .34, .33, .32])       # the first token and the second
    p[3, 3] = torch.tensor([.0, .98, .01, .01])         # after the least probable pair, all is clear
    assert best_of(p.log(), VOCAB, 3) == pytest.approx(.34 * .34 * .25, rel=1e-3)
    assert best_of(p.log(), VOCAB ** 2, 3) == pytest.approx(.32 * .32 * .98, rel=1e-3)


def test_the_width_that_is_always_enough():
    """(V - 1) ** (T - 1) + 1, here 28: the best ends after three tokens; all 27 prefixes that run stand above it."""
    def step(tokens, past):                             # past: the number of tokens, and whether all so far were 1
        number, ones = past[:, 0], past[:, 1] * (tokens == 1)
        p = torch.tensor([[1e-9, 10, 9, 9], [1e-9, 1 / 3, 1 / 3, 1 / 3], [1e-9, 1 / 3, 1 / 3, 1 / 3],
                          [.25, .25, .25, .25]])[number]
        p[(number == 1) & (tokens == 1)] = torch.tensor([1e-9, .4, .3, .3])
        p[(number == 2) & (ones == 1)] = torch.tensor([.247, .251, .251, .251])
        return (p / p.sum(1, keepdim=True)).log(), torch.stack([number + 1, ones], 1)

    def best(width):
        [[(tokens, log_p)]] = search(step, torch.tensor([[0, 1]]), torch.tensor([1]), end=0, width=width, max_steps=4,
                                     length_penalty=0)
        return tokens, math.exp(log_p)
    assert best(28) == best(108) and best(28)[0] == [1, 1, 0]
    assert best(27)[1] < .5 * best(28)[1]
