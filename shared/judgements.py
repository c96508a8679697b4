"""What people say about words, to test vectors of words against: pairs with a score, and analogies.

The formats are those of gensim's test data: ``word<tab>word<tab>score`` on a line, lines with # are remarks; four words
on a line, ``: section`` above them.
"""

from __future__ import annotations

Judged = tuple[str, str, float]
Analogy = tuple[str, str, str, str]


def pairs(text: str) -> list[Judged]:
    """Two words and their score from each line that is neither empty nor a remark. Raises ValueError for another."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            try:
                first, second, score = line.split()
                found.append((first, second, float(score)))
            except ValueError:
                raise ValueError(f"line {number} is {line!r}, expected two words and a number") from None
    return found


def analogies(text: str) -> dict[str, list[Analogy]]:
    """The analogies of each section. Raises ValueError for a line that has not four words, or stands in no section."""
    sections: dict[str, list[Analogy]] = {}
    section = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if line.startswith(":"):
            section = sections.setdefault(line[1:].strip(), [])
        elif words:
            if section is None or len(words) != 4:
                expected = "': section'" if section is None else "four words"
                raise ValueError(f"line {number} is {line!r}, expected {expected}")
            section.append(tuple(words))
    return sections
