"""`fit` is the loop written out, and careful: with the caller's optimizer, with numbers that are none,
with the stop button, and with what cannot work."""

import json
import math
import signal
import threading

import pytest
import torch
from torch import nn

from shared import training
from shared.batches import Batches
from shared.training import NonFiniteLoss, cosine, default_loss, evaluate, fit


def model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 8), nn.Dropout(.2), nn.ReLU(), nn.Linear(8, 2))


def batches(toy, size=32):
    return Batches(toy, size, shuffle=True, device="cpu")


def quick(net, train, *arguments, **options):
    return fit(net, train, *arguments, **dict(num_epochs=1, device="cpu", verbose=False) | options)


# ------------------------------------------------------------------------------- the loop

def test_it_learns_and_records_every_epoch(toy, capsys):
    record = fit(model(), batches(toy), batches(toy), num_epochs=20, lr=.5, device="cpu")
    assert all(len(curve) == 20 for curve in (record.train_loss, record.train_accuracy, record.test_loss,
                                              record.test_accuracy))
    assert record.test_accuracy[-1] > .95 and record.train_accuracy[-1] > record.train_accuracy[0] > .3
    assert record.train_loss[-1] < record.train_loss[0]
    assert record.examples == 20 * 200 and record.seconds >= record.train_seconds > 0
    assert not record.interrupted and record.real and record.device.startswith("CPU")
    printed = capsys.readouterr().out
    assert printed.count("\n") == 2 and "20 epochs in" in printed and "CPU" in printed


def test_it_is_silent_when_asked_to_be(toy, capsys):
    fit(model(), batches(toy), num_epochs=1, device="cpu", verbose=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("clip", [None, .3])
def test_it_equals_the_loop_written_out(toy, clip):
    a, b = model(), model()
    b.load_state_dict(a.state_dict())
    torch.manual_seed(1)
    record = quick(a, batches(toy), num_epochs=3, lr=.1, clip=clip)
    torch.manual_seed(1)
    optimizer, data, losses, right = torch.optim.SGD(b.parameters(), lr=.1), batches(toy), [], []
    b.train()
    for _ in range(3):
        total, correct = 0., 0
        for X, y in data:
            y_hat = b(X)
            loss = nn.functional.cross_entropy(y_hat, y)
            optimizer.zero_grad()
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(b.parameters(), clip)
            optimizer.step()
            total, correct = total + loss.item() * len(y), correct + int((y_hat.argmax(1) == y).sum())
        losses.append(total / 200)
        right.append(correct / 200)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert record.train_loss == pytest.approx(losses, abs=1e-6) and record.train_accuracy == pytest.approx(right)


def test_it_trains_in_training_mode_and_measures_in_evaluation_mode(toy):
    modes = []

    class Spy(nn.Linear):
        def forward(self, X):
            modes.append(self.training)
            return super().forward(X)
    net = Spy(2, 2).eval()
    quick(net, batches(toy, 200), batches(toy, 200), num_epochs=2)
    assert modes == [True, False] * 2 and net.training


def test_several_inputs_and_an_own_loss(toy):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.zeros(1))

        def forward(self, a, b):
            return self.scale * (a - b)
    X = torch.randn(20, 1)
    net = Two()
    quick(net, [(X, X / 2, X * 3)], num_epochs=200, loss=lambda y_hat, y: (y_hat - y).abs().mean())
    assert net.scale.item() == pytest.approx(6, abs=.2)


def test_the_short_batch_weighs_by_its_size_and_evaluation_mode_is_undone(toy):
    X, y = torch.zeros(5, 1), torch.tensor([0., 0, 0, 0, 10])
    net = nn.Linear(1, 1)
    nn.init.zeros_(net.weight), nn.init.zeros_(net.bias)
    loss = evaluate(net, Batches((X, y[:, None]), 4, device="cpu")).loss
    assert loss == pytest.approx(20)  # 100 / 5; averaging the two batch means would give 50
    net = model()
    first, second = (evaluate(net, batches(toy)).loss for _ in range(2))
    assert first == pytest.approx(second) and net.training
    net.eval()
    evaluate(net, batches(toy))
    assert not net.training
    with pytest.raises(RuntimeError):
        evaluate(net.train(), [(torch.zeros(2, 3), torch.zeros(2))])
    assert net.training, "also after an error"


def test_mixed_precision_is_used_when_asked_for(toy):
    seen = []

    def loss(y_hat, y):
        seen.append(y_hat.dtype)
        return default_loss(y_hat.float(), y)
    for mixed in True, False, None:
        quick(nn.Linear(2, 2), batches(toy, 200), loss=loss, mixed=mixed)
    assert seen == [torch.bfloat16, torch.float32, torch.float32]


def test_the_record_of_a_run_is_appended_to_a_file(toy, tmp_path, monkeypatch):
    monkeypatch.setenv("BOOK_RECORDS", str(tmp_path / "runs.json"))
    records = [quick(model(), batches(toy)) for _ in range(2)]
    lines = (tmp_path / "runs.json").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [record.as_dict() for record in records]


# ------------------------------------------------------------ the caller's optimizer and rates

def rates_seen(optimizer, seen):
    def loss(y_hat, y):
        seen.append([group["lr"] for group in optimizer.param_groups])
        return default_loss(y_hat, y)
    return loss


def test_a_schedule_moves_every_group_and_puts_the_rates_back(toy):
    net, seen = nn.Linear(2, 2), []
    optimizer = torch.optim.SGD([{"params": [net.weight], "lr": .4}, {"params": [net.bias], "lr": .1}])
    quick(net, batches(toy, 100), num_epochs=2, optimizer=optimizer, loss=rates_seen(optimizer, seen),
          schedule=lambda progress: 1 - progress)
    assert seen == [pytest.approx([.4 * f, .1 * f]) for f in (1, .75, .5, .25)]
    assert [group["lr"] for group in optimizer.param_groups] == [.4, .1]
    assert not any("initial_lr" in group for group in optimizer.param_groups)


def test_the_rates_are_put_back_after_an_error(toy):
    net = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(net.parameters(), .4)
    with pytest.raises(NonFiniteLoss):
        quick(net, batches(toy), optimizer=optimizer, schedule=lambda p: .5,
              loss=lambda y_hat, y: y_hat.sum() * math.nan)
    assert optimizer.param_groups[0]["lr"] == .4


def test_a_scheduler_of_the_caller_keeps_its_rates(toy):
    net, seen = nn.Linear(2, 2), []
    optimizer = torch.optim.SGD(net.parameters(), lr=.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, .1)
    for _ in range(6):
        quick(net, batches(toy, 200), optimizer=optimizer, loss=rates_seen(optimizer, seen))
        scheduler.step()
    assert [rate for rate, in seen] == pytest.approx([.1, .1, .01, .01, .001, .001])


@pytest.mark.parametrize("schedule", [None, cosine()])
def test_a_rate_set_by_hand_stays_and_is_where_a_schedule_starts(toy, schedule):
    net, seen = nn.Linear(2, 2), []
    optimizer = torch.optim.SGD(net.parameters(), lr=.1)
    for rate in .1, .5:
        optimizer.param_groups[0]["lr"] = rate
        quick(net, batches(toy, 200), optimizer=optimizer, schedule=schedule, loss=rates_seen(optimizer, seen))
        assert optimizer.param_groups[0]["lr"] == rate
    assert seen == [[.1], [.5]]


def test_cosine_rises_linearly_then_falls_along_half_a_cosine():
    factor = cosine(.2)
    expected = [0, .25, .5, 1, .5, .5 * (1 + math.cos(.75 * math.pi))]
    assert [factor(p) for p in (0, .05, .1, .2, .6, .8)] == pytest.approx(expected)
    assert cosine()(0) == 1 and cosine()(1) == pytest.approx(0) and cosine()(1 / 3) == pytest.approx(.75)


def test_clipping_bounds_the_step(toy):
    net = nn.Linear(2, 2)
    before = torch.cat([net.weight.detach().flatten(), net.bias.detach()])
    X, y = toy
    quick(net, Batches((X * 1e4, y), 200, device="cpu"), lr=1., clip=.1)
    after = torch.cat([net.weight.detach().flatten(), net.bias.detach()])
    assert (after - before).norm() == pytest.approx(.1, rel=1e-3)


# ------------------------------------------------------------------- numbers that are none

def test_a_non_finite_loss_names_step_and_gradient_and_spares_the_model(toy):
    net, steps = nn.Linear(2, 2), 0

    def loss(y_hat, y):
        nonlocal steps
        steps += 1
        return default_loss(y_hat, y) * (float("nan") if steps == 10 else 1)

    with pytest.raises(NonFiniteLoss, match=r"step 10 \(epoch 2\).*the gradient of 'weight'.*clip=1"):
        quick(net, batches(toy), num_epochs=2, loss=loss)  # 7 steps an epoch
    assert all(torch.isfinite(p).all() for p in net.parameters())


def test_a_loss_that_alone_is_not_finite_points_at_inputs_and_loss(toy):
    with pytest.raises(NonFiniteLoss, match="all parameters and gradients are still finite"):
        quick(nn.Linear(2, 2), batches(toy), loss=lambda y_hat, y: default_loss(y_hat, y) + float("inf"))


def test_on_an_accelerator_losses_are_looked_at_together_and_the_step_is_still_named(toy):
    watch = training.Watch(nn.Linear(1, 1), torch.device("meta"))  # any device but the processor
    for step in range(49):
        watch.look(torch.tensor(math.nan if step == 20 else 1.))
    with pytest.raises(NonFiniteLoss, match=r"step 21 \(epoch 1\)"):
        watch.look(torch.tensor(1.))
    watch.losses = []
    for l in 1., math.inf, 1.:
        watch.look(torch.tensor(l))
    with pytest.raises(NonFiniteLoss, match=r"step 52 \(epoch 1\)"):
        watch.epoch_ends()


class RootAtZero(nn.Module):
    """Its output is finite, its gradient is not."""
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.]))

    def forward(self, X):
        return X[:, :1] * 0 + (self.w * 0).sqrt() + self.w


def test_a_wrong_gradient_in_the_last_step_is_noticed_though_the_loss_is_finite(tmp_path):
    with pytest.raises(NonFiniteLoss, match=r"after the last step of epoch 1 parameter 'w' is not finite"):
        quick(RootAtZero(), [(torch.ones(4, 1), torch.ones(4, 1))], checkpoint=tmp_path / "run.pt")
    assert not list(tmp_path.iterdir()), "it never reaches a checkpoint"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_test_loss_that_is_no_number_is_reported_and_not_saved(toy, tmp_path, bad):
    X, y = toy
    good, path = batches(toy), tmp_path / "run.pt"
    net = nn.Linear(2, 2)
    quick(net, good, good, checkpoint=path)
    kept = path.read_bytes()
    broken = Batches((torch.full_like(X, bad), y), 100, device="cpu")
    with pytest.raises(NonFiniteLoss, match=r"the test loss is nan after epoch 2"):
        quick(net, good, broken, num_epochs=2, checkpoint=path)
    assert path.read_bytes() == kept


def test_a_mask_of_minus_infinity_is_no_error_but_a_running_mean_that_is_nan_is_named():
    net = nn.Linear(1, 1)
    net.register_buffer("mask", torch.tensor([0., -math.inf]))
    quick(net, [(torch.ones(2, 1), torch.ones(2, 1))])
    net.register_buffer("mean", torch.tensor(math.nan))
    with pytest.raises(NonFiniteLoss, match="buffer 'mean' is not finite"):
        quick(net, [(torch.ones(2, 1), torch.ones(2, 1))])


# ------------------------------------------------------------------------- the stop button

@pytest.fixture
def stop_button():
    """SIGINT raises KeyboardInterrupt; jobs in the background start with it ignored."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.parametrize("stop, epochs, examples", [(18, 2, 2 * 200 + 3 * 32), (3, 0, 2 * 32)])
def test_interrupting_keeps_model_and_record(toy, capsys, stop_button, stop, epochs, examples):
    net, steps = model(), 0

    def loss(y_hat, y):
        nonlocal steps
        steps += 1
        if steps == stop:  # 7 steps an epoch
            signal.raise_signal(signal.SIGINT)
        return default_loss(y_hat, y)

    assert threading.current_thread() is threading.main_thread()
    before = [p.clone() for p in net.parameters()]
    record = fit(net, batches(toy), num_epochs=50, loss=loss, device="cpu")
    assert record.interrupted and len(record.train_loss) == epochs and record.examples == examples
    assert 0 < record.train_seconds <= record.seconds
    assert "interrupted" in capsys.readouterr().out
    assert any(not torch.equal(a, b) for a, b in zip(before, net.parameters()))


# ------------------------------------------------------------------------- what cannot work

@pytest.mark.parametrize("change, message", [
    (dict(num_epochs=0), "num_epochs must be a whole number from 1 up, got 0"),
    (dict(num_epochs=1.5), "got 1.5"),
    (dict(num_epochs=True), "got True"),
    (dict(device="toaster"), "unknown device 'toaster'"),
    (dict(train=[]), "training data has no batches"),
    (dict(train=3), "training data must give batches, got int"),
    (dict(train=iter([])), "training data can be gone through only once"),
    (dict(test=[]), "test data has no batches"),
    (dict(test=3), "test data must give batches, got int"),
    (dict(test=iter([])), "test data can be gone through only once"),
    (dict(net=nn.Flatten()), "no parameters"),
    (dict(net=nn.Linear(2, 2).requires_grad_(False)), "no parameters to train"),
    (dict(loss=nn.CrossEntropyLoss(reduction="none")), r"one number, got shape \(32,\)"),
    (dict(optimizer=torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1)), "no parameter of this model"),
    (dict(net=nn.Sequential(nn.Linear(2, 2), nn.Flatten(0))),
     r"returned 64 predictions \(64,\) for 32 targets \(32,\): the first axis must count examples"),
])
def test_bad_arguments_are_explained_before_anything_changes(toy, change, message):
    arguments = dict(net=nn.Linear(2, 2), train=batches(toy), num_epochs=1, device="cpu") | change
    net = arguments.pop("net")
    before = [p.clone() for p in net.parameters()]
    with pytest.raises(ValueError, match=message):
        fit(net, arguments.pop("train"), **arguments)
    assert all(map(torch.equal, before, net.parameters()))


def test_a_schedule_needs_a_length(toy):
    class Endless:
        def __iter__(self):
            return iter([toy])
    with pytest.raises(ValueError, match="a schedule needs training data with a length"):
        quick(nn.Linear(2, 2), Endless(), schedule=cosine())
    quick(nn.Linear(2, 2), Endless())


def test_an_error_of_the_model_keeps_its_kind_and_says_what_the_model_was_given(toy):
    with pytest.raises(RuntimeError, match="mat1 and mat2") as caught:
        quick(nn.Linear(3, 2), batches(toy))
    assert caught.value.__notes__ == ["This happened when the model was given a batch of shape (32, 2) torch.float32."]

    class Memory(nn.Linear):
        def forward(self, X):
            raise torch.OutOfMemoryError("CUDA out of memory; the size of the model is too large")
    with pytest.raises(torch.OutOfMemoryError):
        quick(Memory(2, 2), batches(toy))


class Counting(torch.utils.data.DataLoader):
    started = 0

    def __iter__(self):
        self.started += 1
        return super().__iter__()


def test_a_data_loader_is_started_once_an_epoch_and_its_order_is_not_disturbed(toy):
    def loader():
        return Counting(torch.utils.data.TensorDataset(*toy), 50, shuffle=True)
    ours, theirs, seen = loader(), loader(), []
    torch.manual_seed(0)
    quick(nn.Linear(2, 2), ours, num_epochs=2, loss=lambda y_hat, y: seen.append(y) or default_loss(y_hat, y))
    assert ours.started == 2
    torch.manual_seed(0)
    nn.Linear(2, 2)
    assert all(map(torch.equal, seen, [y for _ in range(2) for _, y in theirs]))


def test_a_batch_weighs_as_many_targets_as_it_has(toy, monkeypatch):
    counts = []
    monkeypatch.setattr(training.processes, "weigh", lambda mean, count: counts.append(count) or mean)
    quick(nn.Linear(2, 2), batches(toy, 60))
    assert counts == [60, 60, 60, 20]


def test_nothing_to_evaluate_is_an_error():
    with pytest.raises(ValueError, match="there are no batches"):
        evaluate(nn.Linear(2, 2), [])
