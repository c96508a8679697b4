"""The numbers of chapter 33 that were recorded."""

from benchmarks.common import load
from chapters import recorded_in, three


def test_the_equal_seconds_of_33_are_the_recorded_ones():
    rows = load("parallel_models")["results"] | load("recurrent")["results"]
    shown = recorded_in("33_convolutions_and_trees", "equal_seconds")
    assert shown == {name: (round(rows[name]["seconds"]["median"]), *three(rows[name]["test"], 3)) for name in shown}
