"""Each erratum of chapter 31: the mistake does what the errata page says, and so does the mend."""

import pytest
import torch

from shared.seq2seq import AttentionDecoder, Seq2SeqDecoder


def test_erratum_31_01():
    x, y = torch.linspace(0, 1, 20), torch.rand(20, generator=torch.Generator().manual_seed(0))
    K = torch.exp(-(x[:, None] - x) ** 2 / 2)
    twice = torch.cat([K, K], 1)
    assert torch.allclose(twice @ torch.cat([y, y]), 2 * K @ y)
    mean = (K / K.sum(1, keepdim=True)) @ y
    assert torch.allclose((twice / twice.sum(1, keepdim=True)) @ torch.cat([y, y]), mean)
    assert mean.min() >= y.min() and mean.max() <= y.max()


def test_erratum_31_02():
    torch.manual_seed(0)
    decoder, encoded = AttentionDecoder(9, 4, 8), (torch.randn(1, 6, 8), torch.randn(1, 1, 8))
    decoder(torch.tensor([[2]]), decoder.init_state(encoded, None))
    assert decoder.weights[0, 0, 3:].sum() > .1
    decoder(torch.tensor([[2]]), decoder.init_state(encoded, torch.tensor([3])))
    assert decoder.weights[0, 0, 3:].sum() == 0


def test_erratum_31_03():
    with pytest.raises(AttributeError, match="weights"):
        Seq2SeqDecoder(9, 4, 8).weights


def test_erratum_31_04():
    """Three words from a vocabulary of three, a beam of three: the best sentence is lost."""
    first = torch.tensor([.5, .3, .2])
    second = torch.tensor([[.34, .335, .325], [.34, .33, .33], [1., 0, 0]])
    pairs = (first[:, None] * second).flatten()            # (9,) probabilities of two words
    kept = pairs.topk(3).indices                           # what the beam keeps
    third = torch.full((9, 3), 1 / 3)
    third[2] = torch.tensor([1., 0, 0])                    # after pair 2 the third word is certain
    sentences = pairs[:, None] * third                     # (9, 3)
    assert int(sentences.argmax()) // 3 == 2               # exhaustive search finds it
    assert 2 not in kept.tolist()
    assert sentences[kept].max() < sentences.max()         # the beam does not
