"""Copying and adding over a distance: which recurrent layers learn to hold something (chapter 25).

    python -m benchmarks.gates              all rows, about a quarter of an hour on one thread
    python -m benchmarks.gates copying 30   some rows: those whose name begins so

Copying: three letters of four, then blanks, then three marks at which the letters must be said again in order.
Adding: a row of random numbers, two of them marked, one in each half; the answer is their sum. Layers with
about the same number of weights, the same number of updates, Adam, clipping at 1. For each row, that is for
each layer with its start at each distance, the learning rate is the best of four on validation data (one
seed); other seeds are then judged on test data. Scores: letters right; share of the sum's variance that is
explained. The last row has three times the updates, at the rate that was found for the usual number.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.common import add_row, load, spread

DISTANCES = {"copying": (10, 30), "adding": (20, 60)}
RATES = (.001, .003, .01, .03)
UPDATES, BATCH, SEEDS = 500, 64, (1, 2, 3)


def make(name: str, num_inputs: int) -> nn.Module:
    """A layer of about 4,600 recurrent weights, with its start."""
    if name.startswith("RNN"):
        relu = "identity" in name
        layer = nn.RNN(num_inputs, 68, nonlinearity="relu" if relu else "tanh")
        if relu:
            nn.init.eye_(layer.weight_hh_l0)
            nn.init.normal_(layer.weight_ih_l0, std=.1)
        elif "orthogonal" in name:
            nn.init.orthogonal_(layer.weight_hh_l0)
        if relu or "orthogonal" in name:
            nn.init.zeros_(layer.bias_ih_l0), nn.init.zeros_(layer.bias_hh_l0)
        return layer
    layer = nn.GRU(num_inputs, 39) if name.startswith("GRU") else nn.LSTM(num_inputs, 34)
    if "bias" in name:
        size = layer.hidden_size
        with torch.no_grad():
            layer.bias_hh_l0.zero_()
            layer.bias_ih_l0.zero_()
            layer.bias_ih_l0[size:2 * size] = float(name.split()[-1])  # the second part: update or forget gate
    return layer


def copying(distance: int, count: int, g: torch.Generator):
    letters = torch.randint(4, (3, count), generator=g)
    X = torch.full((distance + 6, count), 4)
    X[:3], X[-3:] = letters, 5
    return F.one_hot(X, 6).float(), letters                          # (steps, batch, 6), (3, batch)


def adding(distance: int, count: int, g: torch.Generator):
    values = torch.rand(distance, count, generator=g)
    first = torch.randint(distance // 2, (count,), generator=g)
    second = distance // 2 + torch.randint(distance // 2, (count,), generator=g)
    mark = F.one_hot(first, distance).T + F.one_hot(second, distance).T
    return torch.stack([values, mark.float()], 2), (values * mark).sum(0)  # (steps, batch, 2), (batch,)


def judge(task: str, scores, y):
    """The loss, and how well it was done: 1 is all; in adding, 0 is what the mean as the constant answer gets."""
    if task == "copying":
        scores = scores[-3:].flatten(0, 1)
        return F.cross_entropy(scores, y.flatten()), (scores.argmax(1) == y.flatten()).float().mean().item()
    loss = F.mse_loss(scores[-1, :, 0], y)
    return loss, 1 - (loss / y.var(correction=0)).item()


def learn(task: str, name: str, distance: int, rate: float, seed: int,
          updates: int = UPDATES) -> tuple[float, ...]:
    """Validation and test score."""
    torch.manual_seed(seed)
    draw = {"copying": copying, "adding": adding}[task]
    num_inputs, num_outputs = {"copying": (6, 4), "adding": (2, 1)}[task]
    layer = make(name, num_inputs)
    out = nn.Linear(layer.hidden_size, num_outputs)
    parameters = [*layer.parameters(), *out.parameters()]
    optimizer = torch.optim.Adam(parameters, rate)
    g = torch.Generator().manual_seed(1000 + seed)
    for _ in range(updates):
        X, y = draw(distance, BATCH, g)
        loss, _ = judge(task, out(layer(X)[0]), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    with torch.no_grad():
        return tuple(judge(task, out(layer(X)[0]), y)[1]
                     for X, y in (draw(distance, 1000, torch.Generator().manual_seed(k)) for k in (1, 2)))


NAMES = ("RNN", "RNN orthogonal", "RNN identity", "GRU", "LSTM", "LSTM bias 1", "LSTM bias 3")
LONGER = ("adding", 60, "RNN identity")


def write(row: str, rate: float, runs: list, **more) -> None:
    add_row("gates", "Copying and adding over a distance", row,
            {"rate": rate, "score": spread([r[1] for r in runs]), **more}, updates=UPDATES, batch=BATCH, rates=RATES)


def main(arguments: Sequence[str] = ()):
    torch.set_num_threads(1)
    wanted = ", ".join(arguments)
    for task, distance, name in ((t, d, n) for t in DISTANCES for d in DISTANCES[t] for n in NAMES):
        row = f"{task}, {distance}, {name}"
        if not f"{row},".startswith(f"{wanted}," if wanted else ""):
            continue
        tried = {rate: learn(task, name, distance, rate, 0) for rate in RATES}
        rate = max(tried, key=lambda r: tried[r][0] if tried[r][0] == tried[r][0] else -9)
        runs = [learn(task, name, distance, rate, seed) for seed in SEEDS]
        write(row, rate, runs, tried=[[r, None if v[0] != v[0] else round(v[0], 2)] for r, v in tried.items()])
    row = "{}, {}, {}, longer".format(*LONGER)
    if f"{row},".startswith(f"{wanted}," if wanted else ""):
        (task, distance, name), updates = LONGER, 3 * UPDATES
        rate = load("gates")["results"][row.removesuffix(", longer")]["rate"]
        write(row, rate, [learn(task, name, distance, rate, seed, updates) for seed in SEEDS], updates=updates)


if __name__ == "__main__":
    main(sys.argv[1:])
