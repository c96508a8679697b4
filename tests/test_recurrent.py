"""The program of chapters 25 and 26: characters by RNN, GRU and LSTM."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from benchmarks import recurrent
from benchmarks.common import load
from benchmarks.recurrent import CELLS, CharacterModel, Setting

SMALL = Setting(num_hiddens=12, num_inputs=6, dropout=0.)


def test_the_record_keeps_what_the_program_asserts():
    recurrent.check(load("recurrent")["settings"]["runs"])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("change", [{}, {"num_layers": 2}, {"num_layers": 2, "residual": True},
                                    {"num_layers": 3, "norm": True, "between": .2}])
def test_each_network_goes_on_from_its_states(cell, change):
    torch.manual_seed(0)
    net, X = CharacterModel(replace(SMALL, cell=cell, **change)).eval(), torch.randint(28, (3, 9))
    whole, _ = net(X)                                                   # (steps, batch, vocab)
    first, states = net(X[:, :4])
    assert torch.allclose(whole, torch.cat([first, net(X[:, 4:], states)[0]]), atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_layers_are_those_of_the_deep_layer_of_torch(cell):
    torch.manual_seed(0)
    net, X = CharacterModel(replace(SMALL, cell=cell, num_layers=2)).eval(), torch.randint(28, (3, 9))
    deep = CELLS[cell](6, 12, num_layers=2)
    deep.load_state_dict({f"{name[:-1]}{i}": value for i, layer in enumerate(net.layers)
                          for name, value in layer.state_dict().items()})
    assert torch.allclose(net(X)[0], net.out(deep(net.embedding(X.T))[0]), atol=1e-6)


def test_changes_between_layers_change_what_they_say():
    torch.manual_seed(0)
    net, X = CharacterModel(replace(SMALL, num_layers=2)).eval(), torch.randint(28, (3, 9))
    Y, _ = net.layers[0](net.embedding(X.T))
    plain = net(X)[0]
    net.residual = True
    assert torch.allclose(net(X)[0] - plain, Y @ net.out.weight.T, atol=1e-5)
    net.residual, net.before[0][0] = False, nn.LayerNorm(12)
    assert torch.allclose(net(X)[0], net.out(net.layers[1](nn.functional.layer_norm(Y, (12,)))[0]), atol=1e-5)
    assert not torch.allclose(net(X)[0], plain, atol=1e-3)


def test_networks_of_equal_size_are():
    sizes = [recurrent.num_parameters(recurrent.of_size(Setting(cell, num_layers=n), recurrent.PARAMETERS))
             for cell, n in (*((cell, 1) for cell in CELLS), ("LSTM", 2), ("LSTM", 3))]
    assert max(sizes) < 1.03 * min(sizes) and abs(sizes[0] / recurrent.PARAMETERS - 1) < .02


@pytest.mark.slow
@pytest.mark.parametrize("budget", [{"num_epochs": 40}, {"seconds": 1.5}])
def test_it_learns_a_text_that_repeats_itself_within_its_budget(budget):
    text = torch.arange(28).repeat(150)
    net, passes, seconds = recurrent.train(replace(SMALL, num_hiddens=32, lr=.02), text, seed=0, **budget)
    assert recurrent.perplexity(recurrent.surprises(net, text[:300])) < 5
    assert passes == 40 if "num_epochs" in budget else 1.5 <= seconds < 3
