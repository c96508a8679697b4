"""The networks of `parallel_models`: attention and causal convolutions, with a switch for each part of a block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.recurrent import VOCAB
from shared.transformer import MultiHeadAttention, PositionalEncoding


@dataclass(frozen=True)
class Setting:
    kind: str = "attention"        # or "convolution"
    num_hiddens: int = 96
    num_layers: int = 2
    dropout: float = .1            # of the embedding, and of what each layer adds
    lr: float = .01
    num_steps: int = 64            # characters of a row of a batch
    batch: int = 768               # characters of a batch
    weight_decay: float = .1
    residual: bool = True
    norm: bool = True              # a layer norm before each layer, and before the output layer
    num_heads: int = 4
    positions: str = "rotary"      # or "none", "sinusoidal", "learnt"
    feed_forward: int = 4          # its width in the middle, in widths of the block; 0: none
    kernel: int = 3                # how many steps a convolution reads
    cycle: int = 8                 # dilations 1, 2, 4, ... begin anew after so many layers; 1: no dilation
    gate: bool = True


@lru_cache
def turns(steps: int, size: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine (steps, size / 2) of the angle of position t: t / 10000^(2 i / size)."""
    angles = torch.arange(steps)[:, None] * 1e4 ** (-torch.arange(0, size, 2) / size)
    return angles.cos(), angles.sin()


def rotated(x: Tensor) -> Tensor:
    """Each pair of values (the i-th of both halves) turned by the angle of its position; x: (..., steps, size)."""
    (cos, sin), (a, b) = turns(*x.shape[-2:]), x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


class Attention(MultiHeadAttention):
    """Each step looks at itself and all before it."""
    def __init__(self, s: Setting):
        super().__init__(s.num_hiddens, s.num_heads)
        self.rotary = s.positions == "rotary"

    def _split(self, W: nn.Linear, X: Tensor) -> Tensor:
        X = super()._split(W, X)                                        # (batch, heads, steps, hidden / heads)
        return rotated(X) if self.rotary and W is not self.W_v else X

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X, X, X, causal=True)


class Convolution(nn.Module):
    """Step t reads steps t, t - d, t - 2 d, ...: one product for the values of all of them side by side. With a gate,
    half of the outputs say how much of the other half goes on."""
    def __init__(self, s: Setting, dilation: int):
        super().__init__()
        self.kernel, self.dilation, self.gate = s.kernel, dilation, s.gate
        self.W = nn.Linear(s.kernel * s.num_hiddens, (1 + s.gate) * s.num_hiddens)

    def forward(self, X: Tensor) -> Tensor:
        d, steps = self.dilation, X.shape[1]
        X = F.pad(X, (0, 0, (self.kernel - 1) * d, 0))
        X = self.W(torch.cat([X[:, i * d:i * d + steps] for i in range(self.kernel)], -1))
        return F.glu(X) if self.gate else X.relu()


class Layer(nn.Module):
    """Pre-norm: X + dropout(what(norm(X)))."""
    def __init__(self, what: nn.Module, s: Setting):
        super().__init__()
        self.residual, self.what = s.residual, what
        self.norm, self.dropout = normed(s), nn.Dropout(s.dropout)

    def forward(self, X: Tensor) -> Tensor:
        Y = self.dropout(self.what(self.norm(X)))
        return X + Y if self.residual else Y


def normed(s: Setting) -> nn.Module:
    return nn.LayerNorm(s.num_hiddens) if s.norm else nn.Identity()


class Learnt(nn.Module):
    """A vector for each position, added."""
    def __init__(self, num_steps: int, num_hiddens: int):
        super().__init__()
        self.P = nn.Parameter(torch.zeros(num_steps, num_hiddens))

    def forward(self, X: Tensor) -> Tensor:
        return X + self.P[:X.shape[1]]


class CharacterModel(nn.Module):
    """Scores (steps, batch, vocab) of the character after each of (batch, steps) characters, and no states: the form
    of the recurrent networks."""
    def __init__(self, s: Setting):
        super().__init__()
        h, self.s = s.num_hiddens, s
        self.embedding, self.dropout = nn.Embedding(VOCAB, h), nn.Dropout(s.dropout)
        known = {"learnt": Learnt(s.num_steps, h), "sinusoidal": PositionalEncoding(h)}
        self.positions = known.get(s.positions, nn.Identity())
        layers: list[nn.Module] = []
        for i in range(s.num_layers):
            layers += [Attention(s) if s.kind == "attention" else Convolution(s, 2 ** (i % s.cycle))]
            if s.feed_forward:
                inner = s.feed_forward * h
                layers += [nn.Sequential(nn.Linear(h, inner), nn.GELU(), nn.Linear(inner, h))]
        self.layers = nn.Sequential(*(Layer(layer, s) for layer in layers), normed(s))
        self.out = nn.Linear(h, VOCAB)

    def forward(self, X: Tensor, states: list | None = None) -> tuple[Tensor, list]:
        Y = self.layers(self.dropout(self.positions(self.embedding(X))))  # (batch, steps, hidden)
        return self.out(Y).transpose(0, 1), []


def context(s: Setting) -> int:
    """How many characters a convolutional network reads for one score."""
    return 1 + sum((s.kernel - 1) * 2 ** (i % s.cycle) for i in range(s.num_layers))
