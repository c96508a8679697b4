"""What makes a step faster on a processor changes no gradient."""

import platform
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from benchmarks.common import load
from benchmarks.processor import WIDTH, Convolution, gradients, keep_memory, side_by_side, step
from chapters import path_of, prose


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 12), c=st.integers(1, 3), h=st.integers(1, 7), w=st.integers(1, 9), gap=st.integers(1, 2))
def test_maps_side_by_side_stand_apart_and_complete(n, c, h, w, gap):
    X = torch.rand(n, c, h, w) + 1
    rows = side_by_side(X, gap)
    k = n // len(rows)
    assert rows.shape == (n / k, c, h, k * (w + gap)) and rows.shape[-1] <= max(WIDTH, w + gap)
    for i, x in enumerate(X):
        at = i % k * (w + gap)
        assert torch.equal(rows[i // k][..., at:at + w], x)
        assert (rows[i // k][..., at + w:at + w + gap] == 0).all()


def test_four_maps_of_seven_columns_fill_a_row():
    assert side_by_side(torch.ones(8, 1, 7, 7), gap=1).shape == (2, 1, 7, 32)


@pytest.mark.parametrize("wrong", [{"size": 2, "padding": 1}, {"size": 3, "padding": 0},
                                   {"size": 3, "padding": 1, "bias": True}])
def test_other_convolutions_are_refused(wrong):
    with pytest.raises(ValueError, match="only odd sizes are possible"):
        Convolution(3, 4, **wrong)


def test_three_tenths_are_saved_as_chapter_21_says():
    seconds = {name: r["seconds"]["median"] for name, r in load("processor")["results"].items()}
    assert round(1 - seconds["memory kept, small maps side by side"] / seconds["as it is"], 1) == .3
    assert seconds["memory kept"] < .9 * seconds["as it is"]
    assert "three tenths" in "".join(prose(path_of("21_inside_cnns")))


@settings(max_examples=40, deadline=None)
@given(n=st.sampled_from([1, 4, 7, 8, 12]), h=st.integers(1, 7), w=st.integers(1, 9), size=st.sampled_from([1, 3, 5]))
def test_the_gradient_of_weights_is_that_of_the_maps_apart(n, h, w, size):
    torch.manual_seed(0)
    X, G = torch.randn(n, 3, h, w).double(), torch.randn(n, 2, h, w).double()
    weight = torch.randn(2, 3, size, size).double().requires_grad_()
    expected, = torch.autograd.grad(F.conv2d(X, weight, padding=size // 2), weight, G)
    rows = (side_by_side(T, gap=size // 2) for T in (G, X))
    found = gradients(*rows, weight.detach(), [False, True, False])[1]
    assert torch.allclose(found, expected)
    rows = [side_by_side(T, gap=0) for T in (G, X)]
    if size > 1 and rows[0].shape[-1] > w:
        touching = gradients(*rows, weight.detach(), [False, True, False])[1]
        assert not torch.allclose(touching, expected), "without a gap the neighbours are seen"


@pytest.mark.parametrize("width", [3, 7, 9])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_convolution_is_the_librarys(width, dtype):
    torch.manual_seed(0)
    ours, theirs = (c(4, 6, 3, padding=1, bias=False).to(memory_format=torch.channels_last)
                    for c in (Convolution, nn.Conv2d))
    theirs.load_state_dict(ours.state_dict())
    X = torch.randn(8, 4, width, width).to(dtype).contiguous(memory_format=torch.channels_last)
    found = []
    for conv in (ours, theirs):
        x = X.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            out = conv(x)
        out.float().sin().sum().backward()
        assert ("SideBySide" in str(out.grad_fn)) == (conv is ours and dtype == torch.bfloat16 and width <= 7)
        assert out.dtype == dtype and conv.weight.grad.dtype == torch.float32
        found.append((out, x.grad, conv.weight.grad))
    for a, b in zip(*found):
        assert (a - b).float().norm() <= .01 * b.float().norm() if dtype == torch.bfloat16 else torch.equal(a, b)
    with torch.no_grad():
        assert torch.equal(ours(X.float()), theirs(X.float()))


@pytest.mark.parametrize("mixed", [True, False])
def test_a_step_changes_nothing_that_it_is_given(mixed):
    net = nn.Sequential(Convolution(3, 4, 3, padding=1, bias=False), nn.Flatten(), nn.Linear(4 * 49, 10))
    X, y = torch.randn(8, 3, 7, 7), torch.randint(10, (8,))
    before = [t.clone() for t in (X, *net.parameters())]
    assert step(net, X, y, mixed)() is None
    assert all(map(torch.equal, before, (X, *net.parameters())))
    assert all(p.grad is None for p in net.parameters())


def test_kept_memory_is_not_asked_for_again():
    """Page faults of twenty tensors of 64 MB, one after the other, in a process of its own."""
    program = """if True:
        import resource, torch
        from benchmarks.processor import keep_memory
        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(20):
                torch.ones(2**24)
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        torch.set_num_threads(1)
        given_back = faults()
        if keep_memory():
            faults()  # until the largest hole is large enough
            print(given_back, faults())"""
    if sys.platform != "linux":
        assert not keep_memory()
        return
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    if not run.stdout and platform.libc_ver()[0] != "glibc":
        pytest.skip("this C library has no mallopt")
    given_back, kept = map(int, run.stdout.split())
    assert kept < given_back / 10
