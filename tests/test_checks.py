import pytest
import torch
from torch.nn import functional as F

from shared.checks import agree, expect


class WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.exp()

    @staticmethod
    def backward(ctx, g):
        return g  # should be g * exp(x)


class Thing:
    def __init__(self, real):
        self.real = real


X = torch.linspace(-2, 2, 12).reshape(3, 4)


def test_agreement_is_said_in_one_line(capsys):
    agree(lambda x: x.exp() / x.exp().sum(1, keepdim=True), lambda x: F.softmax(x, dim=1), X, name="softmax")
    assert capsys.readouterr().out == "ok: softmax: values and gradients agree (tolerance 1e-05)\n"


def test_a_wrong_gradient_with_right_values_is_caught():
    with pytest.raises(AssertionError, match="gradient 0 differs"):
        agree(WrongGradient.apply, torch.exp, X)


def test_a_wrong_value_is_caught_and_measured():
    with pytest.raises(AssertionError, match="output 0 differs by 0.1"):
        agree(lambda x: x + .1, lambda x: x, torch.zeros(3))


def test_a_gradient_that_differs_in_one_element_is_caught():
    def ours(x):
        return torch.cat([x[:-1], x[-1:].detach()])
    with pytest.raises(AssertionError, match="gradient 0"):
        agree(ours, lambda x: x * 1, torch.ones(5))


def test_shapes_are_compared_before_values():
    with pytest.raises(AssertionError, match="shapes differ"):
        agree(lambda x: x.sum(1, keepdim=True), lambda x: x.sum(1), X)


def test_a_cut_graph_is_named():
    with pytest.raises(AssertionError, match="no gradient reaches"):
        agree(lambda x: x.detach().exp(), torch.exp, X)


def test_nan_is_not_agreement():
    with pytest.raises(AssertionError, match="NaN"):
        agree(lambda x: x * float("nan"), lambda x: x, X)


def test_parameters_are_compared_in_order():
    a, b = torch.nn.Linear(4, 2), torch.nn.Linear(4, 2)
    b.load_state_dict(a.state_dict())
    agree(a, b, X, parameters=(list(a.parameters()), list(b.parameters())))
    with pytest.raises(AssertionError):
        agree(a, lambda x: b(x) + 0 * b.bias.detach() + .01 * b.weight.sum(), X,
              parameters=(list(a.parameters()), list(b.parameters())))


def test_a_kept_claim_is_printed_and_a_missed_one_raises(capsys):
    expect("one is less than two", 1 < 2)
    assert capsys.readouterr().out == "ok: one is less than two\n"
    with pytest.raises(AssertionError, match="two is less than one"):
        expect("two is less than one", 2 < 1)


def test_claims_about_real_data_are_not_checked_on_samples(capsys):
    expect("accuracy is high", False, on=Thing(real=False))
    assert "not checked on the built-in sample" in capsys.readouterr().out
    with pytest.raises(AssertionError):
        expect("accuracy is high", False, on=Thing(real=True))
