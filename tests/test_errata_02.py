"""Each erratum of chapter 02: the mistake does what the errata page says, and so does the mend."""

import ast
import io
import re

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from shared import data


@pytest.fixture
def houses():
    return pd.read_csv(io.StringIO("NumRooms,Alley,Price\nNA,Pave,127500\n2,NA,106000\n4,NA,178100\nNA,NA,140000\n"))


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
    def first_of_the_notes(frame):
        gaps = dict(frame.isnull().sum())
        worst = max(gaps.values())
        return frame.drop(columns=[c for c in gaps if gaps[c] == worst])

    def second_of_the_notes(frame):
        return frame.drop(frame.isnull().sum().idxmax(), axis=1)
    tie = pd.DataFrame({"a": [None, 1.], "b": [2., None], "c": [3., 4.]})
    whole = tie.fillna(0)
    assert list(first_of_the_notes(tie)) == ["c"] and list(second_of_the_notes(tie)) == ["b", "c"]
    assert list(first_of_the_notes(whole)) == [] and list(second_of_the_notes(whole)) == ["b", "c"]
    assert list(whole.loc[:, whole.isna().mean() <= .5]) == ["a", "b", "c"]  # the mend


def test_erratum_02_06():
    gaps = pd.Series([1, 5, 2], index=["a", "b", "c"])
    assert gaps.idxmax() == "b" and gaps.argmax() == 1


def test_erratum_02_07():
    rgba = torch.tensor([1., 0, 1, 0]).view(4, 1, 1)  # magenta, fully transparent
    assert rgba[:3].flatten().tolist() == [1, 0, 1] and rgba.shape[0] - 1 == 3
    composed = rgba[3:] * rgba[:3] + (1 - rgba[3:]) * torch.ones(3, 1, 1)
    assert composed.flatten().tolist() == [1, 1, 1]


def test_erratum_02_08():
    pictures = torch.rand(3, 3, 8, 8) + .5
    batch = torch.zeros(100, 3, 8, 8)
    batch[:3] = pictures
    assert batch.mean() < .05 < .5 < pictures.mean()


def test_erratum_02_09():
    volume = torch.rand(9, 12, 12)
    conv = nn.Conv3d(1, 1, 3)
    with pytest.raises(RuntimeError, match="[Kk]ernel size"):
        conv(volume.unsqueeze(1).unsqueeze(2))
    assert conv(volume[None, None]).shape == (1, 1, 7, 10, 10)


def test_erratum_02_10():
    with pytest.raises(TypeError, match="skiprow"):
        np.loadtxt(io.StringIO("a\n1\n"), skiprow=1)
    assert np.loadtxt(io.StringIO("a\n1\n"), skiprows=1) == 1
    with pytest.raises(SyntaxError):
        ast.parse("{1: lamba x: float(x[8:10])}")


def test_erratum_02_11():
    with pytest.raises(RuntimeError, match="out of bounds"):
        torch.zeros(1, 10).scatter_(1, torch.tensor([[10]]), 1.)
    assert torch.zeros(1, 11).scatter_(1, torch.tensor([[10]]), 1.).argmax() == 10


def test_erratum_02_12(wine):
    quality = marks(wine)
    assert (quality < 3).sum() == 0 < (quality <= 3).sum()


def test_erratum_02_13(wine):
    quality = marks(wine)
    assert (quality >= 7).sum() < .5 * (quality > 5).sum()


def test_erratum_02_14(wine):
    if not wine.real:
        pytest.skip("a claim about the real wines")
    good = marks(wine) > 5
    rule = torch.tensor(wine.train["total sulfur dioxide"].to_numpy()) < 141.83
    assert (good & rule).sum() == 2018
    assert (rule == good).sum() < good.sum()


def test_erratum_02_15():
    g = torch.Generator().manual_seed(0)
    noise, coin = torch.randn(200, 1000, generator=g), torch.randint(0, 2, (200,), generator=g)

    def score(rows):  # choose the 20 best columns on these rows, classify the last 100 by class means
        d = noise[rows][coin[rows] == 1].mean(0) - noise[rows][coin[rows] == 0].mean(0)
        best = d.abs().topk(20).indices
        train = noise[:100, best]
        m0, m1 = train[coin[:100] == 0].mean(0), train[coin[:100] == 1].mean(0)
        test = noise[100:, best]
        said = ((test - m1) ** 2).sum(1) < ((test - m0) ** 2).sum(1)
        return (said == coin[100:].bool()).float().mean()
    assert score(torch.arange(200)) > .7
    assert score(torch.arange(100)) < .62


def test_erratum_02_16():
    t = torch.tensor([1, 2]).sum()
    assert t.device.type == "cpu" and type(t.item()) is int


def test_erratum_02_17():
    t = torch.tensor([.2, .5, .9])
    assert not ((t - t.min()) / (t.min() - t.min())).isfinite().any()
    scaled = (t - t.min()) / (t.max() - t.min())
    assert scaled.min() == 0 and scaled.max() == 1


def test_erratum_02_18():
    weather = torch.tensor([[1., 2, 3, 4]])
    late = ((weather - 1) / 3).long()
    assert late.tolist() == [[0, 0, 0, 1]]
    with pytest.raises(RuntimeError, match="out of bounds"):
        torch.zeros(1, 4, 4).scatter_(1, late.unsqueeze(1) - 1, 1.)
    right = torch.zeros(1, 4, 4).scatter_(1, weather.long().unsqueeze(1) - 1, 1.)
    assert torch.equal(right[0], torch.eye(4))


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
    def clean_words(text):
        return text.split()
    with pytest.raises(NameError, match="clean_word"):
        clean_word("a b")  # noqa: F821
    assert clean_words("a b") == ["a", "b"]


def test_erratum_02_22():
    frame = pd.DataFrame({"x": [1., 2], "y": [3., 4]})
    with pytest.raises(AttributeError):
        frame.as_matrix()
    assert frame.to_numpy().reshape(-1, 2).shape == (2, 2)


def test_erratum_02_23():
    from torch.utils.data import DataLoader, Dataset
    assert isinstance(Dataset, type) and isinstance(DataLoader, type)
    assert Dataset.__module__.startswith("torch.utils.data")
