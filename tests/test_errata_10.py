"""Each erratum of chapter 10: the mistake does what the errata page says, and so does the mend."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F


def powers(x, count):
    return x[..., None] ** torch.arange(count) / torch.tensor([math.gamma(i + 1.) for i in range(count)]).double()


TRUE_W = torch.tensor([5, 1.2, -3.4, 5.6]).double()


def cubic(sets, n, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(sets, n, generator=g).double()
    return x, powers(x, 4) @ TRUE_W + .1 * torch.randn(sets, n, generator=g).double()


def fit(A, y):
    return torch.linalg.lstsq(A, y[..., None]).solution


def error(A, w, y):
    return ((A @ w)[..., 0] - y).square().mean(-1)


def test_erratum_10_01():
    features = np.power(np.random.default_rng(0).normal(size=(200, 1)), np.arange(20).reshape(1, -1))
    assert not (features[:, 0] == 0).any() and (features[:, 0] == 1).all()


def test_erratum_10_02():
    x = np.random.default_rng(0).normal(scale=3, size=100_000)
    assert abs(x.var() - 3) > 5 and abs(x.std() - 3) < .05


def test_erratum_10_03():
    rows = torch.arange(200)
    for n_train, n_test, overlap in ((100, 100, 0), (150, 50, 100)):
        train, wrong, right = rows[:n_train], rows[n_test:], rows[n_train:]
        assert torch.isin(wrong, train).sum() == overlap and not torch.isin(right, train).any()
        assert len(right) == n_test
    assert len(rows[150:]) == 50 != 150  # n_train 50, n_test 150: two thirds of the test set are lost


def test_erratum_10_04():
    true_w = np.zeros(20)
    true_w[:4] = [5, 1.2, -3.4, 5.6]
    features = powers(torch.randn(200, generator=torch.Generator().manual_seed(0)).double(), 20).numpy()
    # the sixteen further terms add nothing to a label, so they are no noise, and four suffice to make them
    assert np.array_equal(features @ true_w, features[:, :20] @ true_w)
    assert np.allclose(features @ true_w, features[:, :4] @ true_w[:4], rtol=0, atol=1e-12)
    assert features[:, 5].std() > 0  # while the features themselves are not zero


def by_steps(x, y, count, epochs, lr=.01):
    A, g = powers(x, count), torch.Generator().manual_seed(0)
    w = torch.zeros(len(x), count, 1).double()
    for _ in range(epochs):
        for i in torch.randperm(x.shape[1], generator=g).split(10):
            w = w - lr * 2 / 10 * A[:, i].mT @ (A[:, i] @ w - y[:, i, None])
    return w


def test_erratum_10_05():
    (x, y), (x_new, y_new) = cubic(20, 100), cubic(20, 100, seed=1)
    steps, exact, right = by_steps(x, y, 20, 1500), fit(powers(x, 20), y), fit(powers(x, 4), y)
    at = {name: (error(powers(x, w.shape[1]), w, y).median(), error(powers(x_new, w.shape[1]), w, y_new).median())
          for name, w in (("steps", steps), ("exact", exact), ("right", right))}
    assert at["steps"][1] < 3 * at["right"][1]  # hardly any overfitting to be seen
    assert at["steps"][0] > at["right"][0] > at["exact"][0]  # nor a training error lower than that of the right model
    assert at["exact"][1] > 1000 * at["right"][1]  # the model does overfit, if it is fitted to the end


def test_erratum_10_06():
    (x, y), (x_new, y_new) = cubic(100, 20), cubic(100, 100, seed=1)
    many, right = (fit(powers(x, count), y) for count in (10, 4))
    # no epochs, so no loss that falls and rises, and yet: lower on the examples, higher on new ones
    assert (error(powers(x, 10), many, y) < error(powers(x, 4), right, y)).all()
    assert error(powers(x_new, 10), many, y_new).median() > 10 * error(powers(x_new, 4), right, y_new).median()


def test_erratum_10_07():
    g = torch.Generator().manual_seed(0)
    X = torch.randn(4000, 2, generator=g)
    y = (X[:, 0] > 0).long()
    net = nn.Linear(2, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[-1., 0], [1, 0]])), net.bias.zero_()
    right = (net(X).argmax(1) == y).float().mean()
    moved = (net(X + torch.tensor([2., 0])).argmax(1) == y).float().mean()  # every example moved by the same
    assert right == 1 and moved < .6  # generalises without a mistake, and is not robust


def test_erratum_10_08():
    (x, y), (x_val, y_val), (x_new, y_new) = (cubic(400, n, seed) for seed, n in enumerate((20, 20, 500)))
    w = fit(powers(x, 4), y)
    training, validation, general = (error(powers(a, 4), w, b) for a, b in ((x, y), (x_val, y_val), (x_new, y_new)))
    assert training.mean() < .009 < .01 < validation.median()
    gap = validation.log() - general.log()
    assert abs(validation.median() / general.median() - 1) < .25 < training.median() / validation.median() < .75
    assert gap.isfinite().all()


def test_erratum_10_09():
    H, centre = torch.tensor([[1., .4], [.4, .8]]), torch.tensor([2., .9])

    def loss(w):
        return ((w - centre) @ H * (w - centre)).sum(-1) / 2

    best = torch.linalg.solve(H + .6 * torch.eye(2), H @ centre)
    angle = torch.linspace(0, 2 * math.pi, 200_001)
    circle = best.norm() * torch.stack([angle.cos(), angle.sin()], 1)
    # another contour crosses the same circle, at two points that are both worse than where one touches it
    crossing = loss(circle).sub(1.5 * loss(best)).abs().argmin()
    assert loss(circle[crossing]) > 1.4 * loss(best) and abs(loss(circle).min() - loss(best)) < 1e-5
    gradient = (best - centre) @ H
    assert abs(gradient[0] * best[1] - gradient[1] * best[0]) < 1e-5  # parallel: the contours touch


def test_erratum_10_10():
    w = torch.tensor([3.], requires_grad=True)  # no nn.Sequential anywhere
    optimizer = torch.optim.SGD([w], lr=.5)
    (w ** 2).sum().backward()
    optimizer.step()
    assert w.item() == 0
    net = nn.Sequential(nn.Linear(1, 1))
    assert not hasattr(net, "step")


def sets():
    g = torch.Generator().manual_seed(0)
    X = torch.randn(20, 120, 200, generator=g)
    return X, X @ torch.full((200, 1), .01) + .05 + .01 * torch.randn(20, 120, 1, generator=g)


def weights(decay, start):
    (X, y), g = sets(), torch.Generator().manual_seed(1)
    X, y = X[:, :20], y[:, :20]
    w, b = start * torch.randn(20, 200, 1, generator=g), torch.zeros(20, 1, 1)
    for _ in range(100):
        for i in torch.randperm(20, generator=g).split(5):
            r = X[:, i] @ w + b - y[:, i]
            w, b = w - .003 * (X[:, i].mT @ r / 5 + decay * w), b - .003 * r.mean(1, keepdim=True)
    return w, b


def loss_on_new(w, b):
    X, y = sets()
    return ((X[:, 20:] @ w + b - y[:, 20:]) ** 2 / 2).mean((1, 2)).median()


def test_erratum_10_11():
    torch.manual_seed(0)
    X, y = torch.randn(50, 3).double(), torch.randn(50, 1).double()

    def ridge(decay):
        return torch.linalg.solve(X.T @ X / 50 + decay * torch.eye(3).double(), X.T @ y / 50)

    ends = {}
    for factor in (.5, 1.):
        w = torch.zeros(3, 1).double().requires_grad_()
        sgd = torch.optim.SGD([w], lr=.1, weight_decay=3.)
        for _ in range(500):
            sgd.zero_grad()
            (factor * F.mse_loss(X @ w, y)).backward()
            sgd.step()
        ends[factor] = w.detach()
    # from scratch the loss is half the square: decay 3; beside MSELoss the same number is a decay of 1.5
    assert torch.allclose(ends[.5], ridge(3.)) and torch.allclose(ends[1.], ridge(1.5))
    assert (ridge(3.) - ridge(1.5)).norm() > .3 * ridge(3.).norm()


def test_erratum_10_12():
    w = torch.tensor([3., 4.], requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=.1, weight_decay=.5)
    w.grad = torch.zeros(2)
    optimizer.step()
    start = torch.tensor([3., 4.])
    of_norm, of_half_square = .5 * start / start.norm(), .5 * start
    assert torch.allclose(w.detach(), start - .1 * of_half_square)
    assert not torch.allclose(w.detach(), start - .1 * of_norm)


def test_erratum_10_13():
    left = {(lr, steps): (1 - lr * 1e-4) ** steps for lr, steps in ((.1, 100_000), (.003, 2000))}
    assert left[.003, 2000] > .999 and left[.1, 100_000] < .4  # the same number: nothing, and nearly two thirds
    assert abs((1 - .003 * 2) ** 200 - (1 - .03 * .2) ** 200) < 1e-12  # the product with the rate is what counts


def test_erratum_10_14():
    def train(decay, penalty, only_weights=False):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        with torch.no_grad():
            net[2].bias.fill_(5.)
        X, y = torch.randn(32, 4), torch.randint(0, 2, (32,))
        sgd = torch.optim.SGD(net.parameters(), lr=.5, weight_decay=decay)
        for _ in range(20):
            params = [net[0].weight, net[2].weight] if only_weights else list(net.parameters())
            loss = F.cross_entropy(net(X), y) + penalty * sum(p.pow(2.).sum() for p in params)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    by_hand = train(0, .01)
    assert torch.allclose(by_hand, train(.02, 0), atol=1e-5)
    assert not torch.allclose(by_hand, train(.01, 0), atol=1e-3)
    assert not torch.allclose(by_hand, train(0, .01, only_weights=True), atol=1e-2)  # the biases are punished, too


def test_erratum_10_15():
    random, zero, decayed = (loss_on_new(*weights(decay, start)) for decay, start in ((0, 1), (0, 0), (3, 1)))
    X, y = sets()
    mean = ((y[:, :20].mean(1, keepdim=True) - y[:, 20:]) ** 2 / 2).mean((1, 2)).median()
    assert random > 1000 * zero  # the same 20 examples, no decay: it was the random start
    assert zero < 1.2 * mean < decayed


@pytest.mark.parametrize("count", [4, 20])
def test_the_features_are_finite(count):
    assert powers(cubic(1, 100)[0], count).isfinite().all()
