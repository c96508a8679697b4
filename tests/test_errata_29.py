"""Each erratum of chapter 29: the mistake does what the errata page says, and so does the mend."""

import math
import unicodedata

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from shared import data
from shared.text import Vocab
from shared.translation import EOS, PAD, RESERVED, build_array_nmt, preprocess_nmt, tokenize_nmt, truncate_pad


def sequence_mask_of_the_notes(X, valid_len, value=0):
    maxlen = X.size(1)
    print(maxlen)
    mask = torch.arange(maxlen)[None, :] < valid_len[:, None]
    X[~mask] = value
    return X


def test_erratum_29_01():
    def after_two_steps(clear):
        w = torch.tensor(1.0, requires_grad=True)
        for _ in range(2):
            if clear:
                w.grad = None
            (3 * w).backward()
        return w.grad.item()
    assert after_two_steps(clear=False) == 6 and after_two_steps(clear=True) == 3


def test_erratum_29_02():
    num_steps, valid_len = 10, torch.tensor([10, 4, 7])
    even = torch.zeros(3, num_steps, 5)  # every word has the loss log 5
    each = F.cross_entropy(even.permute(0, 2, 1), torch.zeros(3, num_steps, dtype=torch.long), reduction="none")
    masked = each * (torch.arange(num_steps) < valid_len[:, None])
    reported = masked.mean(dim=1).sum() / valid_len.sum()
    assert math.isclose(reported * num_steps, math.log(5), rel_tol=1e-5)
    assert math.isclose(masked.sum() / valid_len.sum(), math.log(5), rel_tol=1e-5)


def test_erratum_29_03():
    X = torch.tensor([[1, 2, 3], [4, 5, 6]])
    sequence_mask_of_the_notes(X, torch.tensor([1, 2]))
    assert X.tolist() == [[1, 0, 0], [4, 5, 0]]
    Y = torch.tensor([[1, 2, 3]])
    mask = torch.arange(3) < torch.tensor([1])[:, None]
    assert Y.masked_fill(~mask, 0).tolist() == [[1, 0, 0]] and Y.tolist() == [[1, 2, 3]]


def test_erratum_29_04():
    kept = []
    for i, line in enumerate(["a\tb"] * 50):
        if 10 and i > 10:
            break
        kept.append(line)
    assert len(kept) == 11 and len(tokenize_nmt("\n".join(["a\tb"] * 50), 10)[0]) == 10


def test_erratum_29_05():
    words = "a b c d e".split()
    vocab = Vocab([words], reserved_tokens=RESERVED)
    theirs = truncate_pad(vocab[words] + [vocab[EOS]], 4, vocab[PAD])
    ours = build_array_nmt([words], vocab, 4)[0][0].tolist()
    assert vocab[EOS] not in theirs and ours[-1] == vocab[EOS] and ours[:3] == theirs[:3]


def test_erratum_29_06():
    torch.manual_seed(0)
    embedding, gru = nn.Embedding(9, 4), nn.GRU(4, 8, batch_first=True)

    def states(padding, packed):
        X = embedding(F.pad(torch.tensor([[5, 6]]), (0, padding), value=1))
        return gru(pack_padded_sequence(X, [2], batch_first=True) if packed else X)[1]
    assert not torch.allclose(states(0, False), states(5, False), atol=.01)
    assert torch.allclose(states(0, True), states(5, True))


def test_erratum_29_07():
    with pytest.raises(NameError, match="load_data_nmt"):
        exec("def load_data_mnt(batch_size, num_steps):\n    pass\nload_data_nmt(2, 8)", {})


def test_erratum_29_08():
    for name in ("predict_seq2seq", "bleu"):
        with pytest.raises(NameError, match=name):
            exec(f"{name}('go .')", {})


def test_erratum_29_09():
    output, state = nn.GRU(3, 4, num_layers=2)(torch.randn(7, 5, 3))
    assert state.shape[0] == 2 and output.shape[0] == 7
    assert torch.equal(state[-1], output[-1]) and not torch.equal(state[0], output[0])


def test_erratum_29_10():
    raw = data.fra_eng()
    source, target = tokenize_nmt(preprocess_nmt(raw.text), 600)
    first = {(" ".join(s), " ".join(t)) for s, t in zip(source, target)}
    four = [("go .", "va !"), ("i lost .", "j'ai perdu ."), ("he's calm .", "il est calme ."),
            ("i'm home .", "je suis chez moi .")]
    assert not raw.real or sum(pair in first for pair in four) == 3
    assert four[0] in first  # in the sample, too


def test_erratum_29_11():
    assert "go  now".split(" ") == ["go", "", "now"] and "go  now".split() == ["go", "now"]


def test_erratum_29_12():
    line = "Go.\tVa !\tCC-BY 2.0 (France)"
    assert len(line.split("\t")) != 2 and tokenize_nmt(line)[1] == [["Va", "!"]]


def test_erratum_29_13():
    assert unicodedata.name("\u202f") == "NARROW NO-BREAK SPACE"
    assert unicodedata.east_asian_width("\u202f") not in "FH"
    assert preprocess_nmt("va\u202f!") == "va !"


def test_erratum_29_14():
    source, target = [["go", "."], ["run", "!"]], [["va", "!"], ["cours", "!"]]
    vocabs = [Vocab(lines, reserved_tokens=RESERVED) for lines in (source, target)]
    rows = [build_array_nmt(lines, vocab, 4)[0] for lines, vocab in zip((source, target), vocabs)]
    for i in range(2):
        assert vocabs[0].to_tokens(rows[0][i])[:2] == source[i]
        assert vocabs[1].to_tokens(rows[1][i])[:2] == target[i]


def test_erratum_29_15():
    X = torch.tensor([[1, 2, 3], [4, 5, 6]]).T  # (steps, batch)
    assert X[:, 0].tolist() == [1, 2, 3]  # a column is a sentence
    assert X[0].tolist() == [1, 4]        # a row is one time, of all sentences


def test_erratum_29_16(capsys):
    for _ in range(30):
        sequence_mask_of_the_notes(torch.ones(2, 3), torch.tensor([1, 2]))
    assert len(capsys.readouterr().out.splitlines()) == 30
