"""Each erratum of chapter 23: the mistake does what the errata page says, and so does the mend."""

import random
import re
from collections import Counter

import pytest
import torch
from torch import nn

from shared import data
from shared.text import Vocab, letters_only, tokenize

# Code of the sources: it is run as it stands there, then with the mistake replaced.
TOKENIZE = """
def tokenize(lines,token='word'):
    if token == 'word':
        return [line.split() for line in lines]
    elif token == 'char':
        return [list(line) for line in lines]
    else:
        print('unknown kind of token:'+token)
"""
LOOK_UP = """
class Vocabulary:
    def __init__(self, tokens):
        self.unk = 0
        self.idx_to_token = ['<unk>'] + [token for token, _ in Counter(tokens).most_common()]
        self.token_to_idx = {token: i for i, token in enumerate(self.idx_to_token)}
    def __getitem__(self,tokens):
        if not isinstance(tokens,(list,tuple)):
            return self.token_to_idx.get(tokens,self.unk)
        return [self.__getitem__(token) for token in tokens]
"""
LOAD = """
def load_corpus(lines):
    lines = [re.sub('[^A-Za-z]+',' ',line).strip().lower() for line in lines]
    tokens = [list(line) for line in lines]
    return [token for line in tokens for token in line]
"""
RANDOM = """
def starts_of_a_pass(corpus,batch_size,num_steps):
    k = random.randint(0, num_steps - 1)
    corpus = corpus[k:]
    num_subseqs = (len(corpus) - 1) // num_steps
    initial_indices = list(range(0, num_subseqs * num_steps, num_steps))
    random.shuffle(initial_indices)
    return [k + i for i in initial_indices]
"""
ONE_HOT = """
letter_t = torch.zeros(len(line), 128)
for i, letter in enumerate(line.lower().strip()):
    letter_index = ord(letter) if ord(letter) < 128 else 0
    letter_t[i][letter_index] = 1
"""


def run(source, *replaced, **names):
    """The source's code, with pieces of it replaced, in a namespace that is returned."""
    for old, new in replaced:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    exec(source, names)
    return names


def test_erratum_23_01():
    """Another kind of token is printed and becomes None; the mistake shows somewhere else."""
    tokens = run(TOKENIZE)["tokenize"](["the time"], "chars")
    assert tokens is None
    with pytest.raises(TypeError):
        len(tokens)
    mended = run(TOKENIZE, ("print('unknown kind of token:'+token)", "raise ValueError(token)"))["tokenize"]
    for cut in mended, tokenize:
        with pytest.raises(ValueError):
            cut(["the time"], "chars")


def test_erratum_23_02():
    """A look-up that goes through tuples never finds a bigram, which is one."""
    words = "the time traveller the time machine".split()
    bigrams = list(zip(words[:-1], words[1:]))
    theirs = run(LOOK_UP, Counter=Counter)["Vocabulary"](bigrams)
    assert ("the", "time") in theirs.token_to_idx and theirs[("the", "time")] == [0, 0]
    mended = run(LOOK_UP, ("(list,tuple)", "list"), Counter=Counter)["Vocabulary"](bigrams)
    assert mended[("the", "time")] == Vocab(bigrams)[("the", "time")] == 1
    assert mended[bigrams[:2]] == [1, mended[bigrams[1]]]


def test_erratum_23_03():
    """Lines are strung together without the blank that the line end was: hundreds of new words."""
    raw = data.time_machine().text
    glued = "".join(run(LOAD, re=re)["load_corpus"](raw.splitlines()))
    words = set(letters_only(raw).split())
    assert len(glued) < len(letters_only(raw)) and len(set(glued.split()) - words) > 100
    mended = run(LOAD, ("for line in tokens for token in line", "for line in tokens if line for token in [*line, ' ']"),
                 re=re)["load_corpus"](raw.splitlines())
    assert "".join(mended).strip() == letters_only(raw)


def test_erratum_23_04():
    """Any numbers will do: not for an embedding, which has rows 0 to V - 1."""
    embedding = nn.Embedding(28, 4)
    for number in (28, 1000, -1):
        with pytest.raises(IndexError):
            embedding(torch.tensor([number]))
    with pytest.raises(RuntimeError):
        embedding(torch.tensor([0.5]))  # "normalised"
    shuffled = torch.randperm(28)
    assert embedding(shuffled).shape == (28, 4), "any order of 0 to V - 1 will do"


def test_erratum_23_05():
    """Random sampling takes any subsequence: in one pass, only those whose places differ by multiples of num_steps."""
    random.seed(0)
    starts_of_a_pass = run(RANDOM, random=random)["starts_of_a_pass"]
    passes = [starts_of_a_pass(list(range(1000)), 2, 10) for _ in range(200)]
    for starts in passes:
        assert len({start % 10 for start in starts}) == 1 and len(starts) <= 100
    reached = {start for starts in passes for start in starts}
    assert reached == set(range(990)), "over many passes, all"


def test_erratum_23_06():
    """zip gives (a[0], b[0]) to (a[n], b[n]): only as far as the shorter one goes; of two words, it pairs letters."""
    corpus = ["the", "machine", "end"]
    pairs = list(zip(corpus[1], corpus[-1]))
    assert pairs == [("m", "e"), ("a", "n"), ("c", "d")] and len(pairs) < len(corpus[1])
    assert list(zip(corpus[:-1], corpus[1:])) == [("the", "machine"), ("machine", "end")]


def test_erratum_23_07():
    """As many rows as the line has characters, but the stripped line is written: rows without a one are left."""
    line = "  Impossible, Mr. Bennet \r"
    theirs = run(ONE_HOT, torch=torch, line=line)["letter_t"]
    assert int((theirs.sum(1) == 0).sum()) == 4
    mended = run(ONE_HOT, ("torch.zeros(len(line), 128)", "torch.zeros(len(line.strip()), 128)"),
                 torch=torch, line=line)["letter_t"]
    assert bool((mended.sum(1) == 1).all()) and len(mended) == len(line.strip())
