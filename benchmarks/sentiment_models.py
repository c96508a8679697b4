"""What `benchmarks.sentiment` compares: the models, and the batches that they read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from shared.trees import Tree

CLASSES, NUM_INPUTS = 5, 64
NONE = -100  # no label


# ------------------------------------------------------------------------------------------- words and batches

class Words:
    """Numbers for words and for pairs of neighbours: 0 for what the training part has less than twice."""
    def __init__(self, trees: Sequence[Tree]):
        sentences = [[word.lower() for word in tree.words()] for tree in trees]
        self.words = self._numbered(word for words in sentences for word in words)
        self.pairs = self._numbered(pair for words in sentences for pair in pairwise(words))

    @staticmethod
    def _numbered(things) -> dict:
        return {thing: i for i, (thing, n) in enumerate(Counter(things).most_common(), 1) if n > 1}

    def encode(self, words: Sequence[str]) -> np.ndarray:
        """Numbers of the words, and of the pairs that end there: (2, words)."""
        words = [word.lower() for word in words]
        return np.array([[self.words.get(word, 0) for word in words],
                         [0] + [self.pairs.get(pair, 0) for pair in pairwise(words)]])


@dataclass
class Rows:
    """Sequences that are filled up at the end: words and pairs (batch, steps), and the label of what is read so far."""
    words: Tensor
    pairs: Tensor
    labels: Tensor  # (batch, steps), NONE where none is known


def rows_of(tree: Tree, words: Words, phrases: bool) -> list[tuple[np.ndarray, list[int]]]:
    """The sentence with its label; or for each word where a phrase begins, the longest one, with the labels of all
    that begin there: these are a node that is no left child, its left child, the left child of that, and so on."""
    found, starts = [], [tree]
    for node in starts:
        text = node.words()
        labels = [NONE] * len(text)
        while True:
            labels[len(node.words()) - 1] = node.label
            if not phrases or not node.children:
                break
            starts.append(node.children[1])
            node = node.children[0]
        found.append((words.encode(text), labels))
    return found


def padded(rows: Sequence[tuple[np.ndarray, list[int]]]) -> Rows:
    steps = max(len(labels) for _, labels in rows)
    X, y = np.zeros((2, len(rows), steps), int), np.full((len(rows), steps), NONE)
    for i, (ids, labels) in enumerate(rows):
        X[:, i, :len(labels)], y[i, :len(labels)] = ids, labels
    return Rows(*map(torch.from_numpy, (*X, y)))


class Coded:
    """A tree as arrays, a number for each node, children before parents."""
    def __init__(self, tree: Tree, words: Words, all_labels: bool = True):
        nodes = tree.nodes()
        place = {id(node): i for i, node in enumerate(nodes)}
        self.height = np.array([node.height for node in nodes])
        self.children = np.array([[place[id(child)] for child in node.children] or [0, 0] for node in nodes])
        self.labels = np.array([node.label if all_labels or node is tree or node.word else NONE for node in nodes])
        self.words = words.encode([node.word for node in nodes if node.word])[0]  # leaves stand from left to right


@dataclass
class Levels:
    """Trees, all nodes of a height at once. ``words``: those of all leaves. For each height from 1 on: the order in
    which those that wait for their parent are taken, left children, right children, the rest; and how many pairs.
    ``labels`` and ``roots``: of all nodes in the order in which they are computed, and where the roots stand there."""
    words: Tensor
    steps: list[tuple[Tensor, int]]
    labels: Tensor
    roots: Tensor


def levels(trees: Sequence[Coded]) -> Levels:
    starts = np.cumsum([0] + [len(tree.labels) for tree in trees])
    height, labels, words = (np.concatenate([getattr(tree, name) for tree in trees])
                             for name in ("height", "labels", "words"))
    children = np.concatenate([tree.children + start for tree, start in zip(trees, starts)])
    waiting, place, steps = np.flatnonzero(height == 0), np.zeros(len(height), int), []
    for level in range(1, height.max() + 1):
        nodes = np.flatnonzero(height == level)
        place[waiting] = np.arange(len(waiting))
        taken = place[children[nodes].T.ravel()]
        rest = np.ones(len(waiting), bool)
        rest[taken] = False
        steps.append((torch.from_numpy(np.concatenate([taken, np.flatnonzero(rest)])), len(nodes)))
        waiting = np.concatenate([waiting[rest], nodes])
    order = np.argsort(height, kind="stable")
    place[order] = np.arange(len(order))
    return Levels(torch.from_numpy(words), steps, torch.from_numpy(labels[order]),
                  torch.from_numpy(place[starts[1:] - 1]))


# -------------------------------------------------------------------------------------------------- the models

@dataclass(frozen=True)
class Recipe:
    lr: float = .004
    dropout: float = .3
    num_hiddens: int = 0


class Bag(nn.Module):
    """Logistic regression on how often each word and each pair of neighbours occurs."""
    def __init__(self, words: Words, recipe: Recipe):
        super().__init__()
        self.words = nn.Embedding(len(words.words) + 1, CLASSES)
        self.pairs = nn.Embedding(len(words.pairs) + 1, CLASSES)
        self.bias, self.dropout = nn.Parameter(torch.zeros(CLASSES)), nn.Dropout(recipe.dropout)
        for part in (self.words, self.pairs):
            nn.init.zeros_(part.weight)

    def forward(self, batch: Rows) -> Tensor:
        each = self.dropout(self.words(batch.words) + self.pairs(batch.pairs))
        return self.bias + each.cumsum(1)[batch.labels != NONE]


class Network(nn.Module):
    """Word vectors, something that makes features of them, and scores (known labels, classes)."""
    def __init__(self, words: Words, recipe: Recipe, num_features: int):
        super().__init__()
        self.embedding, self.dropout = nn.Embedding(len(words.words) + 1, NUM_INPUTS), nn.Dropout(recipe.dropout)
        nn.init.normal_(self.embedding.weight, std=.1)
        self.out = nn.Linear(num_features, CLASSES)

    def forward(self, batch: Rows | Levels) -> Tensor:
        features = self.features(self.dropout(self.embedding(batch.words)), batch)
        return self.out(self.dropout(features[batch.labels != NONE]))


class Mean(Network):
    """The mean of the vectors of the words."""
    def __init__(self, words: Words, recipe: Recipe):
        super().__init__(words, recipe, NUM_INPUTS)

    def features(self, X: Tensor, batch: Rows) -> Tensor:
        return X.cumsum(1) / torch.arange(1, X.shape[1] + 1)[:, None]


class Sequential(Network):
    """The state of an LSTM after the last word."""
    def __init__(self, words: Words, recipe: Recipe):
        super().__init__(words, recipe, recipe.num_hiddens)
        self.lstm = nn.LSTM(NUM_INPUTS, recipe.num_hiddens, batch_first=True)

    def features(self, X: Tensor, batch: Rows) -> Tensor:
        return self.lstm(X)[0]


class TreeRNN(Network):
    """tanh of a linear function of both children's states (Socher et al. 2013)."""
    def __init__(self, words: Words, recipe: Recipe):
        super().__init__(words, recipe, h := recipe.num_hiddens)
        self.leaf, self.both = nn.Linear(NUM_INPUTS, h), nn.Linear(2 * h, h)

    def features(self, X: Tensor, batch: Levels) -> Tensor:
        waiting = self.start(X)                                         # (leaves, state)
        found = [waiting]
        for order, n in batch.steps:
            left, right, rest = waiting[order].split([n, n, len(order) - 2 * n])
            found.append(self.join(left, right))
            waiting = torch.cat([rest, found[-1]])
        return self.of(torch.cat(found))                                # (nodes, hidden)

    def start(self, X: Tensor) -> Tensor:
        return self.leaf(X).tanh()

    def join(self, left: Tensor, right: Tensor) -> Tensor:
        return self.both(torch.cat([left, right], 1)).tanh()

    def of(self, states: Tensor) -> Tensor:
        return states


class TreeLSTM(TreeRNN):
    """Tai, Socher and Manning 2015, equations 9 to 14 for two children; a state is h and c beside each other."""
    def __init__(self, words: Words, recipe: Recipe):
        super().__init__(words, recipe)
        h = self.num_hiddens = recipe.num_hiddens
        self.leaf, self.both = nn.Linear(NUM_INPUTS, 2 * h), nn.Linear(2 * h, 5 * h)
        nn.init.ones_(self.both.bias.data[3 * h:])                      # the forget gates begin open

    def start(self, X: Tensor) -> Tensor:
        c, o = self.leaf(X).chunk(2, 1)
        return torch.cat([o.sigmoid() * c.tanh(), c], 1)

    def join(self, left: Tensor, right: Tensor) -> Tensor:
        (h_l, c_l), (h_r, c_r) = left.chunk(2, 1), right.chunk(2, 1)
        u, gates = self.both(torch.cat([h_l, h_r], 1)).split([self.num_hiddens, 4 * self.num_hiddens], 1)
        i, o, f_l, f_r = gates.sigmoid().chunk(4, 1)
        c = i * u.tanh() + f_l * c_l + f_r * c_r
        return torch.cat([o * c.tanh(), c], 1)

    def of(self, states: Tensor) -> Tensor:
        return states[:, :self.num_hiddens]


def branching(tree: Tree, split: Callable[[int], int]) -> Tree:
    """The words of a tree, with their labels, under other nodes: the root with its label, the rest without one.
    ``split(n)``: how many of n words, two or more, go to the left."""
    def over(leaves: list[Tree]) -> Tree:
        if len(leaves) == 1:
            return leaves[0]
        k = split(len(leaves))
        return Tree(NONE, None, (over(leaves[:k]), over(leaves[k:])))
    made = over([node for node in tree.nodes() if node.word])
    return Tree(tree.label, made.word, made.children)
