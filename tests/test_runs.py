"""A program of several parts goes on where it was stopped, and only on the machine of its record."""

import json

import pytest

from benchmarks import common
from shared.training import NonFiniteLoss


@pytest.fixture
def records(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "RECORDS", tmp_path)
    return tmp_path


def measure() -> common.Runs:
    return common.Runs("tried", "what is tried", data="none")


def test_a_row_is_written_down_at_once_and_not_measured_again(records):
    measure().add("first", "a", {"lr": .1, "accuracy": [.5, .7, .6], "curves": [[.1, .5], [.2, .7], [.3, .6]]})
    again = measure()
    assert again.missing("first", ("a", "b")) == ["b"] and again.missing("second", ("a",)) == ["a"]
    record = json.loads((records / "tried.json").read_text())
    assert record["results"] == {"a, first": {"lr": .1, "accuracy": {"median": .6, "min": .5, "max": .7, "n": 3}}}
    assert record["settings"]["runs"]["first"]["a"]["curves"][2] == [.3, .6]
    again.add("first", "b", {"lr": .2, "accuracy": [.8]})
    assert list(common.load("tried")["results"]) == ["a, first", "b, first"]


def test_rows_of_another_machine_are_not_mixed_in(records, monkeypatch):
    measure().add("first", "a", {"accuracy": [.5]})
    other = common.environment() | {"cores": 1_000}
    monkeypatch.setattr(common, "environment", lambda: other)
    assert measure().rows == {}
    with pytest.raises(SystemExit, match="no record of this machine"):
        common.recorded_here("tried")


def test_a_row_more_leaves_the_others_and_replaces_its_like(records):
    for row, score in ("a", 1), ("b", 2), ("a", 3):
        common.add_row("tried", "what is tried", row, {"score": score}, data="none")
    assert common.load("tried")["results"] == {"a": {"score": 3}, "b": {"score": 2}}
    assert common.load("tried")["settings"] == {"data": "none"}


def test_without_a_record_nothing_is_of_this_machine():
    assert not common.same_machine(None)


def test_the_best_rate_is_measured_once_and_one_that_overflows_is_none():
    asked = []

    def measure(rate):
        asked.append(rate)
        if rate > 1:
            raise NonFiniteLoss("the loss is not finite")
        return -abs(rate - .1), "the network of", rate

    assert common.best_of(measure, (.01, .1, 1, 10)) == (.1, (0, "the network of", .1))
    assert asked == [.01, .1, 1, 10]
    with pytest.raises(SystemExit, match="no rate"):
        common.best_of(measure, (10, 100))
