"""shared.translation: preparation of sentences, the split, and BLEU and its intervals against sacrebleu."""

import math
from types import SimpleNamespace

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
    Language,
    bleu,
    bleu_counts,
    bleu_interval,
    bleu_of_counts,
    build_array_nmt,
    corpus_bleu,
    load_data_nmt,
    preprocess_nmt,
    tokenize_nmt,
    translation_memory,
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


@given(st.lists(sentence, min_size=1, max_size=5), st.integers(1, 20))
def test_a_language_goes_there_and_back(lines, size):
    language = Language(lines, size)
    array, valid_len = language.array(lines)
    assert array.shape == (len(lines), language.longest(lines)) and int(valid_len.max()) == array.shape[1]
    assert [language.words(row) for row in array] == lines
    assert [language.pieces(row) for row in array] == [language.subwords.encode(line) for line in lines]
    assert len(language) == len(language.vocab) == 1 + len(RESERVED) + len(language.subwords.pieces)
    cut, cut_len = language.array(lines, 2)
    assert cut.shape == (len(lines), 2) and (cut_len == 2).all() and (cut[:, 1] == language.vocab[EOS]).all()


def test_a_language_reads_what_has_no_end():
    language = Language([["ab"]], 9)
    assert language.words([language.vocab["a@@"], language.vocab["b"]]) == ["ab"]
    assert language.words([language.vocab[EOS], language.vocab["b"]]) == [] and language.longest([]) == 1


def some_pairs(lines):
    return Text("some pairs", "sample", "\n".join(f"{a}\t{b}" for a, b in lines))


MANY_PAIRS = st.lists(st.tuples(sentence.map(" ".join), sentence.map(" ".join)), min_size=8, max_size=40)


@settings(deadline=None)
@given(MANY_PAIRS, st.integers(0, 1000))
def test_no_held_out_sentence_in_training(lines, seed):
    if len({a for a, _ in lines}) < 6:
        return
    try:
        pairs = load_data_nmt(some_pairs(lines), 10, num_valid=2, num_test=3, seed=seed)
    except ValueError as error:
        assert "no pair is left" in str(error)
        return
    src, src_len, tokens, tgt = pairs.train
    read, written = ([" ".join(language.words(row)) for row in rows]
                     for language, rows in ((pairs.source, src), (pairs.target, tgt)))
    assert list(zip(read, written)) == [(" ".join(s), " ".join(t)) for s, t in pairs.train_words]
    held = [" ".join(s) for sources, _ in (pairs.valid, pairs.test) for s in sources]
    translations = {" ".join(r) for _, references in (pairs.valid, pairs.test) for rs in references for r in rs}
    assert len(held) == len(set(held)) == 5 and [len(part[0]) for part in (pairs.valid, pairs.test)] == [2, 3]
    assert not set(held) & set(read) and not translations & set(written)
    assert set(zip(read, written)) <= set(lines) and len(set(zip(read, written))) == len(read)
    pad, bos = pairs.target.vocab[PAD], pairs.target.vocab[BOS]
    assert torch.equal(tokens != pad, tgt != pad) and (tokens[:, 0] == bos).all()
    assert torch.equal(tokens[:, 1:][tokens[:, 1:] != pad], tgt[:, :-1][tokens[:, 1:] != pad])
    assert torch.equal(src_len, (src != pairs.source.vocab[PAD]).sum(1))
    assert src.shape == tgt.shape == (len(read), pairs.num_steps)


@settings(deadline=None)
@given(MANY_PAIRS, st.integers(1, 8), st.integers(0, 2), st.integers(1, 4), st.integers(0, 1000))
def test_the_split_is_the_rule_said_slowly(lines, max_words, num_valid, num_test, seed):
    short = dict.fromkeys((a, b) for a, b in lines if max(len(a.split()), len(b.split())) <= max_words)
    sources = {a for a, _ in short}
    options = {"max_words": max_words, "num_valid": num_valid, "num_test": num_test, "seed": seed}
    try:
        pairs = load_data_nmt(some_pairs(lines), **options)
    except ValueError as error:
        assert len(sources) <= num_valid + num_test or "no pair is left" in str(error)
        return
    held = {" ".join(s): [" ".join(r) for r in rs] for part in (pairs.valid, pairs.test) for s, rs in zip(*part)}
    assert set(held) <= sources and all(rs == [b for a, b in short if a == s] for s, rs in held.items())
    unseen = {r for rs in held.values() for r in rs}
    kept = {(a, b) for a, b in short if a not in held and b not in unseen}
    assert {(" ".join(s), " ".join(t)) for s, t in pairs.train_words} == kept
    for number, language in enumerate((pairs.source, pairs.target)):
        assert language.vocab.idx_to_token == Language([p[number] for p in pairs.train_words], 2000).vocab.idx_to_token


def test_a_split_draws_at_random_from_the_whole_file():
    lines = [(f"w{i}", f"v{i}") for i in range(1000)]
    nine, ten = ("a b c d e f g h i", "short"), ("a b c d e f g h i j", "long")
    pairs = load_data_nmt(some_pairs([nine, ten, *lines]), 9, num_valid=100, num_test=200)
    assert pairs.name == "some pairs" and pairs.real is False
    assert len(pairs.valid[0]) == 100 and len(pairs.test[0]) == 200 and len(pairs.train_words) == 1001 - 300
    few = load_data_nmt(some_pairs(lines), num_examples=50, num_valid=10, num_test=20)
    numbers = [int(s[0][1:]) for s, _ in few.train_words]
    assert len(numbers) == 50 and min(numbers) < 200 and max(numbers) > 800 and numbers != sorted(numbers)
    more = load_data_nmt(some_pairs(lines), num_examples=100, num_valid=10, num_test=20)
    assert more.train_words[:50] == few.train_words and more.test == few.test, "more pairs, the same test"
    other = load_data_nmt(some_pairs(lines), num_examples=50, num_valid=10, num_test=20, seed=1)
    assert other.test != few.test and other.train_words != few.train_words


def test_text_is_preprocessed_and_nothing_is_unknown():
    pairs = load_data_nmt(data.fra_eng(), num_examples=3000, num_valid=100, num_test=200, subwords=500)
    assert len(pairs.test[0]) == 200 and len(pairs.train[0]) == len(pairs.train_words) == 3000
    assert len(pairs.source.subwords.pieces) <= 500
    assert all(w == w.lower() for s, _ in pairs.train_words for w in s)
    assert all((part != pairs.source.vocab["<unk>"]).all() for part in (pairs.train[0], pairs.train[3]))


@pytest.mark.parametrize("num_valid, num_test", [(0, 0), (0, 2), (1, 1), (-1, 2), (2, -1)])
def test_as_many_held_out_sentences_as_there_are_or_none_are_refused(num_valid, num_test):
    with pytest.raises(ValueError, match="between 1 and 1, the number of distinct source sentences less "
                                         f"one; got {num_valid} and {num_test}"):
        load_data_nmt(some_pairs([("a", "b"), ("c", "d"), ("c", "e")]), num_valid=num_valid, num_test=num_test)


def test_pairs_have_at_most_ten_words_on_each_side_unless_told():
    lengths = [(9, 9), (10, 10), (11, 10), (10, 11), (11, 11)]
    text = some_pairs([(" ".join(f"e{i}x{k}" for k in range(n)), " ".join(f"f{i}x{k}" for k in range(m)))
                       for i, (n, m) in enumerate(lengths)])  # no two share a word
    pairs = load_data_nmt(text, num_valid=0, num_test=1)
    assert len(pairs.train_words) + len(pairs.test[0]) == 2


def test_a_split_that_leaves_nothing_for_training_is_refused():
    with pytest.raises(ValueError, match="no pair is left for training after 1 sentences and all pairs that "
                                         "share a translation with them are held out; use more pairs, or hold out "
                                         "fewer$"):
        load_data_nmt(some_pairs([("a", "b"), ("c", "b")]), num_valid=0, num_test=1)


@settings(deadline=None, max_examples=50)
@given(MANY_PAIRS, st.lists(sentence, min_size=1, max_size=4))
def test_the_memory_finds_the_sentence_that_shares_most_rare_words_and_pairs(lines, asked):
    try:
        pairs = load_data_nmt(some_pairs(lines), num_valid=0, num_test=1)
    except ValueError:
        return  # nothing left for training
    known = [(s, {*s, *zip(s, s[1:])}) for s, _ in pairs.train_words]

    def rarity(w):
        return math.log(len(known) / sum(w in inside for _, inside in known)) ** 2

    for words, found in zip(asked, translation_memory(asked, pairs)):
        scores = [sum(rarity(w) for w in inside & {*words, *zip(words, words[1:])})
                  / max(1e-9, math.sqrt(sum(map(rarity, inside)))) for _, inside in known]
        best = [t for (_, t), score in zip(pairs.train_words, scores) if score > max(scores) - 1e-5]
        assert found in best


def test_the_memory_prefers_a_rare_word_and_a_pair():
    known = SimpleNamespace(train_words=[(s.split(), t.split()) for s, t in (
        ("tom slept", "tom dormait"), ("she sang", "elle chantait"), ("tom ate", "tom mangeait"),
        ("he ate tom", "il a mangé tom"), ("tom ran", "tom courait"))])
    asked = [s.split() for s in ("tom sang", "he slept", "tom ate", "ate tom", "nobody")]
    assert [" ".join(words) for words in translation_memory(asked, known)] == [
        "elle chantait", "tom dormait", "tom mangeait", "il a mangé tom", "tom dormait"]


def test_bleu_of_the_worked_example():
    """Label A B C D E F, prediction A B B C D: precisions 4/5, 3/4, 1/3, 0."""
    label, pred = "A B C D E F", "A B B C D"
    penalty = math.exp(1 - 6 / 5)
    assert math.isclose(bleu(pred, label, 1), penalty * .8**.5)
    assert math.isclose(bleu(pred, label, 2), penalty * .8**.5 * .75**.25)
    assert math.isclose(bleu(pred, label, 3), penalty * .8**.5 * .75**.25 * (1 / 3)**.125)
    assert bleu(pred, label, 4) == 0
    assert bleu(label, label, 4) == 1 and bleu("", label, 1) == 0
    assert bleu("A B", "A B", 3) == 1, "judged by the n-grams that it has"
    assert math.isclose(bleu("A", "A B", 2), math.exp(-1)) and bleu("", "A", 2) == 0
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


def test_counts_of_sentences_add_up_and_refuse_nothing():
    predictions, references = [list("ab"), [], list("abcd")], [[list("ac")], [["a"]], [list("abcd"), list("xy")]]
    counts = bleu_counts(predictions, references, 2)
    assert counts.tolist() == [[2, 2, 1, 2, 0, 1], [0, 1, 0, 0, 0, 0], [4, 4, 4, 4, 3, 3]]
    assert math.isclose(float(bleu_of_counts(counts.sum(0))), corpus_bleu(predictions, references, 2))
    assert bleu_of_counts(counts)[1] == 0 and bleu_counts([], []).shape == (0, 10)


def test_an_interval_holds_the_score_and_narrows_with_the_number_of_sentences():
    g = torch.Generator().manual_seed(0)
    words = [[list("abcdefgh"[int(i)] for i in torch.randint(8, (7,), generator=g)) for _ in range(800)] for _ in "xy"]
    mixed = [[a if float(torch.rand((), generator=g)) < .8 else b for a, b in zip(*pair)] for pair in zip(*words)]
    references = [[w] for w in words[0]]
    widths = []
    for n in (100, 800):
        counts = bleu_counts(mixed[:n], references[:n])
        low, high = bleu_interval(counts)
        assert low < corpus_bleu(mixed[:n], references[:n]) < high
        widths.append(high - low)
    assert 2 < widths[0] / widths[1] < 4, "as the root of the number"
    assert bleu_interval(counts, draws=50) == bleu_interval(counts, draws=50) != bleu_interval(counts, draws=50, seed=1)
    assert bleu_interval(counts, counts) == (1, 1), "the ratio to itself"
    low, high = bleu_interval(counts, bleu_counts([w[:4] for w in mixed], references))
    assert 1 < low < high


def test_an_interval_covers_as_often_as_it_says():
    """BLEU-1 of one-word predictions is the share that is right: 300 sets of 60, right with probability .5."""
    g, covered = torch.Generator().manual_seed(0), 0
    for _ in range(300):
        right = torch.rand(60, generator=g) < .5
        counts = torch.stack([torch.ones(60), torch.ones(60), right.float(), torch.ones(60)], 1).double()
        low, high = bleu_interval(counts, draws=300)
        covered += low <= .5 <= high
    assert .9 < covered / 300 < .98
