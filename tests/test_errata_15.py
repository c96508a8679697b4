"""Each erratum of chapter 15: the mistake does what the errata page says, and so does the mend."""

import json
import shutil
import sys

import pytest
import torch
from torch import nn

from chapters import ROOT
from test_recorded_numbers import recorded_in


def test_erratum_15_01():
    with pytest.raises(TypeError):
        torch.ones(2, device=torch.cuda.device("cuda"))
    assert hasattr(torch.cuda.device, "__enter__")
    assert torch.ones(2, device=torch.device("meta")).device.type == "meta"
    assert (torch.device("cuda:1").type, torch.device("cuda:1").index) == ("cuda", 1)


def test_erratum_15_02():
    assert shutil.which("nivdia-smi") is None


def test_erratum_15_03():
    X, Y = torch.ones(3, 3, device="meta"), torch.ones(3, 3)
    Z = X.to(X.device)  # what X.cuda(0) does where X is on GPU 0
    assert Z is X
    with pytest.raises(RuntimeError):
        Y + Z
    assert (X + Y.to(X.device)).shape == (3, 3)


def test_erratum_15_04():
    Y = torch.rand(2, 3)
    copy = Y.to("cuda:0").cpu() if torch.cuda.is_available() else Y.to(torch.float64, copy=True).float()
    assert copy is not Y and torch.equal(copy, Y)
    assert not torch.equal(torch.rand(2, 3), Y)  # what running the cell again gives


def test_erratum_15_05():
    layer = nn.Linear(3, 1)
    assert callable(nn.Module.cuda)
    if torch.cuda.is_available():
        assert layer.cuda() is layer and layer.weight.is_cuda
    assert layer.to("meta", torch.float16) is layer
    assert (layer.weight.device.type, layer.weight.dtype) == ("meta", torch.float16)


def test_erratum_15_06():
    wide = nn.Linear(224 * 224 * 3, 1_000_000, device="meta")
    assert sum(16 * p.numel() for p in wide.parameters()) > 2.4e12


def test_erratum_15_07():
    assert "argparse" in sys.stdlib_module_names
    assert "nbformat" not in sys.stdlib_module_names


def test_erratum_15_08():
    torch.manual_seed(0)
    net, X = nn.Sequential(nn.BatchNorm1d(8), nn.Dropout(.5), nn.Linear(8, 8)), torch.randn(64, 8) + 3

    def predictions():
        with torch.no_grad():
            return net(X).argmax(dim=1)
    before = net[0].running_mean.clone()
    assert not torch.equal(predictions(), predictions())
    assert not torch.equal(net[0].running_mean, before)
    net.eval()
    before = net[0].running_mean.clone()
    assert torch.equal(predictions(), predictions())
    assert torch.equal(net[0].running_mean, before)


def test_erratum_15_09():
    from torch.profiler import ProfilerActivity, profile
    net, X = nn.Linear(8, 8), torch.randn(64, 8)

    def calls_and_rows(size):
        rows = []
        with torch.no_grad(), profile(activities=[ProfilerActivity.CPU]) as watched:
            for part in X.split(size):
                rows.append(len(net(part)))
        return {e.key: e.count for e in watched.key_averages()}["aten::linear"], sum(rows)
    assert calls_and_rows(1) == (64, 64)   # the same arithmetic,
    assert calls_and_rows(16) == (4, 64)   # a sixteenth of the calls


def results_of(name):
    return json.loads((ROOT / "benchmarks" / "records" / f"{name}.json").read_text(encoding="utf-8"))["results"]


def digits(x):
    return float(f"{x:.3g}")


def test_the_gpu_of_the_chapter_is_the_recorded_one():
    orders, copies, limits, steps, fusing = (results_of("devices")[part]
                                             for part in ("orders", "copies", "limits", "steps", "fusing"))
    sizes, batches = (16, 2**10, 2**16, 2**20, 2**24, 2**28), (16, 256, 4096)
    assert recorded_in("15_devices") == {
        **{name: digits(x) for name, x in (orders | fusing).items()}, "bytes": sizes, "batch": batches,
        **{kind: tuple(digits(copies[f"{kind}, {size} bytes, us"]) for size in sizes)
           for kind in ("pageable", "pinned")},
        **{kind: {net: tuple(digits(steps[f"{net}, batch {size}, {kind}, us"]) for size in batches)
                  for net in ("softmax", "MLP", "LeNet")} for kind in ("float32", "mixed")},
        "gflop_per_second": {kind: digits(limits[f"{kind}, gflop_per_second"])
                             for kind in ("float32", "tf32", "bfloat16")},
        "gb_per_second": digits(limits["add, gb_per_second"])}


def test_the_captured_graphs_of_the_chapter_are_the_recorded_ones():
    assert recorded_in("15_devices", "speed_ups") == {
        net: {name.split(": + ")[1]: digits(row["ratio"]["median"]) for name, row in results_of("gpu_training").items()
              if net in name and "float32" not in name} for net in ("LeNet", "GRU")}
