"""What a run measures: accuracy only where it means something, sums that weigh every target the same."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from shared.batches import Batches
from shared.meters import Meter, Record, Scores, num_correct
from shared.training import default_loss, evaluate, fit

CPU = torch.device("cpu")


def logits(y_hat, y):
    return F.binary_cross_entropy_with_logits(y_hat.reshape(y.shape), y.float())


def probabilities(y_hat, y):
    return F.binary_cross_entropy(y_hat.reshape(y.shape), y.float())


def squared(y_hat, y):
    return ((y_hat.reshape(y.shape) - y.float()) ** 2).mean()


def accuracy(loss, *batches):
    meter = Meter(loss)
    for y_hat, y in batches:
        meter.add(torch.tensor(1.), y_hat, y)
    return meter.scores(CPU).accuracy


@given(st.integers(1, 6), st.integers(2, 5), st.lists(st.integers(1, 4), max_size=2), st.integers(0, 99))
def test_the_largest_score_is_the_prediction_along_either_axis_of_classes(n, classes, more, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(classes, (n, *more), generator=g)
    scores = torch.randn(n, *more, classes, generator=g)
    right = sum(int(scores[place].argmax() == y[place]) for place in torch.cartesian_prod(
        *map(torch.arange, y.shape)).reshape(-1, y.ndim).unbind() for place in [tuple(place.tolist())])
    first = scores.movedim(-1, 1)
    for y_hat in (scores, first):
        found = num_correct(y_hat, y)
        both = y.ndim > 1 and classes == y.shape[-1] == y.shape[1] if y.ndim == 2 else False
        if found is None:
            assert both or y.ndim > 2 and y_hat.shape[1] == y_hat.shape[-1]
        else:
            assert int(found) == right


def test_where_both_axes_could_be_the_classes_there_is_no_accuracy():
    assert num_correct(torch.randn(3, 5, 5), torch.zeros(3, 5, dtype=torch.long)) is None
    assert num_correct(torch.randn(3, 5, 6), torch.zeros(3, 5, dtype=torch.long)) is not None


@pytest.mark.parametrize("y_hat, y", [((4, 3), (4, 1)), ((4, 3), (5,)), ((4,), (4, 2)),
                                      ((4, 3, 2), (4,)), ((4, 1, 1), (4, 3))])
def test_shapes_that_do_not_fit_have_no_accuracy(y_hat, y):
    """They would be broadcast: 15.8 right answers for each target."""
    assert num_correct(torch.randn(y_hat), torch.zeros(y, dtype=torch.long), 0.) is None


def test_real_targets_have_no_accuracy():
    assert num_correct(torch.randn(4, 2), torch.zeros(4)) is None
    assert num_correct(torch.randn(4, 1), torch.zeros(4, 1), 0.) is None
    assert num_correct(torch.randn(4, 2), torch.zeros(4, dtype=torch.complex64)) is None


@pytest.mark.parametrize("outputs, targets", [((6,), (6,)), ((6, 1), (6,)), ((6,), (6, 1)), ((6, 1), (6, 1))])
@pytest.mark.parametrize("loss, scores", [(logits, [-3., -.1, .1, .7, -2., 5.]),
                                          (probabilities, [.1, .4, .51, .9, .2, 1.]),
                                          (squared, [-.2, .4, .6, .9, .2, 1.4])])
@pytest.mark.parametrize("kind", [torch.long, torch.bool, torch.uint8])
def test_one_output_for_two_classes_is_cut_where_the_loss_cuts_it(loss, scores, outputs, targets, kind):
    y_hat = torch.tensor(scores).reshape(outputs)
    right = torch.tensor([0, 0, 1, 1, 0, 1]).to(kind)
    assert accuracy(loss, (y_hat, right.reshape(targets))) == 1
    wrong = torch.tensor([1, 0, 1, 1, 0, 1]).to(kind)
    assert accuracy(loss, (y_hat, wrong.reshape(targets))) == pytest.approx(5 / 6)


def test_counts_are_no_classes():
    assert accuracy(squared, (torch.randn(4, 1), torch.tensor([0, 1, 2, 3]))) is None
    assert accuracy(squared, (torch.randn(2), torch.tensor([0, 1])), (torch.randn(2), torch.tensor([0, 7]))) is None


def test_a_loss_that_cannot_be_asked_has_no_accuracy_for_one_output():
    def picky(y_hat, y):
        raise RuntimeError("three examples or nothing")
    assert accuracy(picky, (torch.randn(4, 1), torch.tensor([0, 1, 1, 0]))) is None
    assert accuracy(lambda y_hat, y: y_hat.sum(), (torch.randn(4, 1), torch.tensor([0, 1, 1, 0]))) is None
    assert accuracy(lambda y_hat, y: y_hat.sum() + 1 + y.sum(), (torch.randn(2), torch.tensor([0, 1]))) is None


def test_one_batch_without_accuracy_and_the_epoch_has_none():
    good = torch.eye(3), torch.arange(3)
    assert accuracy(default_loss, good) == 1
    assert accuracy(default_loss, good, (torch.eye(3), torch.arange(3.))) is None
    assert accuracy(default_loss, (torch.eye(3), torch.arange(3.)), good) is None


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(-5, 5)), min_size=1, max_size=6))
def test_every_target_weighs_the_same(batches):
    meter = Meter(default_loss)
    for n, l in batches:
        meter.add(torch.tensor(l), torch.zeros(n, 2), torch.ones(n, dtype=torch.long))
    total = sum(n for n, _ in batches)
    scores = meter.scores(CPU)
    assert scores.loss == pytest.approx(sum(n * l for n, l in batches) / total, abs=1e-5)
    assert scores.accuracy == 0 and scores.examples == total


def test_a_sequence_counts_by_its_targets_and_is_one_example():
    meter = Meter(default_loss)
    meter.add(torch.tensor(2.), torch.zeros(3, 5, 7), torch.zeros(3, 7, dtype=torch.long))
    meter.add(torch.tensor(0.), torch.zeros(1, 5, 7), torch.zeros(1, 7, dtype=torch.long))
    scores = meter.scores(CPU)
    assert scores.loss == pytest.approx(1.5) and scores.accuracy == 1 and scores.examples == 4


def test_a_meter_keeps_no_graph():
    x = torch.ones(2, 2, requires_grad=True)
    meter = Meter(default_loss)
    meter.add(x.sum(), x, torch.zeros(2, dtype=torch.long))
    assert not meter.total.requires_grad


def test_no_batches_no_scores():
    with pytest.raises(ValueError, match="^there are no batches$"):
        Meter(default_loss).scores(CPU)


def test_scores_unpack_into_loss_and_accuracy():
    loss, right = Scores(.5, .9, 10)
    assert (loss, right) == (.5, .9)


def test_fit_and_evaluate_print_right_accuracies_for_one_output(capsys):
    """(n, 1) outputs and (n,) targets compared as they are would be n x n comparisons."""
    X = torch.linspace(-1, 1, 200)[:, None]
    y = (X[:, 0] > 0).long()
    net = nn.Linear(1, 1)
    record = fit(net, Batches((X, y), 50, shuffle=True, device="cpu"), num_epochs=30, lr=5., loss=logits, device="cpu")
    by_hand = ((net(X)[:, 0] > 0) == y).float().mean().item()
    assert evaluate(net, Batches((X, y), 50, device="cpu"), logits).accuracy == pytest.approx(by_hand)
    assert record.train_accuracy[-1] > .95 and 0 <= min(record.train_accuracy)


def test_default_loss_refuses_what_would_be_compared_in_another_way():
    with pytest.raises(ValueError, match=r"predictions \(8, 1\) and targets \(8,\) differ.*wrong pairs"):
        default_loss(torch.zeros(8, 1), torch.zeros(8))
    for shape in ((8,), (8, 1)):
        with pytest.raises(ValueError, match="whole-number targets.*: two classes need two outputs, or loss=..., "
                                             "such as binary cross-entropy with logits$"):
            default_loss(torch.zeros(shape), torch.zeros(8, dtype=torch.long))
    y_hat, y = torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    assert torch.equal(default_loss(y_hat, y), F.cross_entropy(y_hat, y))
    assert default_loss(y_hat, y_hat + 1).item() == pytest.approx(1)


def test_a_record_says_all_in_two_lines_that_fit_a_page():
    record = Record([2., 1.25], [.5, .75], [1.5, 1.], [.6, .7], seconds=3.21, train_seconds=2., examples=5000,
                    device="CPU (1 thread)")
    assert str(record) == ("train loss 1.250, accuracy 0.750; test loss 1.000, accuracy 0.700\n"
                           "2 epochs in 3.2 s on CPU (1 thread), 2,500 examples/s")
    assert max(map(len, str(record).splitlines())) <= 80
    assert str(Record([1.], device="CPU", real=False, interrupted=True)) == (
        "train loss 1.000\n1 epoch in 0.0 s on CPU; built-in sample; interrupted")
    assert Record(**json.loads(json.dumps(record.as_dict()))) == record


def test_epochs_are_added_where_they_belong():
    record = Record()
    record.add_epoch("train", Scores(2., None))
    record.add_epoch("test", Scores(3., .5))
    assert record == Record([2.], [], [3.], [.5])
