import signal
import threading

import pytest
import torch
from torch import nn

from shared.batches import Batches
from shared.training import NonFiniteLoss, Record, cosine, default_loss, evaluate, fit


def model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 8), nn.Dropout(.2), nn.ReLU(), nn.Linear(8, 2))


def batches(toy, size=32):
    return Batches(toy, size, shuffle=True, device="cpu")


def test_it_learns_and_records_every_epoch(toy, capsys):
    record = fit(model(), batches(toy), batches(toy), num_epochs=20, lr=.5, device="cpu")
    assert len(record.train_loss) == len(record.test_accuracy) == 20
    assert record.test_accuracy[-1] > .95 > record.test_accuracy[0] - 1
    assert record.train_loss[-1] < record.train_loss[0]
    assert record.examples == 20 * 200 and record.seconds >= record.train_seconds > 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1 and "20 epochs in" in printed and "CPU" in printed


def test_it_equals_the_loop_written_out(toy):
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    b.load_state_dict(a.state_dict())
    fit(a, batches(toy), num_epochs=3, lr=.1, device="cpu", verbose=False)
    optimizer, data = torch.optim.SGD(b.parameters(), lr=.1), batches(toy)
    for _ in range(3):
        for X, y in data:
            loss = nn.functional.cross_entropy(b(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert torch.equal(a.weight, b.weight) and torch.equal(a.bias, b.bias)


def test_the_recorded_loss_weighs_the_short_batch_by_its_size():
    X, y = torch.zeros(5, 1), torch.tensor([0., 0, 0, 0, 10])
    net = nn.Linear(1, 1)
    nn.init.zeros_(net.weight), nn.init.zeros_(net.bias)
    loss = evaluate(net, Batches((X, y[:, None]), 4, device="cpu")).loss
    assert loss == pytest.approx(20)  # 100 / 5; averaging the two batch means would give 50


def test_evaluation_mode_is_used_and_undone(toy):
    net = model()
    net.train()
    first, second = (evaluate(net, batches(toy)).loss for _ in range(2))
    assert first == pytest.approx(second) and net.training
    net.eval()
    evaluate(net, batches(toy))
    assert not net.training


@pytest.mark.parametrize("schedule", [None, cosine(.2)])
def test_a_checkpoint_resumes_to_the_same_numbers(toy, tmp_path, schedule):
    def run(net, epochs, path=None):
        torch.manual_seed(1)  # dropout
        optimizer = torch.optim.Adam(net.parameters(), lr=.01)
        return fit(net, batches(toy), batches(toy), num_epochs=epochs, optimizer=optimizer,
                   schedule=schedule, device="cpu", checkpoint=path, verbose=False)

    whole = model()
    expected = run(whole, 6)

    class Stop(Exception):
        pass

    def crash(X):
        if crash.left == 0:
            raise Stop
        crash.left -= 1
        return X
    crash.left = 24  # 7 steps an epoch: stops in the fourth

    class Crashing(nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, X):
            return self.net(crash(X))

    torch.manual_seed(1)
    broken = Crashing(model())
    torch.manual_seed(1)
    path = tmp_path / "run.pt"
    with pytest.raises(Stop):
        fit(broken, batches(toy), num_epochs=6, schedule=schedule, device="cpu", checkpoint=path,
            optimizer=torch.optim.Adam(broken.parameters(), lr=.01), verbose=False)
    crash.left = -1
    torch.manual_seed(99)  # the checkpoint must bring its own random state
    resumed = Crashing(model(5))
    record = fit(resumed, batches(toy), num_epochs=6, schedule=schedule, device="cpu", checkpoint=path,
                 optimizer=torch.optim.Adam(resumed.parameters(), lr=.01), verbose=False)
    assert record.train_loss == expected.train_loss
    for a, b in zip(whole.parameters(), resumed.parameters()):
        assert torch.equal(a, b)


def test_a_foreign_checkpoint_is_refused(toy, tmp_path):
    path = tmp_path / "run.pt"
    fit(model(), batches(toy), num_epochs=1, device="cpu", checkpoint=path, verbose=False)
    with pytest.raises(ValueError, match="does not belong to this model"):
        fit(nn.Linear(2, 2), batches(toy), num_epochs=2, device="cpu", checkpoint=path)


@pytest.fixture
def stop_button():
    """SIGINT raises KeyboardInterrupt; jobs in the background start with it ignored."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


def test_interrupting_keeps_model_and_record(toy, capsys, stop_button):
    net, steps = model(), 0

    def loss(y_hat, y):
        nonlocal steps
        steps += 1
        if steps == 18:  # 7 steps an epoch: in the third
            signal.raise_signal(signal.SIGINT)
        return default_loss(y_hat, y)

    assert threading.current_thread() is threading.main_thread()
    before = [p.clone() for p in net.parameters()]
    record = fit(net, batches(toy), num_epochs=50, loss=loss, device="cpu")
    assert record.interrupted and len(record.train_loss) == 2
    assert "interrupted" in capsys.readouterr().out
    assert any(not torch.equal(a, b) for a, b in zip(before, net.parameters()))


def test_a_non_finite_loss_names_step_and_parameter(toy):
    net, steps = nn.Linear(2, 2), 0

    def loss(y_hat, y):
        nonlocal steps
        steps += 1
        return default_loss(y_hat, y) * (float("nan") if steps == 5 else 1)

    with pytest.raises(NonFiniteLoss, match=r"step 5 \(epoch 1\).*gradient is 'weight'"):
        fit(net, batches(toy), num_epochs=1, loss=loss, device="cpu")
    assert all(torch.isfinite(p).all() for p in net.parameters())


def test_clipping_bounds_the_step(toy):
    net = nn.Linear(2, 2)
    before = net.weight.detach().clone()
    X, y = toy
    fit(net, Batches((X * 1e4, y), 200, device="cpu"), num_epochs=1, lr=1., clip=.1, device="cpu", verbose=False)
    assert (net.weight - before).norm() <= .1 + 1e-5


def test_a_schedule_reaches_zero_and_restores_the_rate(toy):
    net, seen = nn.Linear(2, 2), []
    optimizer = torch.optim.SGD(net.parameters(), lr=.3)

    def loss(y_hat, y):
        seen.append(optimizer.param_groups[0]["lr"])
        return default_loss(y_hat, y)
    fit(net, batches(toy), num_epochs=4, optimizer=optimizer, loss=loss, schedule=cosine(), device="cpu",
        verbose=False)
    assert seen[0] == pytest.approx(.3) and seen == sorted(seen, reverse=True) and seen[-1] < .01
    assert optimizer.param_groups[0]["lr"] == .3


@pytest.mark.parametrize("change, message", [
    (dict(num_epochs=0), "num_epochs must be a whole number from 1 up, got 0"),
    (dict(num_epochs=1.5), "got 1.5"),
    (dict(device="toaster"), "unknown device 'toaster'"),
    (dict(train=[]), "no batches"),
    (dict(train=3), "must give batches, got int"),
    (dict(train=iter([])), "only once"),
    (dict(net=nn.Flatten()), "no parameters"),
    (dict(net=nn.Linear(3, 2)), r"cannot take a batch of shape \(32, 2\)"),
    (dict(loss=nn.CrossEntropyLoss(reduction="none")), r"one number, got shape \(32,\)"),
    (dict(optimizer=torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1)), "no parameter of this model"),
])
def test_bad_arguments_are_explained(toy, change, message):
    arguments = dict(net=nn.Linear(2, 2), train=batches(toy), num_epochs=1, device="cpu") | change
    with pytest.raises(ValueError, match=message):
        fit(arguments.pop("net"), arguments.pop("train"), **arguments)


def test_a_model_that_loses_the_batch_axis_is_refused(toy):
    with pytest.raises(ValueError, match="first axis must count examples"):
        fit(nn.Sequential(nn.Linear(2, 2), nn.Flatten(0)), batches(toy), num_epochs=1, device="cpu")


def test_regression_refuses_silent_broadcasting():
    X, y = torch.randn(8, 3), torch.randn(8)
    with pytest.raises(ValueError, match="broadcasting would compare the wrong pairs"):
        fit(nn.Linear(3, 1), Batches((X, y), 4, device="cpu"), num_epochs=1, device="cpu")


def test_nothing_to_evaluate_is_an_error():
    with pytest.raises(ValueError, match="no batches"):
        evaluate(nn.Linear(2, 2), [])


def test_a_record_says_when_it_is_about_a_sample():
    record = Record(train_loss=[1.], real=False, device="CPU", seconds=1, train_seconds=1)
    assert "built-in sample" in str(record)
