"""shared.translation: preparation of sentences, the split, and BLEU against sacrebleu."""

import math

import pytest
import sacrebleu
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import data
from shared.data import Text
from shared.text import Vocab
from shared.translation import (
    BOS,
    EOS,
    PAD,
    RESERVED,
    bleu,
    build_array_nmt,
    corpus_bleu,
    load_data_nmt,
    preprocess_nmt,
    tokenize_nmt,
    truncate_pad,
)

sentence = st.lists(st.sampled_from("a b c d e".split()), min_size=1, max_size=9)


def test_preprocessing_frees_marks_and_makes_all_blanks_ordinary():
    assert preprocess_nmt("Go.\tVa\u202f!\nDon't!\tNon,\xa0merci .") == "go .\tva !\ndon't !\tnon , merci ."


@given(st.text(st.sampled_from("ab ,.!?\t\n"), max_size=30))
def test_preprocessing_is_the_rule_said_slowly(text):
    slow = "".join(" " + c if i and c in ",.!?" and text[i - 1] != " " else c
                   for i, c in enumerate(text.lower()))
    # a mark behind a mark is preceded by a mark in the text, but by a blank once that was inserted
    assert preprocess_nmt(text) == slow


def test_tokenizing_counts_lines_exactly_and_ignores_further_columns():
    text = "a b .\tc d .\tCC-BY\nno tab here\ne\tf\ng\th"
    assert tokenize_nmt(text) == ([["a", "b", "."], ["e"], ["g"]], [["c", "d", "."], ["f"], ["h"]])
    assert len(tokenize_nmt(text, 3)[0]) == 2


@given(st.lists(st.integers(), max_size=8), st.integers(0, 8))
def test_a_list_is_cut_or_filled_up(line, num_steps):
    result = truncate_pad(line, num_steps, -1)
    assert len(result) == num_steps and result[:len(line)] == line[:num_steps]
    assert all(x == -1 for x in result[len(line):])


@given(st.lists(sentence, max_size=5), st.integers(2, 9))
def test_rows_end_with_their_mark_and_lengths_fit(lines, num_steps):
    vocab = Vocab(lines, reserved_tokens=RESERVED)
    array, valid_len = build_array_nmt(lines, vocab, num_steps)
    assert array.shape == (len(lines), num_steps) and array.dtype == valid_len.dtype == torch.int64
    assert len(valid_len) == len(lines)
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


def expected(lines, num_steps, num_test, min_freq, seed):
    """The split said slowly: (sources, references) held out, and pairs kept for training."""
    pairs = []
    for source, target in ((a.split(), b.split()) for a, b in lines):
        if source and target and max(len(source), len(target)) < num_steps and (source, target) not in pairs:
            pairs.append((source, target))
    sources = []
    for source, _ in pairs:
        if source not in sources:
            sources.append(source)
    chosen = torch.randperm(len(sources), generator=torch.Generator().manual_seed(seed))[:num_test]
    held = [source for i, source in enumerate(sources) if i in chosen]
    references = [[t for s, t in pairs if s == source] for source in held]
    unseen = [t for translations in references for t in translations]
    return held, references, [(s, t) for s, t in pairs if s not in held and t not in unseen]


@settings(deadline=None)
@given(st.lists(st.tuples(sentence.map(" ".join), sentence.map(" ".join)), min_size=8, max_size=30),
       st.integers(2, 8), st.integers(1, 4), st.integers(0, 3), st.integers(0, 1000))
def test_the_split_is_the_rule_said_slowly(lines, num_steps, num_test, min_freq, seed):
    held, references, kept = expected(lines, num_steps, num_test, min_freq, seed)
    options = {"num_test": num_test, "min_freq": min_freq, "seed": seed}
    if not held or not kept or len(held) < num_test:
        with pytest.raises(ValueError, match="num_test must be|no pair is left"):
            load_data_nmt(some_pairs(lines), num_steps, **options)
        return
    pairs = load_data_nmt(some_pairs(lines), num_steps, **options)
    assert pairs.test_source == held and pairs.references == references
    vocabs = [Vocab(words, min_freq, RESERVED) for words in ([s for s, _ in kept], [t for _, t in kept])]
    for vocab, ours in zip(vocabs, (pairs.source_vocab, pairs.target_vocab)):
        assert vocab.idx_to_token == ours.idx_to_token
    src, src_len, tokens, tgt = pairs.train
    for number, ours, words in ((0, src, [s for s, _ in kept]), (1, tgt, [t for _, t in kept])):
        array, lengths = build_array_nmt(words, vocabs[number], num_steps)
        assert torch.equal(ours, array)
        assert number or torch.equal(src_len, lengths)
    for row, (_, words) in zip(tokens, kept, strict=True):
        assert row.tolist() == truncate_pad(vocabs[1][[BOS, *words]], num_steps, vocabs[1][PAD])


def test_a_split_says_where_it_comes_from_and_how_long_its_sentences_are():
    lines = [(word, word) for word in map("w{}".format, range(1100))]
    nine, ten = ("a b c d e f g h i", "short"), ("a b c d e f g h i j", "long")
    pairs = load_data_nmt(some_pairs([nine, ten, *lines]))
    assert pairs.name == "some pairs" and pairs.real is False and pairs.num_steps == 10
    assert len(pairs.test_source) == 1000, "held out unless told otherwise"
    assert len(pairs.source_vocab) == 4, "a word must occur twice unless told otherwise"
    assert len(pairs.train[0]) == 1101 - 1000, "nine words and the end fit, ten do not"
    same, other = (load_data_nmt(some_pairs(lines), seed=seed).test_source for seed in (0, 1))
    assert load_data_nmt(some_pairs(lines)).test_source == same != other


def test_text_is_preprocessed_and_only_the_first_lines_are_read():
    lines = [("Go.", "Va\u202f!"), ("Hi!", "Salut."), ("Run!", "Cours."), ("Stop!", "Arrête.")]
    pairs = load_data_nmt(some_pairs(lines), num_examples=3, num_test=1, min_freq=0)
    words = {w for row in pairs.test_source for w in row} | set(pairs.source_vocab.idx_to_token)
    assert words == {"go", "hi", "run", ".", "!", "<unk>", *RESERVED}


def test_the_real_or_sample_file_is_split():
    pairs = load_data_nmt(data.fra_eng(), num_examples=3000, num_test=200)
    assert len(pairs.test_source) == 200 and len(pairs.train[0]) > 1000


@pytest.mark.parametrize("num_test", [0, 2, -1])
def test_as_many_test_sentences_as_there_are_or_none_are_refused(num_test):
    with pytest.raises(ValueError, match="between 1 and 1, the number of distinct source sentences less "
                                         f"one; got {num_test}"):
        load_data_nmt(some_pairs([("a", "b"), ("c", "d"), ("c", "e")]), num_test=num_test)


def test_a_split_that_leaves_nothing_for_training_is_refused():
    with pytest.raises(ValueError, match="no pair is left for training after 1 sentences"):
        load_data_nmt(some_pairs([("a", "b"), ("c", "b")]), num_test=1)


def test_bleu_of_the_worked_example():
    """Label A B C D E F, prediction A B B C D: precisions 4/5, 3/4, 1/3, 0."""
    label, pred = "A B C D E F", "A B B C D"
    penalty = math.exp(1 - 6 / 5)
    assert math.isclose(bleu(pred, label, 1), penalty * .8**.5)
    assert math.isclose(bleu(pred, label, 2), penalty * .8**.5 * .75**.25)
    assert math.isclose(bleu(pred, label, 3), penalty * .8**.5 * .75**.25 * (1 / 3)**.125)
    assert bleu(pred, label, 4) == 0
    assert bleu(label, label, 4) == 1 and bleu("", label, 1) == 0
    assert bleu("A B", "A B", 2) == 1 and bleu("A B", "A B", 3) == 0, "a word too short for three in a row"
    assert math.isclose(bleu("A B C D", "A B", 1), .5**.5), "no penalty, and no bonus, for a long one"


EXAMPLES = st.lists(st.tuples(sentence, st.lists(sentence, min_size=1, max_size=3)), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(EXAMPLES, st.integers(1, 4))
def test_corpus_bleu_is_sacrebleus(examples, max_n):
    predictions, references = [p for p, _ in examples], [r for _, r in examples]
    most = max(map(len, references))
    streams = [[" ".join(r[i]) if i < len(r) else None for r in references] for i in range(most)]
    metric = sacrebleu.BLEU(tokenize="none", smooth_method="none", force=True, max_ngram_order=max_n)
    theirs = metric.corpus_score([" ".join(p) for p in predictions], streams).score / 100
    assert math.isclose(corpus_bleu(predictions, references, max_n), theirs, abs_tol=1e-9)
    if max_n == 4:
        assert corpus_bleu(predictions, references) == corpus_bleu(predictions, references, 4)


def test_corpus_bleu_clips_by_the_richest_reference_and_counts_length_by_the_closest():
    """Papineni et al.: "the" twice at most; one of seven words is right in the second reference only."""
    references = [["the cat is on the mat".split(), "there is a cat on the mat".split()]]
    assert math.isclose(corpus_bleu(["the the the the the the the".split()], references, 1), 2 / 7)
    assert corpus_bleu([["a", "b"]], [[["a"], ["a", "b", "c"]]], 1) == 1, "of two as close, the shorter"
    assert math.isclose(corpus_bleu([["a", "b"]], [[["a", "b", "c"]]], 1), math.exp(-.5))
    assert corpus_bleu([[]], [[["a"]]]) == 0 and corpus_bleu([["a"]], [[["b"]]], 1) == 0


def test_corpus_bleu_wants_references_for_every_prediction():
    with pytest.raises(ValueError, match="1 predictions but 2 lists of references"):
        corpus_bleu([["a"]], [[["a"]], [["b"]]])
