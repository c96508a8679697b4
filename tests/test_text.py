"""shared.text: round trips, and what sequence batches promise, for any text and any lengths."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.data import Text
from shared.text import (
    SeqDataLoader,
    Vocab,
    letters_only,
    seq_data_iter_random,
    seq_data_iter_sequential,
    split_corpus,
    tokenize,
    windows,
)

words = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=4), max_size=40)


def test_letters_only_are_lower_case_with_single_blanks():
    assert letters_only("[AZ] az\t\n") == "az az"
    assert letters_only("The Time--Machine, by H. G. Wells [1898]\n") == "the time machine by h g wells"


def test_tokenize_strings_and_lines():
    assert tokenize("a time  machine") == ["a", "time", "machine"]
    assert tokenize("a b", "char") == ["a", " ", "b"]
    assert tokenize(["a b", "c"]) == [["a", "b"], ["c"]]
    assert tokenize(["ab", "c"], "char") == [["a", "b"], ["c"]]
    with pytest.raises(ValueError, match="'word' or 'char', got 'sentence'"):
        tokenize("a b", "sentence")


@given(words)
def test_numbers_go_back_to_their_tokens(tokens):
    vocab = Vocab(tokens)
    assert vocab.to_tokens(vocab[tokens]) == tokens
    assert vocab.encode(tokens).tolist() == vocab[tokens] and vocab.encode(tokens).dtype == torch.int64
    assert len(vocab) == len(set(tokens) | {"<unk>"})
    assert sorted(vocab.token_to_idx.values()) == list(range(len(vocab)))


@given(words, st.integers(0, 5))
def test_tokens_are_numbered_by_falling_frequency_and_rare_ones_left_out(tokens, min_freq):
    vocab, counts = Vocab(tokens, min_freq, ["<pad>"]), Counter(tokens)
    assert dict(vocab.token_freqs) == counts
    assert vocab.idx_to_token[:2] == ["<unk>", "<pad>"]
    kept = [t for t in counts if counts[t] >= min_freq and t not in ("<unk>", "<pad>")]
    assert set(vocab.idx_to_token[2:]) == set(kept)
    frequencies = [counts[t] for t in vocab.idx_to_token[2:]]
    assert frequencies == sorted(frequencies, reverse=True)
    assert all(vocab[t] == 0 for t in counts if counts[t] < min_freq and t != "<pad>")


@given(st.text(max_size=60), st.text(max_size=60))
def test_encoding_a_string_is_the_slow_look_up(known, text):
    for vocab in (Vocab(known), Vocab([known, *known], reserved_tokens=["<pad>", "\0"])):
        for asked in (text, known):
            assert vocab.encode(asked).tolist() == [vocab.token_to_idx.get(c, 0) for c in asked]


def test_half_a_character_can_be_encoded():
    assert Vocab("a\ud800").encode("\ud800\ud801a").tolist() == [2, 0, 1]


def test_the_order_of_a_vocabulary_does_not_depend_on_the_order_of_the_text():
    assert Vocab("abcabd").idx_to_token == Vocab("dbacba").idx_to_token == ["<unk>", "a", "b", "c", "d"]


def test_a_vocabulary_of_nothing_of_lines_and_of_pairs():
    assert Vocab().idx_to_token == Vocab([]).idx_to_token == ["<unk>"]
    assert Vocab([["b", "a"], ["b"]]).token_freqs == [("b", 2), ("a", 1)]
    pairs = Vocab([("a", "b"), ("b", "c"), ("a", "b")])
    assert pairs[("a", "b")] == 1 and pairs[[("b", "c"), ("x", "y")]] == [2, 0]


def test_unknown_tokens_get_the_number_0():
    vocab = Vocab(["b", "b", "a"], 2, ["<pad>", "<bos>"])
    assert vocab.idx_to_token == ["<unk>", "<pad>", "<bos>", "b"] and vocab.unk == 0
    assert vocab[["b", "a", "<bos>", ["c", "<pad>"]]] == [3, 0, 2, [0, 1]]
    assert vocab.encode(["b", "a"]).tolist() == [3, 0]


def test_numbers_come_as_one_as_a_list_or_as_an_array():
    vocab = Vocab("abc")
    assert vocab.to_tokens(0) == "<unk>" and vocab.to_tokens(3) == "c"
    assert vocab.to_tokens([1, [2]]) == ["a", ["b"]] and vocab.to_tokens((1, 2)) == ["a", "b"]
    assert vocab.to_tokens(torch.tensor([1, 2])) == vocab.to_tokens(np.array([1, 2])) == ["a", "b"]


@pytest.mark.parametrize("index", [4, -1])
def test_numbers_outside_the_vocabulary_are_refused(index):
    with pytest.raises(IndexError, match=f"the vocabulary has the numbers 0 to 3, got {index}$"):
        Vocab("abc").to_tokens([1, index])


@pytest.mark.parametrize("numbers", [torch.tensor([1, 2]), np.array([1, 2])])
def test_asking_for_the_number_of_a_number_is_refused(numbers):
    with pytest.raises(TypeError, match=r"for tokens, got an array of numbers; to_tokens\(indices\) goes"):
        Vocab("abc")[numbers]


@pytest.mark.parametrize("reserved", [["<unk>"], ["<pad>", "<pad>"]])
def test_reserved_tokens_that_are_the_same_are_refused(reserved):
    with pytest.raises(ValueError, match="must differ from each other and from '<unk>', got \\['<"):
        Vocab("abc", reserved_tokens=reserved)


shapes = st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(0, 60), st.integers(0, 2**31))
ITERATORS = [seq_data_iter_random, seq_data_iter_sequential]


@pytest.mark.parametrize("iterate", ITERATORS)
@given(shapes)
def test_sequences_keep_their_promises(iterate, shape):
    batch_size, num_steps, extra, seed = shape
    corpus = torch.arange(batch_size * num_steps + 1 + extra)
    batches = list(iterate(corpus, batch_size, num_steps, torch.Generator().manual_seed(seed)))
    assert batches, "a corpus that is long enough gives at least one batch"
    used = torch.cat([X.flatten() for X, _ in batches])
    assert len(used.unique()) == len(used), "no token twice"
    for X, y in batches:
        assert X.shape == y.shape == (batch_size, num_steps)
        assert torch.equal(y, X + 1), "targets are inputs moved on by one"
        assert torch.equal(X[:, 1:], X[:, :-1] + 1), "each row is a piece of the text"
    assert len(corpus) - len(used) < batch_size * num_steps + num_steps, "little is left out"


@given(shapes)
def test_every_epoch_has_as_many_batches_as_the_loader_says(shape):
    """So many that they fit behind the last start: worked out from the corpus alone."""
    batch_size, num_steps, extra, seed = shape
    length = batch_size * num_steps + 1 + extra
    expected = (length - 1 - min(num_steps - 1, extra)) // (batch_size * num_steps)
    for random in (True, False):
        loader = SeqDataLoader(range(length), batch_size, num_steps, random=random, seed=seed, device="cpu")
        assert [len(list(loader)) for _ in range(8)] == [len(loader)] * 8 == [expected] * 8


@given(shapes)
def test_random_pieces_lie_one_behind_another_from_the_start(shape):
    batch_size, num_steps, extra, seed = shape
    length = batch_size * num_steps + 1 + extra
    starts = torch.cat([X[:, 0] for X, _ in seq_data_iter_random(
        range(length), batch_size, num_steps, torch.Generator().manual_seed(seed))])
    assert len((starts % num_steps).unique()) == 1
    assert starts.max() + num_steps < length


def test_random_pieces_come_in_random_order_and_every_piece_has_its_turn():
    loader = SeqDataLoader(range(215), 4, 5, random=True, device="cpu")
    first_of_rows, left_out = set(), set()
    for _ in range(60):
        starts = torch.cat([X[:, 0] for X, _ in loader]) // 5
        first_of_rows.add(int(starts[0]))
        left_out |= set(range(42)) - set(starts.tolist())
    assert len(first_of_rows) > 20, "any piece may come first"
    assert len(left_out) > 20, "and none is always left out"


@given(shapes)
def test_sequential_batches_continue_and_rows_are_equally_far_apart(shape):
    batch_size, num_steps, extra, seed = shape
    length, generator = batch_size * num_steps + 1 + extra, torch.Generator().manual_seed(seed)
    batches = list(seq_data_iter_sequential(range(length), batch_size, num_steps, generator))
    first = batches[0][0][:, 0]
    assert torch.equal(first, first[0] + torch.arange(batch_size) * ((length - 1 - first[0]) // batch_size))
    for (X, _), (following, _) in zip(batches, batches[1:]):
        assert torch.equal(following[:, 0], X[:, -1] + 1)


@pytest.mark.parametrize("iterate", ITERATORS)
def test_a_corpus_that_is_too_short_or_not_a_vector_is_refused(iterate):
    with pytest.raises(ValueError, match="10 tokens do not fill one batch of 2 x 5: at least 11 are needed"):
        next(iterate(list(range(10)), 2, 5))
    assert len(list(iterate(list(range(11)), 2, 5))) == 1
    with pytest.raises(ValueError, match=r"must be a vector of token numbers, got shape \(2, 2\)"):
        next(iterate([[1, 2], [3, 4]], 1, 1))
    for sizes, name in (((2, 0), "num_steps"), ((0, 2), "batch_size")):
        with pytest.raises(ValueError, match=f"{name} must be a whole number from 1 up, got 0"):
            next(iterate(list(range(10)), *sizes))
    assert len(list(iterate(list(range(11)), np.int64(2), np.int64(5)))) == 1


@given(st.integers(1, 9), st.integers(1, 30))
def test_windows_are_all_windows_and_views(num_steps, extra):
    corpus = torch.arange(num_steps + extra)
    X, y = windows(corpus, num_steps)
    assert X.shape == y.shape == (extra, num_steps)
    assert torch.equal(y, X + 1) and torch.equal(X[:, 0], torch.arange(extra))
    assert X.data_ptr() == corpus.data_ptr()


def test_windows_of_a_text_that_has_none_are_refused():
    with pytest.raises(ValueError, match="5 tokens do not fill one batch of 1 x 5: at least 6"):
        windows(range(5), 5)


@pytest.mark.parametrize("random", [True, False])
def test_a_loader_starts_elsewhere_each_epoch_and_repeats_with_its_seed(random):
    def loader(seed):
        return SeqDataLoader(range(200), 4, 5, random=random, seed=seed, device="cpu")

    def epochs(loader, n=3):
        return [torch.cat([X for X, _ in loader]).tolist() for _ in range(n)]
    assert epochs(loader(1)) == epochs(loader(1)) != epochs(loader(2))
    assert epochs(loader(0)) == epochs(SeqDataLoader(range(200), 4, 5, random=random, device="cpu"))
    one = loader(0)
    starts = {int(min(X.min() for X, _ in one)) % 5 for _ in range(40)}
    assert starts == set(range(5)), "any of the first tokens may be the first"


@pytest.mark.parametrize("random", [True, False])
def test_the_state_of_a_loader_resumes_its_epochs(random):
    one, other = (SeqDataLoader(range(200), 4, 5, random=random, seed=seed, device="cpu") for seed in (0, 1))
    list(one)
    other.load_state_dict(one.state_dict())
    for (X, y), (same, target) in zip(list(one) + list(one), list(other) + list(other), strict=True):
        assert torch.equal(X, same) and torch.equal(y, target)


def test_a_loader_goes_on_from_row_to_row_unless_it_is_random_and_knows_its_text():
    text = Text("a tale", "sample", "")
    loader = SeqDataLoader(range(200), 2, 5, random=False, device="cpu", text=text)
    (X, _), (following, _) = list(loader)[:2]
    assert torch.equal(following[:, 0], X[:, -1] + 1)
    assert loader.name == "a tale" and loader.real is False
    other = SeqDataLoader(range(200), 2, 5, random=True, device="cpu")
    (X, _), (following, _) = list(other)[:2]
    assert not torch.equal(following[:, 0], X[:, -1] + 1)
    assert other.name == "" and other.real is True
    assert loader.corpus.device.type == "cpu" and other.random and not loader.random
    with pytest.raises(ValueError, match="at least 11"):
        SeqDataLoader(range(10), 2, 5, random=True, device="cpu")


@given(st.integers(10, 2000))
def test_the_three_parts_are_the_text_in_its_order(length):
    corpus = torch.arange(length)
    parts = split_corpus(corpus)
    assert torch.equal(torch.cat(parts), corpus)
    assert [len(part) for part in parts[:2]] == [int(.8 * length), int(.9 * length) - int(.8 * length)]
    assert parts[0].data_ptr() == corpus.data_ptr()  # nothing copied
    assert [list(part) for part in parts] == list(map(list, split_corpus(range(length))))


def test_the_shares_can_be_chosen_but_no_part_is_empty():
    assert [len(part) for part in split_corpus("a" * 100, (.5, .3))] == [50, 30, 20]
    for corpus, shares in (("abc", (.8, .1)), ("a" * 100, (.9, .1)), ("a" * 100, (0, .5)), ([], (.8, .1))):
        with pytest.raises(ValueError, match="a part would be empty"):
            split_corpus(corpus, shares)
