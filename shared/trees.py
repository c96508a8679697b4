"""Trees whose nodes have labels, as the Stanford Sentiment Treebank writes them: ``(3 (2 not) (1 bad))``.

A node is ``(label word)`` or ``(label tree tree ...)``. In the treebank (Socher et al. 2013, "Recursive deep models
for semantic compositionality over a sentiment treebank") every node has two children or a word, and a label says
how the part of the sentence below it sounds: `SENTIMENTS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

SENTIMENTS = ("very negative", "negative", "neutral", "positive", "very positive")

_WORD = re.compile(r"[^() \t\r\n]+")  # "2 1/2" of the treebank has a blank of another kind, and is one word
_TOKEN = re.compile(rf"[()]|{_WORD.pattern}")


@dataclass(frozen=True, eq=False, repr=False)
class Tree:
    """A node with all that is below it: a leaf has a word, any other node has children. ``height`` is 0 for a leaf,
    else one more than that of the highest child. Equal trees are written equally. Nothing here is recursive: a tree
    may be as deep as memory allows.

    Raises ValueError for a node with both or neither, and for a word with brackets or a blank.
    """
    label: int
    word: str | None = None
    children: tuple[Tree, ...] = ()
    height: int = field(init=False)

    def __post_init__(self):
        if (self.word is None) != bool(self.children):
            given = "both" if self.children else "neither"
            raise ValueError(f"a node has a word or children, here are {given}: {self.word!r}, {self.children}")
        if self.word is not None and not _WORD.fullmatch(self.word):
            raise ValueError(f"a word has one character or more, no bracket, no blank: {self.word!r}")
        object.__setattr__(self, "height", 1 + max((child.height for child in self.children), default=-1))

    def _from_the_left(self) -> Iterator[Tree | str]:
        """Every node before its children, and a bracket after them."""
        stack: list[Tree | str] = [self]
        while stack:
            node = stack.pop()
            yield node
            if isinstance(node, Tree):
                stack.append(")")
                stack.extend(reversed(node.children))

    def words(self) -> list[str]:
        """The words of all leaves, from left to right."""
        return [node.word for node in self._from_the_left() if isinstance(node, Tree) and node.word is not None]

    def nodes(self) -> list[Tree]:
        """All nodes, children before their parents and from left to right; the last one is the tree itself."""
        found, stack = [], [self]
        while stack:
            found.append(node := stack.pop())
            stack.extend(node.children)
        return found[::-1]

    def __str__(self) -> str:
        parts = (part if isinstance(part, str) else f" ({part.label}" + (f" {part.word}" if part.word else "")
                 for part in self._from_the_left())
        return "".join(parts).lstrip()

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and (self is other or str(self) == str(other))

    def __hash__(self) -> int:
        return hash(str(self))


def _node(parts: list[Tree | str]) -> Tree:
    """A node from what stands between its brackets. Raises ValueError if that is not a label and what may follow."""
    label, *rest = parts or [""]
    if isinstance(label, str) and re.fullmatch("-?[0-9]+", label):
        if len(rest) == 1 and isinstance(rest[0], str):
            return Tree(int(label), rest[0])
        if rest and not any(isinstance(part, str) for part in rest):
            return Tree(int(label), None, tuple(rest))
    raise ValueError(f"({' '.join(map(str, parts))})")


def _tree(line: str) -> Tree:
    levels: list[list[Tree | str]] = [[]]  # what stands in each open bracket so far; first, what stands in none
    for token in _TOKEN.findall(line):
        if token == "(":
            levels.append([])
        elif token != ")":
            levels[-1].append(token)
        elif len(levels) > 1:
            parts = levels.pop()
            levels[-1].append(_node(parts))
        else:
            raise ValueError("a ')' without its '('")
    if len(levels) > 1:
        raise ValueError(f"{len(levels) - 1} '(' without ')'")
    (found,) = levels
    if len(found) != 1 or not isinstance(found[0], Tree):
        raise ValueError(f"{len(found)} trees or words beside each other" if len(found) > 1 else f"{found[0]}")
    return found[0]


def parse(text: str) -> list[Tree]:
    """The trees of a text, one on each line that is not empty.

    Raises ValueError for a line that is no tree: its number, what came, what is allowed.
    """
    trees = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                trees.append(_tree(line))
            except ValueError as error:
                reason = str(error) if len(str(error)) <= 80 else f"{str(error)[:77]}..."
                raise ValueError(f"line {number} is not one tree: {reason}; a tree is (label word) or "
                                 "(label tree tree ...), the label a whole number") from None
    return trees
