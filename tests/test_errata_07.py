"""Each erratum of chapter 07: the mistake does what the errata page says, and so does the mend."""

import random
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

t_c = torch.tensor([.5, 14, 15, 28, 11, 8, 3, -4, 6, 13, 21])
t_u = torch.tensor([35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4])
START = torch.tensor([1., 0])


def synthetic_data(seed=0, n=1000):
    torch.manual_seed(seed)
    X = torch.normal(0, 1, (n, 2))
    y = X @ torch.tensor([2, -3.4]) + 4.2
    return X, (y + torch.normal(0, .01, y.shape)).reshape(-1, 1)


def data_iter(batch_size, features, labels):
    indices = list(range(len(features)))
    random.Random(0).shuffle(indices)
    for i in range(0, len(features), batch_size):
        chosen = torch.tensor(indices[i:min(i + batch_size, len(features))])
        yield features[chosen], labels[chosen]


def squared_loss(y_hat, y):
    return (y_hat - y.reshape(y_hat.shape)) ** 2 / 2


def with_ones(X):
    return torch.cat([X.reshape(len(X), -1), torch.ones(len(X), 1, dtype=X.dtype)], 1)


def descend(rates, x=t_u, dtype=torch.float64, params=START):
    """Losses of gradient descent on the thermometer, one rate for each step."""
    X, y, theta, losses = with_ones(x).to(dtype), t_c.to(dtype), params.to(dtype), []
    for rate in rates:
        e = X @ theta - y
        losses.append(float((e ** 2).mean()))
        theta = theta - rate * 2 * X.T @ e / len(y)
    return losses


def test_erratum_07_01():
    shown, label = torch.tensor([.0639, .3696]), 3.0768
    clean = float(shown @ torch.tensor([2, -3.4]) + 4.2)
    assert abs(clean - label) < .03                # the pair that is printed fits the formula
    assert abs(5.6970 - label) > 100 * .01         # the target printed before it cannot be the same example's


def test_erratum_07_02():
    indices = list(range(10))
    assert indices[8:12] == indices[8:min(12, 10)] == [8, 9]


def test_erratum_07_03():
    X, y = synthetic_data()
    assert len(list(data_iter(10, X, y))) == 100   # one call gives all batches
    first = next(data_iter(10, X, y))[0]
    assert torch.equal(next(data_iter(10, X, y))[0], first)  # another call begins again


def test_erratum_07_04():
    source = "def squared_loss(y_hat,y):\n    return 0.5*(y-hat - y.reshape(y_hat.shape))**2"
    space = {}
    exec(source, space)
    with pytest.raises(NameError, match="hat"):
        space["squared_loss"](torch.ones(3, 1), torch.ones(3))
    assert squared_loss(torch.ones(3, 1), torch.zeros(3)).tolist() == [[.5]] * 3


def test_erratum_07_05():
    arrays = synthetic_data()
    from_list = DataLoader(TensorDataset(*list(arrays)), 10)  # not a tuple
    assert len(from_list.dataset.tensors) == 2

    def what(*args, **kwargs):
        return type(args), type(kwargs)

    assert what(*[1, 2], **{"a": 1}) == (tuple, dict)         # in a definition it is as is said


def test_erratum_07_06():
    net = nn.Linear(200, 1000)
    net.weight.data.normal_(0, .01)
    assert abs(net.weight.std() - .01) < 1e-4 and abs(net.weight.var() - 1e-4) < 1e-5


def test_erratum_07_07():
    a, b = torch.randn(50, 1), torch.randn(50, 1)
    mean, norm = nn.MSELoss()(a, b), (a - b).norm() ** 2
    assert torch.isclose(norm, 50 * mean) and norm > 10 * mean
    assert torch.isclose(nn.MSELoss(reduction="sum")(a, b), norm)


def test_erratum_07_08():
    X, y = synthetic_data()
    truth = torch.tensor([[2], [-3.4], [4.2]])
    wild = y.clone()
    wild[:50] += 100
    X1 = with_ones(X)
    squares = torch.linalg.lstsq(X1, wild).solution
    absolute = squares
    for _ in range(60):
        weight = (wild - X1 @ absolute).abs().clamp(min=1e-5).rsqrt()
        absolute = torch.linalg.lstsq(X1 * weight, wild * weight).solution
    assert (absolute - truth).abs().max() < .01 and (squares - truth).abs().max() > 1


def test_erratum_07_09():
    X, y = synthetic_data()
    X1 = with_ones(X)
    G = (X1 @ torch.zeros(3, 1) - y) * X1
    assert torch.allclose(torch.stack([g.mean(0) for g in G.split(1)]).mean(0), G.mean(0), atol=1e-4)  # unbiased

    def loss(size, lr, steps):
        torch.manual_seed(0)
        theta = torch.zeros(3, 1)
        for _ in range(steps):
            chosen = torch.randperm(1000)[:size]
            theta = theta - lr * X1[chosen].T @ (X1[chosen] @ theta - y[chosen]) / size
        return float(squared_loss(X1 @ theta, y).mean())

    assert not loss(1, 1., 30) < 1 and loss(1000, 1., 30) < 6e-5  # smaller is not better


def test_erratum_07_10():
    X, y = synthetic_data()

    def train(lr):
        torch.manual_seed(0)
        net = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=lr)
        for _ in range(3):
            for X_part, y_part in data_iter(10, X, y):
                optimizer.zero_grad()
                nn.MSELoss()(net(X_part), y_part).backward()
                optimizer.step()
        return nn.MSELoss()(net(X), y).item()

    assert train(.03) < 2e-4 < train(.03 / 10)     # MSELoss has divided already


def test_erratum_07_11():
    X, y = synthetic_data()
    before = X.data_ptr()
    batch, _ = next(data_iter(10, X, y))
    assert X.data_ptr() == before                  # nothing is loaded or copied but the batch
    assert 100 * batch.untyped_storage().nbytes() == X.untyped_storage().nbytes()


def test_erratum_07_12():
    X, _ = synthetic_data()
    assert torch.equal(X[[5, 1, 7]], X[torch.tensor([5, 1, 7])])


def test_erratum_07_13():
    X, y = synthetic_data()
    w, b = torch.full((2, 1), 5., requires_grad=True), torch.zeros(1, requires_grad=True)
    squared_loss(X @ w + b, y).mean().backward()
    assert abs(w.grad[0] - w.grad[1]) > 1          # equal weights, unlike gradients
    w, b = torch.zeros(2, 1), torch.zeros(1)
    for _ in range(3):
        for X_part, y_part in data_iter(10, X, y):
            e = X_part @ w + b - y_part
            w, b = w - .03 * X_part.T @ e / 10, b - .03 * e.mean()
    assert squared_loss(X @ w + b, y).mean() < 6e-5


def test_erratum_07_14():
    X, y = synthetic_data()
    ours, theirs = ([torch.ones(2, 1, requires_grad=True), torch.zeros(1, requires_grad=True)] for _ in range(2))
    squared_loss(X[:10] @ ours[0] + ours[1], y[:10]).sum().backward()
    with torch.no_grad():
        for param in ours:
            param -= .03 * param.grad / 10
    squared_loss(X[:10] @ theirs[0] + theirs[1], y[:10]).mean().backward()
    torch.optim.SGD(theirs, lr=.03).step()         # no nn, no Sequential
    assert all(torch.allclose(a, b) for a, b in zip(ours, theirs))


def test_erratum_07_15():
    a, b = torch.linalg.lstsq(with_ones(t_u.double()), t_c.double()[:, None]).solution[:, 0]
    hat = a * t_u.double() + b
    assert hat.unique().numel() == 11              # a number for each input, no class


def test_erratum_07_16():
    x, y = t_u.double(), t_c.double()
    r = torch.corrcoef(torch.stack([x, y]))[0, 1]
    left = y[:, None] - with_ones(x) @ torch.linalg.lstsq(with_ones(x), y[:, None]).solution
    share = 1 - (left ** 2).mean() / y.var(correction=0)
    assert torch.isclose(share, r ** 2) and not torch.isclose(r, r ** 2, rtol=.01)


def test_erratum_07_17():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        with pytest.raises(TypeError, match="not callable"):
            exec("input_dim, output_dim = 1, 1\ninput_dim, output_dim(1, 1)")


def test_erratum_07_18():
    with pytest.raises(IndentationError):
        compile('def plot_current_fit(title = ""):\nplt.figure(figsize = (12,4))\n', "source", "exec")


def test_erratum_07_19():
    constant = descend([1e-4] * 3000)[-1]
    falling = descend([1e-4 / (1 + k / 100) for k in range(3000)])[-1]
    assert 20 < constant < falling                 # a falling rate is slower still
    assert descend([.5] * 2, (t_u - t_u.mean()) / t_u.std(correction=0))[1] < 2.93  # one step


def test_erratum_07_20():
    def adam(lr):
        params = START.clone().requires_grad_()
        optimizer = torch.optim.Adam([params], lr=lr)
        for _ in range(2000):
            optimizer.zero_grad()
            l = ((params[0] * t_u + params[1] - t_c) ** 2).mean()
            l.backward()
            optimizer.step()
        return l.item()

    assert adam(1e-1) < 2.93 and adam(1e-6) > 1000  # the rate is ours to choose


def test_erratum_07_21():
    t_un_val = .1 * t_u[:2]
    with pytest.raises(RuntimeError, match="shape"):
        nn.Linear(1, 1)(t_un_val)
    assert nn.Linear(1, 1)(t_un_val.unsqueeze(1)).shape == (2, 1)


def test_erratum_07_22():
    space = {"val_t_u": t_u[:2]}
    exec("val_t_un = val_t_u * 0.1", space)         # the name that was given
    with pytest.raises(NameError, match="t_un_val"):
        exec("t_un_val", space)                     # the name that is used


def test_erratum_07_23():
    x, y = t_u.double(), t_c.double()
    losses = []
    for i in range(11):
        for j in range(i):
            rest = [k for k in range(11) if k not in (i, j)]
            theta = torch.linalg.lstsq(with_ones(x[rest]), y[rest, None]).solution
            losses.append(float(((with_ones(x[[i, j]]) @ theta - y[[i, j], None]) ** 2).mean()))
    assert min(losses) < 1.1 and max(losses) > 20 and len(losses) == 55  # 3.5756 is one of 55 draws
