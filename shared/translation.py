"""Pairs of sentences for translation: from raw text to padded batches, a split that keeps the held-out
sentences out of training, a baseline that learns nothing, and BLEU, which compares translations with references."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.data import Text
from shared.subwords import Subwords
from shared.text import Vocab

PAD, BOS, EOS = RESERVED = ("<pad>", "<bos>", "<eos>")


def preprocess_nmt(text: str) -> str:
    """Lower case, ordinary blanks for non-breaking ones, and a blank before each of ``, . ! ?``."""
    text = text.replace("\u202f", " ").replace("\xa0", " ").lower()
    return re.sub(r"(?<=[^ ])(?=[,.!?])", " ", text)


def tokenize_nmt(text: str, num_examples: int | None = None) -> tuple[list[list[str]], list[list[str]]]:
    """Source and target sentences as lists of words, from the first ``num_examples`` lines
    ``source<tab>target`` (further columns are ignored, lines without a tab skipped)."""
    pairs = list(_sentences(text, num_examples))
    return [source for source, _ in pairs], [target for _, target in pairs]


def _sentences(text: str, num_examples: int | None = None) -> Iterator[tuple[list[str], list[str]]]:
    for line in text.split("\n")[:num_examples]:
        parts = line.split("\t")
        if len(parts) >= 2:
            yield parts[0].split(), parts[1].split()


def truncate_pad(line: Sequence, num_steps: int, padding_token) -> list:
    """Cut a list to ``num_steps`` elements, or fill it up to them."""
    return [*line[:num_steps], *[padding_token] * (num_steps - len(line))]


def build_array_nmt(lines: Sequence[Sequence[str]], vocab: Vocab, num_steps: int) -> tuple[Tensor, Tensor]:
    """Numbers of shape (sentences, num_steps), each ended by <eos> and padded, and their valid lengths
    (sentences,), <eos> included. A sentence that is too long loses its last tokens, never its <eos>."""
    rows = [[*vocab[list(line[:num_steps - 1])], vocab[EOS]] for line in lines]
    valid_len = torch.tensor([len(row) for row in rows], dtype=torch.long)
    array = torch.tensor([truncate_pad(row, num_steps, vocab[PAD]) for row in rows], dtype=torch.long)
    return array.reshape(len(rows), num_steps), valid_len


class Language:
    """The way from the words of a language to numbers and back: its subwords and their vocabulary."""
    def __init__(self, lines: Sequence[Sequence[str]], size: int):
        self.subwords = Subwords(lines, size)
        self.vocab = Vocab(self.subwords.pieces, reserved_tokens=RESERVED)

    def __len__(self) -> int:
        """How many numbers there are."""
        return len(self.vocab)

    def longest(self, lines: Iterable[Sequence[str]]) -> int:
        """The most numbers that one of these sentences becomes, <eos> included; 1 if there is none."""
        return 1 + max((len(self.subwords.encode(line)) for line in lines), default=0)

    def array(self, lines: Sequence[Sequence[str]], num_steps: int | None = None) -> tuple[Tensor, Tensor]:
        """Sentences as numbers (sentences, num_steps) and their lengths, `build_array_nmt` of their pieces;
        by default with as many steps as the longest needs."""
        return build_array_nmt([self.subwords.encode(line) for line in lines], self.vocab,
                               num_steps or self.longest(lines))

    def pieces(self, numbers: Iterable[int] | Tensor) -> list[str]:
        """The pieces before the first <eos>."""
        tokens = self.vocab.to_tokens(list(map(int, numbers)))
        return tokens[:tokens.index(EOS)] if EOS in tokens else tokens

    def words(self, numbers: Iterable[int] | Tensor) -> list[str]:
        """The words before the first <eos>."""
        return self.subwords.decode(self.pieces(numbers))


@dataclass(frozen=True)
class Pairs:
    """Sentences prepared for translation, and the words behind the numbers.

    ``train`` is (source, source length, decoder input, target): arrays (pairs, num_steps), the lengths
    (pairs,). The decoder input is the target behind <bos>, its <eos> left out, so both have padding in the
    same places. ``train_words`` are the same pairs as words.
    ``valid`` and ``test`` are pairs of lists: held-out source sentences as words, each once, and for each
    all its translations. No sentence of theirs, source or target, occurs in training.
    """
    name: str
    real: bool
    num_steps: int
    source: Language
    target: Language
    train: tuple[Tensor, Tensor, Tensor, Tensor]
    train_words: list[tuple[list[str], list[str]]]
    valid: tuple[list[list[str]], list[list[list[str]]]]
    test: tuple[list[list[str]], list[list[list[str]]]]


def load_data_nmt(text: Text, max_words: int = 10, num_examples: int | None = None, num_valid: int = 500,
                  num_test: int = 1000, subwords: int = 2000, seed: int = 0) -> Pairs:
    """Pairs of ``text`` with at most ``max_words`` words on each side: ``num_valid`` and ``num_test`` distinct
    source sentences held out with all their translations, and of the pairs that share no sentence with
    them ``num_examples`` for training (or all), each drawn at random. Both languages are cut into
    ``subwords`` pieces, learnt from the training part alone.

    Raises ValueError if there are not more distinct source sentences than are to be held out, or if
    nothing is left for training.
    """
    pairs = list(dict.fromkeys((" ".join(s), " ".join(t)) for s, t in _sentences(preprocess_nmt(text.text))
                               if 0 < len(s) <= max_words and 0 < len(t) <= max_words))  # each pair once
    sources = list(dict.fromkeys(s for s, _ in pairs))
    if min(num_valid, num_test) < 0 or not 0 < num_valid + num_test < len(sources):
        raise ValueError(f"num_valid and num_test must not be negative, and together between 1 and "
                         f"{len(sources) - 1}, the number of distinct source sentences less one; got {num_valid} and "
                         f"{num_test}")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(sources), generator=generator)[:num_valid + num_test].tolist()
    references = {sources[i]: [] for i in order}
    for s, t in pairs:
        if s in references:
            references[s].append(t)
    unseen = {t for translations in references.values() for t in translations}
    kept = [pair for pair in pairs if pair[0] not in references and pair[1] not in unseen]
    if not kept:
        raise ValueError(f"no pair is left for training after {num_valid + num_test} sentences and all pairs that "
                         "share a translation with them are held out; use more pairs, or hold out fewer")
    chosen = torch.randperm(len(kept), generator=generator)[:num_examples].tolist()
    kept = [(kept[i][0].split(), kept[i][1].split()) for i in chosen]
    held, translations = [s.split() for s in references], [[t.split() for t in ts] for ts in references.values()]
    languages = [Language(side, subwords) for side in zip(*kept)]
    num_steps = max(languages[0].longest([s for s, _ in kept] + held), languages[1].longest(t for _, t in kept))
    return Pairs(text.name, text.real, num_steps, *languages, _arrays(kept, *languages, num_steps), kept,
                 (held[:num_valid], translations[:num_valid]), (held[num_valid:], translations[num_valid:]))


def _arrays(pairs: Sequence[tuple[list[str], list[str]]], source: Language, target: Language,
            num_steps: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    src, src_len = source.array([s for s, _ in pairs], num_steps)
    tgt, _ = target.array([t for _, t in pairs], num_steps)
    bos, pad = torch.full((len(tgt), 1), target.vocab[BOS]), target.vocab[PAD]
    return src, src_len, torch.cat([bos, tgt[:, :-1]], 1).masked_fill(tgt == pad, pad), tgt


def translation_memory(sentences: Sequence[Sequence[str]], pairs: Pairs) -> list[list[str]]:
    """For each sentence (a list of words) the translation of the training sentence most like it, as words.

    Alike are sentences that share rare words or rare pairs of neighbouring words. Let a feature w, a word or a pair,
    occur in N_w of N training sentences, and r_w = log(N / N_w). For a source s the training sentence t gets the sum
    of r_w^2 over the features of both, divided by the root of the same sum over those of t: the cosine between
    vectors of inverse document frequencies (Salton and Buckley 1988), but for a factor that belongs to s alone.
    Of equals the first is taken.
    """
    where: dict[object, list[int]] = {}
    for j, (words, _) in enumerate(pairs.train_words):
        for feature in _features(words):
            where.setdefault(feature, []).append(j)
    number = len(pairs.train_words)
    norm, places = torch.zeros(number), {w: torch.tensor(numbers) for w, numbers in where.items()}
    squares = {w: math.log(number / len(numbers)) ** 2 for w, numbers in where.items()}
    for w, at in places.items():
        norm[at] += squares[w]
    norm = norm.sqrt().clamp(min=1e-9)  # sentences of words that all sentences have
    found = []
    for words in sentences:
        match = torch.zeros(number)
        for w in sorted(_features(words) & places.keys(), key=str):  # in one order: sums round alike in every run
            match[places[w]] += squares[w]
        found.append(list(pairs.train_words[int((match / norm).argmax())][1]))
    return found


def _features(words: Sequence[str]) -> set:
    return {*words, *zip(words, words[1:])}


def _ngrams(tokens: Sequence[str], n: int) -> Counter:
    return Counter(tuple(tokens[i:i + n]) for i in range(len(tokens) - n + 1))


def bleu(pred_seq: str, label_seq: str, k: int) -> float:
    """BLEU of one sentence with n-grams up to k, as in *Dive into Deep Learning* 1.0: the precision of length n
    has the exponent 1/2^n, and a prediction of fewer than k words is judged by the n-grams that it has,

        exp(min(0, 1 - len_label/len_pred)) * prod p_n^(1/2^n),  n = 1 .. min(k, len_pred).

    Words are separated by blanks. 0 if the prediction is empty, or no n-gram of some length is found.
    """
    pred, label = pred_seq.split(), label_seq.split()
    if not pred:
        return 0.0
    score = math.exp(min(0, 1 - len(label) / len(pred)))
    for n in range(1, min(k, len(pred)) + 1):
        found = (_ngrams(pred, n) & _ngrams(label, n)).total()
        score *= (found / (len(pred) - n + 1)) ** .5**n
    return score


def bleu_counts(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]],
                max_n: int = 4) -> Tensor:
    """What `corpus_bleu` adds up, one row for each sentence: its length, the length of its closest reference,
    then for n = 1 .. max_n how many n-grams are found, clipped by the reference that has most of them, and
    how many there are: (sentences, 2 + 2 max_n).

    Raises ValueError if predictions and references differ in number.
    """
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions but {len(references)} lists of references")
    rows = []
    for pred, labels in zip(predictions, references):
        closest = min((abs(len(label) - len(pred)), len(label)) for label in labels)[1]
        row = [len(pred), closest]
        for n in range(1, max_n + 1):
            grams, most = _ngrams(pred, n), Counter()
            for label in labels:
                most |= _ngrams(label, n)
            row += [(grams & most).total(), grams.total()]
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), 2 + 2 * max_n)


def bleu_of_counts(counts: Tensor) -> Tensor:
    """BLEU from sums of `bleu_counts` (..., 2 + 2 max_n), from 0 to 1."""
    length, closest, found, possible = *counts[..., :2].unbind(-1), counts[..., 2::2], counts[..., 3::2]
    precision = (found / possible.clamp(min=1)).log().mean(-1)          # -inf where nothing is found
    return torch.exp((1 - closest / length.clamp(min=1)).clamp(max=0) + precision)


def corpus_bleu(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]],
                max_n: int = 4) -> float:
    """BLEU of a whole test set, from 0 to 1 (Papineni et al. 2002): n-grams counted over all sentences,
    clipped by the reference that has most of them, a geometric mean over n = 1 .. max_n, and a penalty
    if the predictions together are shorter than the closest references. ValueError as `bleu_counts`.
    """
    return float(bleu_of_counts(bleu_counts(predictions, references, max_n).sum(0)))


def bleu_interval(counts: Tensor, other: Tensor | None = None, draws: int = 1000,
                  seed: int = 0) -> tuple[float, float]:
    """A 95 % bootstrap interval of corpus BLEU, from the `bleu_counts` of its sentences: the test set is
    drawn again, with replacement, so often (Koehn 2004). With ``other``, that of the ratio of the two scores
    on the same sentences."""
    n, generator = len(counts), torch.Generator().manual_seed(seed)
    drawn = torch.randint(n, (draws, n), generator=generator)
    times = torch.stack([row.bincount(minlength=n) for row in drawn]).double()  # (draws, sentences)
    scores = bleu_of_counts(times @ counts)
    if other is not None:
        scores = scores / bleu_of_counts(times @ other)
    low, high = scores.quantile(torch.tensor([.025, .975], dtype=torch.float64)).tolist()
    return low, high
