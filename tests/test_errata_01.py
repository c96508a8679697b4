"""Each erratum of chapter 01: the mistake does what the errata page says, and so does the mend."""

import re
from importlib.metadata import files

import pytest
import torch

POINTS = "points = torch.tensor([[4.0, 1.0], [5.0, 3.0], [2.0, 1.0]])\n"


def run(program):
    names = {"torch": torch}
    exec(program, names)
    return names


def test_erratum_01_01():
    with pytest.raises(NameError, match="'point'"):
        run(POINTS + "point[1:, :]")
    assert run(POINTS + "rest = points[1:, :]")["rest"].shape == (2, 2)


def test_erratum_01_02():
    asked, made = "answer = points_t.is_contiguous()\n", "points_t = points.t()\n"
    with pytest.raises(NameError, match="points_t"):
        run(POINTS + asked + made)
    assert run(POINTS + made + asked)["answer"] is False


def test_erratum_01_03():
    """Not contiguous, and `view` works: the mend says when."""
    table = torch.arange(8).reshape(2, 4)
    every_second, middle = table[:, ::2], table[:, 1:3]
    assert not every_second.is_contiguous() and not middle.is_contiguous()
    assert every_second.view(4).data_ptr() == table.data_ptr()
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        middle.view(4)
    (down, right), length = every_second.stride(), every_second.shape[1]
    assert down == length * right
    (down, right), length = middle.stride(), middle.shape[1]
    assert down != length * right


def test_erratum_01_04():
    daily, weather = torch.zeros(7, 17, 24), torch.ones(7, 4, 24)
    assert daily.shape[1] != weather.shape[1]
    assert torch.cat((daily, weather), dim=1).shape == (7, 21, 24)
    with pytest.raises(RuntimeError, match="must match except in dimension 1"):
        torch.cat((daily, torch.ones(7, 4, 23)), dim=1)


def test_erratum_01_05():
    assert torch.ones(2).device.type == "cpu" == (torch.ones(2) + 1).device.type
    assert torch.ones(2, device="meta").device.type == "meta"  # somewhere else only when asked
    assert torch.ones(2).to("meta").device.type == "meta"


def test_erratum_01_06():
    """No file of PyTorch is named after Lua; its compiled core, the Torch library of old, is there."""
    names = [str(file) for file in files("torch")]
    assert not [name for name in names if re.search(r"(?<![a-z])lua", name, re.IGNORECASE)]
    assert [name for name in names if re.search(r"torch_cpu\.(so|dylib|dll)", name)]
