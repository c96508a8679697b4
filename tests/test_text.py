"""shared.text: round trips, and what sequence batches promise, for any text and any lengths."""

import time
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from shared.text import (SeqDataLoader, Vocab, letters_only, seq_data_iter_random,
                         seq_data_iter_sequential, tokenize, windows)

words = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=4), max_size=40)


def test_letters_only():
    assert letters_only("The Time--Machine, by H. G. Wells [1898]\n") == "the time machine by h g wells"


def test_tokenize_strings_and_lines():
    assert tokenize("a time  machine") == ["a", "time", "machine"]
    assert tokenize("a b", "char") == ["a", " ", "b"]
    assert tokenize(["a b", "c"]) == [["a", "b"], ["c"]]
    assert tokenize(["ab", "c"], "char") == [["a", "b"], ["c"]]
    with pytest.raises(ValueError, match="'word' or 'char', got 'sentence'"):
        tokenize("a b", "sentence")


@given(words)
def test_vocab_round_trip(tokens):
    vocab = Vocab(tokens)
    assert vocab.to_tokens(vocab[tokens]) == tokens
    assert vocab.encode(tokens).tolist() == vocab[tokens]
    assert len(vocab) == len(set(tokens) | {"<unk>"})
    assert sorted(vocab.token_to_idx.values()) == list(range(len(vocab)))


@given(words, st.integers(0, 5))
def test_vocab_frequencies(tokens, min_freq):
    vocab, counts = Vocab(tokens, min_freq, ["<pad>"]), Counter(tokens)
    assert vocab.idx_to_token[:2] == ["<unk>", "<pad>"]
    kept = [t for t in counts if counts[t] >= min_freq and t not in ("<unk>", "<pad>")]
    assert set(vocab.idx_to_token[2:]) == set(kept)
    frequencies = [counts[t] for t in vocab.idx_to_token[2:]]
    assert frequencies == sorted(frequencies, reverse=True)
    assert all(vocab[t] == 0 for t in counts if counts[t] < min_freq and t != "<pad>")


@given(st.text(max_size=60), st.text(max_size=60))
def test_encoding_a_string_is_the_slow_look_up(known, text):
    vocab = Vocab(known)
    assert vocab.encode(text).tolist() == [vocab.token_to_idx.get(c, 0) for c in text]


def test_vocab_order_does_not_depend_on_the_order_of_the_text():
    assert Vocab("abcabd").idx_to_token == Vocab("dbacba").idx_to_token == ["<unk>", "a", "b", "c", "d"]


def test_vocab_of_lines_and_of_pairs():
    assert Vocab([["a", "b"], ["a"]]).token_freqs == [("a", 2), ("b", 1)]
    pairs = Vocab([("a", "b"), ("b", "c"), ("a", "b")])
    assert pairs[("a", "b")] == 1 and pairs[[("b", "c"), ("x", "y")]] == [2, 0]


def test_vocab_errors():
    vocab = Vocab("abc")
    with pytest.raises(IndexError, match="0 to 3, got 4"):
        vocab.to_tokens([1, 4])
    with pytest.raises(IndexError):
        vocab.to_tokens(-1)
    with pytest.raises(TypeError, match="to_tokens"):
        vocab[torch.tensor([1, 2])]
    with pytest.raises(ValueError, match="must differ"):
        Vocab("abc", reserved_tokens=["<unk>"])
    assert vocab.to_tokens(torch.tensor([1, 2])) == vocab.to_tokens(np.array([1, 2])) == ["a", "b"]


def test_a_million_characters_are_quick():
    text = "the time traveller smiled " * 40_000
    vocab = Vocab(text)
    started = time.process_time()
    fast = vocab.encode(text)
    fast_seconds, started = time.process_time() - started, time.process_time()
    slow = torch.tensor([vocab[c] for c in text])
    assert torch.equal(fast, slow)
    assert fast_seconds < (time.process_time() - started) / 3


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
    assert len(corpus) - len(used) < batch_size * num_steps + num_steps + batch_size, "little is left out"


@given(shapes)
def test_sequential_batches_continue(shape):
    batch_size, num_steps, extra, seed = shape
    corpus = torch.arange(batch_size * num_steps + 1 + extra)
    batches = list(seq_data_iter_sequential(corpus, batch_size, num_steps, torch.Generator().manual_seed(seed)))
    for (X, _), (following, _) in zip(batches, batches[1:]):
        assert torch.equal(following[:, 0], X[:, -1] + 1)


@pytest.mark.parametrize("iterate", ITERATORS)
def test_too_short_or_wrong(iterate):
    with pytest.raises(ValueError, match="10 tokens do not fill one batch of 2 x 5: at least 11"):
        next(iterate(list(range(10)), 2, 5))
    assert len(list(iterate(list(range(11)), 2, 5))) == 1
    with pytest.raises(ValueError, match="num_steps must be"):
        next(iterate(list(range(10)), 2, 0))
    with pytest.raises(ValueError, match="vector"):
        next(iterate([[1, 2], [3, 4]], 1, 1))


@given(st.integers(1, 9), st.integers(1, 30))
def test_windows_are_all_windows_and_views(num_steps, extra):
    corpus = torch.arange(num_steps + extra)
    X, y = windows(corpus, num_steps)
    assert X.shape == y.shape == (extra, num_steps)
    assert torch.equal(y, X + 1) and torch.equal(X[:, 0], torch.arange(extra))
    assert X.data_ptr() == corpus.data_ptr()


def test_loader_starts_elsewhere_each_epoch_and_repeats_with_its_seed():
    make = lambda seed: SeqDataLoader(range(200), 4, 5, random=True, seed=seed, device="cpu")
    loader, again = make(1), make(1)
    epochs = [torch.cat([X for X, _ in loader]) for _ in range(3)]
    assert not torch.equal(epochs[0][:36], epochs[1][:36])
    assert torch.equal(epochs[0], torch.cat([X for X, _ in again]))
    starts = {int(next(iter(loader))[0][0, 0]) for loader in
              [SeqDataLoader(range(200), 4, 5, random=False, device="cpu")] * 40}
    assert starts == set(range(5))
