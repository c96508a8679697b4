"""The helper package of *Deep Learning You Can Check*.

It holds what several chapters need and none should retype. One file, one idea:

    devices    choose a device, seed, measure time, describe the machine
    fetch      where a data set is looked for, downloads, checksums, the cache
    data       the data sets and their loaders
    samples    stand-ins with the same shapes, drawn here, for machines without network
    batches    the whole set in memory, a batch as a slice of a permutation
    text       tokens, vocabulary, sequence batches
    subwords   words in pieces: byte-pair encoding
    translation, seq2seq   pairs of sentences, BLEU; encoders, decoders, attention
    training   fit and evaluate; around them
    meters, checkpoints, diagnosis, progress, processes   sums and records, files, errors, the live
               curve, several processes started by torchrun
    drawings, graphs   cells with numbers, boxes, arrows; the graph of autograd with its gradients
    plots      curves, image grids, heat maps, the explorer
    checks     agree (ours against a reference) and expect (a claim)
    exercises  check: what is right and what is different about a reader's answer

Nothing is imported here, so that ``import shared`` costs nothing and a notebook says
what it uses: ``from shared.batches import Batches``. (Under torchrun, the processes after the
first are silenced here, so that a chapter speaks once.)
"""

import os
import sys

if "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("RANK", 0)) > 0:
    sys.stdout = open(os.devnull, "w", encoding="utf-8")

__version__ = "1.0.0"
