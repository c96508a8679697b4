"""RNN, GRU and LSTM, deep ones, and five minutes of training: what chapters 25 and 26 show of whole trainings.

    python -m benchmarks.recurrent           what the record does not have yet
    python -m benchmarks.recurrent depth     one part of it: counted, cells, equal, depth or best

All models read the characters of the whole book: they learn from the first 80 %, every choice is made on the next 10 %
with the first of three seeds, and the perplexity on the last 10 %, read in one go from a state of zeros, is taken once
for each seed. All have an embedding, recurrent layers as PyTorch has them, dropout before the output layer, AdamW with
a rate that rises in the first tenth of the training and falls to zero along a cosine, gradients clipped to norm 1,
batches of 32 rows of 40 characters, and states that are carried on. What is searched is the same for all rows of a
part, always in trainings of the whole length; a search begins with values in the middle and goes on beyond the best
one as long as that lies at an end of those tried (`outwards`):

Counted: Kneser-Ney of orders 5, 6 and 7.
Cells: 60 seconds for each training. Three rates at the middle width, then a narrower and a wider network, then less and
more dropout. Widths are those whose passes take about as long for each cell.
Equal: the three cells with as many parameters and passes. Rates, then dropouts, then rates again.
Depth: one, two and three layers, once with as many parameters and passes, once with as many seconds; then one thing
added to two layers. Three rates or more for each row; the dropout is that of the LSTM of the part before.
Best: five minutes. The averaged probabilities of five LSTMs of 60 seconds each, three times with other seeds, mixed
with Kneser-Ney; and one wide LSTM with one seed, which shows what a longer training of a single network comes to.

Seconds are those of the processor, on one thread: those of a clock on a machine that does nothing else. They are what
PyTorch's own layers take, and these are not equally fast for their size, the LSTM's being the fastest."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import common
from benchmarks.common import outwards
from shared import data
from shared.devices import seed_all
from shared.diagnosis import NonFiniteLoss
from shared.ngrams import KneserNey
from shared.text import SeqDataLoader, Vocab, letters_only, split_corpus
from shared.training import cosine

NAME, SEEDS, VOCAB = "recurrent", range(3), 28
QUESTION = "RNN, GRU and LSTM on the characters of the whole book"
BATCH_SIZE, NUM_STEPS, WARM_UP, CLIP = 32, 40, .1, 1.
CELLS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}
Make = Callable[["Setting"], nn.Module]


# ---------------------------------------------------------------------------------------------- the model

@dataclass(frozen=True)
class Setting:
    cell: str = "LSTM"
    num_hiddens: int = 320
    dropout: float = .4
    lr: float = .01
    num_layers: int = 1
    between: float = 0.      # dropout between layers
    residual: bool = False   # each layer from the second on adds its input to its output
    norm: bool = False       # a layer norm before each layer from the second on
    num_inputs: int = 128    # values of the embedding
    weight_decay: float = .1


class CharacterModel(nn.Module):
    """Scores (steps, batch, vocab), and the states of all layers to go on from."""
    def __init__(self, s: Setting):
        super().__init__()
        h = s.num_hiddens
        self.residual, self.embedding = s.residual, nn.Embedding(VOCAB, s.num_inputs)
        self.layers = nn.ModuleList(CELLS[s.cell](h if i else s.num_inputs, h) for i in range(s.num_layers))
        if s.cell == "LSTM":
            for layer in self.layers:
                nn.init.ones_(layer.bias_hh_l0.data[h:2 * h])  # the forget gates begin open
        self.before = nn.ModuleList(nn.Sequential(nn.LayerNorm(h) if s.norm else nn.Identity(), nn.Dropout(s.between))
                                    for _ in self.layers[1:])
        self.dropout, self.out = nn.Dropout(s.dropout), nn.Linear(h, VOCAB)

    def forward(self, X: Tensor, states: list | None = None) -> tuple[Tensor, list]:
        Y, after = self.embedding(X.T), []                              # (steps, batch, inputs)
        for i, layer in enumerate(self.layers):
            inputs = self.before[i - 1](Y) if i else Y
            outputs, state = layer(inputs, states[i] if states else None)
            Y = outputs + Y if self.residual and i else outputs         # (steps, batch, hidden)
            after.append(state)
        return self.out(self.dropout(Y)), after


def num_parameters(s: Setting, make: Make = CharacterModel) -> int:
    with torch.device("meta"):  # shapes without numbers
        return sum(p.numel() for p in make(s).parameters())


def of_size(s: Setting, parameters: int, make: Make = CharacterModel) -> Setting:
    """The setting with the width, an even number, that comes nearest to so many parameters."""
    widths = [replace(s, num_hiddens=h) for h in range(16, 1024, 2)]
    return min(widths, key=lambda s: abs(num_parameters(s, make) - parameters))


def detached(state):
    return state.detach() if isinstance(state, Tensor) else tuple(part.detach() for part in state)


def train(s: Setting, text: Tensor, seed: int, num_epochs: float | None = None, seconds: float | None = None,
          make: Make = CharacterModel, rows: tuple = (BATCH_SIZE, NUM_STEPS), random: bool = False) -> tuple:
    """For so many passes or so many seconds. The network, the passes and the seconds that it had. ``rows``: how many
    in a batch, and of how many characters; at random places for a network without states to carry on."""
    seed_all(seed)
    net, factor = make(s), cosine(WARM_UP)
    loader = SeqDataLoader(text, *rows, random=random, seed=seed, device="cpu")
    optimizer = torch.optim.AdamW(net.parameters(), s.lr, weight_decay=s.weight_decay)
    params, steps, started = list(net.parameters()), 0, time.process_time()
    net.train()
    while True:
        states = None
        for X, y in loader:
            used = time.process_time() - started
            share = steps / (num_epochs * len(loader)) if num_epochs else used / seconds
            if share >= 1:
                return net, steps / len(loader), used
            for group in optimizer.param_groups:
                group["lr"] = s.lr * factor(share)
            scores, states = net(X, states)
            states = [detached(state) for state in states]
            l = F.cross_entropy(scores.flatten(0, 1), y.T.flatten())
            if not l.isfinite():
                raise NonFiniteLoss(f"the loss is {l.item()} in step {steps}")
            optimizer.zero_grad()
            l.backward()
            nn.utils.clip_grad_norm_(params, CLIP)
            optimizer.step()
            steps += 1


@torch.no_grad()
def surprises(net: nn.Module, text: Tensor) -> Tensor:
    """-log p of each character but the first, of a text that is read in one go, from a state of zeros."""
    net.eval()
    return F.cross_entropy(net(text[None, :-1])[0][:, 0], text[1:], reduction="none").double()


def perplexity(of: Tensor) -> float:
    return of.mean().exp().item()


# ------------------------------------------------------------------------------------------ the measuring

Search = Callable[[Setting], tuple[list[Setting], int, int]]  # candidates, and which of them are tried first


class Runs(common.Runs):
    make, tried = CharacterModel, ("num_hiddens", "num_layers", "dropout", "lr")
    surprises = staticmethod(surprises)

    def __init__(self, name: str, question: str, **settings):
        book = data.time_machine()
        text = letters_only(book.text)
        self.train, self.choose, self.test = split_corpus(Vocab(text).encode(text))
        super().__init__(name, question, data=book.name, characters=len(text), **settings)

    def trained(self, s: Setting, seed: int, **budget) -> tuple:
        return train(s, self.train, seed, **budget)

    def measure(self, s: Setting, seed: int, **budget) -> tuple:
        """Begins with the score by which is chosen."""
        net, passes, seconds = self.trained(s, seed, **budget)
        choose = perplexity(self.surprises(net, self.choose))
        print(s, "seed", seed, f"{passes:.1f} passes, {seconds:.0f} s, validation {choose:.3f}", flush=True)
        return -choose, net, passes, seconds

    def row(self, part: str, name: str, searches: Iterable[Search], start: Setting, **budget) -> None:
        """The best setting by the first seed, one search after the other, then the other seeds with it."""
        first, *seeds = SEEDS
        tried: dict[Setting, tuple] = {}

        def measure(s: Setting) -> float:
            if s not in tried:
                try:
                    tried[s] = self.measure(s, first, **budget)
                except NonFiniteLoss as error:
                    print(s, error, flush=True)
                    tried[s] = (-math.inf,)
            return tried[s][0]

        best = start
        for search in searches:
            best = outwards(measure, *search(best))
        measure(best)
        got = [tried[best], *(self.measure(best, seed, **budget) for seed in seeds)]
        score, nets, passes, seconds = map(list, zip(*got))
        kept = {key: value for key, value in asdict(best).items() if not isinstance(value, (str, bool))}
        self.add(part, name, {**kept, "parameters": num_parameters(best, self.make), "passes": passes,
                              "seconds": seconds, "validation": [-value for value in score],
                              "test": [perplexity(self.surprises(net, self.test)) for net in nets],
                              "tried": [[*(getattr(s, value) for value in self.tried), round(-result[0], 3)]
                                        for s, result in tried.items()]})


def values_of(name: str, values: Sequence) -> Search:
    """A search: the best setting so far, with its neighbours among these values, and on from there."""
    def search(s: Setting) -> tuple:
        i = values.index(getattr(s, name))
        return [replace(s, **{name: value}) for value in values], max(0, i - 1), i + 2
    return search


# ------------------------------------------------------------------------------------------------ the parts

ORDERS = 5, 6, 7
RATES, DROPOUTS = (.0006, .0016, .004, .01, .025, .06, .16), (0., .1, .25, .4, .55, .7)
WIDTHS = {"RNN": (272, 384, 512, 704, 960), "GRU": (160, 224, 288, 384, 512), "LSTM": (192, 256, 320, 448, 608)}
PARAMETERS, PASSES = 250_000, {"num_epochs": 8}


def counted(runs: Runs) -> None:
    for order in ORDERS:
        name = f"Kneser-Ney, order {order}"
        if runs.missing("counted", [name]):
            started = time.process_time()
            model = KneserNey(runs.train, order, VOCAB)
            choose, test = (perplexity(model.surprises(part)[1:]) for part in (runs.choose, runs.test))
            runs.add("counted", name, {"validation": [choose], "test": [test],
                                       "seconds": [time.process_time() - started]})


def cells(runs: Runs) -> None:
    """60 seconds for each training."""
    for name in runs.missing("60 seconds", CELLS):
        searches = values_of("lr", RATES), values_of("num_hiddens", WIDTHS[name]), values_of("dropout", DROPOUTS)
        runs.row("60 seconds", name, searches, Setting(name, WIDTHS[name][2]), seconds=60)


def equal(runs: Runs) -> None:
    """As many parameters, as many passes."""
    for name in runs.missing("equal parameters", CELLS):
        rates = values_of("lr", RATES)
        searches = rates, values_of("dropout", DROPOUTS), rates
        runs.row("equal parameters", name, searches, of_size(Setting(name, dropout=.25), PARAMETERS), **PASSES)


LAYERS = {f"{n} layer{'s' * (n > 1)}": {"num_layers": n} for n in (1, 2, 3)}
TWO = {"dropout between": {"between": .2}, "residual": {"residual": True}, "layer norm between": {"norm": True}}
DEPTH = {"layers of equal parameters": (LAYERS, PARAMETERS, PASSES),
         "layers in 30 seconds": (LAYERS, 2 * PARAMETERS, {"seconds": 30}),
         "two layers": ({name: LAYERS["2 layers"] | change for name, change in TWO.items()}, PARAMETERS, PASSES)}


def depth(runs: Runs) -> None:
    dropout = runs.rows["equal parameters"]["LSTM"]["dropout"]
    for part, (rows, parameters, budget) in DEPTH.items():
        for name in runs.missing(part, rows):
            start = of_size(replace(Setting(dropout=dropout, lr=.025), **rows[name]), parameters)
            runs.row(part, name, (values_of("lr", RATES),), start, **budget)


WIDE, MEMBERS = Setting(num_hiddens=448, dropout=.55, lr=.015), 5


def mixture(runs: Runs, learnt: list[list[Tensor]], order: int) -> dict:
    """The average of what is learnt (the probabilities of the characters of both parts, for each seed) and of
    Kneser-Ney, and the average of all that is learnt. The weight is chosen on the validation part."""
    parts = runs.choose, runs.test
    counts = KneserNey(runs.train, order, VOCAB)
    counted = [(-counts.surprises(part)[1:]).exp() for part in parts]

    def mixed(p: Sequence[Tensor]) -> tuple[float, float, float]:
        def judged(weight: float, k: int) -> float:
            return perplexity(-(weight * p[k] + (1 - weight) * counted[k]).log())
        weight = min((i / 20 for i in range(21)), key=lambda weight: judged(weight, 0))
        return weight, judged(weight, 0), judged(weight, 1)

    weights, choose, test = map(list, zip(*map(mixed, learnt)))
    together = [torch.stack(p).mean(0) for p in zip(*learnt)]
    return {"order": order, "weight": weights, "validation mixed": choose, "test mixed": test,
            "test together": perplexity(-together[1].log()), "test together mixed": mixed(together)[2]}


def best(runs: Runs) -> None:
    """Five networks of 60 seconds, their probabilities averaged, three times; and a wide one that is trained longer."""
    row = runs.rows["60 seconds"]["LSTM"]
    short = Setting(**{name: row[name] for name in ("num_hiddens", "dropout", "lr")})

    def averaged(seeds: Iterable[int]) -> tuple:
        nets, passes, seconds = zip(*(runs.measure(short, seed, seconds=60)[1:] for seed in seeds))
        p = [torch.stack([(-surprises(net, part)).exp() for net in nets]).mean(0) for part in (runs.choose, runs.test)]
        scores = [perplexity(-part.log()) for part in p]
        print("averaged, validation", scores[0], flush=True)
        return p, *scores, sum(passes), sum(seconds)

    for name in runs.missing("five minutes", ["five LSTMs of 60 seconds"]):
        got = [averaged(range(MEMBERS * k, MEMBERS * (k + 1))) for k in SEEDS]
        learnt, choose, test, passes, seconds = map(list, zip(*got))
        order = min(ORDERS, key=lambda n: runs.rows["counted"][f"Kneser-Ney, order {n}"]["validation"][0])
        runs.add("five minutes", name, {"num_hiddens": short.num_hiddens, "dropout": short.dropout, "lr": short.lr,
                                        "parameters": MEMBERS * num_parameters(short), "passes": passes,
                                        "seconds": seconds, "validation": choose, "test": test,
                                        **mixture(runs, learnt, order)})
    for name in runs.missing("five minutes", ["one wide LSTM"]):
        score, net, passes, seconds = runs.measure(WIDE, SEEDS[0], seconds=300)
        runs.add("five minutes", name, {"num_hiddens": WIDE.num_hiddens, "dropout": WIDE.dropout, "lr": WIDE.lr,
                                        "parameters": num_parameters(WIDE), "passes": [passes], "seconds": [seconds],
                                        "validation": [-score], "test": [perplexity(surprises(net, runs.test))]})


def check(rows: dict[str, dict[str, dict]]) -> None:
    """What is claimed of the test perplexities of all seeds."""
    def tests(part: str) -> dict[str, list[float]]:
        return {name: row["test"] for name, row in rows[part].items()}

    (counts,) = tests("counted")["Kneser-Ney, order 7"]
    lstm, others = tests("60 seconds")["LSTM"], tests("60 seconds")["RNN"] + tests("60 seconds")["GRU"]
    assert max(lstm) < counts < min(others) and max(others) < 3.95, (lstm, counts, others)
    same_size = sum(tests("equal parameters").values(), [])
    assert counts < min(same_size) and max(same_size) < min(same_size) + .15, same_size
    for part in ("layers of equal parameters", "layers in 30 seconds"):
        one, two, three = tests(part).values()
        assert max(one) < min(two) and max(two) < min(three), (part, one, two, three)
    plain, changed = tests("layers of equal parameters")["2 layers"], tests("two layers")
    assert max(changed["residual"] + changed["layer norm between"]) < min(plain) - .1, (plain, changed)
    assert min(changed["dropout between"]) > max(plain), (plain, changed)
    row = rows["five minutes"]["five LSTMs of 60 seconds"]
    assert max(row["test"]) < min(3.7, *lstm), row
    assert max(row["test mixed"]) < min(row["test"]) and row["test together"] < min(row["test"]), row


PARTS = {"counted": counted, "cells": cells, "equal": equal, "depth": depth, "best": best}


def main(parts: Sequence[str] = tuple(PARTS)) -> None:
    common.run_parts(Runs(NAME, QUESTION, batch_size=BATCH_SIZE, num_steps=NUM_STEPS), PARTS, parts, check)


if __name__ == "__main__":
    main(sys.argv[1:] or tuple(PARTS))
