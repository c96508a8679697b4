"""Kneser-Ney: probabilities that add up to one, the formula by brute force, and a baseline worth its name."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ngrams import KneserNey, _discounts
from shared.sample_texts import story
from shared.text import Vocab, letters_only, split_corpus

V = 4
corpora = st.lists(st.integers(0, V - 1), min_size=1, max_size=60)


@pytest.fixture(scope="module")
def letters():
    text = letters_only(story())[:6000]
    return Vocab(text).encode(text), len(Vocab(text))


def brute_force(corpus, order, vocab_size):
    """p(token, context), straight from the definition, with dictionaries and one n-gram at a time."""
    corpus = list(corpus)
    counts = {n: Counter(tuple(corpus[i:i + n]) for i in range(len(corpus) - n + 1)) for n in range(1, order + 1)}
    for n in range(1, order):
        before = defaultdict(set)
        for gram in {tuple(corpus[i:i + n + 1]) for i in range(len(corpus) - n)}:
            before[gram[1:]].add(gram[0])
        counts[n] = Counter({gram: len(found) for gram, found in before.items()})
    discounts = {n: _discounts(np.array(list(c.values()), dtype=int)) for n, c in counts.items()}

    def p(token, context):
        if len(context) == order:
            context = context[1:]
        lower = p(token, context[1:]) if context else 1 / vocab_size
        c, d = counts[len(context) + 1], discounts[len(context) + 1]
        here = {gram: k for gram, k in c.items() if gram[:-1] == tuple(context)}
        if not here:
            return lower
        k, total = here.get((*context, token), 0), sum(here.values())
        saved = sum(d[min(k, 3)] for k in here.values())
        return (k - d[min(k, 3)] + saved * lower) / total
    return p


@settings(max_examples=60, deadline=None)
@given(corpora, st.integers(1, 4), st.lists(st.integers(0, V - 1), min_size=1, max_size=12))
def test_it_is_the_formula(corpus, order, text):
    p = brute_force(corpus, order, V)
    wanted = [-math.log(p(token, text[max(0, i - order + 1):i])) for i, token in enumerate(text)]
    np.testing.assert_allclose(KneserNey(corpus, order, V).surprises(text), wanted, rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(corpora, st.integers(1, 5), st.lists(st.integers(0, V - 1), max_size=8))
def test_probabilities_add_up_to_one_after_every_context(corpus, order, context):
    p = KneserNey(corpus, order, V).distribution(context)
    assert p.shape == (V,) and (p > 0).all()
    assert math.isclose(p.sum(), 1, rel_tol=1e-12)


def test_probabilities_of_real_letters_add_up_too(letters):
    corpus, vocab_size = letters
    model = KneserNey(corpus[:5000], 5, vocab_size)
    for start in (5000, 5123, 5500):  # contexts seen and unseen
        for length in range(7):
            assert model.distribution(corpus[start:start + length]).sum() == pytest.approx(1, abs=1e-12)


def test_the_surprise_of_a_text_is_that_of_its_tokens_one_by_one(letters):
    corpus, vocab_size = letters
    model = KneserNey(corpus[:5000], 4, vocab_size)
    text = corpus[5000:5020]
    one_by_one = [-model.distribution(text[:i])[token].log() for i, token in enumerate(text)]
    assert torch.allclose(model.surprises(text), torch.stack(one_by_one))


def test_a_worked_example():
    """a b a b a a: after a, b came twice and a once; each token stood after two, or one, different ones."""
    model = KneserNey([0, 1, 0, 1, 0, 0], 2, 2)
    # bigrams ab 2, ba 2, aa 1 and one discount, 1/5, since none occurred three times; unigrams a 2, b 1: 1/3
    d2, d1 = 1 / (1 + 2 * 2), 1 / (1 + 2 * 1)
    p_b = (1 - d1) / 3 + 2 * d1 / 3 / 2
    assert model.distribution([])[1].item() == pytest.approx(p_b)
    assert model.distribution([0])[1].item() == pytest.approx((2 - d2) / 3 + 2 * d2 / 3 * p_b)


def test_lower_orders_count_different_neighbours():
    """Of two equally frequent tokens, the one that stood after many different tokens is likelier after a new
    context: the reason for Kneser-Ney."""
    corpus = [0, 1] * 12 + [2, 3, 4, 3, 5, 3, 6, 3, 7, 3, 8, 3] * 2  # 1 only after 0, 3 after six tokens
    assert corpus.count(1) == corpus.count(3)
    p = KneserNey(corpus, 2, 10).distribution([9])
    assert p[3] > 3 * p[1]


def test_only_the_end_of_a_context_counts(letters):
    corpus, vocab_size = letters
    model = KneserNey(corpus, 3, vocab_size)
    assert torch.equal(model.distribution(corpus[:50]), model.distribution(corpus[48:50]))
    assert model.distribution(corpus[:1]).shape == (vocab_size,)


def test_it_beats_adding_to_every_count(letters):
    corpus, vocab_size = letters
    train, choose, last = split_corpus(corpus)

    def add(n, k):
        grams = Counter(zip(*(train.tolist()[i:] for i in range(n))))
        contexts = Counter(zip(*(train.tolist()[i:] for i in range(n - 1))))
        held = list(zip(*(last.tolist()[i:] for i in range(n))))
        return math.exp(-sum(math.log((grams[g] + k) / (contexts[g[:-1]] + k * vocab_size)) for g in held) / len(held))
    ours = KneserNey(train, 5, vocab_size).surprises(last).mean().exp()
    assert ours < min(add(n, k) for n in (2, 3, 4, 5) for k in (.01, .05, .5))


def test_discounts_are_chen_and_goodmans():
    counts = np.repeat([1, 2, 3, 4, 9], [100, 40, 20, 12, 7])
    y = 100 / 180
    assert _discounts(counts) == pytest.approx([0, 1 - 2 * y * .4, 2 - 3 * y * .5, 3 - 4 * y * .6])
    assert list(_discounts(np.array([1, 1, 2]))) == [0, .5, .5, .5]  # 2 / (2 + 2)
    assert list(_discounts(np.array([5, 7]))) == [0, .5, .5, .5]     # nothing to estimate from


@pytest.mark.parametrize("corpus", [[0, 4], [-1, 0], [[0, 1]], [.5, 1.0]])
def test_a_corpus_must_be_a_vector_of_numbers_of_the_vocabulary(corpus):
    with pytest.raises(ValueError, match="from 0 to 3"):
        KneserNey(corpus, 2, V)
    with pytest.raises(ValueError, match="from 0 to 3"):
        KneserNey([0, 1], 2, V).surprises(corpus)


def test_orders_that_cannot_be_counted():
    with pytest.raises(ValueError, match="groups of 13 at most, got order 14"):
        KneserNey([0, 1], 14, 28)
    KneserNey([0, 1], 13, 28)
    for order in (0, 1.5, True):
        with pytest.raises(ValueError, match="order"):
            KneserNey([0, 1], order, 28)


def test_an_empty_text_has_no_surprises():
    assert KneserNey([0, 1, 0], 3, V).surprises([]).shape == (0,)
