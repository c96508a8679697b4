"""Each erratum of chapter 25: the mistake does what the errata page says, and so does the mend."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from chapters import defined_in

# Code of the source: the steps of its two layers.
GRU_STEP = """
for X in inputs:
    Z = torch.sigmoid((X @ W_xz) + (H @ W_hz) + b_z)
    R = torch.sigmoid((X @ W_xr) + (H @ W_hr) + b_r)
    H_tilda = torch.tanh((X @ W_xh) + ((R * H) @ W_hh) + b_h)
    H = Z * H + (1 - Z) * H_tilda
"""
LSTM_STEP = """
for X in inputs:
    I = torch.sigmoid((X @ W_xi) + (H @ W_hi) + b_i)
    F = torch.sigmoid((X @ W_xf) + (H @ W_hf) + b_f)
    O = torch.sigmoid((X @ W_xo) + (H @ W_ho) + b_o)
    C_tilda = torch.tanh((X @ W_xc) + (H @ W_hc) + b_c)
    C = F * C + I * C_tilda
    H = O * torch.tanh(C)
"""


def run(code, **names):
    """The names after code has run with those given, and with torch's."""
    names |= {"torch": torch, "F": F}
    exec(code, names)
    return names


def numbers(groups, size=3, num_inputs=2, seed=0):
    """Weights and biases with the source's names, by chance."""
    g, found = torch.Generator().manual_seed(seed), {}
    for k in groups:
        found[f"W_x{k}"] = torch.randn(num_inputs, size, generator=g)
        found[f"W_h{k}"] = torch.randn(size, size, generator=g)
        found[f"b_{k}"] = torch.zeros(size)
    return found


def library_gru(names):
    layer = nn.GRU(2, 3)
    with torch.no_grad():
        layer.weight_ih_l0[:] = torch.cat([names[f"W_x{k}"].T for k in "rzh"])
        layer.weight_hh_l0[:] = torch.cat([names[f"W_h{k}"].T for k in "rzh"])
        layer.bias_ih_l0.zero_()
        layer.bias_hh_l0.zero_()
    return layer


def counting(steps, output_bias=30.0):
    """The source's LSTM with its gates open and a candidate of 1."""
    names = numbers("ifoc", size=1, num_inputs=1)
    names = {k: torch.zeros_like(v) for k, v in names.items()}
    names |= {"b_i": torch.tensor(30.0), "b_f": torch.tensor(30.0), "b_o": torch.tensor(output_bias)}
    names |= {"W_xc": torch.full((1, 1), 30.0), "H": torch.zeros(1, 1), "C": torch.zeros(1, 1)}
    return run(LSTM_STEP, inputs=torch.ones(steps, 1, 1), **names)


def test_erratum_25_01():
    stack, matrix = torch.randn(7, 3, 5), torch.randn(5, 4)
    with pytest.raises(RuntimeError):
        torch.mm(stack, matrix)
    assert torch.equal(stack @ matrix, torch.matmul(stack, matrix))
    square = torch.tensor([[1.0, 2], [3, 4]])
    assert torch.equal(torch.mul(square, square), square * square)
    assert not torch.equal(torch.mul(square, square), square @ square)


def test_erratum_25_02():
    assert counting(50)["C"].item() == pytest.approx(50, abs=.01)
    assert abs(counting(50)["H"].item()) <= 1


def test_erratum_25_03():
    hidden = counting(5, output_bias=-30.0)
    assert abs(hidden["H"].item()) < 1e-6 and hidden["C"].item() == pytest.approx(5, abs=.01)
    shown = run("H = O * torch.tanh(C)", O=torch.ones(1, 1), C=hidden["C"])
    assert shown["H"].item() > .99  # nothing was given up


def test_erratum_25_04():
    names, before = numbers("zrh"), torch.tensor([[.8, -.5, .3]])
    names |= {"b_r": torch.full((3,), -99.0), "inputs": torch.ones(4, 1, 2), "H": before}
    copied = run(GRU_STEP, **names | {"b_z": torch.full((3,), 99.0)})
    assert (copied["R"] < 1e-6).all() and torch.equal(copied["H"], before)
    taken = run(GRU_STEP, **names | {"b_z": torch.full((3,), -99.0)})
    assert torch.equal(taken["H"], torch.tanh(torch.ones(1, 2) @ names["W_xh"]))


def test_erratum_25_05():
    names = numbers("zrh")
    names |= {"inputs": torch.randn(6, 1, 2, generator=torch.Generator().manual_seed(1)), "H": torch.zeros(1, 3)}
    scratch, layer = run(GRU_STEP, **names)["H"], library_gru(names)
    concise = layer(names["inputs"])[1][0]
    assert (scratch - concise).abs().max() > .01  # the same weights, another layer
    mended = GRU_STEP.replace("((R * H) @ W_hh)", "R * (H @ W_hh)")
    assert torch.allclose(run(mended, **names)["H"], concise, atol=1e-5)


def test_erratum_25_06():
    names = defined_in("25_gated_rnns")
    X = torch.randn(60, 1, 8, generator=torch.Generator().manual_seed(0))
    reach = {name: names["gradient_back"](names["start"](name, 8, 32), X)[49].item()
             for name in ("RNN", "RNN orthogonal", "LSTM", "LSTM bias 3")}
    assert reach["RNN orthogonal"] > 1e3 * max(reach["RNN"], reach["LSTM"])  # a plain layer, started well
    assert reach["LSTM bias 3"] > 1e3 * reach["LSTM"]
