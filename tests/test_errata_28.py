"""Each erratum of chapter 28: the mistake does what the errata page says, and so does the mend."""

import unicodedata

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from shared import data
from shared.text import Vocab
from shared.translation import (
    EOS,
    PAD,
    RESERVED,
    build_array_nmt,
    load_data_nmt,
    preprocess_nmt,
    tokenize_nmt,
    truncate_pad,
)

# Code of the source, as it stands there
PREPROCESS = """
def preprocess(text):
    def no_space(char, prev_char):
        return char in set(',.!?') and prev_char != ' '
    text = text.replace('\\u202f', ' ').replace('\\xa0', ' ').lower()
    out = [' ' + char if i > 0 and no_space(char, text[i-1]) else char for i, char in enumerate(text)]
    return ''.join(out)
"""
TOKENIZE = """
def tokenize(text, num_examples=None):
    source, target = [], []
    for i, line in enumerate(text.split('\\n')):
        if num_examples and i > num_examples:
            break
        parts = line.split('\\t')
        if len(parts) == 2:
            source.append(parts[0].split(' '))
            target.append(parts[1].split(' '))
    return source, target
"""
ARRAY = """
def build_array(lines, vocab, num_steps):
    lines = [vocab[l] for l in lines]
    lines = [l + [vocab['<eos>']] for l in lines]
    array = torch.tensor([truncate_pad(l, num_steps, vocab['<pad>']) for l in lines])
    valid_len = (array != vocab['<pad>']).type(torch.int32).sum(1)
    return array, valid_len
"""
LOAD = """
def load_data_mnt(batch_size, num_steps, num_examples=600):
    text = preprocess(raw)
    source, target = tokenize(text, num_examples)
    src_vocab = Vocab(source, min_freq=2, reserved_tokens=['<pad>', '<bos>', '<eos>'])
    tgt_vocab = Vocab(target, min_freq=2, reserved_tokens=['<pad>', '<bos>', '<eos>'])
    arrays = *build_array(source, src_vocab, num_steps), *build_array(target, tgt_vocab, num_steps)
    return load_array(arrays, batch_size), src_vocab, tgt_vocab
"""
CALL = "train_iter, src_vocab, tgt_vocab = load_data_nmt(batch_size=2, num_steps=8)"


def load_array(arrays, batch_size, is_train=True):
    """As in the library that the source calls: shuffled, since is_train is True by default."""
    return DataLoader(TensorDataset(*arrays), batch_size, shuffle=is_train)


def run(*codes, **names):
    names |= {"torch": torch, "Vocab": Vocab, "truncate_pad": truncate_pad, "load_array": load_array}
    for code in codes:
        exec(code, names)
    return names


@pytest.fixture(scope="module")
def raw():
    return data.fra_eng()


def test_erratum_28_01():
    """U+202F is no East Asian width."""
    assert unicodedata.name("\u202f") == "NARROW NO-BREAK SPACE"
    assert unicodedata.name("\u3000") == "IDEOGRAPHIC SPACE"
    assert unicodedata.east_asian_width("\u202f") == "N" and unicodedata.east_asian_width("\u3000") == "F"
    wide = run(PREPROCESS)["preprocess"]("a\u3000b\u202fc")
    assert wide == "a\u3000b c"  # the full-width blank stays


def test_erratum_28_02():
    """One line too many, and all for 0."""
    tokenize, text = run(TOKENIZE)["tokenize"], "a\tb\n" * 10
    assert len(tokenize(text, 3)[0]) == 4 and len(tokenize(text, 0)[0]) == 10
    assert len(tokenize_nmt(text, 3)[0]) == 3 and len(tokenize_nmt(text, 0)[0]) == 0


def test_erratum_28_03():
    """Exactly two columns: of three nothing is read."""
    text = "hi .\tsalut !\tCC-BY 2.0\n" * 3
    assert run(TOKENIZE)["tokenize"](text) == ([], [])
    assert tokenize_nmt(text) == ([["hi", "."]] * 3, [["salut", "!"]] * 3)


def test_erratum_28_04():
    """split(' ') makes empty words, and cuts at blanks only."""
    tokenize = run(TOKENIZE)["tokenize"]
    assert tokenize("hi  .\tsalut\u2009!") == ([["hi", "", "."]], [["salut\u2009!"]])
    assert tokenize_nmt("hi  .\tsalut\u2009!") == ([["hi", "."]], [["salut", "!"]])


def test_erratum_28_05():
    """A sentence that begins with a mark gets a blank in front, and so an empty first word."""
    names = run(PREPROCESS, TOKENIZE)
    text = names["preprocess"]("... And?\t... Et ?")
    assert text.startswith(".") and "\t ." in text                      # the first character is spared, no other
    assert names["tokenize"](text)[1][0][0] == ""
    assert tokenize_nmt(preprocess_nmt("... And?\t... Et ?"))[1][0] == [".", ".", ".", "et", "?"]


def test_erratum_28_06():
    """<eos> is cut off."""
    vocab = Vocab(["a", "b", "c", "d"], reserved_tokens=RESERVED)
    array, valid_len = run(ARRAY)["build_array"]([["a", "b", "c", "d"]], vocab, 3)
    assert vocab[EOS] not in array and valid_len.tolist() == [3]
    array, valid_len = build_array_nmt([["a", "b", "c", "d"]], vocab, 3)
    assert array[0, -1] == vocab[EOS] and valid_len.tolist() == [3]


def test_erratum_28_07(raw):
    """One name is defined, another called."""
    with pytest.raises(NameError, match="load_data_nmt"):
        run(PREPROCESS, TOKENIZE, ARRAY, LOAD, CALL, raw=raw.text)
    names = run(PREPROCESS, TOKENIZE, ARRAY, LOAD.replace("_mnt", "_nmt"), CALL, raw=raw.text)
    assert next(iter(names["train_iter"]))[0].shape == (2, 8)


def test_erratum_28_08(raw):
    """The first batch of a shuffled loader is not the first of the data."""
    names = run(PREPROCESS, TOKENIZE, ARRAY, LOAD.replace("_mnt", "_nmt"), CALL, raw=raw.text)
    whole = names["train_iter"].dataset.tensors[0]
    batches = []
    for seed in range(5):
        torch.manual_seed(seed)
        batches.append(next(iter(names["train_iter"]))[0])
    assert any(not torch.equal(batch, whole[:2]) for batch in batches)
    assert any(not torch.equal(batch, batches[0]) for batch in batches[1:])
    in_order = load_array(names["train_iter"].dataset.tensors, 2, is_train=False)
    assert torch.equal(next(iter(in_order))[0], whole[:2])


def test_erratum_28_09():
    """Rows stay paired; only the numbers belong to different vocabularies."""
    source, target = [["go", "."], ["i", "lost", "."], ["go", "on", "."]], [["va", "!"], ["perdu", "."], ["allez", "."]]
    both = [Vocab(side, reserved_tokens=RESERVED) for side in (source, target)]
    rows = [build_array_nmt(side, vocab, 4)[0] for side, vocab in zip((source, target), both)]
    for i in range(3):
        assert both[0].to_tokens(rows[0][i].tolist())[:2] == source[i][:2]
        assert both[1].to_tokens(rows[1][i].tolist())[:2] == target[i][:2]
    assert both[0]["go"] != both[1]["va"]


def test_erratum_28_10(raw):
    """The length counts <eos>, which is no word of the sentence."""
    vocab = Vocab(["go", "."], reserved_tokens=RESERVED)
    assert run(ARRAY)["build_array"]([["go", "."]], vocab, 8)[1].tolist() == [3]
    assert build_array_nmt([["go", "."]], vocab, 8)[1].tolist() == [3]


def test_erratum_28_11(raw):
    """Nothing is held out: the pairs that are translated in the end are training pairs."""
    first = set(zip(*(map(" ".join, side) for side in tokenize_nmt(preprocess_nmt(raw.text), 600))))
    translated = [("go .", "va !"), ("i lost .", "j'ai perdu ."), ("he's calm .", "il est calme ."),
                  ("i'm home .", "je suis chez moi .")]
    assert not raw.real or sum(pair in first for pair in translated) == 3
    pairs = load_data_nmt(raw, num_examples=600, num_valid=20, num_test=50, subwords=200)
    trained = {" ".join(s) for s, _ in pairs.train_words}
    assert not any(" ".join(s) in trained for s in pairs.test[0])


def test_erratum_28_12(raw):
    """With 600 examples and min_freq 2 many words are unknown; padding is not among them."""
    source, target = run(PREPROCESS, TOKENIZE)["tokenize"](preprocess_nmt(raw.text), 600)
    vocab = Vocab(target, min_freq=2, reserved_tokens=RESERVED)
    lost = sum(any(vocab[word] == 0 for word in line) for line in target) / len(target)
    assert not raw.real or lost > .25
    assert vocab[PAD] == 1
