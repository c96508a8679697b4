"""Both sides of a benchmark must do the same work, or its ratio means nothing."""

import random
from dataclasses import replace

import torch
from torch import nn

from benchmarks import characters, quality, translation
from benchmarks.report import PAGE, page
from shared import data
from shared.checks import agree
from shared.text import SeqDataLoader
from shared.translation import load_data_nmt


def test_backpropagation_through_time_in_place():
    def by_autograd(P, H, W):
        return torch.stack([H := torch.tanh(P_t + H @ W) for P_t in P])
    torch.manual_seed(0)
    agree(lambda P, H, W: characters.ThroughTime.apply(P * 1, H, W), by_autograd,
          torch.randn(9, 3, 6), torch.randn(3, 6), torch.randn(6, 6) / 2)


def test_three_character_loops_train_the_same_model(monkeypatch):
    """From the same start and over the same batches, all end at the same weights."""
    corpus = torch.randint(28, (400,), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(random, "randint", lambda low, high: 0)
    monkeypatch.setattr("shared.text._offset", lambda *_: 0)
    cpu, sizes = torch.device("cpu"), (3, 7)
    loader = SeqDataLoader(corpus, *sizes, random=False, device=cpu)
    textbook, ours = characters.parameters(8, cpu), characters.parameters(8, cpu)
    net = nn.ModuleDict({"rnn": nn.RNN(28, 8), "out": nn.Linear(8, 28)})
    with torch.no_grad():
        for p, start in zip((net["rnn"].weight_ih_l0, net["rnn"].weight_hh_l0, net["rnn"].bias_ih_l0,
                             net["out"].weight, net["out"].bias), ours):
            p.copy_(start.T if start.ndim == 2 else start)
        net["rnn"].bias_hh_l0.zero_()
    net["rnn"].bias_hh_l0.requires_grad_(False)
    characters.textbook_epoch(textbook, corpus.tolist(), *sizes)
    characters.our_epoch(ours, loader, torch.optim.SGD(ours, lr=1))
    trained = [p for p in net.parameters() if p.requires_grad]
    characters.library_epoch(net, loader, torch.optim.SGD(trained, lr=1))
    theirs = [net["rnn"].weight_ih_l0.T, net["rnn"].weight_hh_l0.T, net["rnn"].bias_ih_l0,
              net["out"].weight.T, net["out"].bias]
    for a, b, c in zip(textbook, ours, theirs):
        assert torch.allclose(a, b, atol=1e-5) and torch.allclose(a, c, atol=1e-5)


def test_the_results_page_is_what_the_records_say():
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_two_minute_network_learns_at_small_size():
    fashion = data.fashion_mnist()
    small = replace(fashion, train=replace(fashion.train, X=fashion.train.X[:3000], y=fashion.train.y[:3000]),
                    test=replace(fashion.test, X=fashion.test.X[:1000], y=fashion.test.y[:1000]))
    accuracy, plain, seconds = quality.run(small, seed=0, epochs=2)
    assert accuracy > .5 and plain > .5 and seconds > 0


def test_translation_benchmark_at_small_size(monkeypatch):
    monkeypatch.setattr(translation, "SETTINGS", translation.SETTINGS | {"num_epochs": 1})
    pairs = load_data_nmt(data.fra_eng(), num_examples=400, num_test=40)
    for decoder in translation.DECODERS.values():
        score, four, seconds = translation.run(decoder, pairs, seed=0)
        assert 0 <= score <= 1 and 0 <= four <= 1 and seconds > 0
