"""Write book/results.md from the records. Nothing on that page is typed by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean, median

from benchmarks.common import load

PAGE = Path(__file__).parents[1] / "book" / "results.md"

HEAD = """# Results

Measured by the programs in `benchmarks/`, written here from their records: `make bench` measures speed,
`make bench-accuracy` trains, and the
[README](https://github.com/deep-learning-you-can-check/book#read-run-test) lists the others. A ratio compares two
sides that took turns in the same run. Medians, with the smallest and largest value in brackets.
"""


def number(s: dict, form: str) -> str:
    """The median, and what it lies between if there are several."""
    between = f" ({s['min']:{form}} to {s['max']:{form}})" if s.get("n", 2) > 1 else ""
    return f"{s['median']:{form}}{between}"


def percent(s: dict, form: str) -> str:
    return number({k: v if k == "n" else 100 * v for k, v in s.items()}, form)


def where(record: dict) -> str:
    e, data = record["environment"], record["settings"].get("data")
    return (f"Measured {f'with {data} ' if data else ''}on {e['device']}, {e['cores']} cores, {e['platform']}, "
            f"PyTorch {e['torch']}, Python {e['python']}, {e['date']}.\n")


def section(record: dict, title: str, text: str, columns: Iterable[str],
            row: Callable[[str, dict], Iterable], more: Iterable[str] = ()) -> str:
    """A heading, a paragraph, a table with one row for each result, and where it was measured."""
    columns = list(columns)
    rows = [row(name, result) for name, result in record["results"].items()]
    lines = [columns, ["---"] * len(columns), *rows]
    table = ["| " + " | ".join(map(str, cells)) + " |" for cells in lines] + list(more)
    return "\n".join([f"## {title}\n", text + "\n", *table]) + "\n\n" + where(record)


def accuracy_table(record: dict) -> str:
    return section(record, "Fashion-MNIST: test accuracy",
                   "The last column is the spread over the archived runs of *Dive into Deep Learning* for this model, "
                   "ten epochs each.",
                   ("model and training", "epochs", "seeds", "test accuracy", "seconds of training",
                    "D2L median (min to max)"),
                   lambda name, r: (name, r["epochs"], r["accuracy"]["n"], number(r["accuracy"], ".3f"),
                                    number(r["seconds"], ".1f"), number(r["d2l"], ".3f") if r["d2l"] else ""))


def judged_row(seconds: str) -> Callable[[str, dict], tuple]:
    """The row of a model that judges several views of each image; ``seconds`` is their format."""
    return lambda name, r: (name, r["epochs"], r["accuracy"]["n"], number(r["accuracy"], ".4f"),
                            number(r["plain"], ".4f"), number(r["seconds"], seconds))


def quality_table(record: dict) -> str:
    return section(record, "Fashion-MNIST: a small residual network in two minutes",
                   "Everything included, from the data in memory to the measured accuracy. The best published figure "
                   "of *Dive into Deep Learning* is 0.924, of a network that runs on a large GPU.",
                   ("model", "epochs", "seeds", "test accuracy", "without the mirror image", "seconds in all"),
                   judged_row(".0f"))


def ablation_table(record: dict) -> str:
    s = record["settings"]
    return section(record, "LeNet: one part of the recipe taken away at a time",
                   f"{s['training']:,} images of training, each row with the best of three learning rates by the "
                   f"accuracy on {s['validation']:,} validation images after a whole run. What is lost is taken seed "
                   "by seed: the same batches, in the same order.",
                   ("recipe", "learning rate", "epochs", "seeds", "test accuracy", "less than with all parts"),
                   lambda name, r: (name, f"{r['lr']:g}", r["epochs"], r["accuracy"]["n"],
                                    number(r["accuracy"], ".3f"), number(r["less"], ".3f")))


def birds_table(record: dict) -> str:
    s = record["settings"]
    return section(record, "Birds and airplanes: one change at a time",
                   f"{s['training']:,} pictures of training. Each row changes one thing about the small network of the "
                   f"first row and has the best of the learning rates tried by the accuracy on {s['validation']:,} "
                   f"validation pictures, with the first seed. Tested on {s['test']:,} pictures, once for each seed; "
                   "the gain is taken seed by seed.",
                   ("network and training", "parameters", "learning rate", "epochs", "seeds", "accuracy in training",
                    "test accuracy", "more than the base"),
                   lambda name, r: (name, f"{r['parameters']:,}", f"{r['lr']:g}", r["epochs"], r["test"]["n"],
                                    f"{r['fitting']['median']:.3f}", number(r["test"], ".3f"),
                                    number(r["gain"], "+.3f")))


def best_birds_table(record: dict) -> str:
    return section(record, "Birds and airplanes: as good as possible in a minute",
                   "All 10,000 training pictures, the recipe chosen on 2,000 of them; tested on 2,000 pictures, as "
                   "they are and together with their mirror images. The first layer is computed from the pictures.",
                   ("model", "epochs", "seeds", "test accuracy", "without the mirror image", "seconds of training"),
                   judged_row(".0f"))


def modern_cnns_table(record: dict) -> str:
    s = record["settings"]
    sizes = {part: f"{s[part][0]:,} images, {s[part][1]} times" for part in ("short", "long", "longest")}

    def row(name: str, r: dict) -> tuple:
        name, part = name.rsplit(", ", 1)
        return (name, sizes[part], "validation" if part == "short" else "test", f"{r['lr']:g}", r["accuracy"]["n"],
                number(r["accuracy"], ".3f"), number(r["moved"], ".2f"), number(r["seconds"], ".1f"))

    return section(record, "AlexNet, VGG, NiN and GoogLeNet at 28x28: equal work, one change at a time",
                   "The five forms take 2.8 to 2.95 million multiply-adds for an image. Short trainings are judged on "
                   f"{s['validation']:,} validation images, long ones on the test images, once for each seed; moved: "
                   "the same images, four pixels to the right. Seconds are those of the processor, on one thread.",
                   ("network", "training", "judged on", "learning rate", "seeds", "accuracy", "moved", "seconds"), row)


def batch_norm_table(record: dict) -> str:
    s = record["settings"]
    return section(record, "LeNet with and without batch normalisation",
                   f"{s['training']:,} images of training; each row with the best of three learning rates by the "
                   f"accuracy on {s['validation']:,} validation images after one pass over "
                   f"{s['choice']:,} others; the test set used once for each seed.",
                   ("recipe", "learning rate", "epochs", "seeds", "test accuracy", "seconds"),
                   lambda name, r: (name, f"{r['lr']:g}", r["epochs"], r["accuracy"]["n"],
                                    number(r["accuracy"], ".3f"), number(r["seconds"], ".0f")))


def resnet_table(record: dict) -> str:
    s = record["settings"]

    def row(name: str, r: dict) -> tuple:
        name, part = name.rsplit(", ", 1)
        judged = r["plain" if part == "small" else "validation"]
        fitted = number(r["training"], ".3f") if "training" in r else ""
        return (part, name, f"{r['lr']:g}", judged["n"], fitted, number(judged, ".3f"), number(r["seconds"], ".1f"))

    return section(record, "Residual networks: depth, blocks, and a small network part by part",
                   f"{s['training']:,} images, judged on {s['validation']:,} validation images. Depth: towers of 8, 20 "
                   "and 56 layers, three passes. Block: towers of 32 layers, one thing changed about the block, two "
                   "passes. Small: that of “a small residual network in two minutes”, two passes, one part taken away. "
                   "Each tower has the best of several learning rates by its first seed. Seconds are those of the "
                   "processor, on one thread.",
                   ("part", "network", "learning rate", "seeds", "accuracy in training", "validation accuracy",
                    "seconds"), row)


def inside_cnns_table(record: dict) -> str:
    def row(name: str, r: dict) -> tuple:
        views = number(r["six views"], ".3f") if "six views" in r else ""
        return (name, r["epochs"], r["accuracy"]["n"], number(r["accuracy"], ".3f"), views,
                number(r["seconds"], ".0f"))

    return section(record, "CIFAR-10 on a processor: the parts of a recipe",
                   "A narrow network; one part of the recipe is taken away at a time, on 4,000 pictures, and judged on "
                   "5,000 that were held out. All rows have the rate, of two, that is best for the whole recipe. The "
                   "last row is the whole recipe on all the others, judged once on the test pictures. Seconds are "
                   "those of one thread.",
                   ("recipe", "epochs", "seeds", "accuracy", "six views of each picture", "seconds"), row)


def two_cores_table(record: dict) -> str:
    s = record["settings"]
    faster = s["runs"]["speed"]["bfloat16"]["times as fast"]

    def row(name: str, r: dict) -> tuple:
        name, part = name.rsplit(", ", 1)
        return (name, part, number(r["epochs"], ".0f"), *judged_row(".0f")(name, r)[2:])

    judged = {name: r for name, r in record["results"].items() if "accuracy" in r}
    return section(record | {"results": judged},
                   f"{s['data'].split(':')[0]}: as good as possible in {s['seconds']} seconds",
                   "Two cores, from the pictures in memory to the accuracy with six views of each; the short runs "
                   f"that fix the number of epochs come before. What is best on {s['validation']:,} training pictures "
                   "that were held back is trained on all training pictures and judged on the test pictures, once for "
                   "each seed. A step in bfloat16 "
                   f"is here {faster:.1f} times as fast as one in float32; where cores are slower, there are fewer "
                   "epochs.",
                   ("network", "judged on", "epochs", "seeds", "accuracy", "one view", "seconds in all"), row)


def processor_table(record: dict) -> str:
    s = record["settings"]
    return section(record, "A step of convolutions on a processor",
                   f"The network of the table before, {', '.join(map(str, s['widths']))} channels, in bfloat16; "
                   f"{s['batch_size']} pictures of {s['side']} x {s['side']} pixels a step. Both change results by "
                   "rounding only. Memory that is kept is not asked for again by the next large tensor; several small "
                   "maps in one row fill the rows in which the gradient of the weights is computed.",
                   ("step", "seconds"), lambda name, r: (name, number(r["seconds"], ".3f")))


def perplexity_table(record: dict) -> str:
    return section(record, "A character model: the whole book",
                   "The first 80 % of the text for training, the next 10 % for choosing, perplexity on the last 10 %.",
                   ("model", "seeds", "test perplexity", "seconds"),
                   lambda name, r: (name, r["perplexity"]["n"], number(r["perplexity"], ".2f"),
                                    number(r["seconds"], ".1f")))


def recipe_table(record: dict) -> str:
    return section(record, "A character model: what the parts of a recipe are worth",
                   "Trained on the first 10,000 characters, one part of the recipe taken away at a time. Choices are "
                   "made on characters 15,000 to 20,000; the score is the perplexity on characters 10,000 to 15,000, "
                   "where *Dive into Deep Learning* 1.0 has: RNN 7.2, GRU 6.6, LSTM 6.7, two-layer GRU 6.1.",
                   ("model", "seeds", "perplexity where choices are made", "score"),
                   lambda name, r: (name, r["score"]["n"], number(r["choose"], ".2f") if "choose" in r else "",
                                    number(r["score"], ".2f")))


def recurrent_rows(record: dict, parts: Iterable[str], extra: Callable[[dict], Iterable] = lambda r: ()) -> list[tuple]:
    """The rows of these parts, in this order, within a part in that of the program."""
    rows = [(*name.rsplit(", ", 1), r) for name, r in record["results"].items()]
    return [(part, name, r.get("num_hiddens", ""), f"{r['parameters']:,}" if "parameters" in r else "",
             f"{r['lr']:g}" if "lr" in r else "", *extra(r), number(r["passes"], ".1f") if "passes" in r else "",
             r["test"]["n"], number(r["validation"], ".3f"), number(r["test"], ".3f"),
             number(r["seconds"], ".1f") if "seconds" in r else "")
            for part in parts for name, p, r in rows if p == part]


def recurrent_section(record: dict, title: str, text: str, rows: list[tuple], extra: str) -> str:
    columns = ("part", "model", "hidden values", "parameters", "learning rate", extra, "passes", "seeds",
               "validation perplexity", "test perplexity", "seconds")
    return section({**record, "results": dict(enumerate(rows))}, title, text, columns, lambda _, row: row)


def recurrent_table(record: dict) -> str:
    def dropout(r: dict) -> tuple:
        return (f"{r['dropout']:g}" if "dropout" in r else "",)

    rows = recurrent_rows(record, ("counted", "60 seconds", "equal parameters", "five minutes"), dropout)
    for name, r in record["results"].items():
        if "test mixed" in r:
            n, gap = r["test mixed"]["n"], [""] * 5
            rows += [("five minutes", f"{name.split(',')[0]}, mixed with Kneser-Ney of order {r['order']}", *gap, n,
                      number(r["validation mixed"], ".3f"), number(r["test mixed"], ".3f"), ""),
                     (f"{n} times five minutes", f"all {5 * n} networks, averaged", *gap, 1, "",
                      f"{r['test together']:.3f}", ""),
                     (f"{n} times five minutes", "the same, mixed with Kneser-Ney", *gap, 1, "",
                      f"{r['test together mixed']:.3f}", "")]
    return recurrent_section(
        record, "RNN, GRU and LSTM: the characters of the whole book",
        "The first 80 % of the text for training, the next 10 % for every choice, with the first seed; the last 10 % "
        "is read in one go, once for each seed. In 60 seconds, each cell had the same search, in trainings of the "
        "whole length: three rates, three widths (whose passes take about as long for each cell), three dropouts, and "
        "on beyond the best one where it was the last one tried. With equal parameters and passes, likewise for rate "
        "and dropout. Probabilities are mixed with a weight chosen on the validation part. Seconds are those of the "
        "processor, on one thread, and of PyTorch's own layers, of which the LSTM is the fastest for its size.",
        rows, "dropout")


def deep_recurrent_table(record: dict) -> str:
    rows = recurrent_rows(record, ("layers of equal parameters", "layers in 30 seconds", "two layers"),
                          lambda r: (f"{r['between']:g}",))
    return recurrent_section(
        record, "Deep LSTMs: the characters of the whole book",
        "As in the table before. One to three layers with the same number of parameters, for as many passes; with "
        "twice as many, for as many seconds; then one thing added to the row of two layers and equal passes. Each row "
        "has the best of three learning rates or more by the validation part, with the first seed.",
        rows, "dropout between layers")


def parallel_rows(record: dict, parts: Iterable[str]) -> list[tuple]:
    return recurrent_rows(record, parts, lambda r: (f"{r['num_layers']}, {r['num_steps']}, {r['dropout']:g}"
                                                    if "num_layers" in r else "",))


PARALLEL = "layers, characters of a row, dropout"


def parallel_table(record: dict) -> str:
    rows = parallel_rows(record, ("60 seconds", "averages"))
    for name, r in record["results"].items():
        if "test mixed" in r:
            rows.append(("averages", f"{name.rsplit(', ', 1)[0]}, mixed with Kneser-Ney", *[""] * 5,
                         r["test mixed"]["n"], number(r["validation mixed"], ".3f"), number(r["test mixed"], ".3f"),
                         ""))
    return recurrent_section(
        record, "Attention and convolutions: the characters of the whole book",
        "Text, split and optimiser as for RNN, GRU and LSTM. The rate, the heads or the kernel, and the dropout are "
        "those of a search in trainings of 12 seconds; then, in 60 seconds, more width, more layers and more dropout "
        "were tried, each as long as it helped; “of 12 seconds” is the best network of the shorter trainings, with "
        "more dropout as long as it helped. Attention reads windows of as many characters as a row of the "
        "training has, and every score is from at least three quarters of a window; convolutions read the text in one "
        "go. Averages are those of the probabilities of networks of 60 seconds; the weight of the counts is chosen on "
        "the validation part.",
        rows, PARALLEL)


def parallel_parts_table(record: dict) -> str:
    rows = parallel_rows(record, ("12 seconds", "ladder", "one part taken away", "positions", "convolutions"))
    return recurrent_section(
        record, "Attention and convolutions in 12 seconds: what each part is worth",
        "First the best that a search of rate, length of the rows, width, depth, heads or kernel, and dropout found "
        "for both. Then each row with the best of at least three rates: the ladder begins with one head, without "
        "feed-forward, residual, norm and dropout, and adds one after the other, named by what is added; from its row "
        "“norm” one part is taken away, or its rotary positions are replaced; and convolutions have one thing "
        "changed, at equal parameters. The machine was busy with other work: compare the passes, too.",
        rows, PARALLEL)


def gates_table(record: dict) -> str:
    def row(name: str, r: dict) -> tuple:
        task, distance, layer = name.split(", ", 2)
        updates = r.get("updates", record["settings"]["updates"])
        return (task, distance, layer, f"{r['rate']:g}", updates, r["score"]["n"], number(r["score"], ".2f"))

    return section(record, "Copying and adding over a distance",
                   "Layers with about the same number of weights. Copying: the share of letters that are right, one "
                   "in four by chance. Adding: the share of the sum's variance that is explained, 0 for the best "
                   "constant. The rate of a row is the best of four on validation data, with one seed; other seeds are "
                   "tested. The last row has the rate that was found for the usual number of updates.",
                   ("task", "distance", "layer", "learning rate", "updates", "seeds", "score"), row)


def gate_variants_table(record: dict) -> str:
    return section(record, "LSTM and GRU with one part changed",
                   f"128 units, {record['settings']['epochs']} passes over the first 80 % of the book, a bias of 1 on "
                   "the gate that keeps. The rate of a row is the best of three to five on the next 10 %, with one "
                   "seed, larger ones as long as the last was the best; perplexity on the last 10 %, with other seeds.",
                   ("layer", "learning rate", "seeds", "test perplexity"),
                   lambda name, r: (name, f"{r['rate']:g}", r["test"]["n"], number(r["test"], ".2f")))


def translation_table(record: dict) -> str:
    s, best = record["settings"], record["results"]["attention"]["bleu"]["median"]

    def row(name: str, r: dict) -> tuple:
        interval = f"{100 * r['low']['median']:.1f} to {100 * r['high']['median']:.1f}"
        return (name, r["bleu"]["n"], *(f"{100 * r[key]['median']:.1f}" for key in ("valid", "bleu")), interval,
                f"{r['bleu']['median'] / best:.2f}", f"{100 * r['training']['median']:.1f}",
                number(r["seconds"], ".0f"))

    return section(record, "English to French: held-out BLEU",
                   f"Corpus BLEU, in per cent, on {s['held_out']:,} test sentences of up to {s['max_words']} words, "
                   f"none of which, source or target, is among the {s['pairs']:,} pairs of the training part, with all "
                   f"their translations as references; passes over the pairs: {s['num_epochs']}, hidden values: "
                   f"{s['num_hiddens']}, subwords of each language: {s['subwords']:,}. All models have the same "
                   "bidirectional encoder and an output layer that sees the context; only the context differs. The "
                   "clock's is the state at the piece with the number of the step: it moves on, but nothing is "
                   "compared. Intervals are bootstraps over the test sentences. Training sentences are scored against "
                   "one reference only. The best model without attention on validation is "
                   f"“{s['rival']}”; attention has {s['ratio']:.2f} times its score on test "
                   f"({s['ratio_low']:.2f} to {s['ratio_high']:.2f}).",
                   ("context", "seeds", "BLEU, validation", "BLEU, test", "95 % interval", "share of attention's",
                    "BLEU, training", "seconds of training"), row)


def translation_seconds_table(record: dict) -> str:
    s, ratio = record["settings"], record["results"]["ratio, equal seconds"]
    rows = {name.split(",")[0]: r for name, r in record["results"].items()
            if name.endswith("equal seconds") and "test" in r}

    def row(name: str, r: dict) -> tuple:
        ways = [(percent(r[f"test{way}"], ".1f"),
                 f"{100 * r[f'low{way}']['median']:.1f} to {100 * r[f'high{way}']['median']:.1f}")
                for way in ("", " beam")]
        return (name, r["test"]["n"], f"{r['parameters'] / 1e6:.2f} million", number(r["passes"], ".1f"),
                percent(r["validation"], ".1f"), *ways[0], *ways[1])

    return section(record | {"results": rows}, "English to French: transformer and GRU in equal seconds",
                   f"{s['seconds']} seconds of one thread's processor time for each training, the data and the split "
                   "of the table above. The recurrent model has attention and a bidirectional encoder. For each, four "
                   f"settings were tried for {s['seconds_of_a_try']} seconds, and one was chosen by validation BLEU; "
                   "both times its rate was the highest that had been tried, so more may be in either. Intervals are "
                   "bootstraps over the test sentences, the medians of three seeds. With the counts of all three seeds "
                   "added up, the transformer has "
                   f"{ratio['ratio']:.2f} times the score of the "
                   f"other ({ratio['low']:.2f} to {ratio['high']:.2f}), with a beam of {s['width']} "
                   f"{ratio['ratio beam']:.2f} times ({ratio['low beam']:.2f} to {ratio['high beam']:.2f}).",
                   ("model", "seeds", "parameters", "passes", "BLEU, validation", "BLEU, test", "95 % interval",
                    "BLEU, test, beam", "95 % interval, beam"), row)


def sentiment_table(record: dict) -> str:
    s, runs = record["settings"], record["settings"]["runs"]

    def share(r: dict, key: str) -> str:
        return (f"{fmean(r[key]):.3f} ({min(r[key]):.3f} to {max(r[key]):.3f}) | {r[f'{key} low']:.3f} to "
                f"{r[f'{key} high']:.3f}")

    def row(name: str, r: dict) -> tuple:
        return (name, f"{r['parameters']:,}", f"{r['lr']:g}", f"{r['dropout']:g}", f"{median(r['passes']):.1f}",
                f"{median(r['seconds']):.0f}", share(r, "five"), share(r, "two"))

    differences = [f"- {name}: five classes {r['five']:+.3f} ({r['five low']:+.3f} to {r['five high']:+.3f}), two "
                   f"{r['two']:+.3f} ({r['two low']:+.3f} to {r['two high']:+.3f})"
                   for name, r in runs.get("difference", {}).items()]
    speed = runs.get("speed", {}).get("nodes per second", {})
    speeds = ["Nodes per second of a training step of the Tree-LSTM, by the number of trees at once: "
              + ", ".join(f"{median(v):,.0f} with {k.removesuffix(' trees')}" for k, v in speed.items()) + "."]
    return section(record | {"results": runs["accuracy"]}, "Sentiments: bags of words, sequences, trees",
                   f"The Stanford Sentiment Treebank, {s['words']:,} words of which each model learns the vectors from "
                   "the training part alone. Rate and dropout are chosen on the validation part with the first seed, "
                   "the number of passes with every seed, within equal seconds of the processor, on one thread (bags "
                   "need fewer). Accuracies on the test part's whole sentences, of five classes and of two: means of "
                   "five seeds, the smallest and largest, and 95 % intervals over the sentences. Parameters are "
                   "those beside the word vectors.",
                   ("model", "parameters", "learning rate", "dropout", "passes", "seconds", "five classes",
                    "95 % interval", "two classes", "95 % interval"), row,
                   ["", "Differences on the same sentences, with 95 % intervals:", "", *differences, "", *speeds])


def feeding_table(record: dict) -> str:
    return section(record, "The cost of feeding",
                   "One epoch of `fit` on shuffled real batches against one epoch of `fit` on one constant batch. "
                   "1 means that feeding costs nothing. On a CPU a small model does so little work per batch that it "
                   "matters where the images come from: the constant batch stays in the processor's cache, real data "
                   "cannot. The second column shows that limit: batches that were converted beforehand.",
                   ("model", "speed relative to a constant batch", "the same, converted beforehand",
                    "seconds per epoch"),
                   lambda name, r: (name, number(r["ratio"], ".2f"), number(r["limit"], ".2f"),
                                    number(r["seconds_ours"], ".2f")))


def scale_table(record: dict) -> str:
    def row(name: str, r: dict) -> tuple:
        extra, loaded = r.get("extra"), r.get("loaded")
        return (name, f"{r['bytes']['median'] / 1e6:,.0f}", number(r["trained"], ",.0f"), number(r["relative"], ".2f"),
                f"{loaded['median']:,.0f}" if loaded else "", f"{extra['median'] / 1e6:,.0f}" if extra else "")

    return section(record, "A growing set, and one that does not fit into memory",
                   "Images of 28x28, an MLP with 256 hidden units. The ratio compares with the smallest set; in the "
                   "last row, with the same set in memory. There the process could not hold it (it may use "
                   f"{record['settings']['allowed'] >> 20} MiB more than at its start): a thread reads blocks of the "
                   "file ahead, from the disk, since the system's cache is emptied before.",
                   ("set", "its megabytes", "examples per second, training", "ratio",
                    "examples per second, loader alone", "megabytes beyond the set"), row)


def gpu_table(record: dict) -> str:
    return section(record, "Training on a GPU",
                   "One improvement after the other, each with all before it; the ratio compares with float32.",
                   ("what", "per second", "ratio", "seconds per epoch"),
                   lambda name, r: (name, f"{r['per_second']['median']:,.0f} {r['unit']}", number(r["ratio"], ".2f"),
                                    number(r["seconds"], ".2f")))


def devices_table(record: dict) -> str:
    flat = {name: value for group in record["results"].values() for name, value in group.items()}
    return section({**record, "results": flat}, "Orders, copies, products and steps on a GPU",
                   "What a GPU takes for single things: Python writes an order down and goes on; bytes travel from "
                   "the host, from pageable and from pinned memory; products of 8,192 x 8,192 matrices and the sum "
                   "of two long vectors show the two limits of the roofline; steps are those of training (forwards, "
                   "backwards, Adam); eight simple steps on a long vector, as written and fused.",
                   ("what (us: microseconds)", "value"),
                   lambda name, value: (name.replace("_", " "), f"{value:,{'.4g' if value < 1000 else '.0f'}}"))


def cifar_table(record: dict) -> str:
    return section(record, "CIFAR-10 to 94 per cent", "From the data on the device to the measured accuracy.",
                   ("program", "epochs", "seeds", "test accuracy", "with one view of each image", "seconds"),
                   judged_row(".2f"))


def characters_table(record: dict) -> str:
    return section(record, "A character model: speed of training",
                   "Characters of *The Time Machine* per second, against the textbook loop of the study notes: same "
                   "model, start, batches, clipping and SGD. The limit is what could be reached if only the matrix "
                   "products took time that every implementation needs: with 512 hidden values they take most of the "
                   "time.",
                   ("setting", "characters per second", "textbook loop", "ratio", "`nn.RNN`: ratio", "limit"),
                   lambda name, r: (name, f"{r['tokens_ours']['median']:,.0f}", f"{r['tokens_theirs']['median']:,.0f}",
                                    number(r["ratio"], ".2f"), number(r["library"], ".2f"),
                                    f"{r['limit']['median']:.1f}"))


def d2l_table(record: dict) -> str:
    return section(record, "Against d2l and the DataLoader",
                   "The same work with d2l 0.17.6, the library of *Dive into Deep Learning* (`make bench-d2l`), and "
                   "with a torchvision data set and DataLoader; same model, start, data, batch size and device, in "
                   "turns.",
                   ("what", "seconds here", "seconds there", "ratio"),
                   lambda name, r: (name, number(r["seconds_ours"], ".2f"), number(r["seconds_theirs"], ".2f"),
                                    number(r["ratio"], ".1f")))


def seconds_table(record: dict) -> str:
    total = sum(record["results"].values())
    return section(record, "Seconds per notebook",
                   "Executed and compared by nbval in the book's own test run, two notebooks side by side, each with "
                   f"{record['settings']['threads_each']} thread.",
                   ("notebook", "seconds"), lambda name, s: (f"[{name}](../notebooks/{name}.ipynb)", f"{s:.0f}"),
                   (f"| the sum | {total:.0f} |",))


def pages_table(record: dict) -> str:
    def row(name: str, r: dict) -> tuple:
        source = f"../{name}.ipynb" if name.startswith("notebooks/") else f"{name.removeprefix('book/')}.md"
        return (f"[{name.split('/')[-1]}]({source})", f"{r['bytes'] / 1e6:.2f}", f"{r['paint']:.0f}",
                f"{r['shift']:.3f}", f"{r['elements']:,}")

    return section(record, "What a page weighs",
                   f"Opened in Chromium, {record['settings']['window']} pixels, from a server on the same machine: "
                   "megabytes of all files that are asked for before a reader scrolls, not compressed; milliseconds to "
                   "the first paint; how much of the window moved (layout shift); elements.",
                   ("page", "megabytes", "first paint", "shift", "elements"), row)


SECTIONS = (("fashion_mnist", accuracy_table), ("lenet_ablation", ablation_table), ("quality", quality_table),
            ("two_cores_fashion", two_cores_table),
            ("birds", birds_table), ("birds_best", best_birds_table), ("modern_cnns", modern_cnns_table),
            ("batch_norm", batch_norm_table), ("resnet", resnet_table), ("inside_cnns", inside_cnns_table),
            ("two_cores_cifar10", two_cores_table),
            ("processor", processor_table),
            ("recipe", recipe_table), ("perplexity", perplexity_table), ("recurrent", recurrent_table),
            ("recurrent", deep_recurrent_table), ("parallel_models", parallel_table),
            ("parallel_models", parallel_parts_table), ("gates", gates_table), ("gate_variants", gate_variants_table),
            ("translation", translation_table), ("translation_seconds", translation_seconds_table),
            ("sentiment", sentiment_table), ("feeding", feeding_table), ("scale", scale_table),
            ("characters", characters_table), ("against_d2l", d2l_table), ("devices", devices_table),
            ("gpu_training", gpu_table), ("cifar10", cifar_table), ("notebooks", seconds_table),
            ("pages", pages_table))


def page() -> str:
    found = [(write, record) for name, write in SECTIONS if (record := load(name))]
    return "\n".join([HEAD] + [write(record) for write, record in found])


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
