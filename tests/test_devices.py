import pytest
import torch

from shared import devices


@pytest.fixture(autouse=True)
def forget():
    devices._choose.cache_clear()
    yield
    devices._choose.cache_clear()


def test_environment_chooses_the_device(monkeypatch):
    monkeypatch.setenv("BOOK_DEVICE", "cpu")
    assert devices.get_device() == torch.device("cpu")


def test_the_argument_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("BOOK_DEVICE", "nonsense")
    assert devices.get_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["gpu", "meta", "cpu:x"])
def test_unknown_names_say_what_is_possible(name):
    with pytest.raises(ValueError, match="use one of cuda, mps, xpu, cpu"):
        devices.get_device(name)


def test_an_absent_device_is_refused_with_the_usable_ones(monkeypatch):
    monkeypatch.setattr(devices, "_present", lambda kind: kind == "cpu")
    with pytest.raises(ValueError, match="usable here: cpu"):
        devices.get_device("cuda")


def test_a_gpu_that_cannot_compute_is_left_alone_with_a_message(monkeypatch):
    monkeypatch.setattr(devices, "_present", lambda kind: kind in ("cuda", "cpu"))
    monkeypatch.setattr(devices, "_works",
                        lambda device: "no kernel image" if device.type == "cuda" else None)
    with pytest.warns(UserWarning, match="no kernel image"):
        assert devices.get_device().type == "cpu"


def test_seeding_repeats_all_three_generators():
    import random

    import numpy as np

    def draw():
        devices.seed_all(7)
        return random.random(), np.random.rand(), float(torch.rand(()))
    assert draw() == draw()


def test_timer_measures_and_describe_names():
    with devices.Timer("cpu") as t:
        torch.ones(10).sum()
    assert t.seconds > 0
    assert devices.describe("cpu").startswith("CPU (")


def test_mixed_precision_is_off_on_the_cpu_unless_asked_for():
    a = torch.ones(4, 4)
    with devices.mixed_precision("cpu"):
        assert (a @ a).dtype == torch.float32
    with devices.mixed_precision("cpu", enabled=True):
        assert (a @ a).dtype == torch.bfloat16


def test_waiting_is_for_the_device_that_was_named(monkeypatch):
    """With several GPUs, the current one may be another."""
    waited = []
    monkeypatch.setattr(devices, "get_device", torch.device)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: waited.append(device))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append("mps"))
    devices.synchronize("cuda:1")
    devices.synchronize("mps")
    devices.synchronize("cpu")
    assert waited == [torch.device("cuda:1"), "mps"]


def test_each_process_tries_and_takes_the_gpu_of_its_own(monkeypatch):
    for name, value in dict(TORCHELASTIC_RUN_ID="x", WORLD_SIZE="2", RANK="1", LOCAL_RANK="1").items():
        monkeypatch.setenv(name, value)
    tried = []
    monkeypatch.setattr(devices, "_present", lambda kind: kind in ("cuda", "cpu"))
    monkeypatch.setattr(devices, "_works", tried.append)
    for name in None, "cuda", "cuda:0":
        devices._choose.cache_clear()
        assert devices.get_device(name) == torch.device("cuda:0" if name == "cuda:0" else "cuda:1")
    assert tried == [torch.device(name) for name in ("cuda:1", "cuda:1", "cuda:0")]


def test_a_timer_has_measured_nothing_before_it_ran():
    assert devices.Timer("cpu").seconds == 0


def test_a_program_is_no_notebook_and_a_kernel_is_one(monkeypatch):
    import IPython
    monkeypatch.setitem(devices.sys.modules, "ipykernel", object())
    monkeypatch.setattr(IPython, "get_ipython", lambda: type("Shell", (), {"kernel": 1})())
    assert devices.in_notebook()
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    assert not devices.in_notebook()
    monkeypatch.setattr(IPython, "get_ipython", lambda: type("Shell", (), {"kernel": 1})())
    monkeypatch.delitem(devices.sys.modules, "ipykernel")
    assert not devices.in_notebook()
