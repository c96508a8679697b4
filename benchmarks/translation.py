"""English to French, held-out sentences: how much does attention bring over one state for the whole
sentence? Same split, same encoder, same widths, epochs and seeds; only the decoder differs.

BLEU is that of the whole test set (1,000 sentences, none of which, source or target, is in the
training part), with up to four-grams and all translations of a sentence as references."""

from __future__ import annotations

from benchmarks.common import save, spread
from shared import data
from shared.devices import seed_all
from shared.seq2seq import AttentionDecoder, EncoderDecoder, Seq2SeqDecoder, Seq2SeqEncoder, train_seq2seq, translate
from shared.translation import PAD, bleu, corpus_bleu, load_data_nmt

DECODERS = {"GRU encoder and decoder": Seq2SeqDecoder, "the same with attention": AttentionDecoder}
# the four sentences whose translations Dive into Deep Learning prints
FOUR = {"go .": "va !", "i lost .": "j'ai perdu .", "he's calm .": "il est calme .", "i'm home .": "je suis chez moi ."}
SETTINGS = {"num_examples": 20_000, "embed_size": 128, "num_hiddens": 128, "dropout": .2, "num_epochs": 8}


def run(decoder: type, pairs, seed: int) -> tuple[float, float, float]:
    """Corpus BLEU, mean BLEU of the four sentences, seconds."""
    seed_all(seed)
    widths = SETTINGS["embed_size"], SETTINGS["num_hiddens"]
    net = EncoderDecoder(Seq2SeqEncoder(len(pairs.source_vocab), *widths, dropout=SETTINGS["dropout"]),
                         decoder(len(pairs.target_vocab), *widths, dropout=SETTINGS["dropout"]),
                         pairs.target_vocab[PAD])
    record = train_seq2seq(net, pairs, num_epochs=SETTINGS["num_epochs"], seed=seed, progress=False, verbose=False)
    four = [" ".join(words) for words in translate(net, [s.split() for s in FOUR], pairs)]
    return (corpus_bleu(translate(net, pairs.test_source, pairs), pairs.references),
            sum(bleu(ours, right, 2) for ours, right in zip(four, FOUR.values())) / 4, record.seconds)


def main(seeds: range = range(3)) -> None:
    text = data.fra_eng()
    pairs = load_data_nmt(text, num_steps=10, num_examples=SETTINGS["num_examples"])
    results = {}
    for name, decoder in DECODERS.items():
        scores, four, seconds = zip(*(run(decoder, pairs, seed) for seed in seeds))
        results[name] = {"bleu": spread(scores), "four": spread(four), "seconds": spread(seconds)}
    save("translation", "held-out BLEU without and with attention", results, data=text.name,
         pairs=len(pairs.train[0]), held_out=len(pairs.test_source), **SETTINGS)
    plain, attention = (r["bleu"] for r in results.values())
    margin = attention["min"] - plain["max"]
    assert margin > max(s["max"] - s["min"] for s in (plain, attention)), results


if __name__ == "__main__":
    main()
