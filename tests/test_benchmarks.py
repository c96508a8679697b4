"""Both sides of a benchmark must do the same work, or its ratio means nothing."""

import random
import sys
import time
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import characters, cifar10, devices, gpu_training, quality, translation
from benchmarks.captured import Step
from benchmarks.report import PAGE, page
from shared import data
from shared.batches import Batches
from shared.checks import agree
from shared.devices import get_device
from shared.seq2seq import SentenceBatches
from shared.text import SeqDataLoader
from shared.training import fit
from shared.translation import load_data_nmt

pytestmark = pytest.mark.slow


def test_backpropagation_through_time_in_place():
    def by_autograd(P, H, W):
        return torch.stack([H := torch.tanh(P_t + H @ W) for P_t in P])
    torch.manual_seed(0)
    agree(lambda P, H, W: characters.ThroughTime.apply(P * 1, H, W), by_autograd,
          torch.randn(9, 3, 6), torch.randn(3, 6), torch.randn(6, 6) / 2)


def test_three_character_loops_train_the_same_model(monkeypatch):
    """From the same start and over the same batches, all end at the same weights."""
    # 395 tokens: as many batches from the start of the text, where the textbook begins, as from any other
    corpus = torch.randint(28, (395,), generator=torch.Generator().manual_seed(0))
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


def part_of(images, train, test):
    """So many images of a set, drawn at random: a folder of pictures is sorted by class."""
    g = torch.Generator().manual_seed(0)

    def some(examples, n):
        index = torch.randperm(len(examples), generator=g)[:n]
        return replace(examples, X=examples.X[index], y=examples.y[index])
    return replace(images, train=some(images.train, train), test=some(images.test, test))


def test_the_two_minute_network_learns_at_small_size():
    accuracy, plain, seconds = quality.run(part_of(data.fashion_mnist(), 3000, 1000), seed=0, epochs=2)
    assert accuracy > .5 and plain > .5 and seconds > 0


def test_translation_benchmark_at_small_size(monkeypatch):
    monkeypatch.setattr(translation, "SETTINGS", translation.SETTINGS | {"num_epochs": 1})
    pairs = load_data_nmt(data.fra_eng(), num_examples=400, num_valid=20, num_test=40)
    for decoder in translation.DECODERS.values():
        result, counts = translation.run(decoder, pairs, seed=0)
        assert len(counts) == len(pairs.test[0])
        assert 0 <= result["low"] <= result["bleu"] <= result["high"] <= 1 and result["seconds"] > 0
        assert 0 <= result["valid"] <= 1 and 0 <= result["training"] <= 1


def test_the_clock_reads_one_state_a_step_and_stays_at_the_last():
    decoder = translation.ClockDecoder(9, 3, 4).eval()
    states, lengths = torch.randn(2, 3, 4), torch.tensor([3, 2])
    tokens = torch.randint(9, (2, 5))
    features, _ = decoder(tokens, decoder.init_state((states, torch.randn(1, 2, 4)), lengths))
    read = features[:, :, 4:]                                           # (batch, steps, hidden)
    assert torch.equal(read[0], states[0, [0, 1, 2, 2, 2]]) and torch.equal(read[1], states[1, [0, 1, 1, 1, 1]])
    state = decoder.init_state((states, torch.zeros(1, 2, 4)), lengths)
    whole, one_by_one = decoder(tokens, state)[0], []
    for token in tokens.split(1, 1):
        step, state = decoder(token, state)
        one_by_one.append(step)
    assert torch.allclose(whole, torch.cat(one_by_one, 1), atol=1e-6)


def test_a_step_does_what_fit_does():
    """The step that is captured on a GPU, on a processor: same weights after an epoch."""
    X, y = torch.rand(40, 6), torch.randint(0, 3, (40,))
    nets = nn.Linear(6, 3), nn.Linear(6, 3)
    nets[1].load_state_dict(nets[0].state_dict())
    fit(nets[0], Batches((X, y), 8), num_epochs=1, clip=.1, progress=False, verbose=False, mixed=False,
        optimizer=torch.optim.Adam(nets[0].parameters(), .01))
    step = Step(nets[1], F.cross_entropy, torch.optim.Adam(nets[1].parameters(), .01), (X[:8], y[:8]), clip=.1,
                mixed=False)
    losses = [step(*batch) for batch in Batches((X, y), 8)]
    assert len(losses) == 5 and torch.equal(nets[0].weight, nets[1].weight)


def test_the_translator_with_fixed_shapes_is_the_translator():
    (_, _), (_, _), (_, task) = gpu_training.tasks(small=True)
    torch.manual_seed(0)
    fixed = task.model()
    pairs = load_data_nmt(data.fra_eng(), num_examples=600, num_valid=0, num_test=50)
    *inputs, y = next(iter(SentenceBatches(pairs, 32)))
    *same, padded = next(iter(Batches(pairs.train, 32)))
    assert torch.equal(inputs[0], same[0][:, :inputs[0].shape[1]]) and torch.equal(inputs[1], same[1])
    l, l_fixed = F.cross_entropy(fixed.model(*inputs), y), task.loss(fixed(*same), padded)
    assert torch.allclose(l, l_fixed, atol=1e-5)
    for a, b in zip(torch.autograd.grad(l, list(fixed.parameters())),
                    torch.autograd.grad(l_fixed, list(fixed.parameters()))):
        assert torch.allclose(a, b, atol=1e-5)


def test_seconds_are_those_of_one_call():
    assert .002 <= devices.seconds(lambda: time.sleep(.002), torch.device("cpu")) < .02
    assert .002 <= devices.seconds(lambda: time.sleep(.002), torch.device("cpu"), calls=3) < .02


def test_the_measurements_of_a_device_at_small_size():
    device = get_device()
    found = [devices.orders(device, 64), devices.copies(device, 2**12), devices.limits(device, 64, 2**12)]
    assert all(value > 0 for group in found for value in group.values())
    assert found[0]["us_to_order"] <= found[0]["us_to_compute"]
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize("number", range(3))
def test_gpu_training_at_small_size_on_this_device(number):
    name, task = list(gpu_training.tasks(small=True))[number]
    results = gpu_training.measure(replace(task, batch_size=64), rounds=1)
    assert list(results)[0] == "float32" and len(results) == (5 if task.images else 4)
    assert all(r["per_second"]["median"] > 0 for r in results.values())
    step, batches = gpu_training.prepare(replace(task, batch_size=64), mixed=True, fused=True)
    losses = [float(step(*batch)) for _ in range(6) for batch in batches]
    assert losses[-1] < losses[0]


def test_whitening_makes_outputs_uncorrelated_with_equal_variance():
    X = torch.randn(50, 3, 8, 8, generator=torch.Generator().manual_seed(0)).cumsum(-1)  # neighbours are alike
    out = cifar10.whitening(X, epsilon=0)(X).transpose(0, 1).flatten(1)[:12]
    assert torch.allclose(out @ out.T / out.shape[1], torch.eye(12), atol=1e-3)


def test_lookahead_ends_at_the_average():
    net = nn.Linear(3, 1)
    start = net.weight.detach().clone()
    optimizer = cifar10.Lookahead([{"params": net.parameters()}], net, num_steps=7, lr=.1)
    for step in range(7):
        net(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        moved = float((start - net.weight).detach().abs().max())
        if step == 3:
            assert moved == pytest.approx(.4)
    # after five steps the average is 1 - .95**5 * (5/7)**3 of the way; in the end it is taken back
    keep = .95 ** 5 * (5 / 7) ** 3
    assert moved == pytest.approx(.5 * (1 - keep), rel=1e-4)


def test_the_cifar_program_learns_at_small_size():
    accuracy, plain, seconds = cifar10.run(part_of(data.cifar10(), 2000, 500), seed=0, epochs=4, widths=(8, 16, 16),
                                           batch_size=128)
    assert accuracy > .25 and plain > .2 and seconds > 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are measured on Linux only")
def test_the_program_of_scale_measures_and_says_when_its_limit_does_not_hold(tmp_path, monkeypatch):
    from benchmarks import scale
    scale.images(1000)[0].numpy().tofile(tmp_path / "images")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    held = scale.child("memory", 1000)
    assert held["bytes"] == 1000 * (scale.IMAGE + 8) and held["trained"] > 0 and held["loaded"] > 0
    with pytest.raises(RuntimeError, match="does not hold"):  # too small to need streaming: the program says so
        scale.child("file", tmp_path / "images")
