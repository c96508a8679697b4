"""Each erratum of chapter 12: the mistake does what the errata page says, and so does the mend."""

import math

import torch
from torch import nn
from torch.nn import functional as F


def test_erratum_12_01():
    inputs, outputs = 784, 32
    assert (inputs + outputs) / 2 != 1  # the condition as written: only a layer of one unit fulfils it
    assert (1 + 1) / 2 == 1
    W = torch.empty(outputs, inputs)
    for rule in nn.init.xavier_uniform_, nn.init.xavier_normal_:
        variance = rule(W, generator=torch.Generator().manual_seed(0)).var().item()
        assert abs(variance * (inputs + outputs) / 2 - 1) < .05  # with the variance in it


def test_erratum_12_02():
    """n sigma^2 = 1 keeps the mean square of the gradients, not the gradients."""
    g = torch.Generator().manual_seed(0)
    G, W = torch.randn(1000, 256, generator=g), torch.randn(256, 256, generator=g) / 16
    back = G @ W.T
    assert not torch.allclose(back, G, atol=.5)
    assert (back - G).square().mean() > 1
    assert abs(back.square().mean() / G.square().mean() - 1) < .05
    doubled = G @ (2 * W).T
    assert doubled.square().mean() > 3 * G.square().mean()


def test_erratum_12_03():
    zero, one, infinite = torch.tensor(0.0), torch.tensor(1.0), torch.tensor(math.inf)
    assert (one / zero).isinf()                           # a division by 0, and no nan
    assert (zero / zero).isnan()
    assert (infinite - infinite).isnan() and (infinite * zero).isnan()  # nan, and nothing was divided
    assert (-one).log().isnan() and (-one).sqrt().isnan()


def deep_loss(deviation, lr, steps):
    """The losses of a ReLU network with fifty hidden layers."""
    g = torch.Generator().manual_seed(0)
    X, y = torch.randn(64, 128, generator=g), torch.randint(0, 10, (64,), generator=g)
    Ws = [torch.randn(128, 128, generator=g) * deviation for _ in range(50)]
    Ws.append(torch.randn(128, 10, generator=g) * deviation)
    losses = []
    for _ in range(steps):
        Ws = [W.detach().requires_grad_() for W in Ws]
        H = X
        for W in Ws[:-1]:
            H = torch.relu(H @ W)
        loss = F.cross_entropy(H @ Ws[-1], y)
        losses.append(loss.item())
        Ws = [W - lr * grad for W, grad in zip(Ws, torch.autograd.grad(loss, Ws))]
    return losses


def test_erratum_12_04():
    for lr in (1e-1, 1e-4, 1e-8):
        assert math.isnan(deep_loss(1.0, lr, 2)[0])       # before any step, so at any rate
    assert all(math.isfinite(loss) for loss in deep_loss(math.sqrt(2 / 128), 1e-3, 3))


def test_erratum_12_05():
    """Xavier is a variance, of normal and of uniform numbers; with ReLU it is half of what is needed."""
    W = torch.empty(256, 256)
    g = torch.Generator().manual_seed(0)
    uniform, normal = nn.init.xavier_uniform_(W.clone(), generator=g), nn.init.xavier_normal_(W.clone(), generator=g)
    assert abs(uniform.var() / normal.var() - 1) < .03
    assert uniform.abs().max() < .7 * normal.abs().max()  # two distributions
    kept = {}
    for name, rule in (("Xavier", nn.init.xavier_normal_),
                       ("He", lambda W, generator: nn.init.kaiming_normal_(
                           W, nonlinearity="relu", generator=generator))):
        H = torch.randn(200, 256, generator=g)
        for _ in range(20):
            H = torch.relu(H @ rule(W.clone(), generator=g).T)
        kept[name] = H.square().mean().item()
    assert kept["Xavier"] < 1e-4 < .1 < kept["He"] < 10
