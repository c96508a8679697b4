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


def characters_table(record: dict) -> str:
    rows = ["## A character model: speed of training\n",
            "Characters of *The Time Machine* per second, against the textbook loop of the study notes: same model, "
            "start, batches, clipping and SGD. The limit is what could be reached if only the matrix products took "
            "time that every implementation needs: with 512 hidden values they take most of the time.\n",
            "| setting | characters per second | textbook loop | ratio | `nn.RNN`: ratio | limit |",
            "|---|---|---|---|---|---|"]
    for name, r in record["results"].items():
        rows.append(f"| {name} | {r['tokens_ours']['median']:,.0f} | {r['tokens_theirs']['median']:,.0f} "
                    f"| {number(r['ratio'], '.2f')} | {number(r['library'], '.2f')} | {r['limit']['median']:.1f} |")
    return "\n".join(rows) + "\n\n" + where(record)


D2L_PERPLEXITY = "RNN 7.2, GRU 6.6, LSTM 6.7, two-layer GRU 6.1"


def perplexity_table(record: dict) -> str:
    rows = ["## A character model: held-out perplexity\n",
            "Trained on 10,000 windows of 32 characters, measured on the next 5,000; the split of *Dive into Deep "
            f"Learning* 1.0, whose figures are: {D2L_PERPLEXITY}.\n",
            "| model | seeds | held-out perplexity | seconds of training |", "|---|---|---|---|"]
    for name, r in record["results"].items():
        rows.append(f"| {name} | {r['perplexity']['n']} | {number(r['perplexity'], '.2f')} "
                    f"| {number(r['seconds'], '.1f')} |")
    return "\n".join(rows) + "\n\n" + where(record)


def translation_table(record: dict) -> str:
    s = record["settings"]
    rows = ["## English to French: held-out BLEU\n",
            f"Corpus BLEU, in per cent, on {s['held_out']:,} held-out sentences, none of which, source or target, is "
            f"among the {s['pairs']:,} pairs of the training part; {s['num_epochs']} epochs. The last but one column is "
            "the mean BLEU of the four sentences that *Dive into Deep Learning* prints, three of which are in its "
            "training part.\n",
            "| model | seeds | held-out BLEU | BLEU of the four sentences | seconds of training |",
            "|---|---|---|---|---|"]
    for name, r in record["results"].items():
        percent = {k: v if k == "n" else 100 * v for k, v in r["bleu"].items()}
        rows.append(f"| {name} | {r['bleu']['n']} | {number(percent, '.1f')} | {number(r['four'], '.2f')} "
                    f"| {number(r['seconds'], '.0f')} |")
    return "\n".join(rows) + "\n\n" + where(record)


def d2l_table(record: dict) -> str:
    rows = ["## Against d2l and the DataLoader\n",
            "The same work with d2l 0.17.6, the library of *Dive into Deep Learning*, and with a torchvision data set "
            "and DataLoader; same model, start, data, batch size and device, in turns.\n",
            "| what | seconds here | seconds there | ratio |", "|---|---|---|---|"]
    for name, r in record["results"].items():
        rows.append(f"| {name} | {number(r['seconds_ours'], '.2f')} | {number(r['seconds_theirs'], '.2f')} "
                    f"| {number(r['ratio'], '.1f')} |")
    return "\n".join(rows) + "\n\n" + where(record)


def seconds_table(record: dict) -> str:
    e, results = record["environment"], record["results"]
    rows = ["## Seconds per notebook\n",
            "Executed and compared by nbval in the book's own test run, two notebooks side by side, each with "
            f"{record['settings']['threads_each']} thread.\n",
            "| notebook | seconds |", "|---|---|"]
    rows += [f"| [{name}](../notebooks/{name}.ipynb) | {s:.0f} |" for name, s in results.items()]
    rows.append(f"| all, one after the other | {sum(results.values()):.0f} |")
    rows.append(f"| all, two side by side, at best | {sum(results.values()) / 2:.0f} |")
    return "\n".join(rows) + (f"\n\nMeasured on {e['cores']} cores, {e['platform']}, PyTorch {e['torch']}, "
                              f"Python {e['python']}, {e['date']}.\n")


SECTIONS = (("fashion_mnist", accuracy_table), ("perplexity", perplexity_table),
            ("translation", translation_table), ("feeding", feeding_table),
            ("characters", characters_table), ("against_d2l", d2l_table), ("notebooks", seconds_table))


def page() -> str:
    found = [(write, record) for name, write in SECTIONS if (record := load(name))]
    return "\n".join([HEAD] + [write(record) for write, record in found])


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
