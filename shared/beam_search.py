"""Beam search: the most probable sequences that a model of the next token can give, as far as a narrow search
finds them.

At each step the ``width`` best prefixes are continued by every token, and of all continuations the ``width`` best
are kept; those that end are put aside, the others run on. Width 1 is greedy search, and a beam that never has to
throw a continuation away is exhaustive search. A score is log p / length ** a, so that a longer sequence, each
token of which makes it less probable, can win (a = 0: none of this; Wu et al. 2016 have a slightly other form).

The search of a sentence stops when no prefix that still runs could come in among the best: log p only falls, and
nothing becomes longer than ``max_steps``, so what is now log p can at most score log p / max_steps ** a (Huang et
al. 2017). Chapter 30 builds this piece by piece.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from shared.batches import whole_number
from shared.seq2seq import EncoderDecoder
from shared.translation import BOS, EOS, Pairs

ROWS = 4096  # prefixes that are continued at once, at most: more need memory and win no time


def select(state: Any, rows: Tensor) -> Any:
    """The state of other rows, (n,) whole numbers: of each tensor in it, its first axis is the batch. Anything
    else in it, such as a number of steps, stays. A decoder whose state is otherwise has its own method ``select``."""
    return tree_map(lambda x: x[rows] if isinstance(x, Tensor) and x.ndim else x, state)


@torch.no_grad()
def search(step: Callable[[Tensor, Any], tuple[Tensor, Any]], state: Any, first: Tensor, *, end: int, width: int,
           max_steps: int, length_penalty: float = 1.0, best: int = 1,
           select: Callable[[Any, Tensor], Any] = select) -> list[list[tuple[list[int], float]]]:
    """For each of several starts, the ``best`` sequences found, best first, as (tokens, log probability).

    step            ``step(tokens, state)``: the log probabilities (rows, vocab) of what comes after the tokens
                    (rows,), and the new state; rows are independent of each other
    state, first    the state of all starts, and the token with which each begins, (starts,)
    end             the token that ends a sequence. It stands at a sequence's end and counts for its length; a
                    sequence of ``max_steps`` tokens ends without it, so all probabilities add up to one
    length_penalty  the exponent a, from 0 up; max_steps ** a must stay below 1e30

    Raises ValueError for such an argument out of its range, and for log probabilities that are not a number.
    select          ``select(state, rows)``, the state of some rows, each perhaps several times
    """
    _check(width, max_steps, best, length_penalty)
    device, starts = first.device, len(first)
    prefixes = torch.full((starts, 1, max_steps), end, device=device)   # (sentences, beams, max_steps)
    log_p, token = torch.zeros(starts, 1, device=device), first[:, None]  # (sentences, beams)
    found = torch.full((starts, best), -math.inf, device=device)        # the best scores, their log p and tokens
    found_p, sequences = found.clone(), prefixes.repeat(1, best, 1)
    alive = torch.arange(starts, device=device)                         # sentences whose search goes on
    for length in range(1, max_steps + 1):
        if not len(alive):
            break
        next_p, state = step(token.flatten(), state)                    # (sentences * beams, vocab)
        sentences, beams, vocab = *log_p.shape, next_p.shape[1]
        all_p = (log_p[:, :, None] + next_p.float().view(sentences, beams, vocab)).flatten(1)
        log_p, chosen = all_p.topk(min(width, beams * vocab))           # (sentences, beams)
        if log_p[:, 0].isnan().any():                                   # topk sorts NaN to the top
            raise ValueError(f"step gave log probabilities that are NaN, for token {length} of a sequence")
        parent, token = chosen // vocab, chosen % vocab
        prefixes = _take(prefixes, parent)
        prefixes[:, :, length - 1] = token
        ended = (token == end) | (length == max_steps)                  # these are put aside, if among the best
        ended_p = log_p.masked_fill(~ended, -math.inf)
        found[alive], order = torch.cat([found[alive], ended_p / length ** length_penalty], 1).topk(best)
        found_p[alive] = torch.cat([found_p[alive], ended_p], 1).gather(1, order)
        sequences[alive] = _take(torch.cat([sequences[alive], prefixes], 1), order)
        log_p = log_p.masked_fill(ended, -math.inf)                     # the others run on
        can_win = log_p.amax(1) / max_steps ** length_penalty > found[alive].amin(1)
        rows = (torch.arange(sentences, device=device)[:, None] * beams + parent)[can_win].flatten()
        state, alive = select(state, rows), alive[can_win]
        prefixes, log_p, token = prefixes[can_win], log_p[can_win], token[can_win]
    return [[(tokens[:[*tokens, end].index(end) + 1], p) for tokens, p in zip(*both) if p > -math.inf]
            for both in zip(sequences.tolist(), found_p.tolist())]


@torch.no_grad()
def beam_search(net: EncoderDecoder, sentences: Sequence[Sequence[str]], pairs: Pairs, width: int,
                length_penalty: float = 1.0, max_steps: int | None = None,
                best: int = 1) -> list[list[tuple[list[str], float]]]:
    """Translations of sentences given as lists of words: for each, its ``best`` hypotheses, best first, as (words,
    log probability); `search` says what they are. ``max_steps`` is ``pairs.num_steps`` if not given. Width 1
    gives what `shared.seq2seq.translate` gives, but for ties. In evaluation mode, which is undone afterwards.

    Raises ValueError for a width, max_steps or best that is no whole number from 1 up, a length_penalty below 0, and
    a sentence that is no list of words.
    """
    if any(isinstance(sentence, str) for sentence in [sentences, *sentences]):
        raise ValueError("sentences must be lists of words, got a string: use [sentence.split()]")
    max_steps = pairs.num_steps if max_steps is None else max_steps
    _check(width, max_steps, best, length_penalty)
    device, vocab = next(net.parameters()).device, pairs.target.vocab

    def step(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        features, state = net.decoder(tokens[:, None], state)           # (rows, 1, size)
        return net.decoder.dense(features)[:, 0].log_softmax(1), state

    found, at_once, modes = [], max(1, ROWS // width), [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        for i in range(0, len(sentences), at_once):
            source, lengths = (part.to(device) for part in pairs.source.array(sentences[i:i + at_once]))
            state = net.decoder.init_state(net.encoder(source, lengths), lengths)
            first = torch.full((len(source),), vocab[BOS], device=device)
            found += search(step, state, first, end=vocab[EOS], width=width, best=best, length_penalty=length_penalty,
                            max_steps=max_steps, select=getattr(net.decoder, "select", select))
    finally:
        for module, training in modes:
            module.training = training
    return [[(pairs.target.words(tokens), p) for tokens, p in hypotheses] for hypotheses in found]


def _check(width: int, max_steps: int, best: int, length_penalty: float) -> None:
    whole_number("width", width), whole_number("max_steps", max_steps), whole_number("best", best)
    if not 0 <= length_penalty < math.inf or length_penalty * math.log(max_steps) > math.log(1e30):
        raise ValueError(f"length_penalty must be from 0 up, max_steps ** it below 1e30, got {length_penalty}")


def _take(x: Tensor, index: Tensor) -> Tensor:
    """Of x (sentences, beams, steps) the beams ``index`` (sentences, n)."""
    return x.gather(1, index[:, :, None].expand(-1, -1, x.shape[2]))
