"""Sentiments of sentences: bags of words, sequences and trees on the Stanford Sentiment Treebank.

    python -m benchmarks.sentiment                 what the record does not have yet
    python -m benchmarks.sentiment "Tree-LSTM"     some rows, by their names; or speed

All models learn their word vectors here, from the training part alone: words in lower case, those that occur once are
one unknown word. All have five classes, AdamW with a rate that rises in the first twentieth of the training and falls
to zero along a cosine, gradients clipped to norm 1, dropout on the word vectors and before the output. A training has
so many seconds of the processor, on one thread; eight times in it the validation part is judged, and what was best is
kept, so that the number of passes is chosen, too. The first seed tries three rates, then another dropout; four more
seeds follow with the best recipe. The test part is read once for each of the five.

Bag and LSTM rows: ``sentences`` learn the labels of whole sentences; ``phrases`` those of all nodes of the trees, which
is what the tree rows have. Phrases that begin at the same word are read in one go, so that no label costs much.
LSTM, TreeRNN and Tree-LSTM (Tai et al. 2015, the binary one) have as many parameters beside the word vectors.
Controls: the Tree-LSTM with the labels of roots and words only, on the trees of the treebank, on trees that branch to
the right, and on random trees over the same words in their order, drawn once for each sentence.

Accuracies are of whole sentences: five classes, and two (positive against negative probability of the same model, no
other training; neutral sentences left out). Intervals: 95 % of 2,000 bootstrap samples of the test sentences, of the
mean over the seeds; differences are paired, by sentence.
"""

from __future__ import annotations

import copy
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import common
from benchmarks.sentiment_models import (
    CLASSES,
    NONE,
    NUM_INPUTS,
    Bag,
    Coded,
    Levels,
    Mean,
    Recipe,
    Rows,
    Sequential,
    TreeLSTM,
    TreeRNN,
    Words,
    branching,
    levels,
    padded,
    rows_of,
)
from shared import data
from shared.devices import seed_all
from shared.training import cosine
from shared.trees import Tree

NAME, SEEDS = "sentiment", range(5)
PARAMETERS, WARM_UP, CLIP, LOOKS = 105_000, .05, 1., 8
UNFINISHED = Path(__file__).parents[1] / "_build" / "sentiment"  # trainings of rows that are not complete
TREES, ROWS = 32, 192          # in a batch: trees; sequences


# ------------------------------------------------------------------------------------------------ the training

@dataclass(frozen=True)
class Kind:
    """A row of the record: the model, on what, the rates in the order of trying, seconds of each training."""
    model: type
    on: str
    rates: tuple[float, float, float]
    seconds: float

    def coded(self, trees: Sequence[Tree], words: Words, train: bool) -> list:
        if not issubclass(self.model, TreeRNN):
            return [row for tree in trees for row in rows_of(tree, words, train and self.on == "phrases")]
        if self.on in ("right", "random"):
            rng = np.random.default_rng(len(trees))
            trees = [branching(tree, (lambda n: 1) if self.on == "right" else (lambda n: int(rng.integers(1, n))))
                     for tree in trees]
        return [Coded(tree, words, self.on == "phrases") for tree in trees]

    def batches(self, coded: list, rng: np.random.Generator | None = None) -> Iterator[Rows | Levels]:
        """All of them once: at random, or in their order. Sequences of about the same length come together."""
        order = np.arange(len(coded)) if rng is None else rng.permutation(len(coded))
        if issubclass(self.model, TreeRNN):
            yield from (levels([coded[i] for i in part]) for part in np.split(order, range(TREES, len(order), TREES)))
            return
        parts = [order]
        if rng is not None:
            size = 32 if self.on == "sentences" else ROWS
            pools = np.split(order, range(32 * size, len(order), 32 * size))
            ordered = [sorted(pool, key=lambda i: len(coded[i][1])) for pool in pools]
            parts = [pool[i:i + size] for pool in ordered for i in range(0, len(pool), size)]
            rng.shuffle(parts)
        yield from (padded([coded[i] for i in part]) for part in parts)


NETWORK, BAG = 40, 5
RATES = (.004, .002, .008)
KINDS = {"words and pairs, sentences": Kind(Bag, "sentences", (.01, .003, .03), BAG),
         "words and pairs, phrases": Kind(Bag, "phrases", (.01, .003, .03), BAG),
         "mean of word vectors": Kind(Mean, "phrases", (.01, .003, .03), BAG),
         "LSTM, sentences": Kind(Sequential, "sentences", RATES, NETWORK),
         "LSTM, phrases": Kind(Sequential, "phrases", RATES, NETWORK),
         "TreeRNN": Kind(TreeRNN, "phrases", RATES, NETWORK),
         "Tree-LSTM": Kind(TreeLSTM, "phrases", RATES, NETWORK),
         "Tree-LSTM, roots and words": Kind(TreeLSTM, "roots", RATES, NETWORK),
         "Tree-LSTM, right-branching": Kind(TreeLSTM, "right", RATES, NETWORK),
         "Tree-LSTM, random trees": Kind(TreeLSTM, "random", RATES, NETWORK)}


def num_parameters(net: nn.Module) -> int:
    """Without the word vectors."""
    return sum(p.numel() for name, p in net.named_parameters() if not name.startswith("embedding"))


def of_size(kind: Kind, words: Words) -> int:
    """The width, an even number, with which the model has about `PARAMETERS`."""
    with torch.device("meta"):
        return min(range(32, 400, 2), key=lambda h: abs(
            num_parameters(kind.model(words, Recipe(num_hiddens=h))) - PARAMETERS))


@torch.no_grad()
def probabilities(kind: Kind, net: nn.Module, coded: list) -> Tensor:
    """Of each sentence: (sentences, classes)."""
    net.eval()
    found = []
    for batch in kind.batches(coded):
        p = net(batch).softmax(1)
        if isinstance(batch, Levels):  # scores are those of known labels
            p = p[(batch.labels != NONE).cumsum(0)[batch.roots] - 1]
        found.append(p)
    net.train()
    return torch.cat(found)


def train(kind: Kind, recipe: Recipe, words: Words, coded: list, choose: tuple[list, Tensor], seed: int) -> tuple:
    """The best network of a training, its validation accuracy, the passes up to it and in all, seconds in all."""
    seed_all(seed)
    net, rng, factor = kind.model(words, recipe), np.random.default_rng(seed), cosine(WARM_UP)
    optimizer = torch.optim.AdamW(net.parameters(), recipe.lr, weight_decay=.01, fused=True)
    best, seen, looks, started = (-1., None, 0.), 0, 1, time.process_time()
    while True:
        for batch in kind.batches(coded, rng):
            share = (time.process_time() - started) / kind.seconds
            if share >= looks / LOOKS:
                accuracy = (probabilities(kind, net, choose[0]).argmax(1) == choose[1]).double().mean().item()
                best = max(best, (accuracy, copy.deepcopy(net), seen / len(coded)), key=lambda found: found[0])
                looks += 1
            if share >= 1:
                return best[1], best[0], best[2], seen / len(coded), time.process_time() - started
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr * factor(share)
            l = F.cross_entropy(net(batch), batch.labels[batch.labels != NONE])
            optimizer.zero_grad()
            l.backward()
            nn.utils.clip_grad_norm_(net.parameters(), CLIP)
            optimizer.step()
            seen += len(batch.roots) if isinstance(batch, Levels) else len(batch.labels)


# ------------------------------------------------------------------------------------------------- the judging

def right(p: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Is the most probable of five classes right, for each sentence; of two, for each that is not neutral?"""
    two = (p[:, 3:].sum(1) > p[:, :2].sum(1)) == (labels > 2)
    return p.argmax(1) == labels, two[labels != 2]


def interval(name: str, values: np.ndarray) -> dict[str, float]:
    """Between which ends the mean of values, one for each sentence, is in 95 % of samples of as many sentences."""
    rng = np.random.default_rng(0)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(2000)]
    return {f"{name} {end}": round(float(np.quantile(means, q)), 4) for end, q in (("low", .025), ("high", .975))}


def of_digits(digits: str) -> np.ndarray:
    """The share of the seeds that were right, for each sentence, from how many were."""
    return np.array([int(digit) for digit in digits]) / len(SEEDS)


DIFFERENCES = [("Tree-LSTM", other) for other in ("words and pairs, phrases", "mean of word vectors", "LSTM, sentences",
                                                  "LSTM, phrases", "TreeRNN")] + [
    ("LSTM, phrases", "LSTM, sentences"), ("words and pairs, phrases", "words and pairs, sentences"),
    ("Tree-LSTM", "Tree-LSTM, roots and words"), ("Tree-LSTM, roots and words", "Tree-LSTM, right-branching"),
    ("Tree-LSTM, roots and words", "Tree-LSTM, random trees")]


class Runs(common.Runs):
    def __init__(self):
        self.bank = data.sst()
        self.vocabulary = Words(self.bank.train)
        super().__init__(NAME, "Sentiments of sentences: bags of words, sequences, trees", data=self.bank.name,
                         words=len(self.vocabulary.words), pairs=len(self.vocabulary.pairs), inputs=NUM_INPUTS,
                         classes=CLASSES)

    def row(self, name: str, kind: Kind) -> None:
        parts = self.bank.train, self.bank.validation, self.bank.test
        train_, choose, test = (kind.coded(part, self.vocabulary, i == 0) for i, part in enumerate(parts))
        y_choose, y_test = (torch.tensor([tree.label for tree in part]) for part in parts[1:])
        width = of_size(kind, self.vocabulary) if kind.model in (Sequential, TreeRNN, TreeLSTM) else 0
        tried: dict[Recipe, tuple] = {}
        files: set[Path] = set()

        def measure(recipe: Recipe, seed: int) -> tuple:
            path = UNFINISHED / re.sub(r"\W+", "_", f"{name} {kind.seconds} {recipe} {seed}.pt")
            if not path.exists():
                got = train(kind, recipe, self.vocabulary, train_, (choose, y_choose), seed)
                print(name, recipe, "seed", seed, *(f"{value:.3f}" for value in got[1:]), flush=True)
                path.parent.mkdir(parents=True, exist_ok=True)
                torch.save(got, path)
            files.add(path)
            return torch.load(path, weights_only=False)

        def best() -> Recipe:
            return max(tried, key=lambda recipe: tried[recipe][1])

        for lr in kind.rates:
            recipe = Recipe(lr, num_hiddens=width)
            tried[recipe] = measure(recipe, SEEDS[0])
        other = replace(best(), dropout=.5)
        tried[other] = measure(other, SEEDS[0])
        got = [tried[best()], *(measure(best(), seed) for seed in SEEDS[1:])]
        nets, choose_accuracy, kept, passes, seconds = map(list, zip(*got))
        correct = [right(probabilities(kind, net, test), y_test) for net in nets]
        five, two = ([part.double().mean().item() for part in parts] for parts in zip(*correct))
        digits = ["".join(map(str, torch.stack(parts).sum(0).tolist())) for parts in zip(*correct)]
        self.add("accuracy", name, {
            **asdict(best()), "parameters": num_parameters(nets[0]), "passes": passes, "passes kept": kept,
            "seconds": seconds, "validation": choose_accuracy, "five": five, "two": two,
            **interval("five", of_digits(digits[0])), **interval("two", of_digits(digits[1])),
            "tried": [[r.lr, r.dropout, round(found[1], 4)] for r, found in tried.items()], "right": [digits]})
        for path in files:
            path.unlink()

    def differences(self) -> None:
        rows = self.rows.get("accuracy", {})
        for a, b in DIFFERENCES:
            if a in rows and b in rows and self.missing("difference", [f"{a} - {b}"]):
                values = {}
                for i, key in enumerate(("five", "two")):
                    first, second = (of_digits(rows[name]["right"][0][i]) for name in (a, b))
                    values |= {key: round((first - second).mean(), 4), **interval(key, first - second)}
                self.add("difference", f"{a} - {b}", values)

    def speed(self, count: int = 256) -> None:
        """Nodes per second of training steps of the Tree-LSTM: one tree at a time, and so many at once."""
        if not self.missing("speed", ["nodes per second"]):
            return
        kind = KINDS["Tree-LSTM"]
        coded = kind.coded(self.bank.train[:count], self.vocabulary, True)
        seed_all(0)
        net = TreeLSTM(self.vocabulary, Recipe(num_hiddens=of_size(kind, self.vocabulary))).eval()

        def step(trees: list[Coded]) -> None:
            batch = levels(trees)
            F.cross_entropy(net(batch), batch.labels).backward()

        def of(size: int) -> list[float]:
            found = []
            for _ in range(3):
                started = time.process_time()
                for i in range(0, count, size):
                    step(coded[i:i + size])
                found.append(sum(len(tree.labels) for tree in coded) / (time.process_time() - started))
            return found

        of(32)
        self.add("speed", "nodes per second", {f"{size} trees": of(size) for size in (1, 8, 32, 128)})


def check(rows: dict[str, dict[str, dict]]) -> None:
    """What is claimed of five classes: what differs by more than its interval and the spread of the seeds, and what
    does not."""
    seeds = {name: row["five"] for name, row in rows["accuracy"].items()}
    differences = {name: (row["five low"], row["five high"]) for name, row in rows["difference"].items()}

    def ahead(better: str, worse: str) -> bool:
        return min(seeds[better]) > max(seeds[worse]) and differences[f"{better} - {worse}"][0] > 0

    def undecided(one: str, other: str) -> bool:
        low, high = differences[f"{one} - {other}"]
        return low < 0 < high

    assert ahead("Tree-LSTM", "words and pairs, phrases")
    assert ahead("LSTM, phrases", "LSTM, sentences") and ahead("Tree-LSTM", "Tree-LSTM, roots and words")
    assert undecided("Tree-LSTM", "LSTM, phrases")
    assert undecided("Tree-LSTM, roots and words", "Tree-LSTM, right-branching")
    assert undecided("Tree-LSTM, roots and words", "Tree-LSTM, random trees")
    speed = rows["speed"]["nodes per second"]
    assert min(speed["32 trees"]) > 5 * max(speed["1 trees"])


def main(names: Sequence[str] = (*KINDS, "speed")) -> None:
    torch.set_num_threads(1)
    runs = Runs()
    for name in names:
        if name == "speed":
            runs.speed()
        elif runs.missing("accuracy", [name]):
            runs.row(name, KINDS[name])
    runs.differences()
    if set(names) == {*KINDS, "speed"}:
        check(runs.rows)


if __name__ == "__main__":
    main(sys.argv[1:] or (*KINDS, "speed"))
