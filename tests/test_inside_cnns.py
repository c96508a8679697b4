"""The program of chapter 21, and its numbers in the chapter."""

import pytest
import torch
from torch import nn

from benchmarks import inside_cnns
from benchmarks.common import load
from chapters import recorded_in


def test_the_numbers_of_21_are_the_recorded_ones():
    results = load("inside_cnns")["results"]
    assert recorded_in("21_inside_cnns") == {name: tuple(round(results[name]["accuracy"][k], 3) for k in ("min", "max"))
                        for name in inside_cnns.ROWS}
    last, row = recorded_in("21_inside_cnns", "recorded_last"), results["all parts, all pictures"]
    assert last == {"epochs": row["epochs"], "seconds of one thread": round(row["seconds"]["median"]),
                    "one view": round(row["accuracy"]["median"], 3), "six views": round(row["six views"]["median"], 3)}


@pytest.mark.parametrize("name", inside_cnns.ROWS)
def test_each_row_can_be_trained_and_differs_in_its_part(name):
    torch.manual_seed(0)
    X, y = torch.randint(0, 256, (60, 3, 32, 32), dtype=torch.uint8), torch.randint(0, 10, (60,))
    recipe = inside_cnns.ROWS[name]
    net, seconds = inside_cnns.train(recipe, .25, (X, y), seed=0, epochs=1, batch_size=30, widths=(4, 4, 4))
    assert seconds > 0 and net[0].weight.requires_grad != recipe.whitened
    fresh = inside_cnns.build(recipe, torch.randn(50, 3, 32, 32), widths=(4, 4, 4))
    second = [layer for layer in fresh if isinstance(layer, nn.Conv2d)][2]  # four channels to four
    same = torch.equal(second.weight.data, nn.init.dirac_(torch.empty_like(second.weight)))
    assert same == recipe.identity
