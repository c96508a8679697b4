"""Attention and causal convolutions, which read all steps at once: what chapters 32 and 33 show of whole trainings.

    python -m benchmarks.parallel_models           what the record does not have yet
    python -m benchmarks.parallel_models ladder    one part of it, of those below

Text, split, optimiser, schedule and seeds are those of `benchmarks.recurrent`: every choice on the validation part with
the first seed, the test part once for each seed. Rows of a batch are cut at random places, 768 characters in a batch.
Seconds are those of the processor, on one thread.

Short: 12 seconds, the same search for both: rate, length of the rows, width, depth, heads or kernel, dropout.
Minute: 60 seconds, from a larger network with the rate, heads or kernel, and dropout of `short`: more width, then more
layers, then more dropout, each as long as it helps; and the network of `short` itself, with more dropout.
Ladder, taken away, positions, convolutions: 12 seconds, one part of the networks with which `minute` begins added or
changed; the rate is searched for each row.
Together: the probabilities of networks of 60 seconds averaged, and mixed with Kneser-Ney of order 7."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import fields, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import recurrent
from benchmarks.common import load, run_parts
from benchmarks.parallel_nets import CharacterModel, Setting
from benchmarks.recurrent import DROPOUTS, RATES, SEEDS, Search, of_size, values_of

NAME = "parallel_models"
START = {"transformer": Setting(), "convolution": Setting("convolution", num_layers=4, feed_forward=0)}
WIDTHS, LAYERS, STEPS = (48, 64, 96, 128, 192, 256), (1, 2, 3, 4, 6, 8), (32, 64, 128, 256)
OWN = {"transformer": values_of("num_heads", (1, 2, 4, 8)), "convolution": values_of("kernel", (2, 3, 5, 8))}
SHORT = 12  # seconds
MINUTE = {"seconds": 60}
BRIEF = f"{SHORT} seconds"


@torch.no_grad()
def surprises(net: CharacterModel, text: Tensor) -> Tensor:
    """-log p of each character but the first. Convolutions read the text in one go. Attention reads windows of as many
    characters as a row of the training has, each a quarter of that further: every score is from three quarters or
    more of a window, but for those of the first window, which begins with the text."""
    net.eval()
    n, X = net.s.num_steps, text[:-1]
    if net.s.kind == "attention" and len(X) > n:
        ends = torch.tensor([*range(n, len(X), n // 4), len(X)])
        scores = torch.cat([net(part)[0].transpose(0, 1) for part in X.unfold(0, n, 1)[ends - n].split(32)])
        new = torch.arange(n) >= n - ends.diff(prepend=torch.tensor([0]))[:, None]  # of each window, what is scored
        return F.cross_entropy(scores[new], text[1:], reduction="none").double()
    return recurrent.surprises(net, text)


class Runs(recurrent.Runs):
    make, tried = CharacterModel, ("num_hiddens", "num_layers", "num_steps", "num_heads", "kernel", "dropout", "lr")
    surprises = staticmethod(surprises)

    def __init__(self):
        super().__init__(NAME, "attention and convolutions on the characters of the whole book")
        self.nets: dict[tuple, nn.Module] = {}

    def trained(self, s: Setting, seed: int, **budget) -> tuple:
        rows = s.batch // s.num_steps, s.num_steps
        return recurrent.train(s, self.train, seed, make=CharacterModel, rows=rows, random=True, **budget)

    def measure(self, s: Setting, seed: int, **budget) -> tuple:
        found = super().measure(s, seed, **budget)
        if budget == MINUTE:
            self.nets[s, seed] = found[1]
        return found

    def chosen(self, part: str, name: str) -> Setting:
        row = self.rows[part][name]
        return replace(START[name], **{f.name: row[f.name] for f in fields(Setting) if f.name in row})

    def start(self, name: str) -> Setting:
        """As large as `START`, with what is best after 12 seconds otherwise."""
        row = self.rows[BRIEF][name]
        return replace(START[name], **{key: row[key] for key in ("lr", "num_heads", "kernel", "dropout")})

    def rates(self, part: str, rows: dict[str, Setting]) -> None:
        """A rate searched for each row."""
        for name in self.missing(part, rows):
            self.row(part, name, (values_of("lr", RATES),), rows[name], seconds=SHORT)


def upwards(name: str, values: Sequence) -> Search:
    """A search: the value so far and larger ones."""
    def search(s: Setting) -> tuple:
        return [replace(s, **{name: value}) for value in values[values.index(getattr(s, name)):]], 0, 2
    return search


# ------------------------------------------------------------------------------------------------ the parts

def short(runs: Runs) -> None:
    for name in runs.missing(BRIEF, START):
        searches = [values_of("lr", RATES), values_of("num_steps", STEPS), values_of("num_hiddens", WIDTHS),
                    values_of("num_layers", LAYERS), OWN[name], values_of("dropout", DROPOUTS)]
        runs.row(BRIEF, name, searches, START[name], seconds=SHORT)


def minute(runs: Runs) -> None:
    for name in runs.missing("60 seconds", START):
        searches = upwards("num_hiddens", WIDTHS), upwards("num_layers", LAYERS), upwards("dropout", DROPOUTS)
        runs.row("60 seconds", name, searches, runs.start(name), **MINUTE)
    for name in START:
        if runs.missing("60 seconds", [small := f"{name} of {BRIEF}"]):
            runs.row("60 seconds", small, (upwards("dropout", DROPOUTS),), runs.chosen(BRIEF, name), **MINUTE)


OFF = {"heads": {"num_heads": 1}, "feed-forward": {"feed_forward": 0}, "residual": {"residual": False},
       "norm": {"norm": False}}


def ladder(runs: Runs) -> None:
    """One part after the other is switched on."""
    full, rows, off = replace(runs.start("transformer"), dropout=0.), {}, list(OFF)
    for i, name in enumerate(["one head", *off]):
        rows[name] = replace(full, **{key: value for part in off[i:] for key, value in OFF[part].items()})
    runs.rates("ladder", rows | {"dropout": replace(full, dropout=.1)})


def taken_away(runs: Runs) -> None:
    """From the ladder's step "norm", which has all parts but dropout."""
    full = replace(runs.start("transformer"), dropout=0.)
    runs.rates("one part taken away", {name: replace(full, **change) for name, change in OFF.items()})


def positions(runs: Runs) -> None:
    """Instead of rotary ones in the same step of the ladder."""
    full = replace(runs.start("transformer"), dropout=0.)
    runs.rates("positions", {name: replace(full, positions=name) for name in ("none", "sinusoidal", "learnt")})


def convolutions(runs: Runs) -> None:
    """With as many parameters in each row."""
    full = runs.start("convolution")
    parameters = recurrent.num_parameters(full, CharacterModel)
    rows = {"all parts": {}, "without dilation": {"cycle": 1}, "without residual": {"residual": False},
            "without norm": {"norm": False}, "without gate": {"gate": False},
            "half the layers": {"num_layers": full.num_layers // 2},
            "twice the layers": {"num_layers": 2 * full.num_layers}}
    runs.rates("convolutions", {name: of_size(replace(full, **change), parameters, CharacterModel)
                                for name, change in rows.items()})


def probabilities(runs: Runs, kind: str, seed: int) -> list[Tensor]:
    """Of the characters of both parts, after 60 seconds."""
    if kind == "LSTM":
        row = load("recurrent")["settings"]["runs"]["60 seconds"]["LSTM"]
        s = recurrent.Setting(**{key: row[key] for key in ("num_hiddens", "dropout", "lr")})
        net, read = recurrent.train(s, runs.train, seed, **MINUTE)[0], recurrent.surprises
    else:
        s, read = runs.chosen("60 seconds", kind), surprises
        net = runs.nets.get((s, seed)) or runs.measure(s, seed, **MINUTE)[1]
    return [(-read(net, part)).exp() for part in (runs.choose, runs.test)]


def together(runs: Runs) -> None:
    """Networks of 60 seconds, averaged, alone and with Kneser-Ney: all sets of two and three kinds, of the same seed;
    and as many LSTMs, each with the next seed, which shows what the number of networks does."""
    part, kinds = "averages", ("LSTM", "convolution", "transformer")
    sets = [some for n in (1, 2, 3) for some in itertools.combinations(kinds, n)]
    sets += [(kind,) * n for kind in kinds[:2] for n in (2, 3)]
    if not (missing := runs.missing(part, map(" + ".join, sets))):
        return
    learnt = {(kind, seed): probabilities(runs, kind, seed) for kind in kinds for seed in SEEDS}
    for some in sets:
        if (name := " + ".join(some)) in missing:
            same = len(set(some)) == 1
            groups = [[learnt[kind, (k + i * same) % len(SEEDS)] for i, kind in enumerate(some)] for k in SEEDS]
            averages = [[torch.stack(p).mean(0) for p in zip(*group)] for group in groups]
            choose, test = ([recurrent.perplexity(-p[k].log()) for p in averages] for k in (0, 1))
            runs.add(part, name, {"validation": choose, "test": test, **recurrent.mixture(runs, averages, order=7)})


def check(rows: dict[str, dict[str, dict]]) -> None:
    """What is claimed of the test perplexities of all seeds."""
    recorded = load("recurrent")["settings"]["runs"]["60 seconds"]
    transformer = rows["60 seconds"]["transformer"]["test"]
    assert max(sum((row["test"] for row in recorded.values()), [])) < min(transformer) < max(transformer) < 4.13
    assert max(rows[BRIEF]["convolution"]["test"]) < min(rows[BRIEF]["transformer"]["test"]) - .5
    assert max(rows["ladder"]["heads"]["test"]) < min(rows["ladder"]["one head"]["test"]) - 1


PARTS = {"short": short, "minute": minute, "ladder": ladder, "taken away": taken_away, "positions": positions,
         "convolutions": convolutions, "together": together}


def main(parts: Sequence[str] = tuple(PARTS)) -> None:
    run_parts(Runs(), PARTS, parts, check)


if __name__ == "__main__":
    main(sys.argv[1:] or tuple(PARTS))
