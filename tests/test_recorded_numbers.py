"""Numbers of a benchmark that a chapter shows are those of its record."""

from benchmarks.common import load
from chapters import recorded_in, three


def test_the_recipe_of_24_is_the_recorded_one():
    record = load("recipe")["results"]
    rows = [three(row["choose"]) for row in record.values() if "choose" in row]
    assert list(recorded_in("24_rnn").values()) == rows


def test_the_textbooks_network_of_11_is_the_recorded_one():
    record = load("fashion_mnist")["results"]
    rows = {(how, what): next(r["accuracy"] for name, r in record.items() if name.startswith(f"MLP 256-256, {start}")
                              and how in name)
            for how in ("SGD", "Adam") for what, start in (("none", "no dropout"), ("dropout", "dropout"))}
    assert recorded_in("11_dropout") == {key: three(row, 3) for key, row in rows.items()}


def test_the_games_of_25_are_the_recorded_ones():
    record, shown = load("gates")["results"], recorded_in("25_gated_rnns")
    assert shown == {name: three(record[name]["score"]) for name in shown} and len(shown) == 15


def test_the_variants_of_25_are_the_recorded_ones():
    record = load("gate_variants")["results"]
    assert recorded_in("25_gated_rnns", "variants") == {name: three(row["test"]) for name, row in record.items()}


def test_the_whole_book_in_25_is_the_recorded_one():
    record, shown = load("recurrent")["results"], recorded_in("25_gated_rnns", "whole_book")
    parts = "60 seconds", "equal parameters"
    assert {f"{name}, {part}" for name in ("RNN", "GRU", "LSTM") for part in parts} < set(shown)
    assert shown == {name: three(record[name]["test"], 3) for name in shown}


def test_the_layers_of_26_are_the_recorded_ones():
    record, shown = load("recurrent")["results"], recorded_in("26_deep_and_bidirectional_rnns")
    long = {"same weights": "layers of equal parameters", "30 seconds": "layers in 30 seconds",
            "2 layers": "two layers"}
    for name, row in shown.items():
        part, what = name.split(", ")
        found = record[f"{what}, {long[part]}"]
        assert row == (round(found["seconds"]["median"]), *three(found["test"])), name


def test_the_minute_of_32_is_the_recorded_one():
    record, shown = load("recurrent")["results"] | load("parallel_models")["results"], recorded_in("32_transformer")
    assert {f"{name}, 60 seconds" for name in ("transformer", "RNN", "GRU", "LSTM")} < set(shown)
    assert shown == {name: three(record[name]["test"]) for name in shown}


def test_the_translations_of_32_are_the_recorded_ones():
    record, shown = load("translation_seconds")["results"], recorded_in("32_transformer", "translated")
    ratio = record["ratio, equal seconds"]
    for way in "", " beam":
        comma = "," * bool(way)
        for name in "transformer", "recurrent":
            row = {key: 100 * value for key, value in record[f"{name}, equal seconds"][f"test{way}"].items()}
            assert shown.pop(f"{name}{comma}{way}") == three(row, 1)
        assert shown.pop(f"ratio{comma}{way}") == tuple(round(ratio[k + way], 3) for k in ("ratio", "low", "high"))
    assert not shown


def test_the_equal_seconds_of_33_are_the_recorded_ones():
    rows = load("parallel_models")["results"] | load("recurrent")["results"]
    shown = recorded_in("33_convolutions_and_trees", "equal_seconds")
    assert shown == {name: (round(rows[name]["seconds"]["median"]), *three(rows[name]["test"], 3)) for name in shown}


def test_the_sentiments_of_33_are_the_recorded_ones():
    runs = load("sentiment")["settings"]["runs"]
    rows, shown = runs["accuracy"], recorded_in("33_convolutions_and_trees", "sentiments")
    assert shown == {name: (round(sum(rows[name]["five"]) / 5, 3), round(min(rows[name]["five"]), 3),
                            round(max(rows[name]["five"]), 3)) for name in shown} and len(shown) == len(rows) - 1
    shown = recorded_in("33_convolutions_and_trees", "differences")
    assert shown == {name: tuple(round(runs["difference"][name][key], 3) for key in ("five", "five low", "five high"))
                     for name in shown} and len(shown) == 6
