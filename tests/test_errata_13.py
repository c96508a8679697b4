"""Each erratum of chapter 13: the mistake does what the errata page says, and so does the mend."""

import gzip
import hashlib
import inspect
import os
import tarfile

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F


def linear_fit(X, y, lr, batch_size, num_epochs, seed=0):
    """A linear layer trained with Adam, and its losses over all rows, epoch by epoch."""
    torch.manual_seed(seed)
    net = nn.Linear(X.shape[1], 1)
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    losses = []
    for _ in range(num_epochs):
        for batch in torch.randperm(len(X)).split(batch_size):
            optimizer.zero_grad()
            F.mse_loss(net(X[batch])[:, 0], y[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            losses.append(F.mse_loss(net(X)[:, 0], y).item())
    return net, torch.tensor(losses)


def test_erratum_13_01(tmp_path):
    content, path = b"Id,SalePrice\n1,208500\n", tmp_path / "train.csv"
    promised = hashlib.sha1(content).hexdigest()

    def download(answer):  # the order of the source: compare, download, return
        if path.exists() and hashlib.sha1(path.read_bytes()).hexdigest() == promised:
            return path
        path.write_bytes(answer)
        return path

    got = download(content[:-4])
    assert hashlib.sha1(got.read_bytes()).hexdigest() != promised  # handed out without a word
    assert hashlib.sha1(download(content).read_bytes()).hexdigest() == promised  # only the next call mends it


def test_erratum_13_02(tmp_path):
    assert os.path.splitext("fra-eng.tar.gz") == ("fra-eng.tar", ".gz")  # the folder that is returned
    packed = tmp_path / "houses.csv.gz"
    packed.write_bytes(gzip.compress(b"Id,SalePrice\n"))
    with pytest.raises(tarfile.ReadError):         # a single packed file is no archive
        tarfile.open(packed, "r")
    assert gzip.open(packed).read() == b"Id,SalePrice\n"


def test_erratum_13_03():
    torch.manual_seed(0)
    column = 5 + 3 * torch.randn(64, 1)
    standardised = (column - column.mean()) / column.std()
    norm = nn.BatchNorm1d(1)
    by_batches = torch.cat([norm(batch) for batch in column.split(16)])
    assert not torch.allclose(by_batches, standardised, atol=.05)  # statistics of each batch
    assert len(list(norm.parameters())) == 2                       # and a learnt scale and shift
    assert abs(standardised.mean()) < 1e-5 and abs(standardised.std() - 1) < 1e-5


def test_erratum_13_04():
    table = pd.DataFrame({"LotArea": [8450.0, 9600.0], "Street": pd.Series(["Pave", "Grvl"], dtype="string")})
    numeric = table.dtypes[table.dtypes != "object"].index
    assert list(numeric) == ["LotArea", "Street"]
    with pytest.raises(TypeError):
        table[numeric].apply(lambda x: (x - x.mean()) / x.std())
    assert list(table.select_dtypes("number")) == ["LotArea"]


def test_erratum_13_05():
    table = pd.get_dummies(pd.DataFrame({"LotArea": [8450.0, 9600.0], "Street": ["Pave", "Grvl"]}), dummy_na=True)
    assert table.values.dtype == object            # truth values beside numbers
    with pytest.raises(TypeError):
        torch.tensor(table.values, dtype=torch.float32)
    assert torch.tensor(table.to_numpy(dtype=np.float32)).dtype == torch.float32


def test_erratum_13_06():
    train, test = pd.Series([60.0, 80.0, 70.0]), pd.Series([310.0])
    joined = pd.concat([train, test])
    other = pd.concat([train, test * 2])
    assert (train[0] - joined.mean()) / joined.std() != (train[0] - other.mean()) / other.std()
    own = (train - train.mean()) / train.std()     # does not know the test rows
    assert own.round(2).tolist() == [-1, 1, 0]


def test_erratum_13_07():
    prices = torch.tensor([100_000.0, 400_000.0])
    constants = torch.linspace(100_000, 400_000, 3001)[:, None]
    by_dollars = constants[(constants - prices).square().mean(1).argmin()].item()
    by_logs = constants[(constants.log() - prices.log()).square().mean(1).argmin()].item()
    assert abs(by_dollars - 250_000) < 100         # the training loss wants this
    assert abs(by_logs - 200_000) < 100            # the measure wants this


def test_erratum_13_08():
    rows, k = list(range(1460)), 7
    fold_size = len(rows) // k
    asked = [row for j in range(k) for row in rows[slice(j * fold_size, (j + 1) * fold_size)]]
    assert sorted(set(rows) - set(asked)) == [1456, 1457, 1458, 1459]
    assert sum(len(part) for part in torch.arange(1460).tensor_split(k)) == 1460


def get_net(inputs=331):
    sizes = [inputs, 30, 30, 30, 30, 30, 1]
    layers = [layer for pair in zip(sizes, sizes[1:]) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def careful(net):
    for layer in net[::2]:
        layer.weight.data.normal_(0, 0.01)
        layer.bias.data.fill_(0)
    return net


def test_erratum_13_09():
    torch.manual_seed(0)
    net = careful(get_net())
    trained = get_net()                            # what train_and_pred and k_fold begin with
    assert abs(net[2].weight.std() - .01) < .002
    assert trained[2].weight.std() > .05


def test_erratum_13_10():
    torch.manual_seed(0)
    X = torch.randn(200, 331)
    spread = {name: net(X).std().item() for name, net in (("careful", careful(get_net())), ("library", get_net()))}
    assert spread["careful"] < 1e-6                # every house gets the same answer
    assert spread["library"] > 1e-3


def test_erratum_13_11():
    torch.manual_seed(0)
    X, y = torch.randn(80, 100), torch.randn(80)   # nothing to learn
    net, losses = linear_fit(X[:40], y[:40], .01, 40, 600)
    asked = F.mse_loss(net(X[40:])[:, 0], y[40:]).item()
    assert losses[-1] < .01 < 1 < asked                 # a perfect training error, worse than saying 0


def test_erratum_13_12():
    torch.manual_seed(0)
    X = torch.randn(64, 5)
    y = X @ torch.randn(5) + torch.randn(64)
    tremble = {lr: linear_fit(X, y, lr, 16, 60)[1][-20:].diff().abs().mean().item() for lr in (.03, .3, 3.0)}
    assert tremble[.03] < tremble[.3] < tremble[3.0]
    assert linear_fit(X, y, .3, 64, 240)[1][-20:].diff().abs().mean() < tremble[.3]  # the larger batch


def test_erratum_13_13():
    with pytest.raises(NameError):
        eval("dict(train = TRUE, transform = NONE, download = FALSE)")
    datasets = pytest.importorskip("torchvision.datasets")
    arguments = inspect.signature(datasets.MNIST.__init__).parameters
    assert {"transform", "target_transform"} <= set(arguments)  # arguments, not functions of the set
    assert arguments["train"].default is True and arguments["download"].default is False


def test_erratum_13_14():
    class CocoCaptions(list):
        pass

    code = "cap = CocoCaptions([('picture', ['caption'])])\nprint('Number of samples: ', len(cap))\nprint(target)"
    with pytest.raises(NameError):
        exec(code, {"CocoCaptions": CocoCaptions})
    exec(code.replace("print(target)", "picture, target = cap[0]\nprint(target)"), {"CocoCaptions": CocoCaptions})
