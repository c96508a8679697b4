"""The program of chapter 19, and its numbers in the chapter."""

import ast

import pytest
import torch

from benchmarks import batch_norm
from benchmarks.common import load
from chapters import code, path_of


def test_the_numbers_of_19_are_the_recorded_ones():
    source = next(c.source for c in code(path_of("19_batch_norm")) if c.source.startswith("recorded = {"))
    recorded = ast.literal_eval(ast.parse(source).body[0].value)
    assert recorded == {name: tuple(round(row["accuracy"][k], 3) for k in ("median", "min", "max"))
                        for name, row in load("batch_norm")["results"].items()}


@pytest.mark.parametrize("name", batch_norm.ROWS)
def test_each_row_can_be_trained(name):
    torch.manual_seed(0)
    X, y = torch.randint(0, 256, (300, 1, 28, 28), dtype=torch.uint8), torch.randint(0, 10, (300,))
    recipe = batch_norm.ROWS[name]
    net, seconds = batch_norm.train(recipe, recipe.rates[0], (X, y), lambda X: X - .5, seed=0, epochs=1)
    norms = sum(isinstance(layer, torch.nn.modules.batchnorm._BatchNorm) for layer in net)
    assert norms == (4 if recipe.norm else 0) and seconds > 0
