"""Write book/results.md from the records. Nothing on that page is typed by hand."""

from __future__ import annotations

from pathlib import Path

from benchmarks.common import load

PAGE = Path(__file__).parents[1] / "book" / "results.md"

HEAD = """# Results

Measured by the programs in `benchmarks/` (`make bench`), written here from their records. A ratio compares two
sides that took turns in the same run. Medians, with the smallest and largest value in brackets.
"""


def number(s: dict, form: str) -> str:
    return f"{s['median']:{form}} ({s['min']:{form}} to {s['max']:{form}})"


def where(record: dict) -> str:
    e = record["environment"]
    return (f"Measured with {record['settings']['data']} on {e['device']}, {e['cores']} cores, {e['platform']}, PyTorch {e['torch']}, "
            f"Python {e['python']}, {e['date']}.\n")


def accuracy_table(record: dict) -> str:
    rows = ["## Fashion-MNIST: test accuracy\n",
            "The last column is the spread over the archived runs of *Dive into Deep Learning* for this model, "
            "ten epochs each.\n",
            "| model and training | epochs | seeds | test accuracy | seconds of training "
            "| D2L median (min to max) |", "|---|---|---|---|---|---|"]
    for name, r in record["results"].items():
        rows.append(f"| {name} | {r['epochs']} | {r['accuracy']['n']} | {number(r['accuracy'], '.3f')} | {number(r['seconds'], '.1f')} "
                    f"| {number(r['d2l'], '.3f')} |")
    return "\n".join(rows) + "\n\n" + where(record)


def feeding_table(record: dict) -> str:
    rows = ["## The cost of feeding\n",
            "One epoch of `fit` on shuffled real batches against one epoch of `fit` on one constant batch. "
            "1 means that feeding costs nothing. On a CPU a small model does so little work per batch that it "
            "matters where the images come from: the constant batch stays in the processor's cache, real data "
            "cannot. The second column shows that limit: batches that were converted beforehand.\n",
            "| model | speed relative to a constant batch | the same, converted beforehand | seconds per epoch |",
            "|---|---|---|---|"]
    for name, r in record["results"].items():
        rows.append(f"| {name} | {number(r['ratio'], '.2f')} | {number(r['limit'], '.2f')} "
                    f"| {number(r['seconds_ours'], '.2f')} |")
    return "\n".join(rows) + "\n\n" + where(record)


SECTIONS = (("fashion_mnist", accuracy_table), ("feeding", feeding_table))


def page() -> str:
    found = [(write, record) for name, write in SECTIONS if (record := load(name))]
    return "\n".join([HEAD] + [write(record) for write, record in found])


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
