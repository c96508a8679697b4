"""Built-in stand-ins for texts: pairs of sentences from a small grammar, a story, a novel, words with their tags.

Deterministic, written here; like the pictures and tables of `samples`, they are not the real thing.
"""

from __future__ import annotations

import textwrap

import numpy as np

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
