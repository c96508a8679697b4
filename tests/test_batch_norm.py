"""The program of chapter 19, and its numbers in the chapter."""

import pytest
import torch

from benchmarks import batch_norm
from benchmarks.common import load
from chapters import recorded_in, three


def test_the_numbers_of_19_are_the_recorded_ones():
    assert recorded_in("19_batch_norm") == {name: three(row["accuracy"], 3)
                                            for name, row in load("batch_norm")["results"].items()}


@pytest.mark.parametrize("name", batch_norm.ROWS)
def test_each_row_can_be_trained(name):
    torch.manual_seed(0)
    X, y = torch.randint(0, 256, (300, 1, 28, 28), dtype=torch.uint8), torch.randint(0, 10, (300,))
    recipe = batch_norm.ROWS[name]
    net, seconds = batch_norm.train(recipe, recipe.rates[0], (X, y), lambda X: X - .5, seed=0, epochs=1)
    norms = sum(isinstance(layer, torch.nn.modules.batchnorm._BatchNorm) for layer in net)
    assert norms == (4 if recipe.norm else 0) and seconds > 0
