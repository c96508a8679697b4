"""A checkpoint resumes to the same numbers, or is refused before anything is changed."""

import os
import pickle

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from shared.batches import Batches
from shared.training import cosine, fit

EPOCHS = 6


class Stop(Exception):
    pass


def model(seed=0, width=8):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width), nn.Dropout(.2), nn.ReLU(), nn.Linear(width, 2))


def adam(net, **options):
    return torch.optim.Adam(net.parameters(), **dict(lr=.01) | options)


class Loader:
    """A torch DataLoader has a length but no state: its order comes from the global generator."""
    def __init__(self, examples):
        self.batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*examples), 32, shuffle=True)

    def __iter__(self):
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


def run(toy, net, path=None, stop_after=None, optimizer=adam, loader=Batches, num_epochs=EPOCHS, **options):
    """A run of the model; it may break off in the middle of an epoch."""
    train = Batches(toy, 32, shuffle=True, device="cpu") if loader is Batches else loader(toy)
    steps = 0

    def loss(y_hat, y):
        nonlocal steps
        steps += 1
        if steps == stop_after:
            raise Stop
        return nn.functional.cross_entropy(y_hat, y)
    return fit(net, train, train, num_epochs=num_epochs, optimizer=optimizer(net), loss=loss, device="cpu",
               checkpoint=path, verbose=False, **options)


@pytest.mark.parametrize("loader", [Batches, Loader])
@pytest.mark.parametrize("schedule", [None, cosine(.2)])
def test_it_resumes_to_the_same_numbers(toy, tmp_path, schedule, loader):
    whole, path = model(), tmp_path / "folder" / "run.pt"
    expected = run(toy, whole, schedule=schedule, loader=loader)
    with pytest.raises(Stop):  # 14 looks at the loss an epoch: in the fourth
        run(toy, model(), path, 50, schedule=schedule, loader=loader)
    resumed = model(5)
    torch.manual_seed(99)  # the checkpoint must bring its own random state
    record = run(toy, resumed, path, schedule=schedule, loader=loader)
    for curve in ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "examples"):
        assert getattr(record, curve) == getattr(expected, curve)
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_seconds_go_on_where_they_were(toy, tmp_path):
    path = tmp_path / "run.pt"
    first = run(toy, model(), path, num_epochs=3)
    state = torch.load(path)
    state["record"] |= {"seconds": first.seconds + 1000, "train_seconds": first.train_seconds + 500}
    torch.save(state, path)
    second = run(toy, model(), path)
    assert 1000 + first.seconds < second.seconds < 1100 and 500 + first.train_seconds < second.train_seconds < 600


def test_a_finished_run_is_not_trained_again(toy, tmp_path):
    path, net = tmp_path / "run.pt", model()
    expected = run(toy, net, path)
    again = model(3)
    assert run(toy, again, path).train_loss == expected.train_loss
    assert torch.equal(again[0].weight, net[0].weight)


def test_the_rate_of_a_resumed_run_is_the_callers(toy, tmp_path):
    """A finished cosine run has ended at a rate of nearly 0; more epochs without it run at the full rate."""
    path, net, seen = tmp_path / "run.pt", model(), []
    run(toy, net, path, schedule=cosine())
    optimizer = adam(net)
    train = Batches(toy, 200, device="cpu")

    def loss(y_hat, y):
        seen.append(optimizer.param_groups[0]["lr"])
        return nn.functional.cross_entropy(y_hat, y)
    fit(net, train, num_epochs=EPOCHS + 1, optimizer=optimizer, loss=loss, device="cpu", checkpoint=path, verbose=False)
    assert seen == [.01]


def snapshot(net, optimizer):
    everything = net.state_dict(), optimizer.state_dict(), torch.get_rng_state()
    return [x.tolist() if isinstance(x, torch.Tensor) else x for x in tree_leaves(everything)]


def refused(toy, path, reason, net=None, optimizer=adam, loader=Batches):
    """The run is refused with this reason; model, optimizer, generator and file are as they were."""
    net = net or model()
    optimizer, content = optimizer(net), path.read_bytes()
    before = snapshot(net, optimizer)
    with pytest.raises(ValueError, match=r"(?s)the checkpoint run.pt does not belong to this run: .*" + reason
                       + ".*Give another file name"):
        run(toy, net, path, optimizer=lambda net: optimizer, loader=loader)
    assert snapshot(net, optimizer) == before and path.read_bytes() == content


@pytest.fixture
def path(toy, tmp_path):
    path = tmp_path / "run.pt"
    run(toy, model(), path, num_epochs=2)
    return path


@pytest.mark.parametrize("reason, change", [
    ("the model has other parameters .'0.bias' is in one", dict(net=nn.Linear(2, 2))),
    (r"'0.weight' is \(8, 2\) torch.float32 in the file, \(9, 2\) torch.float32 in the model", dict(net=model(0, 9))),
    ("'0.weight' is .* torch.float64 in the model", dict(net=model().double())),
    ("made with Adam, not SGD", dict(optimizer=lambda net: torch.optim.SGD(net.parameters(), .01))),
    (r"learning rate is \[0.01\], not \[0.1\]", dict(optimizer=lambda net: adam(net, lr=.1))),
    ("its optimizer has weight_decay=0, not 0.5", dict(optimizer=lambda net: adam(net, weight_decay=.5))),
    ("its learning rate is", dict(
        optimizer=lambda net: torch.optim.Adam([{"params": [p]} for p in net.parameters()], .01))),
    ("the training data is of another kind", dict(loader=Loader)),
])
def test_another_run_is_refused(toy, path, reason, change):
    refused(toy, path, reason, **change)


@pytest.mark.parametrize("content", [b"", b"hello", "cut", pickle.dumps({"net": 1}), "pickle"])
def test_a_file_that_is_no_checkpoint_is_refused(toy, path, content):
    if content == "cut":
        content = path.read_bytes()[:-100]
    path.write_bytes(pickle.dumps(os.getcwd) if content == "pickle" else content)
    refused(toy, path, "it cannot be read as a checkpoint")


@pytest.mark.parametrize("state", [{"net": 1}, [1, 2], "text"])
def test_a_file_of_another_program_is_refused(toy, path, state):
    torch.save(state, path)
    refused(toy, path, "another program or another version")


@pytest.mark.parametrize("change", [{"colour": 1}, None])
def test_a_record_with_other_entries_is_refused(toy, path, change):
    state = torch.load(path)
    if change:
        state["record"] |= change
    else:
        del state["record"]["examples"]
    torch.save(state, path)
    refused(toy, path, "its record has other entries")


def test_a_crash_while_saving_leaves_the_old_checkpoint_whole(toy, path, monkeypatch):
    kept = path.read_bytes()

    def crash(state, target):
        target.write_bytes(b"half")
        raise OSError("no space left")
    monkeypatch.setattr(torch, "save", crash)
    with pytest.raises(OSError):
        run(toy, model(), path)
    assert path.read_bytes() == kept


def test_a_checkpoint_cannot_run_code(toy, path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(path.parent / "evil"),)
    torch.save({"format": Evil()}, path)
    refused(toy, path, "it cannot be read")
    assert not (path.parent / "evil").exists()
