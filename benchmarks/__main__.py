"""Run the programs that need no GPU, then write the results page."""

import importlib

from benchmarks import report

PROGRAMS = ("feeding", "characters", "translation", "fashion_mnist")

if __name__ == "__main__":
    for name in PROGRAMS:
        importlib.import_module(f"benchmarks.{name}").main()
    report.main()
