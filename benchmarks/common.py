"""What the programs share: taking turns, ratios, and the record."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch

from shared.devices import Timer, describe, get_device
from shared.training import NonFiniteLoss

RECORDS = Path(__file__).parent / "records"


def environment() -> dict:
    return {"device": describe(), "cores": os.cpu_count(), "threads": torch.get_num_threads(),
            "python": platform.python_version(), "torch": torch.__version__.split("+")[0],
            "platform": f"{platform.system()} {platform.machine()}",
            "date": datetime.date.today().isoformat()}


def take_turns(ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 7) -> dict:
    """Run both sides in alternation; the ratio theirs/ours per round (above 1: ours is faster)."""
    seconds = {"ours": [], "theirs": []}
    ours(), theirs()  # warm up
    for i in range(rounds):
        for side in (("ours", ours), ("theirs", theirs))[:: 1 if i % 2 else -1]:
            with Timer(get_device()) as timer:
                side[1]()
            seconds[side[0]].append(timer.seconds)
    ratios = [t / o for o, t in zip(seconds["ours"], seconds["theirs"])]
    return {"ratio": spread(ratios), "seconds_ours": spread(seconds["ours"]),
            "seconds_theirs": spread(seconds["theirs"])}


def seconds_of(function: Callable[[], object], times: int = 300, warm_up: int = 20,
               device: torch.device | None = None) -> float:
    """Seconds of one call: the mean of so many in a row, after ``warm_up`` others."""
    for _ in range(warm_up):
        function()
    with Timer(device or get_device()) as timer:
        for _ in range(times):
            function()
    return timer.seconds / times


def best_of(measure: Callable[[float], tuple], rates: Iterable[float]) -> tuple[float, tuple]:
    """The rate whose result begins with the largest score, and that result; where numbers overflow, a rate is none."""
    tried = {}
    for rate in rates:
        try:
            tried[rate] = measure(rate)
        except NonFiniteLoss as error:
            print("rate", rate, str(error).splitlines()[0], flush=True)
    if not tried:
        raise SystemExit("no rate came to an end")
    rate = max(tried, key=lambda rate: tried[rate][0])
    return rate, tried[rate]


def outwards(score: Callable, candidates: Sequence, low: int, high: int):
    """The best of ``candidates[low:high]``, and beyond: as long as the best is the last one on a side, the next one
    is tried, so that a choice at an end of what was tried means an end of the candidates."""
    while True:
        best = max(range(low, min(high, len(candidates))), key=lambda i: score(candidates[i]))
        if best == low > 0:
            low -= 1
        elif best == high - 1 < len(candidates) - 1:
            high += 1
        else:
            return candidates[best]


def spread(values: list[float]) -> dict:
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def load(name: str) -> dict | None:
    """The record of a program, or None if it has not run."""
    path = RECORDS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def same_machine(record: dict | None) -> bool:
    """Is there a record, and was it measured on this machine with these versions?"""
    return record is not None and record["environment"] | {"date": None} == environment() | {"date": None}


def recorded_here(name: str) -> dict:
    """Results recorded before on this machine with these versions, to be completed. The record has
    one environment for all its results, so those of another machine must not be mixed in."""
    record = load(name)
    if not same_machine(record):
        raise SystemExit(f"{name}: no record of this machine and these versions to complete; run all of it")
    return record["results"]


def save(name: str, question: str, results: dict, **settings) -> None:
    RECORDS.mkdir(exist_ok=True)
    record = {"question": question, "environment": environment(), "settings": settings, "results": results}
    (RECORDS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{name}: {question}")
    for key, value in results.items():
        print("  ", key, _short(value))


def add_row(name: str, question: str, row: str, values: dict, **settings) -> None:
    """One row more in a record that a program writes row by row, or the same row anew."""
    record = load(name)
    save(name, question, (record["results"] if record else {}) | {row: values}, **settings)


class Runs:
    """The runs of a program with several parts, ``{part: {row: values}}``, written down after each row: a program that
    was stopped goes on where it was, if its record is of this machine."""
    def __init__(self, name: str, question: str, **settings):
        self.name, self.question, self.settings = name, question, settings
        record = load(name)
        self.rows = record["settings"]["runs"] if same_machine(record) else {}

    def missing(self, part: str, rows: Iterable[str]) -> list[str]:
        return [row for row in rows if row not in self.rows.get(part, {})]

    def add(self, part: str, row: str, values: dict) -> None:
        """``values``: a number, or a list with one for each seed, which is recorded with its spread. Lists of lists,
        such as curves, stand among the runs only."""
        print(part, row, values, flush=True)
        self.rows.setdefault(part, {})[row] = values
        results = {f"{row}, {part}": {key: spread(value) if isinstance(value, list) else value
                                      for key, value in values.items() if not _nested(value)}
                   for part, rows in self.rows.items() for row, values in rows.items()}
        save(self.name, self.question, results, **self.settings, runs=self.rows)


def run_parts(runs: Runs, parts: dict[str, Callable], wanted: Iterable[str], check: Callable) -> None:
    """Some parts of a program, on one thread; what is claimed is asserted if these are all."""
    torch.set_num_threads(1)
    wanted = list(wanted)
    for part in wanted:
        parts[part](runs)
    if set(wanted) == set(parts):
        check(runs.rows)


def _nested(value) -> bool:
    return isinstance(value, list) and isinstance(value[0], list)


def _short(value):
    """Medians instead of spreads, for printing."""
    if not isinstance(value, dict):
        return round(value, 4)
    return {k: round(v["median"], 4) if isinstance(v, dict) else v for k, v in value.items()}
