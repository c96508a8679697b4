"""The program of chapters 32 and 33: characters by networks that read all steps at once."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from benchmarks import parallel_models, recurrent
from benchmarks.common import load
from benchmarks.parallel_nets import CharacterModel, Setting, context, rotated
from shared.transformer import TransformerLM

ATTENTION = Setting(num_hiddens=16, num_steps=16, dropout=0.)
CONVOLUTION = Setting("convolution", 16, 4, dropout=0., feed_forward=0)


def test_the_record_keeps_what_the_program_asserts():
    parallel_models.check(load("parallel_models")["settings"]["runs"])


def test_with_sines_the_network_is_the_language_model_of_chapter_32():
    net = CharacterModel(replace(ATTENTION, positions="sinusoidal")).eval()
    model = TransformerLM(28, 16, 4, 2, tied=False).eval()
    model.embedding.load_state_dict({"weight": net.embedding.weight / model.scale})
    for i, block in enumerate(model.blocks):
        for j, part in enumerate((block.attention, block.feed_forward)):
            part.load_state_dict(net.layers[2 * i + j].what.state_dict())
            block.norms[j].load_state_dict(net.layers[2 * i + j].norm.state_dict())
    model.norm.load_state_dict(net.layers[-1].state_dict())
    model.dense.load_state_dict(net.out.state_dict())
    X = torch.randint(28, (3, 20))
    assert torch.allclose(net(X)[0].transpose(0, 1), model(X), atol=1e-5)


def test_rotated_products_depend_on_the_distance_only():
    torch.manual_seed(0)
    q, k = (rotated(torch.randn(8).expand(9, 8)) for _ in range(2))
    products = q @ k.T
    assert all(torch.allclose(row, row[0], atol=1e-5) for row in map(products.diagonal, range(-8, 9)))
    assert products[0].std() > .1


@pytest.mark.parametrize("s", [ATTENTION, replace(ATTENTION, positions="learnt", norm=False), CONVOLUTION,
                               replace(CONVOLUTION, gate=False, cycle=2), replace(CONVOLUTION, cycle=1, kernel=5)])
def test_a_score_depends_on_what_a_network_says_it_reads(s):
    torch.manual_seed(0)
    net = CharacterModel(replace(s, num_steps=60))
    values = torch.randn(1, 60, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(net.layers(net.positions(values))[0, 50, 3], values)
    read = gradient[0].abs().sum(1).nonzero()
    assert read.max() == 50 and read.min() == (0 if s.kind == "attention" else 51 - context(s))


@pytest.mark.parametrize("length", [10, 16, 17, 21, 90])
def test_each_score_of_a_long_text_is_from_three_quarters_of_a_window_or_more(length):
    torch.manual_seed(0)
    net, text = CharacterModel(ATTENTION).eval(), torch.randint(28, (length,))
    found = parallel_models.surprises(net, text)
    assert len(found) == length - 1
    for t in range(length - 1):
        end = min(16 + 4 * -(-max(0, t - 15) // 4), length - 1)         # of the window that has character t
        seen = text[None, max(0, end - 16):t + 1]
        assert seen.shape[1] >= min(t + 1, 12)
        assert F.cross_entropy(net(seen)[0][-1], text[t + 1:t + 2]).item() == pytest.approx(found[t].item(), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("s", [ATTENTION, CONVOLUTION])
def test_it_learns_a_text_that_repeats_itself(s):
    text = torch.arange(28).repeat(150)
    net, passes, _ = recurrent.train(replace(s, lr=.01), text, 0, num_epochs=8, make=CharacterModel, rows=(8, 16),
                                     random=True)
    assert passes == 8 and recurrent.perplexity(parallel_models.surprises(net, text[:300])) < 2
