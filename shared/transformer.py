"""The transformer of Vaswani et al. (2017): attention with several heads, the block, a language model, and an encoder
and a decoder for translation that take the places of those in `shared.seq2seq`.

Chapter 32 builds these piece by piece. Everything is (batch, steps, ...); a mask is True where a query may look.
What is kept of the steps before, the *cache*, is a tuple of pairs (K, V), one for each block, of shape
(batch, heads, steps, hidden / heads); nothing is changed in place, so a cache may be gone on from more than once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shared.seq2seq import sequence_mask

KeysValues = tuple[Tensor, Tensor]
Cache = tuple[KeysValues, ...]


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention in ``num_heads`` parts of the hidden values at once (Vaswani et al. 2017).

    ``attention(queries, keys, values, mask)`` of (batch, queries, hidden) and twice (batch, keys, hidden) is
    (batch, queries, hidden). ``mask``, of truth values, is (batch, queries, keys), or has 1 instead of the first or
    the second, or is (queries, keys). With ``causal``, a query sees the keys up to its own step, the last query
    having that of the last key. A query that may look nowhere gets the bias of ``W_o``.

    With ``keep_weights = True`` the weights of the last call are in ``weights`` (batch, heads, queries, keys), as
    they are before dropout and without a graph; this takes another way than PyTorch's fused function, and longer.

    ValueError for a width that the heads cannot share and for shapes that do not fit, TypeError for a mask of numbers.
    """
    keep_weights = False

    def __init__(self, num_hiddens: int, num_heads: int, dropout: float = 0.):
        super().__init__()
        if num_heads < 1 or num_hiddens < 1 or num_hiddens % num_heads:
            raise ValueError(f"the heads share num_hiddens equally: got num_hiddens={num_hiddens} for "
                             f"num_heads={num_heads}; take a width that is a multiple of the number of heads")
        self.num_heads, self.dropout = num_heads, nn.Dropout(dropout)
        self.W_q, self.W_k, self.W_v, self.W_o = (nn.Linear(num_hiddens, num_hiddens) for _ in range(4))

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None,
                causal: bool = False) -> Tensor:
        return self.look_up(queries, *self.keys_values(keys, values), mask, causal)

    def keys_values(self, keys: Tensor, values: Tensor) -> KeysValues:
        """The heads' keys and values (batch, heads, keys, hidden / heads): what a cache keeps."""
        if keys.shape != values.shape:
            raise ValueError(f"each key has a value: got keys {tuple(keys.shape)} and values {tuple(values.shape)}, "
                             "which must both be (batch, keys, hidden)")
        return self._split(self.W_k, keys), self._split(self.W_v, values)

    def look_up(self, queries: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None,
                causal: bool = False) -> Tensor:
        """The rest of the call, with keys and values from `keys_values`."""
        Q = self._split(self.W_q, queries)                              # (batch, heads, queries, hidden / heads)
        if len(Q) != len(K):
            raise ValueError(f"queries are those of {len(Q)} sequences, keys those of {len(K)}; these must be equal")
        steps, seen = Q.shape[2], K.shape[2]
        mask = _of_heads(mask, (len(Q), steps, seen))
        causal = causal and steps > 1                                   # a single query, the last, sees all keys
        if causal and (mask is not None or steps != seen or self.keep_weights):
            before = torch.ones(steps, seen, dtype=torch.bool, device=Q.device).tril(seen - steps)
            mask, causal = before if mask is None else mask & before, False
        fused, p = F.scaled_dot_product_attention, self.dropout.p * self.training
        Y = self._looked_at(Q, K, V, mask) if self.keep_weights else fused(Q, K, V, mask, p, is_causal=causal)
        return self.W_o(Y.transpose(1, 2).flatten(2))                   # (batch, queries, hidden)

    def _looked_at(self, Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None) -> Tensor:
        scores = Q @ K.transpose(2, 3) / math.sqrt(Q.shape[3])          # (batch, heads, queries, keys)
        real = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask
        weights = scores.masked_fill(~real, torch.finfo(scores.dtype).min).softmax(3) * real
        self.weights = weights.detach()
        return self.dropout(weights) @ V

    def _split(self, W: nn.Linear, X: Tensor) -> Tensor:
        if X.ndim != 3 or X.shape[2] != W.in_features:
            raise ValueError(f"queries, keys and values are (batch, steps, {W.in_features}), got {tuple(X.shape)}")
        return W(X).unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # (batch, heads, steps, hidden / heads)


def _of_heads(mask: Tensor | None, shape: tuple[int, int, int]) -> Tensor | None:
    """The mask with an axis for the heads, if it is one for so many sequences, queries and keys."""
    if mask is None:
        return None
    if mask.dtype != torch.bool:
        raise TypeError(f"a mask holds truth values, True where a query may look, got {mask.dtype}; "
                        "use e.g. mask.bool() or shared.seq2seq.sequence_mask(lengths, num_steps)[:, None]")
    wide = (1,) * (3 - mask.ndim) + tuple(mask.shape)
    if not 2 <= mask.ndim <= 3 or wide[2] != shape[2] or any(n not in (1, m) for n, m in zip(wide, shape)):
        raise ValueError(f"the mask is (batch, queries, keys) = {shape}, or (queries, keys), or has 1 for batch or "
                         f"queries; got {tuple(mask.shape)}")
    return mask[..., None, :, :]


class TransformerBlock(nn.Module):
    """Attention, then a feed-forward network of four times the width with GELU, each added to what came in.

    By default the layer norm stands before each part (pre-norm, Xiong et al. 2020); ``norm_first=False`` puts it
    after the sum, as Vaswani et al. (2017) have it. ``cross=True`` adds, between the two, attention to the keys and
    values of another sequence. Dropout acts on what each part adds, as theirs does.

    ``block(X, mask, causal)`` of (batch, steps, hidden) is (batch, steps, hidden); errors as `MultiHeadAttention`.
    """
    def __init__(self, num_hiddens: int, num_heads: int, dropout: float = 0., norm_first: bool = True,
                 cross: bool = False):
        super().__init__()
        self.norm_first, self.dropout = norm_first, nn.Dropout(dropout)
        self.attention = MultiHeadAttention(num_hiddens, num_heads)
        self.cross = MultiHeadAttention(num_hiddens, num_heads) if cross else None
        self.feed_forward = nn.Sequential(nn.Linear(num_hiddens, 4 * num_hiddens), nn.GELU(),
                                          nn.Linear(4 * num_hiddens, num_hiddens))
        self.norms = nn.ModuleList(nn.LayerNorm(num_hiddens) for _ in range(2 + cross))

    def forward(self, X: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        return self.go_on(X, None, mask, causal)[0]

    def go_on(self, X: Tensor, past: KeysValues | None, mask: Tensor | None = None, causal: bool = True,
              memory: KeysValues | None = None, memory_mask: Tensor | None = None) -> tuple[Tensor, KeysValues]:
        """The outputs of steps that follow those of ``past``, and the keys and values of all of them.

        ``memory`` are the keys and values of the other sequence, from ``cross.keys_values``: needed with ``cross``.
        """
        if (memory is None) != (self.cross is None):
            raise ValueError("a block with cross=True looks at a memory, and one without has none to look at; got "
                             f"cross={self.cross is not None} and {'no' if memory is None else 'a'} memory")
        now: list[Tensor] = []

        def looks_back(X: Tensor) -> Tensor:
            K, V = self.attention.keys_values(X, X)
            now.extend((K, V) if past is None else (torch.cat([past[0], K], 2), torch.cat([past[1], V], 2)))
            return self.attention.look_up(X, *now, mask, causal)

        X = self._add(looks_back, X, self.norms[0])
        if memory is not None:
            X = self._add(lambda X: self.cross.look_up(X, *memory, memory_mask), X, self.norms[1])
        return self._add(self.feed_forward, X, self.norms[-1]), (now[0], now[1])

    def _add(self, part: Callable[[Tensor], Tensor], X: Tensor, norm: nn.Module) -> Tensor:
        if self.norm_first:
            return X + self.dropout(part(norm(X)))
        return norm(X + self.dropout(part(X)))


class PositionalEncoding(nn.Module):
    """Adds sines and cosines of the step to (batch, steps, hidden) values, then drops out (Vaswani et al. 2017):
    sin(t / 10000^(2j/hidden)) to value 2j of step t and the cosine to value 2j + 1. ``start`` is the first step.

    Raises ValueError for an odd width, and for steps from ``max_steps`` on.
    """
    def __init__(self, num_hiddens: int, dropout: float = 0., max_steps: int = 1000):
        super().__init__()
        if num_hiddens % 2:
            raise ValueError(f"sines and cosines come in pairs: num_hiddens must be even, got {num_hiddens}")
        angles = torch.arange(max_steps)[:, None] / 10000 ** (torch.arange(0, num_hiddens, 2) / num_hiddens)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("P", torch.stack([angles.sin(), angles.cos()], 2).flatten(1), persistent=False)

    def forward(self, X: Tensor, start: int = 0) -> Tensor:
        end = start + X.shape[1]
        if end > len(self.P):
            raise ValueError(f"{end} steps, but positions for {len(self.P)}: give less, or make the model with "
                             f"max_steps={end} or more")
        return self.dropout(X + self.P[start:end])


class _Stack(nn.Module):
    """Embedding, positions, blocks, and a last norm if the blocks have theirs before each part.

    Embeddings begin with variance 1/hidden and are multiplied by sqrt(hidden) (Vaswani et al. 2017): as large as the
    positions, and their matrix is small enough to make scores.
    """
    cross = False

    def __init__(self, vocab_size: int, num_hiddens: int, num_heads: int, num_layers: int, dropout: float = 0.,
                 max_steps: int = 1000, norm_first: bool = True):
        super().__init__()
        self.scale, self.embedding = math.sqrt(num_hiddens), nn.Embedding(vocab_size, num_hiddens)
        nn.init.normal_(self.embedding.weight, std=1 / self.scale)
        self.positions = PositionalEncoding(num_hiddens, dropout, max_steps)
        self.blocks = nn.ModuleList(TransformerBlock(num_hiddens, num_heads, dropout, norm_first, self.cross)
                                    for _ in range(num_layers))
        self.norm = nn.LayerNorm(num_hiddens) if norm_first else nn.Identity()

    def embed(self, tokens: Tensor, start: int = 0) -> Tensor:
        return self.positions(self.embedding(tokens) * self.scale, start)  # (batch, steps, hidden)


class TransformerEncoder(_Stack):
    """Reads the source (batch, steps) with its lengths (batch,): values (batch, steps, hidden), of which those behind
    a sentence's end mean nothing. Fits `shared.seq2seq.EncoderDecoder`."""
    def forward(self, source: Tensor, lengths: Tensor) -> Tensor:
        mask = sequence_mask(lengths.to(source.device), source.shape[1])[:, None]  # (batch, 1, steps)
        X = self.embed(source)
        for block in self.blocks:
            X = block(X, mask)
        return self.norm(X)


class _Writer(_Stack):
    """With an output layer ``dense``; if ``tied``, that has the embedding's matrix (Press and Wolf 2017)."""
    def __init__(self, vocab_size: int, num_hiddens: int, num_heads: int, num_layers: int, dropout: float = 0.,
                 max_steps: int = 1000, norm_first: bool = True, tied: bool = True):
        super().__init__(vocab_size, num_hiddens, num_heads, num_layers, dropout, max_steps, norm_first)
        self.dense = nn.Linear(num_hiddens, vocab_size)
        if tied:
            self.dense.weight = self.embedding.weight

    def go_on(self, tokens: Tensor, past: Cache | None, memories: Cache = (),
              memory_mask: Tensor | None = None) -> tuple[Tensor, Cache]:
        """The last values (batch, steps, hidden) of tokens that follow those of the cache, and the new cache."""
        X, now, none = self.embed(tokens, past[0][0].shape[2] if past else 0), [], (None,) * len(self.blocks)
        for block, kept, memory in zip(self.blocks, past or none, memories or none):
            X, kept = block.go_on(X, kept, memory=memory, memory_mask=memory_mask)
            now.append(kept)
        return self.norm(X), tuple(now)


class TransformerLM(_Writer):
    """A language model: scores (batch, steps, vocab) of the token after each of (batch, steps) tokens, from those up
    to it.

    ``go_on_from(tokens, cache)`` takes tokens that follow those of a cache, None at first, and returns their scores
    and the new cache. Raises ValueError for more than ``max_steps`` steps, those of the cache included.
    """
    def forward(self, tokens: Tensor) -> Tensor:
        return self.go_on_from(tokens)[0]

    def go_on_from(self, tokens: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        Y, cache = self.go_on(tokens, cache)
        return self.dense(Y), cache


class TransformerDecoder(_Writer):
    """Writes the target: features (batch, steps, hidden) of each token from those up to it and what was read. Fits
    `shared.seq2seq.EncoderDecoder`, for a whole sentence or one token after another.

    The state is (cache, memories, mask): for each block the keys and values of the tokens so far and of the source;
    and which places of the source may be looked at. The first axis of every tensor in it is the batch's.
    Errors as `TransformerLM`.
    """
    cross = True

    def init_state(self, encoded: Tensor, lengths: Tensor | None) -> tuple[Cache, Cache, Tensor]:
        real = encoded.new_ones(encoded.shape[:2], dtype=torch.bool)    # (batch, source steps)
        if lengths is not None:
            real = sequence_mask(lengths.to(encoded.device), encoded.shape[1])
        memories = tuple(block.cross.keys_values(encoded, encoded) for block in self.blocks)
        cache = tuple((K[:, :, :0], V[:, :, :0]) for K, V in memories)  # no step yet
        return cache, memories, real[:, None]

    def forward(self, tokens: Tensor, state: tuple[Cache, Cache, Tensor]) -> tuple[Tensor, tuple]:
        cache, memories, mask = state
        Y, cache = self.go_on(tokens, cache, memories, mask)
        return Y, (cache, memories, mask)
