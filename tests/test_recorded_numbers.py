"""Numbers of a benchmark that a chapter shows are those of its record."""

from benchmarks.common import load
from chapters import recorded_in


def test_the_recipe_of_24_is_the_recorded_one():
    record = load("recipe")["results"]
    rows = [tuple(round(row["choose"][k], 2) for k in ("median", "min", "max"))
            for row in record.values() if "choose" in row]
    assert list(recorded_in("24_rnn").values()) == rows


def test_the_textbooks_network_of_11_is_the_recorded_one():
    record = load("fashion_mnist")["results"]
    rows = {(how, what): next(r["accuracy"] for name, r in record.items() if name.startswith(f"MLP 256-256, {start}")
                              and how in name)
            for how in ("SGD", "Adam") for what, start in (("none", "no dropout"), ("dropout", "dropout"))}
    assert recorded_in("11_dropout") == {key: tuple(round(row[k], 3) for k in ("median", "min", "max"))
                                         for key, row in rows.items()}
