"""English to French in equal seconds: a transformer, and a GRU with attention.

    python -m benchmarks.translation_seconds          what the record does not have yet
    python -m benchmarks.translation_seconds tries    one part of it: tries or equal

Sentences, split and BLEU are those of `benchmarks.translation`. Both models have label smoothing, Adam, a rate that
rises in the first twentieth of the seconds and falls to zero along a cosine, gradients clipped to norm 1, and batches
of sentences of like length. Seconds are those of the processor, on one thread.

Tries: equally many recipes for both, each trained once for 150 seconds, with the first seed. The best BLEU of the
validation sentences, translated greedily, chooses.
Equal: three seeds of each chosen recipe. BLEU of the test sentences, greedily and with a beam of four, and the ratio
of both models' BLEU, from the counts of all seeds together, with its interval.

Networks that were trained are kept in the folder of temporary files: a row that was stopped goes on after them."""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import common
from shared import data
from shared.beam_search import beam_search
from shared.devices import seed_all
from shared.seq2seq import AttentionDecoder, EncoderDecoder, SentenceBatches, Seq2SeqEncoder, translate
from shared.training import cosine
from shared.transformer import TransformerDecoder, TransformerEncoder
from shared.translation import PAD, Pairs, bleu_counts, bleu_interval, bleu_of_counts, load_data_nmt

NAME, MODELS, SEEDS = "translation_seconds", ("transformer", "recurrent"), range(3)
TRY, EQUAL, WIDTH = 150, 200, 4  # seconds of a try and of a training, width of the beam
KEPT = Path(tempfile.gettempdir()) / NAME


# --------------------------------------------------------------------------------------------- the training

@dataclass(frozen=True)
class Recipe:
    model: str
    num_hiddens: int
    lr: float
    num_layers: int = 1
    num_heads: int = 4       # of the transformer
    embed_size: int = 128    # of the recurrent model
    dropout: float = 0.
    smoothing: float = .1
    batch_size: int = 64
    warm_up: float = .05


def translator(r: Recipe, pairs: Pairs) -> EncoderDecoder:
    sizes, pad = (len(pairs.source), len(pairs.target)), pairs.target.vocab[PAD]
    if r.model == "transformer":
        return EncoderDecoder(*(part(size, r.num_hiddens, r.num_heads, r.num_layers, r.dropout)
                                for part, size in zip((TransformerEncoder, TransformerDecoder), sizes)), pad)
    widths = r.embed_size, r.num_hiddens
    return EncoderDecoder(Seq2SeqEncoder(sizes[0], *widths, r.num_layers, r.dropout, bidirectional=True),
                          AttentionDecoder(sizes[1], *widths, r.dropout), pad)


def train(r: Recipe, pairs: Pairs, seed: int, seconds: float) -> tuple[EncoderDecoder, float, float]:
    """The network, and the passes and the seconds that it had."""
    seed_all(seed)
    net, factor = translator(r, pairs), cosine(r.warm_up)
    batches = SentenceBatches(pairs, r.batch_size, shuffle=True, seed=seed, device="cpu")
    optimizer = torch.optim.Adam(net.parameters(), r.lr, betas=(.9, .98), fused=True)
    params, steps, started = list(net.parameters()), 0, time.process_time()
    net.train()
    while True:
        for *inputs, y in batches:
            used = time.process_time() - started
            if used >= seconds:
                return net.eval(), steps / len(batches), used
            for group in optimizer.param_groups:
                group["lr"] = r.lr * factor(used / seconds)
            l = F.cross_entropy(net(*inputs), y, label_smoothing=r.smoothing)
            optimizer.zero_grad()
            l.backward()
            nn.utils.clip_grad_norm_(params, 1.)
            optimizer.step()
            steps += 1


def trained(r: Recipe, pairs: Pairs, seed: int, seconds: float) -> tuple[EncoderDecoder, float, float]:
    """As `train`, but what was trained before is read from its file."""
    name = hashlib.sha256(repr((r, seed, seconds, common.environment() | {"date": None})).encode()).hexdigest()[:16]
    path = KEPT / f"{name}.pt"
    if path.exists():
        kept = torch.load(path)
        net = translator(r, pairs).eval()
        net.load_state_dict(kept["net"])
        return net, kept["passes"], kept["seconds"]
    net, passes, used = train(r, pairs, seed, seconds)
    KEPT.mkdir(exist_ok=True)
    torch.save({"net": net.state_dict(), "passes": passes, "seconds": used}, path)
    return net, passes, used


# -------------------------------------------------------------------------------------------- the measuring

Sentences = tuple[list[list[str]], list[list[list[str]]]]  # sources, and the references of each


def greedily(net: EncoderDecoder, sentences: Sentences, pairs: Pairs) -> Tensor:
    """The `bleu_counts` of each sentence."""
    return bleu_counts(translate(net, sentences[0], pairs), sentences[1])


def with_beam(net: EncoderDecoder, sentences: Sentences, pairs: Pairs) -> Tensor:
    return bleu_counts([best[0] for (best, *_) in beam_search(net, sentences[0], pairs, WIDTH)], sentences[1])


WAYS = {"": greedily, " beam": with_beam}


def score(counts: Tensor) -> float:
    return float(bleu_of_counts(counts.sum(0)))


class Runs(common.Runs):
    def __init__(self):
        text = data.fra_eng()
        self.pairs = load_data_nmt(text, 10)
        super().__init__(NAME, "English to French by transformer and by GRU with attention in equal seconds",
                         data=text.name, pairs=len(self.pairs.train[0]), held_out=len(self.pairs.test[0]),
                         seconds_of_a_try=TRY, seconds=EQUAL, width=WIDTH)

    def best(self, model: str) -> Recipe:
        """The recipe whose try had the best validation BLEU."""
        tried = [(self.rows["tries"][name_of(r)]["validation"][0], r) for r in TRIES[model]]
        return max(tried, key=lambda one: one[0])[1]

    def row(self, model: str) -> dict[str, Tensor]:
        """Trains, judges and records; the counts of the test sentences of all seeds together, for each way."""
        r, found, together = self.best(model), {}, {}
        nets, passes, used = map(list, zip(*(trained(r, self.pairs, seed, EQUAL) for seed in SEEDS)))
        for way, counted in WAYS.items():
            counts = [counted(net, self.pairs.test, self.pairs) for net in nets]
            low, high = map(list, zip(*map(bleu_interval, counts)))
            found |= {f"validation{way}": [score(counted(net, self.pairs.valid, self.pairs)) for net in nets],
                      f"test{way}": list(map(score, counts)), f"low{way}": low, f"high{way}": high}
            together[way] = torch.stack(counts).sum(0)
        recipe = {name: value for name, value in asdict(r).items() if name != "model"}
        self.add("equal seconds", model, {**recipe, "parameters": sum(p.numel() for p in nets[0].parameters()),
                                          "passes": passes, "seconds": used, **found})
        return together


def name_of(r: Recipe) -> str:
    """What of a recipe is not as it is by default."""
    changed = {f.name: getattr(r, f.name) for f in fields(r) if getattr(r, f.name) != f.default and f.name != "model"}
    return ", ".join([r.model, *(f"{name} {value:g}" for name, value in changed.items())])


# ------------------------------------------------------------------------------------------------ the parts

TRIES = {"transformer": [Recipe("transformer", 128, .002, num_layers=2),
                         Recipe("transformer", 192, .002, num_layers=2),
                         Recipe("transformer", 192, .002, num_layers=2, dropout=.1),
                         Recipe("transformer", 128, .004, num_layers=2)],
         "recurrent": [Recipe("recurrent", 192, .005),
                       Recipe("recurrent", 256, .005),
                       Recipe("recurrent", 192, .005, dropout=.1),
                       Recipe("recurrent", 256, .0025, embed_size=192)]}


def tries(runs: Runs) -> None:
    for r in sum(TRIES.values(), []):
        for name in runs.missing("tries", [name_of(r)]):
            net, passes, seconds = train(r, runs.pairs, SEEDS[0], TRY)
            runs.add("tries", name, {"passes": [passes], "seconds": [seconds],
                                     "validation": [score(greedily(net, runs.pairs.valid, runs.pairs))]})


def equal(runs: Runs) -> None:
    """Both models, and the transformer's BLEU divided by the recurrent model's, with its interval."""
    if runs.missing("equal seconds", (*MODELS, "ratio")):
        (ours, theirs), ratios = map(runs.row, MODELS), {}
        for way in WAYS:
            low, high = bleu_interval(ours[way], theirs[way])
            ratios |= {f"ratio{way}": score(ours[way]) / score(theirs[way]), f"low{way}": low, f"high{way}": high}
        runs.add("equal seconds", "ratio", ratios)


PARTS = {"tries": tries, "equal": equal}


def check(rows: dict[str, dict[str, dict]]) -> None:
    """What is claimed of all seeds: with a beam both models, and greedily the transformer, are above the BLEU of
    attention in the record of `benchmarks.translation`; greedily the transformer is above the recurrent model."""
    before = common.load("translation")["results"]["attention"]["bleu"]["max"]
    ours, theirs, ratio = (rows["equal seconds"][name] for name in (*MODELS, "ratio"))
    assert min(ours["test"] + ours["test beam"] + theirs["test beam"]) > before, (ours, theirs)
    assert min(ours["test"]) > max(theirs["test"]) and ratio["low"] > 1, (ours, theirs, ratio)


def main(parts: Sequence[str] = tuple(PARTS)) -> None:
    common.run_parts(Runs(), PARTS, parts, check)


if __name__ == "__main__":
    main(sys.argv[1:] or tuple(PARTS))
