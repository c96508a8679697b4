"""From text to batches of numbers: tokens, a vocabulary, and sequences for language models.

A text becomes a list of tokens (`tokenize`), each distinct token a number (`Vocab`), the text a
long vector of numbers, the *corpus*. A language model learns to say which token comes next, so
every batch is a pair ``X, y`` of shape (batch, steps) in which y is X moved on by one token.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from shared.batches import whole_number
from shared.devices import get_device


def letters_only(text: str) -> str:
    """Lower case; every run of anything but the letters a to z becomes one blank."""
    return re.sub("[^A-Za-z]+", " ", text).lower().strip()


def tokenize(text: str | Sequence[str], token: str = "word") -> list:
    """Split a text into words (at white space) or characters; a list of lines, line by line.

    Returns a list of tokens for a string, a list of such lists for a list of strings. Raises
    ValueError for a ``token`` other than "word" and "char".
    """
    if token not in ("word", "char"):
        raise ValueError(f"token must be 'word' or 'char', got {token!r}")
    split = str.split if token == "word" else list
    return split(text) if isinstance(text, str) else [split(line) for line in text]


class Vocab:
    """Numbers for tokens: 0 is the unknown token, then the reserved ones, then all others by
    falling frequency (ties in the order of the tokens, so that the same text gives the same numbers).

    tokens            a string (its characters are the tokens), a list of tokens, or a list of lists
    min_freq          rarer tokens are left out, and so become unknown
    reserved_tokens   get numbers whether they occur or not, such as ``["<pad>", "<bos>", "<eos>"]``

    ``vocab[token]`` is a number and ``vocab[[...]]`` a list of numbers (a tuple is one token: a pair
    of words, say); `encode` gives a tensor, quickly; `to_tokens` goes back. ``token_freqs`` is the
    list of (token, count), most frequent first.
    """

    UNKNOWN = "<unk>"

    def __init__(self, tokens: Iterable = (), min_freq: int = 0, reserved_tokens: Sequence[str] = ()):
        if not isinstance(tokens, str):
            tokens = list(tokens)
            if tokens and isinstance(tokens[0], list):
                tokens = [token for line in tokens for token in line]
        reserved = [self.UNKNOWN, *reserved_tokens]
        if len(set(reserved)) != len(reserved):
            raise ValueError(f"reserved tokens must differ from each other and from {self.UNKNOWN!r}, "
                             f"got {list(reserved_tokens)}")
        counts = Counter(tokens)
        self.token_freqs = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        known = set(reserved)
        self.idx_to_token = reserved + [token for token, count in self.token_freqs
                                        if count >= min_freq and token not in known]
        self.token_to_idx = {token: i for i, token in enumerate(self.idx_to_token)}
        self.unk = 0
        codes = {ord(t): i for t, i in self.token_to_idx.items() if isinstance(t, str) and len(t) == 1}
        self._table = np.zeros(max(codes, default=0) + 2, dtype=np.int64)  # the last entry: unknown
        self._table[list(codes)] = list(codes.values())

    def __len__(self) -> int:
        return len(self.idx_to_token)

    def __getitem__(self, tokens):
        if isinstance(tokens, list):
            return [self[token] for token in tokens]
        if isinstance(tokens, (Tensor, np.ndarray)):
            raise TypeError("a vocabulary is asked for tokens, got an array of numbers; "
                            "to_tokens(indices) goes from numbers to tokens")
        return self.token_to_idx.get(tokens, self.unk)

    def encode(self, tokens: str | Sequence) -> Tensor:
        """Numbers of a list of tokens, or of the characters of a string, as an int64 tensor.

        A string is looked up in a table, without a Python step for each character.
        """
        if isinstance(tokens, str):
            codes = np.frombuffer(tokens.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
            return torch.from_numpy(self._table[np.minimum(codes, len(self._table) - 1)])
        get = self.token_to_idx.get
        return torch.tensor([get(token, self.unk) for token in tokens], dtype=torch.long)

    def to_tokens(self, indices):
        """The token of a number, or the list of tokens of a list or vector of numbers.

        Raises IndexError for numbers outside the vocabulary.
        """
        if isinstance(indices, (Tensor, np.ndarray)):
            indices = indices.tolist()
        if isinstance(indices, (list, tuple)):
            return [self.to_tokens(i) for i in indices]
        if not 0 <= indices < len(self):
            raise IndexError(f"the vocabulary has the numbers 0 to {len(self) - 1}, got {indices}")
        return self.idx_to_token[indices]


def _checked(corpus, batch_size: int, num_steps: int) -> tuple[Tensor, int, int]:
    batch_size, num_steps = whole_number("batch_size", batch_size), whole_number("num_steps", num_steps)
    corpus = torch.as_tensor(corpus)
    if corpus.ndim != 1:
        raise ValueError(f"the corpus must be a vector of token numbers, got shape {tuple(corpus.shape)}")
    if len(corpus) < batch_size * num_steps + 1:
        raise ValueError(f"{len(corpus)} tokens do not fill one batch of {batch_size} x {num_steps}: at "
                         f"least {batch_size * num_steps + 1} are needed (the last one only as a target)")
    return corpus, batch_size, num_steps


def split_corpus(corpus: Sequence[int] | Tensor, shares: tuple[float, float] = (.8, .1)) -> tuple:
    """The text in three parts, in its order: for training, for choosing (validation), for the last word
    (test). By default the first eight tenths, the next tenth and the last. Slices: nothing is copied.

    Raises ValueError for shares that leave a part without a token.
    """
    first = int(shares[0] * len(corpus))
    second = int((shares[0] + shares[1]) * len(corpus))
    if not 0 < first < second < len(corpus):
        raise ValueError(f"{len(corpus)} tokens cannot be split by the shares {shares}: a part would be empty")
    return corpus[:first], corpus[first:second], corpus[second:]


def windows(corpus: Sequence[int] | Tensor, num_steps: int) -> tuple[Tensor, Tensor]:
    """All windows of ``num_steps`` tokens and the same moved on by one: two *views* of shape
    (len(corpus) - num_steps, num_steps) that share the corpus's memory, for `shared.batches.Batches`.

    Neighbouring windows overlap, so an epoch over them sees almost every token num_steps times.
    """
    corpus, _, num_steps = _checked(corpus, 1, num_steps)
    return corpus[:-1].unfold(0, num_steps, 1), corpus[1:].unfold(0, num_steps, 1)


def _num_starts(corpus: Tensor, batch_size: int, num_steps: int) -> int:
    """An epoch may start at any of the first num_steps tokens that leaves enough for one batch."""
    return min(num_steps, len(corpus) - batch_size * num_steps)


def _num_batches(corpus: Tensor, batch_size: int, num_steps: int) -> int:
    """How many batches can be filled from every start, and so the batches of every epoch."""
    return (len(corpus) - _num_starts(corpus, batch_size, num_steps)) // (batch_size * num_steps)


def _offset(corpus: Tensor, batch_size: int, num_steps: int, generator) -> int:
    return int(torch.randint(_num_starts(corpus, batch_size, num_steps), (), generator=generator))


def seq_data_iter_random(corpus: Sequence[int] | Tensor, batch_size: int, num_steps: int,
                         generator: torch.Generator | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches ``X, y`` of shape (batch_size, num_steps) cut at random places.

    From a random start, the corpus is cut into pieces of num_steps tokens, and the pieces come in
    random order: no token is used twice. The number of batches does not depend on the start; pieces
    that are left over come in another epoch.
    """
    corpus, batch_size, num_steps = _checked(corpus, batch_size, num_steps)
    num_batches = _num_batches(corpus, batch_size, num_steps)
    corpus = corpus[_offset(corpus, batch_size, num_steps, generator):]
    num_pieces = (len(corpus) - 1) // num_steps
    starts = num_steps * torch.randperm(num_pieces, generator=generator).to(corpus.device)
    X, y = windows(corpus, num_steps)
    for piece in starts[:num_batches * batch_size].split(batch_size):
        yield X[piece], y[piece]


def seq_data_iter_sequential(corpus: Sequence[int] | Tensor, batch_size: int, num_steps: int,
                             generator: torch.Generator | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches ``X, y`` of shape (batch_size, num_steps) in which each row goes on where the same
    row of the batch before ended, so a hidden state can be carried from batch to batch.

    From a random start, the corpus is cut into batch_size equally long stretches, one for each row.
    The number of batches does not depend on the start.
    """
    corpus, batch_size, num_steps = _checked(corpus, batch_size, num_steps)
    num_batches = _num_batches(corpus, batch_size, num_steps)
    corpus = corpus[_offset(corpus, batch_size, num_steps, generator):]
    length = (len(corpus) - 1) // batch_size
    Xs = corpus[:batch_size * length].view(batch_size, length)
    ys = corpus[1:batch_size * length + 1].view(batch_size, length)
    for i in range(0, num_batches * num_steps, num_steps):
        yield Xs[:, i:i + num_steps], ys[:, i:i + num_steps]


class SeqDataLoader:
    """Goes through a corpus again each epoch, with `seq_data_iter_random` or
    `seq_data_iter_sequential`, from another random start each time (drawn on the CPU from ``seed``).
    ``name`` and ``real`` are those of the text, so that figures and claims know what they are about.
    The state is that of the random starts: with it, a run that goes on later sees the same batches.
    """

    def __init__(self, corpus: Sequence[int] | Tensor, batch_size: int, num_steps: int, *,
                 random: bool, seed: int = 0, device: str | torch.device | None = None, text=None):
        corpus, self.batch_size, self.num_steps = _checked(corpus, batch_size, num_steps)
        self.corpus, self.random = corpus.to(get_device(device)), random
        self.name, self.real = getattr(text, "name", ""), getattr(text, "real", True)
        self._generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        """Batches per epoch, of every epoch."""
        return _num_batches(self.corpus, self.batch_size, self.num_steps)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        batches = seq_data_iter_random if self.random else seq_data_iter_sequential
        return batches(self.corpus, self.batch_size, self.num_steps, self._generator)

    def state_dict(self) -> dict:
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: dict) -> None:
        self._generator.set_state(state["generator"])
