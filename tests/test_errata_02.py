"""Each erratum of chapter 02: the mistake does what the errata page says, and so does the mend."""

import ast
import io
import re

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from shared import data


@pytest.fixture
def houses():
    rows = "NumRooms,Alley,Price", "NA,Pave,127500", "2,NA,106000", "4,NA,178100", "NA,NA,140000"
    return pd.read_csv(io.StringIO("\n".join(rows)))


@pytest.fixture
def wine():
    return data.wine()


def marks(wine):
    return torch.tensor(wine.train["quality"].to_numpy())


def test_erratum_02_01(houses):
    assert houses.iloc[:2].shape == (2, 3)
    assert houses.iloc[:, 2].tolist() == [127500, 106000, 178100, 140000]


def test_erratum_02_02(houses):
    with pytest.raises(TypeError):
        houses.iloc[:, :2].mean()
    assert houses.iloc[:, :2].mean(numeric_only=True).to_dict() == {"NumRooms": 3.0}


def test_erratum_02_03(houses):
    filled = houses.iloc[:, :2].fillna({"NumRooms": 3.0})
    with pytest.raises(TypeError, match="object"):
        torch.tensor(pd.get_dummies(filled, dummy_na=True).to_numpy())
    X = torch.tensor(pd.get_dummies(filled, dummy_na=True, dtype=float).to_numpy())
    assert X.tolist() == [[3, 1, 0], [2, 0, 1], [4, 0, 1], [3, 0, 1]]


def test_erratum_02_04():
    X = torch.tensor(np.ones((2, 3)))
    with pytest.raises(RuntimeError, match="dtype"):
        nn.Linear(3, 1)(X)
    assert nn.Linear(3, 1)(X.float()).shape == (2, 1)


def test_erratum_02_05():
    def by_max(frame):
        gaps = dict(frame.isnull().sum())
        return frame.drop(columns=[c for c in gaps if gaps[c] == max(gaps.values())])

    def by_idxmax(frame):
        return frame.drop(frame.isnull().sum().idxmax(), axis=1)

    def by_argmax(frame):
        return frame.drop(frame.columns[frame.isnull().sum().argmax()], axis=1)

    def by_fraction(frame):  # the mend
        return frame.loc[:, frame.isna().mean() <= .6]
    empty, tie = [None] * 3, [None, None, 1.]
    frames = {"one worst": {"a": tie, "b": empty, "c": [3., 4, 5]},
              "tie": {"a": empty, "b": empty, "c": [3., 4, 5]},
              "whole": {"a": [1., 2, 3], "b": [2., 3, 4]}}
    left = {name: [list(drop(pd.DataFrame(columns))) for drop in (by_max, by_idxmax, by_argmax, by_fraction)]
            for name, columns in frames.items()}
    assert left["one worst"][:3] == [["a", "c"]] * 3
    assert left["tie"] == [["c"], ["b", "c"], ["b", "c"], ["c"]]
    assert left["whole"] == [[], ["b"], ["b"], ["a", "b"]]


def test_erratum_02_06():
    frame = pd.DataFrame({"a": [1.], "b": [None], "c": [2.]})
    gaps = frame.isnull().sum()
    with pytest.raises(KeyError):
        frame.drop(gaps.argmax(), axis=1)  # a position where a label belongs
    assert list(frame.drop(gaps.idxmax(), axis=1)) == ["a", "c"] and frame.iloc[:, gaps.argmax()].name == "b"


def test_erratum_02_07():
    picture = Image.new("RGBA", (1, 1), (255, 0, 255, 0))  # fully transparent: nothing is to be seen
    img_t = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    assert img_t.shape == (4, 1, 1) and img_t[:3].flatten().tolist() == [255, 0, 255]  # magenta appears
    white = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    assert white.getpixel((0, 0)) == (255, 255, 255)
    alpha = img_t[3:] / 255
    assert (alpha * img_t[:3] + (1 - alpha) * 255).flatten().tolist() == [255, 255, 255]  # the same by hand


def test_erratum_02_08():
    pictures = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0)) + .5

    def standardised(batch):
        return (batch - batch.mean((0, 2, 3), keepdim=True)) / batch.std((0, 2, 3), keepdim=True)
    batch = torch.zeros(100, 3, 8, 8)
    batch[:3] = pictures
    spoilt = standardised(batch)
    assert spoilt[:3].mean() > 3 and spoilt[3:].unique().numel() == 3  # 97 black ones
    mended = standardised(pictures)
    assert mended.mean().abs() < 1e-5 and mended.std() == pytest.approx(1, abs=.01)


def test_erratum_02_09():
    volume = torch.rand(9, 12, 12)
    conv = nn.Conv3d(1, 1, 3)
    with pytest.raises(RuntimeError, match="[Kk]ernel size"):
        conv(volume.unsqueeze(1).unsqueeze(2))
    assert conv(volume[None, None]).shape == (1, 1, 7, 10, 10)


def test_erratum_02_10():
    table = "date;quality\n2011-01-31;6\n"
    with pytest.raises(TypeError, match="skiprow"):
        np.loadtxt(io.StringIO(table), delimiter=";", skiprow=1)
    line = 'npp.loadtxt(table, delimiter=";", skiprows=1, converters={0: lamba x: float(x[8:10])})'
    with pytest.raises(SyntaxError):
        ast.parse(line)
    line = line.replace("lamba", "lambda")
    names = {"np": np, "table": table.splitlines()}
    with pytest.raises(NameError, match="npp"):
        eval(line, names)
    assert eval(line.replace("npp", "np"), names).tolist() == [31, 6]
    assert pd.read_csv(io.StringIO(table), sep=";")["quality"].tolist() == [6]


def test_erratum_02_11():
    with pytest.raises(RuntimeError, match="out of bounds"):
        torch.zeros(1, 10).scatter_(1, torch.tensor([[10]]), 1.)
    assert torch.zeros(1, 11).scatter_(1, torch.tensor([[10]]), 1.).argmax() == 10


def test_erratum_02_12(wine):
    quality = marks(wine)
    assert (quality < 3).sum() == 0 < (quality <= 3).sum()
    assert not wine.real or (quality <= 3).sum() == 20


def test_erratum_02_13(wine):
    quality = marks(wine)
    assert (quality >= 7).sum() < .5 * (quality > 5).sum()


def test_erratum_02_14(wine):
    if not wine.real:
        pytest.skip("a claim about the real wines")
    good = marks(wine) > 5
    rule = torch.tensor(wine.train["total sulfur dioxide"].to_numpy()) < 141.83
    hits = (good & rule).sum()
    assert (hits, round(float(hits / rule.sum()), 2), round(float(hits / good.sum()), 2)) == (2018, .74, .62)
    assert (rule == good).sum() < good.sum()  # right less often than "every wine is good"


def test_erratum_02_15(wine):
    """Another test part changes what a model is trained on, and the threshold of the rule."""
    values = torch.tensor(wine.train[["total sulfur dioxide", "alcohol"]].to_numpy())
    other = values.clone()
    other[4000:] *= 10  # the rows after the first 4,000 are for testing

    def scaled(rows, statistics):
        return ((rows - statistics.mean(0)) / statistics.var(0).sqrt())[:4000]

    def threshold(rows):
        middle = (marks(wine) > 3) & (marks(wine) < 7)
        return rows[middle[:len(rows)], 0].mean()
    assert not torch.allclose(scaled(values, values), scaled(other, other))
    assert torch.equal(scaled(values, values[:4000]), scaled(other, other[:4000]))
    assert threshold(other) > threshold(values) + 1
    assert threshold(other[:4000]) == threshold(values[:4000])
    assert not wine.real or round(float(threshold(values)), 2) == 141.83


def test_erratum_02_16():
    t = torch.tensor([1, 2]).sum()
    assert t.device.type == "cpu" and type(t.item()) is int


def test_erratum_02_17():
    t = torch.tensor([.2, .5, .9])
    assert not ((t - t.min()) / (t.min() - t.min())).isfinite().any()
    scaled = (t - t.min()) / (t.max() - t.min())
    assert scaled.min() == 0 and scaled.max() == 1


def test_erratum_02_19():
    columns = [ord(c) if ord(c) < 128 else 0 for c in "“”’é"]
    assert columns == [0, 0, 0, 0]
    plain = "“”’".translate(str.maketrans("“”’", "\"\"'"))
    assert all(0 < ord(c) < 128 for c in plain)


def test_erratum_02_20():
    text = 'He said: “Go” - (and she went) "_now_" ’tis done'
    rough = [w.strip('.,;:"!?”“_-') for w in text.lower().split()]
    assert "" in rough and "(and" in rough and "went)" in rough
    assert re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower().replace("’", "'").replace("_", " ")) == [
        "he", "said", "go", "and", "she", "went", "now", "tis", "done"]


def test_erratum_02_21():
    """The source's lines, one after the other; each wrong name is mended when it has failed."""
    code = """
def clean_words(text):
    return [word.strip('.,;:"!?”“_-') for word in text.lower().split()]
words = clean_word(line)
word2index_dixt = {word: i for i, word in enumerate(sorted(set(words)))}
index = word2index_dict["bennet"]
"""
    names = {"line": "“Impossible, Mr. Bennet, impossible, when I am not acquainted with him"}
    with pytest.raises(NameError, match="'clean_word'"):
        exec(code, dict(names))
    code = code.replace("= clean_word(", "= clean_words(")
    with pytest.raises(NameError, match="'word2index_dict'"):
        exec(code, dict(names))
    exec(code.replace("dixt", "dict"), names)
    assert names["words"] == "impossible mr bennet impossible when i am not acquainted with him".split()
    assert names["index"] == 2  # after "acquainted" and "am"


def test_erratum_02_22():
    frame = pd.DataFrame({"x": [1., 2], "y": [3., 4]})
    with pytest.raises(AttributeError):
        frame.as_matrix()
    assert frame.to_numpy().reshape(-1, 2).shape == (2, 2)


def test_erratum_02_23():
    torchvision = pytest.importorskip("torchvision")
    from torch.utils.data import DataLoader, Dataset, TensorDataset
    for name in ("Dataset", "DataLoader"):
        assert not hasattr(torchvision, name) and not hasattr(torchvision.datasets, name)
    assert isinstance(Dataset, type) and isinstance(DataLoader, type)  # classes
    loader = DataLoader(TensorDataset(torch.arange(10)), batch_size=4)
    assert isinstance(loader.dataset, Dataset) and [len(x) for x, in loader] == [4, 4, 2]


def test_erratum_02_24():
    """A module and constants that do not exist."""
    torchvision = pytest.importorskip("torchvision")
    with pytest.raises(ModuleNotFoundError, match="torchvision.dataset"):
        exec("import torchvision.dataset as dset")
    names: dict = {}
    exec("import torchvision.datasets as dset", names)
    assert names["dset"] is torchvision.datasets
    for call in "dset.MNIST(root, train = TRUE)", "dset.MNIST(root, transform = NONE)":
        with pytest.raises(NameError, match="TRUE|NONE"):
            eval(call, names | {"root": "nowhere"})
    with pytest.raises(RuntimeError, match="not found"):  # the names are right now; there is only no such folder
        eval("dset.MNIST(root, train = True, transform = None, download = False)", names | {"root": "nowhere"})


def test_erratum_02_25(wine):
    """The threshold 141.83 is one for sulfur dioxide; no column holds carbon dioxide."""
    columns = list(wine.train.columns)
    assert columns[6] == "total sulfur dioxide" and not any("carbon" in name for name in columns)


def test_erratum_02_26():
    bikes = data.bikes()
    if not bikes.real:
        pytest.skip("a claim about the real table")
    table = bikes.train
    dates = table["dteday"].to_numpy().reshape(-1, 24)  # "days", as view(-1, 24, 17) cuts them
    mixed = (dates != dates[:, :1]).any(axis=1)
    assert len(dates) == 730 and table["dteday"].nunique() == 731
    assert mixed.sum() == 1 and set(dates[mixed][0]) == {"2012-10-29", "2012-10-30"}


def test_erratum_02_27():
    bikes = data.bikes()
    if not bikes.real:
        pytest.skip("a claim about the real table")
    table = bikes.train
    filled = table["casual"] + table["registered"] != table["cnt"]
    assert table.isna().sum().sum() == 0  # nothing marks them
    assert filled.sum() == 141 == len(table) - table["instant"].nunique()
    assert (table.loc[filled, "cnt"] == 0).all() and (table.loc[~filled, "cnt"] > 0).all()


def test_erratum_02_28(wine):
    """Three groups show a steady fall of sulfur dioxide; the marks one by one do not."""
    sulfur, quality = wine.train["total sulfur dioxide"], wine.train["quality"]
    if not wine.real:
        pytest.skip("a claim about the real wines")
    bad, middle, best = (sulfur[rows].mean() for rows in
                         (quality <= 3, (quality > 3) & (quality < 7), quality >= 7))
    assert [round(float(x), 2) for x in (bad, middle, best)] == [170.60, 141.83, 125.25]
    by_mark = sulfur.groupby(quality).mean()
    assert by_mark[4] < by_mark[5] - 20 and abs(by_mark[4] - by_mark[7]) < 1
    assert (quality <= 3).sum() == 20


def test_erratum_02_29(wine):
    """The same wine twice: a random test part is partly known from the training part."""
    if not wine.real:
        pytest.skip("a claim about the real wines")
    table = wine.train
    order = np.random.default_rng(0).permutation(len(table))

    def known(rows, order):
        train = set(rows.iloc[order[980:]].itertuples(index=False, name=None))
        test = list(rows.iloc[order[:980]].itertuples(index=False, name=None))
        return sum(row in train for row in test) / len(test)
    assert table.duplicated().sum() == 937 and .25 < known(table, order) < .36
    single = table.drop_duplicates()
    assert known(single, np.random.default_rng(0).permutation(len(single))) == 0
