"""Pairs of sentences for translation: from raw text to padded batches, a split that keeps the test
sentences out of training, and BLEU, which compares translations with references."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.data import Text
from shared.text import Vocab

PAD, BOS, EOS = RESERVED = ("<pad>", "<bos>", "<eos>")


def preprocess_nmt(text: str) -> str:
    """Lower case, ordinary blanks for non-breaking ones, and a blank before each of ``, . ! ?``."""
    text = text.replace("\u202f", " ").replace("\xa0", " ").lower()
    return re.sub(r"(?<=[^ ])([,.!?])", r" \1", text)


def tokenize_nmt(text: str, num_examples: int | None = None) -> tuple[list[list[str]], list[list[str]]]:
    """Source and target sentences as lists of words, from the first ``num_examples`` lines
    ``source<tab>target`` (further columns are ignored, lines without a tab skipped)."""
    source, target = [], []
    for line in text.split("\n")[:num_examples]:
        parts = line.split("\t")
        if len(parts) >= 2:
            source.append(parts[0].split())
            target.append(parts[1].split())
    return source, target


def truncate_pad(line: Sequence, num_steps: int, padding_token) -> list:
    """Cut a list to ``num_steps`` elements, or fill it up to them."""
    return [*line[:num_steps], *[padding_token] * (num_steps - len(line))]


def build_array_nmt(lines: Sequence[Sequence[str]], vocab: Vocab, num_steps: int) -> tuple[Tensor, Tensor]:
    """Numbers of shape (sentences, num_steps), each ended by <eos> and padded, and their valid lengths
    (sentences,), <eos> included. A sentence that is too long loses words, never its <eos>."""
    rows = [[*vocab[list(line[:num_steps - 1])], vocab[EOS]] for line in lines]
    valid_len = torch.tensor([len(row) for row in rows], dtype=torch.long)
    array = torch.tensor([truncate_pad(row, num_steps, vocab[PAD]) for row in rows], dtype=torch.long)
    return array.reshape(len(rows), num_steps), valid_len


@dataclass(frozen=True)
class Pairs:
    """Sentences prepared for translation, and the words behind the numbers.

    ``train`` is (source, source length, decoder input, target): arrays (pairs, num_steps), the
    lengths (pairs,). The decoder input is the target behind <bos>, its <eos> left out, so both have
    padding in the same places.
    ``test_source`` are held-out source sentences as words, each once; ``references`` all their
    translations. No sentence of the test part, source or target, occurs in training.
    """
    name: str
    real: bool
    num_steps: int
    source_vocab: Vocab
    target_vocab: Vocab
    train: tuple[Tensor, Tensor, Tensor, Tensor]
    test_source: list[list[str]]
    references: list[list[list[str]]]


def load_data_nmt(text: Text, num_steps: int = 10, num_examples: int | None = None, num_test: int = 1000,
                  min_freq: int = 2, seed: int = 0) -> Pairs:
    """Split the pairs of ``text`` (the first ``num_examples``, sentences of less than num_steps words),
    with ``num_test`` distinct source sentences held out, and number the words that occur at least
    ``min_freq`` times in training.

    Raises ValueError if there are not more distinct source sentences than num_test, or if nothing is
    left for training.
    """
    source, target = tokenize_nmt(preprocess_nmt(text.text), num_examples)
    pairs = dict.fromkeys((tuple(s), tuple(t)) for s, t in zip(source, target)
                          if 0 < len(s) < num_steps and 0 < len(t) < num_steps)  # each pair once
    sources = list(dict.fromkeys(s for s, _ in pairs))
    if not 0 < num_test < len(sources):
        raise ValueError(f"num_test must be between 1 and {len(sources) - 1}, the number of distinct "
                         f"source sentences less one; got {num_test}")
    order = torch.randperm(len(sources), generator=torch.Generator().manual_seed(seed))[:num_test]
    references = {sources[i]: [] for i in sorted(order.tolist())}
    for s, t in pairs:
        if s in references:
            references[s].append(list(t))
    unseen = {tuple(t) for translations in references.values() for t in translations}
    kept = [(list(s), list(t)) for s, t in pairs if s not in references and t not in unseen]
    if not kept:
        raise ValueError(f"no pair is left for training after {num_test} sentences and all pairs that "
                         "share a translation with them are held out; use more pairs or a smaller num_test")
    vocabs = [Vocab(lines, min_freq, RESERVED) for lines in map(list, zip(*kept))]
    src, src_len = build_array_nmt([s for s, _ in kept], vocabs[0], num_steps)
    tgt, _ = build_array_nmt([t for _, t in kept], vocabs[1], num_steps)
    bos, pad = torch.full((len(tgt), 1), vocabs[1][BOS]), vocabs[1][PAD]
    tokens = torch.cat([bos, tgt[:, :-1]], 1).masked_fill(tgt == pad, pad)
    return Pairs(text.name, text.real, num_steps, *vocabs, (src, src_len, tokens, tgt),
                 [list(s) for s in references], list(references.values()))


def _ngrams(tokens: Sequence[str], n: int) -> Counter:
    return Counter(tuple(tokens[i:i + n]) for i in range(len(tokens) - n + 1))


def bleu(pred_seq: str, label_seq: str, k: int) -> float:
    """BLEU of one sentence with n-grams up to k, weighted by 1/2^n as in *Dive into Deep Learning*:
    exp(min(0, 1 - len_label/len_pred)) * prod p_n^(1/2^n). Words are separated by blanks.

    0 if the prediction is empty, or shorter than k words, or no n-gram of some length is found.
    """
    pred, label = pred_seq.split(), label_seq.split()
    if len(pred) < k:
        return 0.0
    score = math.exp(min(0, 1 - len(label) / len(pred)))
    for n in range(1, k + 1):
        found = (_ngrams(pred, n) & _ngrams(label, n)).total()
        score *= (found / (len(pred) - n + 1)) ** .5**n
    return score


def corpus_bleu(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]],
                max_n: int = 4) -> float:
    """BLEU of a whole test set, from 0 to 1 (Papineni et al. 2002): n-grams counted over all sentences,
    clipped by the reference that has most of them, a geometric mean over n = 1 .. max_n, and a penalty
    if the predictions together are shorter than the closest references.

    Raises ValueError if predictions and references differ in number.
    """
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions but {len(references)} lists of references")
    found, possible, length, closest = [0] * max_n, [0] * max_n, 0, 0
    for pred, labels in zip(predictions, references):
        length += len(pred)
        closest += min((abs(len(label) - len(pred)), len(label)) for label in labels)[1]
        for n in range(1, max_n + 1):
            grams, most = _ngrams(pred, n), Counter()
            for label in labels:
                most |= _ngrams(label, n)
            found[n - 1] += (grams & most).total()
            possible[n - 1] += grams.total()
    if not all(found):
        return 0.0
    log_precision = sum(math.log(f / p) for f, p in zip(found, possible)) / max_n
    return math.exp(min(0, 1 - closest / length) + log_precision)
