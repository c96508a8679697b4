"""shared.translation: preparation of sentences, the split, and BLEU against sacrebleu."""

import math

import pytest
import sacrebleu
import torch
from hypothesis import given, settings, strategies as st

from shared import data
from shared.data import Text
from shared.text import Vocab
from shared.translation import (BOS, EOS, PAD, RESERVED, bleu, build_array_nmt, corpus_bleu, load_data_nmt,
                                preprocess_nmt, tokenize_nmt, truncate_pad)

sentence = st.lists(st.sampled_from("a b c d e".split()), min_size=1, max_size=9)


def test_preprocessing():
    assert preprocess_nmt("Go.\tVa\u202f!\nDon't!\tNon,\xa0merci .") == "go .\tva !\ndon't !\tnon , merci ."


@given(st.text(st.sampled_from("ab ,.!?\t\n"), max_size=30))
def test_preprocessing_is_the_rule_said_slowly(text):
    slow = "".join(" " + c if i and c in ",.!?" and text[i - 1] != " " else c for i, c in enumerate(text.lower()))
    # a mark behind a mark is preceded by a mark in the text, but by a blank once that was inserted
    assert preprocess_nmt(text) == slow


def test_tokenizing_counts_lines_exactly_and_ignores_further_columns():
    text = "a b .\tc d .\tCC-BY\nno tab here\ne\tf\ng\th"
    assert tokenize_nmt(text) == ([["a", "b", "."], ["e"], ["g"]], [["c", "d", "."], ["f"], ["h"]])
    assert len(tokenize_nmt(text, 3)[0]) == 2


@given(st.lists(st.integers(), max_size=8), st.integers(0, 8))
def test_truncate_pad(line, num_steps):
    result = truncate_pad(line, num_steps, -1)
    assert len(result) == num_steps and result[:len(line)] == line[:num_steps]
    assert all(x == -1 for x in result[len(line):])


@given(st.lists(sentence, max_size=5), st.integers(2, 9))
def test_arrays_end_and_lengths_fit(lines, num_steps):
    vocab = Vocab(lines, reserved_tokens=RESERVED)
    array, valid_len = build_array_nmt(lines, vocab, num_steps)
    assert array.shape == (len(lines), num_steps)
    for row, n, line in zip(array, valid_len, lines):
        words = vocab.to_tokens(row[:n])
        assert words[-1] == EOS and words[:-1] == line[:num_steps - 1]
        assert (row[n:] == vocab[PAD]).all()


def some_pairs(lines):
    return Text("some pairs", "sample", "\n".join(f"{a}\t{b}" for a, b in lines))


@settings(deadline=None)
@given(st.lists(st.tuples(sentence.map(" ".join), sentence.map(" ".join)), min_size=8, max_size=40),
       st.integers(0, 1000))
def test_no_test_sentence_in_training(lines, seed):
    if len({a for a, _ in lines}) < 5:
        return
    try:
        pairs = load_data_nmt(some_pairs(lines), 10, num_test=2, min_freq=0, seed=seed)
    except ValueError as error:
        assert "no pair is left" in str(error)
        return
    src, src_len, tokens, tgt = pairs.train
    read = [" ".join(pairs.source_vocab.to_tokens(row[:n - 1])) for row, n in zip(src, src_len)]
    written = [" ".join(w for w in pairs.target_vocab.to_tokens(row) if w not in RESERVED) for row in tgt]
    assert not {" ".join(s) for s in pairs.test_source} & set(read)
    assert not {" ".join(r) for rs in pairs.references for r in rs} & set(written)
    assert set(zip(read, written)) <= set(lines)
    assert all(rs for rs in pairs.references) and len(pairs.test_source) == 2
    pad, bos = pairs.target_vocab[PAD], pairs.target_vocab[BOS]
    assert torch.equal(tokens != pad, tgt != pad) and (tokens[:, 0] == bos).all()
    assert torch.equal(tokens[:, 1:][tokens[:, 1:] != pad], tgt[:, :-1][tokens[:, 1:] != pad])


def test_split_of_the_real_or_sample_file():
    pairs = load_data_nmt(data.fra_eng(), num_examples=3000, num_test=200)
    assert len(pairs.test_source) == 200 and len(pairs.train[0]) > 1000
    assert all(len(s) < 10 for s in pairs.test_source)


def test_split_errors():
    with pytest.raises(ValueError, match="between 1 and 1, .* got 2"):
        load_data_nmt(some_pairs([("a", "b"), ("c", "d")]), num_test=2)


def test_bleu_of_the_worked_example():
    """Label A B C D E F, prediction A B B C D: precisions 4/5, 3/4, 1/3, 0."""
    label, pred = "A B C D E F", "A B B C D"
    penalty = math.exp(1 - 6 / 5)
    assert math.isclose(bleu(pred, label, 1), penalty * .8**.5)
    assert math.isclose(bleu(pred, label, 2), penalty * .8**.5 * .75**.25)
    assert math.isclose(bleu(pred, label, 3), penalty * .8**.5 * .75**.25 * (1 / 3)**.125)
    assert bleu(pred, label, 4) == 0
    assert bleu(label, label, 4) == 1 and bleu("", label, 1) == 0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(sentence, st.lists(sentence, min_size=1, max_size=3)), min_size=1, max_size=6))
def test_corpus_bleu_is_sacrebleus(examples):
    predictions, references = [p for p, _ in examples], [r for _, r in examples]
    most = max(map(len, references))
    streams = [[" ".join(r[i]) if i < len(r) else None for r in references] for i in range(most)]
    theirs = sacrebleu.corpus_bleu([" ".join(p) for p in predictions], streams, tokenize="none",
                                   smooth_method="none", force=True).score / 100
    assert math.isclose(corpus_bleu(predictions, references), theirs, abs_tol=1e-9)


def test_corpus_bleu_errors():
    with pytest.raises(ValueError, match="1 predictions but 2"):
        corpus_bleu([["a"]], [[["a"]], [["b"]]])
