"""Each erratum of chapter 22: the mistake does what the errata page says, and so does the mend."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

T, TAU = 1000, 4


def noisy_sine(seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.sin(.01 * torch.arange(1, T + 1)) + .2 * torch.randn(T, generator=g)


def table(x, tau=TAU):
    """The source's loop over columns."""
    features = torch.zeros((T - tau, tau))
    for i in range(tau):
        features[:, i] = x[i:T - tau + i]
    return features, x[tau:].reshape((-1, 1))


def autoregression(x, tau, rows):
    """Weights of least squares, oldest lag first, and a constant."""
    X, y = table(x, tau)
    A = torch.cat([X[:rows], torch.ones(rows, 1)], 1).double()
    return torch.linalg.lstsq(A, y[:rows].double()).solution[:, 0]


def correlation(a, b):
    return torch.corrcoef(torch.stack([a, b]))[0, 1].item()


def lagged(x, lag):
    return correlation(x[lag:], x[:-lag])


def first_order(T=20_000, w=.9):
    x = [0.]
    for noise in torch.randn(T, generator=torch.Generator().manual_seed(0)).tolist():
        x.append(w * x[-1] + noise)
    return torch.tensor(x)


def test_erratum_22_01():
    """"Non-random variables", and three lines later "T random variables": meant is "not independent". The x_t are
    random, another draw gives other values; what differs from examples before is that they depend on each other."""
    one, other = noisy_sine(0), noisy_sine(1)
    assert not torch.equal(one, other)
    mixed = one[torch.randperm(T, generator=torch.Generator().manual_seed(0))]
    assert lagged(one, 1) > .8 and abs(lagged(mixed, 1)) < .15


def test_erratum_22_03():
    """With order 1, the present is correlated with what is older; beside the last value that gets no weight."""
    x = first_order()
    assert lagged(x, 2) > .7 and lagged(x, 3) > .6
    X, y = x.unfold(0, 2, 1)[:-1], x[2:]
    weights = torch.linalg.lstsq(X, y[:, None]).solution[:, 0]
    assert abs(weights[0]) < .03 and abs(weights[1] - .9) < .03


def test_erratum_22_04():
    """The labels are the values at indices 4 to 999, 996 of them, and not 4 to 1000."""
    number = torch.arange(T, dtype=torch.float32)
    X, y = table(number)
    assert y[0] == 4 and y[-1] == 999 and len(y) == len(X) == 996 != len(range(4, 1001))


def test_erratum_22_05():
    """The far forecast of four noisy lags does not fail by feeding errors back alone. In a linear model an injected
    error fades and the direct forecast is as bad; and the source's network, trained for 64 steps in one go,
    is far from the noise of .2, too."""
    rolled, direct, left = [], [], []
    for seed in range(5):
        x = noisy_sine(seed).double()
        w = autoregression(x, TAU, 600)

        def go_on(X, steps, w=w):
            for _ in range(steps):
                X = torch.cat([X, (X[:, -TAU:] @ w[:-1] + w[-1])[:, None]], 1)
            return X
        rows = x[604:].unfold(0, TAU + 64, 1)
        rolled.append(((go_on(rows[:, :TAU], 64) - rows)[:, -1] ** 2).mean().sqrt())
        early = x[:604].unfold(0, TAU + 64, 1)
        A = torch.cat([early[:, :TAU], torch.ones(len(early), 1)], 1)
        v = torch.linalg.lstsq(A, early[:, -1:]).solution[:, 0]
        direct.append(((rows[:, :TAU] @ v[:-1] + v[-1] - rows[:, -1]) ** 2).mean().sqrt())
        nudged = rows[:1, :TAU] + torch.tensor([0, 0, 0, .2])
        off = (go_on(nudged, 300) - go_on(rows[:1, :TAU], 300))[0].abs()
        left.append(off[-1] / off[TAU - 1])
    assert max(left) < .1
    assert .95 < sum(direct) / sum(rolled) < 1.05
    assert min(rolled) > .35
    x = noisy_sine(1)
    early, later = x[:604].unfold(0, TAU + 64, 1), x[600:].unfold(0, TAU + 64, 1)
    torch.manual_seed(0)
    net = get_net()
    optimizer = torch.optim.Adam(net.parameters(), .01)
    for _ in range(5):
        for rows in early[torch.randperm(len(early))].split(16):
            optimizer.zero_grad()
            ((net(rows[:, :TAU]) - rows[:, -1:]) ** 2).mean().backward()
            optimizer.step()
    with torch.no_grad():
        assert ((net(later[:, :TAU]) - later[:, -1:]) ** 2).mean().sqrt() > .4


def test_erratum_22_06():
    """The loss that is printed is a mean over batches, in which the last one of 8 examples weighs like 16."""
    g = torch.Generator().manual_seed(0)
    errors = torch.randn(600, generator=g) ** 2
    errors[-8:] += 10
    batches = errors.split(16)
    assert [len(b) for b in batches[-2:]] == [16, 8]
    total = sum(b.mean() for b in batches) / len(batches)  # sums of one number each, as evaluate_loss counts them
    weight = 1 / len(batches) / 8 * 600
    assert weight == pytest.approx(600 / 38 / 8) and total - errors.mean() > .1
    assert torch.allclose(sum(b.sum() for b in batches) / 600, errors.mean())


def get_net():
    return nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 1))


def test_erratum_22_07():
    """Predictions written into a tensor record a graph over all steps, which cannot even be used."""
    net, x = get_net(), noisy_sine()
    preds = torch.zeros(40)
    preds[:10] = x[:10]
    for i in range(10, 40):
        preds[i] = net(preds[i - 4:i].reshape((1, -1))).squeeze()
    assert preds.requires_grad
    with pytest.raises(RuntimeError, match="inplace"):
        preds[-1].backward()
    with pytest.raises(RuntimeError, match="requires grad"):
        preds.numpy()
    with torch.no_grad():
        preds = torch.zeros(40)
        for i in range(10, 40):
            preds[i] = net(preds[i - 4:i].reshape((1, -1))).squeeze()
    assert not preds.requires_grad


def sine_points():
    data = np.sin(np.linspace(2, 10, 21)).reshape(21, 1)
    return torch.tensor(data[:-1], dtype=torch.float32), torch.tensor(data[1:], dtype=torch.float32)


def test_erratum_22_08():
    """The targets are not the inputs: they are moved on by one."""
    x, y = sine_points()
    assert not torch.allclose(x, y) and torch.equal(x[1:], y[:-1])


def forward(x, context, w1, w2):
    context = torch.tanh(torch.cat((x, context), 1).mm(w1))
    return context.mm(w2), context


def sine_weights(seed):
    g = torch.Generator().manual_seed(seed)
    return ((.4 * torch.randn(7, 6, generator=g)).requires_grad_(),
            (.3 * torch.randn(6, 1, generator=g)).requires_grad_())


def test_erratum_22_09():
    """`total_loss.data[0]`: a loss of one number has no axis."""
    total_loss = 0
    w1, w2 = sine_weights(0)
    x, y = sine_points()
    pred, _ = forward(x[:1], torch.zeros(1, 6), w1, w2)
    total_loss += (pred - y[:1]).pow(2).sum() / 2
    with pytest.raises(IndexError):
        total_loss.data[0]
    assert isinstance(total_loss.item(), float)


def test_erratum_22_10():
    """What is printed is half a sum of squares, and not the mean squared error: ten times as much for 20 points."""
    g = torch.Generator().manual_seed(0)
    pred, target = torch.randn(20, 1, generator=g), torch.randn(20, 1, generator=g)
    total = sum((p - t).pow(2).sum() / 2 for p, t in zip(pred, target))
    assert total.item() == pytest.approx(10 * nn.functional.mse_loss(pred, target).item(), rel=1e-5)


def test_erratum_22_11():
    """`init.normal` is deprecated: it warns, or is gone. `normal_` is the name."""
    w = torch.empty(7, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((FutureWarning, AttributeError)):
            nn.init.normal(w, 0.0, 0.4)
        nn.init.normal_(w, 0.0, 0.4)
    assert w.std() > .2


def test_erratum_22_12():
    """The layers depend on each other, and so do the outputs of a recurrent network: what is fed back is why it is
    called recurrent, not that it computes one thing after another, which every network does."""
    w1, w2 = (w.detach() for w in sine_weights(1))
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    context = torch.zeros(1, 6)
    _, after_one = forward(one, context, w1, w2)
    _, after_zero = forward(zero, context, w1, w2)
    assert not torch.allclose(forward(one, after_one, w1, w2)[0], forward(one, after_zero, w1, w2)[0])
    net = nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1))  # two layers, one after the other
    out = net(one)
    net(zero)
    assert torch.equal(net(one), out)  # knows nothing of what came before
    net[0].weight.data += 1
    assert not torch.allclose(net(one), out)  # and its output depends on its first layer


def trained_on_the_sine(cut, copies=10):
    """Ten networks at once; the gradient sees one step (`cut`, as in the source) or the whole sequence."""
    g = torch.Generator().manual_seed(0)
    w1 = (.4 * torch.randn(copies, 7, 6, generator=g)).requires_grad_()
    w2 = (.3 * torch.randn(copies, 6, 1, generator=g)).requires_grad_()
    optimizer = torch.optim.Adam([w1, w2], .02)
    for _ in range(300):
        context, total = torch.zeros(copies, 1, 6), 0
        for x, y in zip(*sine_points()):
            context = torch.tanh(torch.cat([x.expand(copies, 1, 1), context], 2) @ w1)
            total = total + ((context @ w2 - y) ** 2 / 2).sum()
            context = context.detach() if cut else context
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return w1.detach(), w2.detach()


def later_error(w1, w2, known):
    points = torch.sin(2 + .4 * torch.arange(61.))
    context, pred, off = torch.zeros(len(w1), 1, 6), None, []
    for t in range(60):
        x = points[t].expand(len(w1), 1, 1) if t < known else pred
        context = torch.tanh(torch.cat([x, context], 2) @ w1)
        pred = context @ w2
        off.append((pred[:, 0, 0] - points[t + 1]) ** 2)
    return torch.stack(off)[20:].mean(0).sqrt().median()


def test_erratum_22_13():
    """The picture of "predictions" has true inputs; on its own the network loses the sine. The gradient, cut after each
    step, is the cause: through all steps the same network keeps it."""
    cut, whole = trained_on_the_sine(True), trained_on_the_sine(False)
    assert later_error(*cut, known=20) > 2 * later_error(*cut, known=60)
    assert later_error(*whole, known=20) < .1 * later_error(*cut, known=20)
