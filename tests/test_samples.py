"""The stand-ins: deterministic, of the right types, and about as hard as the real thing."""

import json
import re
from pathlib import Path

import pytest
import torch
from pandas.api.types import is_numeric_dtype
from torch import nn

from shared import sample_texts, samples
from shared.batches import Batches
from shared.training import cosine, evaluate, fit

pytestmark = pytest.mark.slow


def test_garments_are_deterministic_and_balanced():
    a, b = samples.garments(200, 100), samples.garments(200, 100)
    assert torch.equal(a["train"][0], b["train"][0]) and torch.equal(a["test"][1], b["test"][1])
    assert a["train"][0].shape == (200, 1, 28, 28) and a["train"][0].dtype == torch.uint8
    y = torch.cat([a["train"][1], a["test"][1]])
    assert torch.bincount(y).tolist() == [30] * 10


@pytest.fixture(scope="module")
def garments():
    return samples.garments()


def train(net, garments, epochs):
    torch.manual_seed(0)
    fit(net, Batches(garments["train"], 256, shuffle=True), num_epochs=epochs, schedule=cosine(),
        optimizer=torch.optim.Adam(net.parameters(), 2e-3), verbose=False)
    return evaluate(net, Batches(garments["test"], 1000)).accuracy


def test_a_linear_model_finds_the_garments_hard(garments):
    torch.manual_seed(0)
    assert .70 <= train(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), garments, 5) <= .88


def test_lenet_does_well_on_the_garments(garments):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    assert train(net, garments, 3) >= .85


def test_colour_images_need_more_than_colour():
    d = samples.colour_images(6000, 1000)
    assert d["train"][0].shape == (6000, 3, 32, 32)
    colour = {part: (X.float().mean((2, 3)), y) for part, (X, y) in d.items()}
    net = nn.Linear(3, 10)
    fit(net, Batches(colour["train"], 100, shuffle=True), num_epochs=5, lr=1e-4, verbose=False)
    assert evaluate(net, Batches(colour["test"], 1000)).accuracy < .5


def test_sentences_agree_and_conjugate():
    pairs = [line.split("\t") for line in sample_texts.sentence_pairs().splitlines()]
    assert len(pairs) >= 20_000 and len({tuple(p) for p in pairs}) == len(pairs)
    french = dict((fr, en) for en, fr in pairs)
    assert all(len(p) == 2 for p in pairs)
    assert any("nous négligeons" in fr.lower() for fr in french)
    assert not any(re.search(r"\b(?:je|ne|que) [aeiouéè]", fr.lower()) for fr in french)  # elision
    assert not any(re.search(r"\bun \w*(?:voiture|porte|maison|clé|lettre)\b|\bune \w*(?:livre|chien)\b", fr)
                   for fr in french)
    lengths = [len(en.split()) for en, _ in pairs]
    assert lengths == sorted(lengths)


def test_texts_are_long_enough_and_wrapped():
    story, novel = sample_texts.story(), sample_texts.novel()
    assert len(story) > 170_000 and max(map(len, story.splitlines())) <= 70
    assert "“" in novel and "”" in novel and re.search(r"_\w[^_]*_", novel)
    assert story == sample_texts.story()


def test_tables_have_signal():
    wine, = samples.wines()
    assert wine["quality"].corr(wine["alcohol"]) > .2
    assert wine["quality"].between(3, 9).all()
    bikes, = samples.bike_hours()
    assert (bikes["cnt"] == bikes["casual"] + bikes["registered"]).all() and len(bikes) == 17_520
    by_hour = bikes[bikes["workingday"] == 1].groupby("hr")["cnt"].mean()
    assert by_hour[17] > 2 * by_hour[12] > 4 * by_hour[3]
    train, test = samples.houses()
    assert "SalePrice" in train and "SalePrice" not in test
    assert train["Alley"].isna().mean() > .8 and train["GrLivArea"].corr(train["SalePrice"]) > .4


KNOWN = Path(__file__).parent / "samples.json"


def number(x):
    return None if x != x else float(f"{x:.6g}")


def described(table):
    """Of each column: its type, the share that is there, and mean and spread, or its words with their counts."""
    found = {}
    for name, column in table.items():
        if is_numeric_dtype(column):
            found[name] = ["number", number(column.notna().mean()), number(column.mean()), number(column.std())]
        else:
            found[name] = ["words", number(column.notna().mean()), dict(sorted(column.value_counts().items()))]
    return found


def fingerprint():
    """What the stand-ins are, in numbers that do not depend on the last digit of a computation."""
    found = {}
    for name, draw in ("garments", samples.garments), ("colour_images", samples.colour_images):
        images = draw(200, 100)
        found[name] = {part: [[*X.shape], [number(X[y == c].float().mean()) for c in range(10)],
                              [number(X[y == c].float().std()) for c in range(10)]] for part, (X, y) in images.items()}
    for name in ("houses", "wines", "bike_hours"):
        found[name] = [described(table) for table in getattr(samples, name)()]
    return found


def close(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return a == pytest.approx(b, rel=2e-3, abs=1e-6)
    return a == b


def test_the_stand_ins_are_those_with_which_the_chapters_were_tested():
    """Whoever changes them on purpose runs every chapter with BOOK_DATA=sample, then
    python tests/test_samples.py, which writes the file anew."""
    found, known = json.loads(json.dumps(fingerprint())), json.loads(KNOWN.read_text(encoding="utf-8"))
    differing = [name for name in known if not close(known[name], found[name])]
    assert found.keys() == known.keys() and differing == []


if __name__ == "__main__":
    KNOWN.write_text(json.dumps(fingerprint(), indent=1) + "\n", encoding="utf-8")
