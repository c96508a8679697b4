"""What each gate is worth: LSTM and GRU with one part changed, on the Time Machine (chapter 25).

    python -m benchmarks.gate_variants [row ...]

All layers have 128 units and the same training: 4 epochs of pieces of 32 characters, batches of 64, AdamW along
half a cosine, clipping at 1, forget (or update) gate's bias 1. For each row the rate is the best of three to five
on the validation part (one seed): larger ones are tried as long as the last was the best. Three other seeds are then
judged on the test part. A loop in Python for all rows.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import torch
from torch import nn

from benchmarks.characters import perplexity, step
from benchmarks.common import add_row, spread
from shared import data
from shared.text import SeqDataLoader, Vocab, letters_only, split_corpus
from shared.training import cosine

SIZE, EMBEDDING, EPOCHS, RATES, SEEDS = 128, 64, 4, (.004, .008, .016, .032, .064), (1, 2, 3)


def lstm(A, H, C, W, p, change):
    i, f, o, g = (A + H @ W).chunk(4, 1)                              # (batch, hidden) each
    if change == "peepholes":
        i, f = i + p[0] * C, f + p[1] * C
    f = torch.sigmoid(f)
    i = 1 - f if change == "coupled" else torch.sigmoid(i)
    f = torch.ones_like(f) if change == "forget gate 1" else f
    i = torch.ones_like(i) if change == "input gate 1" else i
    C = f * C + i * torch.tanh(g)
    o = o + p[2] * C if change == "peepholes" else o
    o = torch.ones_like(o) if change == "output gate 1" else torch.sigmoid(o)
    return o * (C if change == "no tanh outside" else torch.tanh(C)), C


def gru(A, H, C, W, p, change):
    size = H.shape[1]
    if change == "minimal":                                           # one gate for both
        z = torch.sigmoid(A[:, :size] + H @ W[:, :size])
        g = torch.tanh(A[:, size:] + ((1 - z) * H) @ W[:, size:])
        return z * H + (1 - z) * g, C
    if change == "reset after":
        z, r, g = (H @ W).chunk(3, 1)
        a, b, c = A.chunk(3, 1)
        z, r = torch.sigmoid(a + z), torch.sigmoid(b + r)
        g = torch.tanh(c + r * (g + p[0]))
        return z * H + (1 - z) * g, C
    z, r = torch.sigmoid(A[:, :2 * size] + H @ W[:, :2 * size]).chunk(2, 1)
    r = torch.ones_like(r) if change == "no reset" else r
    z = torch.zeros_like(z) if change == "no update" else z
    g = torch.tanh(A[:, 2 * size:] + (r * H) @ W[:, 2 * size:])
    return z * H + (1 - z) * g, C


def rnn(A, H, C, W, p, change):
    return torch.tanh(A + H @ W), C


ROWS = {f"{name}, {change}" if change else name: (step, parts, change) for name, step, parts, change in (
    ("LSTM", lstm, 4, ""), ("LSTM", lstm, 4, "forget gate 1"), ("LSTM", lstm, 4, "input gate 1"),
    ("LSTM", lstm, 4, "output gate 1"), ("LSTM", lstm, 4, "coupled"), ("LSTM", lstm, 4, "peepholes"),
    ("LSTM", lstm, 4, "no tanh outside"), ("GRU", gru, 3, ""), ("GRU", gru, 3, "reset after"),
    ("GRU", gru, 3, "no reset"), ("GRU", gru, 3, "no update"), ("GRU", gru, 2, "minimal"), ("RNN", rnn, 1, ""))}


class Model(nn.Module):
    def __init__(self, row: str, vocab_size: int):
        super().__init__()
        self.step, self.parts, self.change = ROWS[row]
        bound = SIZE ** -.5
        self.embedding = nn.Embedding(vocab_size, EMBEDDING)
        self.input = nn.Linear(EMBEDDING, self.parts * SIZE)
        self.W = nn.Parameter(torch.empty(SIZE, self.parts * SIZE).uniform_(-bound, bound))
        self.p = nn.Parameter(torch.zeros(3, SIZE))
        self.out = nn.Linear(SIZE, vocab_size)
        with torch.no_grad():
            self.input.bias.zero_()
            if self.step is lstm:
                self.input.bias[SIZE:2 * SIZE] = 1.0
            if self.step is gru:
                self.input.bias[:SIZE] = 1.0

    def forward(self, X, state=None):
        A = self.input(self.embedding(X.T))                           # (steps, batch, parts * hidden)
        H, C = state or (A.new_zeros(X.shape[0], SIZE), A.new_zeros(X.shape[0], SIZE))
        states = []
        for A_t in A:
            H, C = self.step(A_t, H, C, self.W, self.p, self.change)
            states.append(H)
        return self.out(torch.stack(states)), (H, C)


def learn(row: str, rate: float, seed: int, parts, vocab_size: int) -> tuple[float, float]:
    torch.manual_seed(seed)
    net = Model(row, vocab_size)
    optimizer = torch.optim.AdamW(net.parameters(), rate, weight_decay=.01)
    loader = SeqDataLoader(parts[0], 64, 32, random=False, seed=seed, device="cpu")
    factor, total, n = cosine(), EPOCHS * len(loader), 0
    for _ in range(EPOCHS):
        state = None
        for X, y in loader:
            optimizer.param_groups[0]["lr"] = rate * factor(n / total)
            scores, (H, C) = net(X, state)
            state, n = (H.detach(), C.detach()), n + 1
            step(scores, y, optimizer, list(net.parameters()))
    return tuple(perplexity(net, part) for part in parts[1:])


def search(row: str, parts, vocab_size: int) -> tuple[float, list]:
    """The best rate, and the validation perplexity of each that was tried, None if it is beyond all numbers."""
    tried: dict = {}
    for rate in RATES:
        if len(tried) >= 3 and min(tried, key=tried.get) != max(tried):
            break
        found = learn(row, rate, 0, parts, vocab_size)[0]
        tried[rate] = found if math.isfinite(found) else math.inf
    return min(tried, key=tried.get), [[r, round(v, 2) if v < math.inf else None] for r, v in tried.items()]


def main(rows: Sequence[str] = ()):
    torch.set_num_threads(1)
    book = data.time_machine()
    text = letters_only(book.text)
    vocab = Vocab(text)
    parts = split_corpus(vocab.encode(text))
    for row in rows or ROWS:
        rate, tried = search(row, parts, len(vocab))
        tests = [learn(row, rate, seed, parts, len(vocab))[1] for seed in SEEDS]
        add_row("gate_variants", "LSTM and GRU with one part changed", row,
                {"rate": rate, "test": spread(tests), "tried": tried}, data=book.name, epochs=EPOCHS, rates=RATES)


if __name__ == "__main__":
    main(sys.argv[1:])
