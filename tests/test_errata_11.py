"""Each erratum of chapter 11: the mistake does what the errata page says, and so does the mend."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F


def layer(draw, X, p):
    """The dropout layer of the source, with its random numbers exchangeable."""
    return (draw(X.shape) > p).float() * X / (1 - p)


def test_erratum_11_01():
    """Normal numbers in the mask: too few survive, and the mean is not kept."""
    torch.manual_seed(0)
    X = torch.ones(200_000)
    for p, survive in ((.2, .421), (.5, .309)):
        wrong, right = layer(torch.randn, X, p), layer(torch.rand, X, p)
        assert abs((wrong > 0).float().mean() - survive) < .005
        assert abs(wrong.mean() - survive / (1 - p)) < .01 and wrong.mean() < .65
        assert abs((right > 0).float().mean() - (1 - p)) < .005 and abs(right.mean() - 1) < .01


def first_gradients(std):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))
    for module in net:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std)
    X, y = torch.randn(64, 20), torch.randint(0, 3, (64,))
    F.cross_entropy(net(X), y).backward()
    return net(X), [module.weight.grad for module in net if isinstance(module, nn.Linear)]


def test_erratum_11_02():
    """A deviation of 0: every input gets the same scores, and the hidden layers no gradient."""
    scores, grads = first_gradients(0)
    assert torch.equal(scores, scores[:1].expand_as(scores))
    assert not grads[0].any() and not grads[1].any() and grads[2].any()
    scores, grads = first_gradients(.01)
    assert not torch.equal(scores, scores[:1].expand_as(scores)) and all(grad.any() for grad in grads)


def test_erratum_11_03():
    """A dropped unit's weights move all the same: other examples of the batch have other masks."""
    torch.manual_seed(0)
    for batch_size, moving in ((1, False), (256, True)):
        first, last = nn.Linear(20, 64), nn.Linear(64, 3)
        H = F.dropout(torch.tanh(first(torch.randn(batch_size, 20))), .5)
        last(H).square().sum().backward()
        assert ((H == 0).float().mean() - .5).abs() < .2
        assert first.weight.grad.any(dim=1).all() == moving
        assert last.weight.grad.any(dim=0).all() == moving


def test_erratum_11_04():
    """Batch normalisation is for dense layers, too, and dropout for convolutions."""
    torch.manual_seed(0)
    normal = nn.BatchNorm1d(8)(3 + 2 * torch.randn(64, 8))
    assert normal.mean(0).abs().max() < 1e-5 and (normal.std(0) - 1).abs().max() < .02
    maps = nn.Dropout2d(.5)(torch.ones(32, 16, 4, 4))
    assert torch.equal(maps, maps[:, :, :1, :1].expand_as(maps)) and set(maps.unique().tolist()) == {0, 2}


def test_erratum_11_05():
    """Dropout can be used without updating anything; it is left out for the sake of one answer near the mean."""
    torch.manual_seed(0)
    net, X = nn.Sequential(nn.Dropout(.5), nn.Linear(50, 1)), torch.rand(1, 50)
    with torch.no_grad():
        noisy = torch.cat([net(X) for _ in range(4000)])
        quiet = net.eval()(X)
    assert noisy.std() > .05  # no gradient, no update, and a matter of chance
    assert (noisy.mean() - quiet).abs() < 4 * noisy.std() / 4000**.5  # the one pass without is their mean


@pytest.mark.parametrize("module, listens", (
    (nn.Linear(8, 8), False), (nn.LayerNorm(8), False), (nn.Dropout(), True), (nn.BatchNorm1d(8), True),
    (nn.RReLU(), True), (nn.GRU(8, 8, 2, dropout=.5), True), (nn.GRU(8, 8, 2), False)))
def test_erratum_11_06(module, listens):
    """Not only dropout and batch normalisation differ between the modes."""
    torch.manual_seed(0)
    X = torch.randn(16, 8)
    outputs = [module.train(mode)(X) for mode in (True, False)]
    training, evaluation = (output[0] if isinstance(output, tuple) else output for output in outputs)
    assert torch.equal(training, evaluation) != listens


def test_erratum_11_07():
    """A mask drawn by shape alone has the default type and device; drawn like X it has those of X."""
    X = torch.ones(64, dtype=torch.bfloat16)
    assert layer(torch.randn, X, .5).dtype == layer(torch.rand, X, .5).dtype == torch.float32
    kept = (torch.rand_like(X) >= .5) * X / .5
    assert kept.dtype == X.dtype == F.dropout(X).dtype
    elsewhere = torch.ones(64, device="meta")
    assert torch.rand(elsewhere.shape).device != elsewhere.device == torch.rand_like(elsewhere).device
