"""English to French, held-out sentences: what does attention bring over one state for the whole sentence?

Four models with the same encoder, widths, pairs, batches and number of passes; the output layer of all sees the
context. Only the context differs: the encoder's last state, the mean of its states, the state at the piece with the
number of the step ("clock": it changes from step to step, but nothing is compared), or one that is looked up at each
step. Which of the three without attention is the rival is chosen on the validation sentences. What is reported is
corpus BLEU of 1,000 test sentences, none of which, source or target, is in the training part, with up to four-grams
and all translations of a sentence as references.

    python -m benchmarks.translation    about eight minutes for each model"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.common import save, spread
from shared import data
from shared.devices import seed_all
from shared.seq2seq import AttentionDecoder, EncoderDecoder, Seq2SeqDecoder, Seq2SeqEncoder, train_seq2seq, translate
from shared.translation import PAD, Pairs, bleu_counts, bleu_interval, bleu_of_counts, corpus_bleu, load_data_nmt


class MeanDecoder(Seq2SeqDecoder):
    """The context is the mean of the encoder's states, at every step: attention with all weights equal."""
    def init_state(self, encoded: tuple[Tensor, Tensor], lengths: Tensor) -> tuple[Tensor, Tensor]:
        states, last = encoded                                          # states are zero behind the end
        return last, states.sum(1) / lengths[:, None].to(states.device)


class ClockDecoder(Seq2SeqDecoder):
    """The context at step t is the encoder's state at piece t, or at the last piece: attention that does not look."""
    def init_state(self, encoded: tuple[Tensor, Tensor], lengths: Tensor) -> tuple:
        states, last = encoded
        return last, states, lengths.to(states.device), 0

    def forward(self, tokens: Tensor, state: tuple) -> tuple[Tensor, tuple]:
        H, states, lengths, start = state
        X = self.dropout(self.embedding(tokens))                        # (batch, steps, embed)
        steps = torch.arange(start, start + X.shape[1], device=X.device)
        at = torch.minimum(steps[None], lengths[:, None] - 1)           # (batch, steps)
        contexts = states.gather(1, at[:, :, None].expand(-1, -1, states.shape[2]))
        Y, H = self.rnn(torch.cat([X, contexts], 2), H)
        return self.dropout(torch.cat([Y, contexts], 2)), (H, states, lengths, start + X.shape[1])


DECODERS = {"last state": Seq2SeqDecoder, "mean of the states": MeanDecoder, "clock": ClockDecoder,
            "attention": AttentionDecoder}
SETTINGS = {"max_words": 10, "subwords": 2000, "embed_size": 128, "num_hiddens": 192, "dropout": 0.0,
            "num_epochs": 2, "batch_size": 64, "lr": .005}


def run(decoder: type, pairs: Pairs, seed: int) -> tuple[dict[str, float], Tensor]:
    """BLEU of the validation and of the test sentences, the bounds of its interval, and of training sentences,
    seconds of training; and the `bleu_counts` of the test sentences."""
    seed_all(seed)
    widths, dropout = (SETTINGS["embed_size"], SETTINGS["num_hiddens"]), SETTINGS["dropout"]
    net = EncoderDecoder(Seq2SeqEncoder(len(pairs.source), *widths, dropout=dropout, bidirectional=True),
                         decoder(len(pairs.target), *widths, dropout=dropout), pairs.target.vocab[PAD])
    record = train_seq2seq(net, pairs, num_epochs=SETTINGS["num_epochs"], batch_size=SETTINGS["batch_size"],
                           lr=SETTINGS["lr"], seed=seed, progress=False, verbose=False)
    valid, test = ((translate(net, sources, pairs), references) for sources, references in (pairs.valid, pairs.test))
    seen, counts = pairs.train_words[:1000], bleu_counts(*test)
    low, high = bleu_interval(counts)
    return {"valid": corpus_bleu(*valid), "bleu": float(bleu_of_counts(counts.sum(0))), "low": low, "high": high,
            "training": corpus_bleu(translate(net, [s for s, _ in seen], pairs), [[t] for _, t in seen]),
            "seconds": record.seconds}, counts


def main(seeds: range = range(1)) -> None:
    text = data.fra_eng()
    pairs = load_data_nmt(text, SETTINGS["max_words"], subwords=SETTINGS["subwords"])
    results, counts = {}, {}
    for name, decoder in DECODERS.items():
        runs, each = zip(*(run(decoder, pairs, seed) for seed in seeds))
        print(name, runs, flush=True)
        results[name] = {key: spread([r[key] for r in runs]) for key in runs[0]}
        counts[name] = each[0]
    *without, ours = results
    rival = max(without, key=lambda name: results[name]["valid"]["median"])
    low, high = bleu_interval(counts[ours], counts[rival])
    ratio = results[ours]["bleu"]["median"] / results[rival]["bleu"]["median"]
    save("translation", "held-out BLEU without and with attention", results, data=text.name,
         pairs=len(pairs.train[0]), held_out=len(pairs.test[0]), seeds=list(seeds), rival=rival, ratio=ratio,
         ratio_low=low, ratio_high=high, **SETTINGS)
    assert results[ours]["bleu"]["min"] > .35, results
    assert results[ours]["bleu"]["min"] > 1.1 * results[rival]["bleu"]["max"] and low > 1, (results, low)


if __name__ == "__main__":
    main()
