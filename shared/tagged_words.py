"""Sentences whose words carry their part of speech, as the Brown corpus writes them: ``The/at jury/nn said/vbd``.

The corpus has 472 tags. `coarse` makes twelve of them, those of Petrov, Das and McDonald 2012 ("A universal
part-of-speech tagset"), by rules in place of their table: what a tag begins with decides.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from shared.fetch import Unusable

TAGS = {"NOUN": "nouns, names", "VERB": "verbs, all forms", "ADJ": "adjectives, ordinal numbers",
        "ADV": "adverbs, also: how, not", "PRON": "pronouns that stand alone", "DET": "articles and other determiners",
        "ADP": "prepositions, conjunctions of subordinate clauses", "NUM": "numbers", "CONJ": "and, or, but",
        "PRT": "particles: to go, give up; there is", "X": "foreign words, and what has no tag", ".": "punctuation"}

# the first that a tag begins with
_BEGINS = (("pp$$", "PRON"), ("pp$", "DET"), ("wp$", "DET"), ("pn", "NOUN"), ("pp", "PRON"), ("wp", "PRON"),
           ("wdt", "DET"), ("wql", "ADV"), ("wrb", "ADV"), ("fw-", "X"), ("nil", "X"),
           ("uh", "PRT"), ("ab", "DET"), ("ap", "ADJ"), ("at", "DET"), ("dt", "DET"), ("be", "VERB"), ("do", "VERB"),
           ("hv", "VERB"), ("md", "VERB"), ("vb", "VERB"), ("cc", "CONJ"), ("cd", "NUM"), ("cs", "ADP"), ("in", "ADP"),
           ("ex", "PRT"), ("rp", "PRT"), ("to", "PRT"), ("jj", "ADJ"), ("od", "ADJ"), ("nn", "NOUN"), ("np", "NOUN"),
           ("nr", "NOUN"), ("ql", "ADV"), ("rb", "ADV"), ("rn", "ADV"), ("*", "ADV"))

Sentence = list[tuple[str, str]]


@cache
def coarse(tag: str) -> str:
    """One of `TAGS` for a tag of the Brown corpus, ``vbd-tl``, say. Of joined tags, such as ``ppss+bem`` for
    *I'm*, the first counts. Raises ValueError for a tag that the corpus does not have.
    """
    for beginning, name in _BEGINS:
        if tag.startswith(beginning):
            return name
    if tag and not any(c.isalpha() for c in tag.replace("-hl", "").replace("-nc", "").replace("-tl", "")):
        return "."
    raise ValueError(f"no tag of the Brown corpus: {tag!r}")


def parse(text: str) -> list[Sentence]:
    """The sentences of a text, one on each line that is not empty. The tag stands after the last stroke.

    Raises ValueError for a word without a tag.
    """
    sentences = []
    for line in filter(str.strip, text.splitlines()):
        pairs = [word.rpartition("/") for word in line.split()]
        sentences.append([(word, coarse(tag)) for word, _, tag in pairs])
    return sentences


def read(archive: Path) -> list[list[Sentence]]:
    """The texts of the corpus, in the order of their names, from the archive that NLTK gives away.

    Raises Unusable for a file that is no such archive.
    """
    try:
        with zipfile.ZipFile(archive) as corpus:
            names = sorted(name for name in corpus.namelist() if re.fullmatch("brown/c[a-r][0-9][0-9]", name))
            texts = [parse(corpus.read(name).decode("utf-8")) for name in names]
    except (zipfile.BadZipFile, zlib.error, ValueError) as error:
        raise Unusable(f"{archive} cannot be read as the Brown corpus: {error}") from error
    if not texts:
        raise Unusable(f"{archive} has no text of the Brown corpus")
    return texts


def split(texts: Sequence[list[Sentence]]) -> tuple[list[Sentence], list[Sentence], list[Sentence]]:
    """Sentences for training, validation and test: of every ten texts the ninth is for validation, the tenth for
    the test. Texts stand in the order of their kind, so that every part has all kinds, and none is torn apart."""
    parts = [], [], []
    for i, text in enumerate(texts):
        parts[max(0, i % 10 - 7)].extend(text)
    return parts
