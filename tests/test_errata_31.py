"""Each erratum of chapter 31: the mistake does what the errata page says, and so does the mend."""

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
    """Without attention the lengths are not needed, as in the notes; with attention, padding gets weight."""
    torch.manual_seed(0)
    encoded, word = (torch.randn(1, 6, 8), torch.randn(1, 1, 8)), torch.tensor([[2]])
    plain, decoder = Seq2SeqDecoder(9, 4, 8), AttentionDecoder(9, 4, 8)
    without, given = (plain(word, plain.init_state(encoded, n))[0] for n in (None, torch.tensor([3])))
    assert torch.equal(without, given)
    decoder(word, decoder.init_state(encoded, None))
    assert decoder.weights[0, 0, 3:].sum() > .1
    decoder(word, decoder.init_state(encoded, torch.tensor([3])))
    assert decoder.weights[0, 0, 3:].sum() == 0 and torch.allclose(decoder.weights.sum(2), torch.ones(1, 1))
