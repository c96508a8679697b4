"""Built-in stand-ins for texts: pairs of sentences from a small grammar, a story, a novel, words with their tags,
trees with sentiments, tests of words.

Deterministic, written here; like the pictures and tables of `samples`, they are not the real thing.
"""

from __future__ import annotations

import textwrap
from collections import Counter

import numpy as np

from shared.judgements import Analogy, Judged
from shared.tagged_words import split
from shared.trees import Tree

# ------------------------------------------------------------------------------- sentences

_PERSONS = (("I", "je", 0), ("you", "tu", 1), ("he", "il", 2), ("she", "elle", 2),
            ("we", "nous", 3), ("you", "vous", 4), ("they", "ils", 5), ("they", "elles", 5))
_ER = ("e", "es", "e", "ons", "ez", "ent")  # the endings of regular French verbs
_VERBS = (("like", "aim"), ("look for", "cherch"), ("find", "trouv"), ("carry", "port"),
          ("show", "montr"), ("draw", "dessin"), ("keep", "gard"), ("hide", "cach"),
          ("buy back", "récupèr"), ("forget about", "néglig"), ("close", "ferm"),
          ("watch", "regard"), ("repair", "répar"), ("count", "compt"))
_NOUNS = (("book", "livre", "m"), ("car", "voiture", "f"), ("dog", "chien", "m"),
          ("door", "porte", "f"), ("garden", "jardin", "m"), ("house", "maison", "f"),
          ("key", "clé", "f"), ("picture", "tableau", "m"), ("table", "table", "f"),
          ("hat", "chapeau", "m"), ("letter", "lettre", "f"), ("boat", "bateau", "m"))
_ADJECTIVES = (("", "", "", ""), ("small ", "petit ", "petite ", "before"),
               ("big ", "grand ", "grande ", "before"), ("green ", " vert", " verte", "after"),
               ("black ", " noir", " noire", "after"), ("red ", " rouge", " rouge", "after"))
_DETERMINERS = (("the", "le", "la"), ("a", "un", "une"), ("my", "mon", "ma"), ("this", "ce", "cette"))


def _conjugate(stem: str, person: int) -> str:
    ending = _ER[person]
    if ending == "ons" and stem.endswith("g"):
        ending = "eons"  # nous négligeons
    if stem == "récupèr" and person in (3, 4):
        stem = "récupér"
    return stem + ending


def _third(verb: str) -> str:
    first, *rest = verb.split(" ")
    first += "es" if first.endswith(("ch", "sh")) else "s"
    first = first.replace("rys", "ries")
    return " ".join([first, *rest])


def sentence_pairs(seed: int = 0, count: int = 20_000) -> str:
    """English-French pairs from a small grammar with agreement, conjugation, elision and
    negation: one a line, a tab between, short ones first, like the real file."""
    pairs = {("Go.", "Va !"), ("Run!", "Cours !"), ("Stop!", "Arrête !"), ("Hello!", "Salut !"),
             ("Thanks.", "Merci."), ("I see.", "Je vois."), ("Who?", "Qui ?"), ("Come in.", "Entre.")}
    rng = np.random.default_rng(seed)
    while len(pairs) < count:
        (en_s, fr_s, person), (verb, stem) = _PERSONS[rng.integers(8)], _VERBS[rng.integers(14)]
        (noun, nom, gender), adjective = _NOUNS[rng.integers(12)], _ADJECTIVES[rng.integers(6)]
        determiner, mood = _DETERMINERS[rng.integers(4)], rng.integers(3)
        fem = gender == "f"
        adj_fr = adjective[2] if fem else adjective[1]
        group = f"{nom}{adj_fr}" if adjective[3] == "after" else f"{adj_fr}{nom}"
        object_fr = f"{determiner[2] if fem else determiner[1]} {group}"
        object_en = f"{determiner[0]} {adjective[0]}{noun}"
        form, conj = (_third(verb) if person == 2 else verb), _conjugate(stem, person)
        vowel = conj[0] in "aeiouéè"
        if mood == 0:
            en = f"{en_s} {form} {object_en}."
            subject = "j'" if fr_s == "je" and vowel else fr_s + " "
            fr = f"{subject}{conj} {object_fr}."
        elif mood == 1:
            en = f"{en_s} {'does' if person == 2 else 'do'} not {verb} {object_en}."
            fr = f"{fr_s} {chr(110) + chr(39) if vowel else 'ne '}{conj} pas {object_fr}."
        else:
            en = f"{'does' if person == 2 else 'do'} {en_s} {verb} {object_en}?"
            subject = "j'" if fr_s == "je" and vowel else fr_s + " "
            fr = f"est-ce {'qu' + chr(39) if fr_s[0] in 'ie' else 'que '}{subject}{conj} {object_fr} ?"
        pairs.add((en[0].upper() + en[1:], fr[0].upper() + fr[1:]))
    ordered = sorted(pairs, key=lambda p: (len(p[0].split()), len(p[0]), p))
    return "".join(f"{en}\t{fr}\n" for en, fr in ordered)


# ------------------------------------------------------------------------------------ texts

_WHO = ("the traveller", "the old captain", "my neighbour", "the watchmaker", "a stranger",
        "the doctor", "the youngest of us", "the keeper of the light", "her brother", "the editor")
_DID = ("opened", "remembered", "described", "studied", "looked at", "returned to", "left behind",
        "listened to", "walked around", "pointed at", "dreamt of", "repaired", "wrote about")
_WHAT = ("the machine", "the silent valley", "a lamp of brass", "the white tower", "the river",
         "the great clock", "a map without names", "the door in the wall", "the last page",
         "the sea of glass", "an empty room", "the evening sky", "the broken lever")
_HOW = ("slowly", "with great care", "for the third time", "without a word", "in the half light",
        "as if asleep", "before the rain came", "by the fire", "against all reason", "at last")
_LINKS = ("and then", "but", "while", "because", "although", "until", "so that")


def _clause(rng: np.random.Generator) -> str:
    def pick(words):  # early words are chosen more often, as in any real text
        return words[min(int(rng.exponential(len(words) / 3)), len(words) - 1)]
    tail = f" {pick(_HOW)}" if rng.random() < .6 else ""
    return f"{pick(_WHO)} {pick(_DID)} {pick(_WHAT)}{tail}"


def _sentence(rng: np.random.Generator) -> str:
    words = _clause(rng)
    while rng.random() < .45:
        words += f"{',' if rng.random() < .4 else ''} {_LINKS[rng.integers(len(_LINKS))]} {_clause(rng)}"
    return words[0].upper() + words[1:] + "."


def _wrap(text: str, width: int = 70) -> str:
    return "\n".join(textwrap.wrap(text, width))


def story(seed: int = 0, characters: int = 175_000) -> str:
    """An English text of its own, in lines of at most 70 characters, as long as The Time Machine."""
    rng = np.random.default_rng(seed)
    parts, length = ["The Traveller and the Clock, a sample text\n"], 0
    while length < characters:
        parts.append(_wrap(" ".join(_sentence(rng) for _ in range(rng.integers(3, 9)))))
        length += len(parts[-1])
    return "\n\n".join(parts) + "\n"


def novel(seed: int = 1, characters: int = 250_000) -> str:
    """An English text with dialogue, curly quotes and _emphasis_, in lines of at most 70."""
    rng = np.random.default_rng(seed)
    parts, length = ["A Sample Novel\n", "Chapter 1\n", _wrap(
        "“Impossible, Mr. Bennet, impossible, when I am not acquainted with him myself; "
        "how can you be so teasing?”")], 0
    while length < characters:
        said = _sentence(rng)[:-1].replace("the great clock", "_the great clock_")
        parts.append(_wrap(f"“{said},” said {_WHO[rng.integers(len(_WHO))]}. {_sentence(rng)}"))
        length += len(parts[-1])
    return "\n\n".join(parts) + "\n"


# ------------------------------------------------------------------------------ tagged words

_TAGGED = {"DET": ("the", "a", "this", "every", "some"), "ADJ": ("old", "light", "green", "quiet", "open", "slow"),
           "NOUN": ("watch", "book", "light", "walk", "clock", "garden", "plan", "play", "window", "answer"),
           "VERB": ("watch", "book", "light", "walk", "open", "plan", "play", "answer", "carry", "mend"),
           "PRON": ("they", "we", "you", "I"), "ADV": ("slowly", "often", "there", "well"),
           "ADP": ("in", "of", "near", "after"), "NUM": ("two", "seven", "1961"), "CONJ": ("and", "but", "or")}
_ENDINGS = {"NOUN": ("ness", "tion", "er"), "VERB": ("ize", "en"), "ADJ": ("ish", "ous"), "ADV": ("ly",)}
_SYLLABLES = ("bar", "lo", "mir", "ten", "ga", "sol", "dri", "pun")


def tagged(seed: int = 0, texts: int = 30, sentences: int = 80) -> list[list[list[tuple[str, str]]]]:
    """Texts of sentences of (word, tag) pairs from a small grammar. Some words have two tags, and only what stands
    beside them tells which; one word in ten is made of syllables and an ending, so that most of these are rare."""
    rng = np.random.default_rng(seed)

    def word(tag: str) -> tuple[str, str]:
        if tag in _ENDINGS and rng.random() < .15:
            made = "".join(_SYLLABLES[rng.integers(8)] for _ in range(rng.integers(2, 4)))
            return made + _ENDINGS[tag][rng.integers(len(_ENDINGS[tag]))], tag
        return _TAGGED[tag][rng.integers(len(_TAGGED[tag]))], tag

    def noun_group() -> list[str]:
        kind = rng.integers(6)
        return [["PRON"], ["DET", "NOUN"], ["DET", "ADJ", "NOUN"], ["NUM", "NOUN"], ["NOUN"], ["ADJ", "NOUN"]][kind]

    def clause() -> list[str]:
        tags = noun_group() + ["ADV"] * (rng.random() < .2) + ["VERB"]
        tags += noun_group() if rng.random() < .7 else ["ADV"]
        return tags + (["ADP", *noun_group()] if rng.random() < .4 else [])

    def sentence() -> list[tuple[str, str]]:
        tags = clause() + (["CONJ", *clause()] if rng.random() < .4 else [])
        return [word(tag) for tag in tags] + [(".", ".")]

    return [[sentence() for _ in range(sentences)] for _ in range(texts)]


# ------------------------------------------------------------------------ trees with sentiments

_ADJECTIVE = {"great": 2, "wonderful": 2, "brilliant": 2, "good": 1, "funny": 1, "warm": 1, "clever": 1, "long": 0,
              "french": 0, "new": 0, "bad": -1, "dull": -1, "slow": -1, "silly": -1, "awful": -2, "terrible": -2}
_THING = {"film": 0, "plot": 0, "acting": 0, "story": 0, "music": 0, "cast": 0, "ending": 0, "script": 0}
_VERDICT = {"triumph": 2, "joy": 1, "comedy": 0, "remake": 0, "bore": -1, "mess": -1, "disaster": -2}
_FEELING = {"love": 2, "like": 1, "know": 0, "remember": 0, "dislike": -1, "hate": -2}


def _join(left: Tree, right: Tree, sentiment: int) -> Tree:
    """Two parts under a node whose sentiment, -2 to 2, becomes a label, 0 to 4; beyond that is cut off."""
    return Tree(max(-2, min(2, int(sentiment))) + 2, None, (left, right))


def _tree(rng: np.random.Generator) -> Tree:
    """A sentence whose sentiment follows from that of its parts: *not* turns it around, *very* makes it stronger,
    *rather* weaker; in *A but B*, B decides; in *A and B*, and of a thing and what is said of it, the sum."""
    def word(table: dict[str, int]) -> Tree:
        text = list(table)[rng.integers(len(table))]
        return Tree(table[text] + 2, text)

    def leaf(*texts: str) -> Tree:
        return Tree(2, texts[rng.integers(len(texts))])

    def quality() -> Tree:
        tree = word(_ADJECTIVE)
        if rng.random() < .4:
            sign, strong = np.sign(tree.label - 2), rng.random() < .7
            tree = _join(leaf("very", "really") if strong else leaf("rather"), tree, (2 if strong else 1) * sign)
        if rng.random() < .3:
            tree = _join(leaf("not", "never"), tree, -np.sign(tree.label - 2))
        return tree

    def both(left: Tree, right: Tree, *before: Tree) -> Tree:
        """``left and right`` or ``left but right``, with a comma, say, before the conjunction."""
        conjunction, value = leaf("and", "but"), right.label - 2
        joined = _join(conjunction, right, value)
        for mark in before:
            joined = _join(mark, joined, value)
        return _join(left, joined, value if conjunction.word == "but" and value else left.label - 2 + value)

    def thing() -> Tree:
        tree = word(_THING)
        if rng.random() < .3:
            adjective = word(_ADJECTIVE)
            tree = _join(adjective, tree, adjective.label - 2)
        return _join(leaf("the", "this", "its"), tree, tree.label - 2)

    def clause() -> Tree:
        if rng.random() < .25:
            feeling, object_ = word(_FEELING), thing()
            said = _join(feeling, object_, feeling.label - 2 or object_.label - 2)
            return _join(leaf("we", "you", "they"), said, said.label - 2)
        if rng.random() < .2:
            verdict = word(_VERDICT)
            said = _join(leaf("a"), verdict, verdict.label - 2)
        else:
            said = quality() if rng.random() < .7 else both(quality(), quality())
        subject, said = thing(), _join(leaf("is", "was"), said, said.label - 2)
        return _join(subject, said, subject.label + said.label - 4)

    tree = clause() if rng.random() < .7 else both(clause(), clause(), leaf(","))
    return _join(tree, leaf("."), tree.label - 2)


def treebank(seed: int = 0, counts: tuple[int, ...] = (1200, 200, 400)) -> tuple[list[Tree], ...]:
    """Sentences as trees from a small grammar, all different, in parts of so many. Order matters: *slow but good* is
    positive, *good but slow* is not."""
    rng, found = np.random.default_rng(seed), {}
    while len(found) < sum(counts):
        tree = _tree(rng)
        found[" ".join(tree.words())] = tree
    all_, ends = list(found.values()), np.cumsum(counts)
    return tuple(all_[end - count:end] for count, end in zip(counts, ends))


# ------------------------------------------------------------------------------ tests of words

_RELATED = """watch clock 8.8, old slow 5.1, carry mend 4.2, walk slow 6.3, window light 7.4, garden green 7.9,
often slowly 3.6, in near 6.1, play quiet 2.8, book answer 4.4, two seven 7.7, they we 7.5, this the 6.9, after in 5,
old clock 5.6, garden in 1.6, seven often 1.1, mend you 1.3, of window 0.8, 1961 carry 0.6, and slowly 0.9"""
_SIMILAR = """quiet slow 5.4, garden window 3.1, clock window 3.7, carry mend 3.9, old green 2.2, often well 3.3,
near in 6.8, after of 4.1, every some 6.2, a the 7.8, two seven 6, they you 5.8, but and 5.2, or and 5.9,
slow mend 0.7, clock every 0.4, seven well 0.5, garden carry 0.6, they near 0.3, of quiet 0.2, window and 0.3"""
_FORMS = {"adjective-to-adverb": ("ish", "ly"), "noun-to-verb": ("er", "ize"), "noun-to-noun": ("er", "ness")}


def judged(stems: int = 6) -> tuple[list[Judged], list[Judged], dict[str, list[Analogy]]]:
    """Words that are related, words that are similar, and analogies from endings, all from the words of the training
    part of `tagged`: *gabarish* is to *gabarly* as *drisolish* to *drisolly*, with the stems that occur most."""
    def pairs(text: str) -> list[Judged]:
        return [(a, b, float(score)) for a, b, score in map(str.split, text.split(","))]

    counts = Counter(word for sentence in split(tagged())[0] for word, _ in sentence)
    analogies = {}
    for section, (first, second) in _FORMS.items():
        times = {word.removesuffix(first): min(counts[word], counts[word.removesuffix(first) + second])
                 for word in sorted(counts) if word.endswith(first) and word != first}
        best = sorted(times, key=times.get, reverse=True)[:stems]
        analogies[section] = [(a + first, a + second, b + first, b + second) for a in best for b in best if a != b]
    return pairs(_RELATED), pairs(_SIMILAR), analogies
