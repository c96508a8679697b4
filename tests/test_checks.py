"""`agree` and `expect` say yes only to what is so: each false pass that was ever seen is refused here."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from shared.checks import agree, expect


class WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.exp()

    @staticmethod
    def backward(ctx, g):
        return g  # should be g * exp(x)


class MeanWithoutGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.mean()

    @staticmethod
    def backward(ctx, g):
        return torch.zeros(200_000)  # should be g / 200,000: small, but not nothing


class Thing:
    def __init__(self, real):
        self.real = real


X = torch.linspace(-2, 2, 12).reshape(3, 4)


def refuses(message, *arguments, **options):
    with pytest.raises(AssertionError, match=message):
        agree(*arguments, **options)


def test_agreement_is_said_in_one_line(capsys):
    agree(lambda x: x.exp() / x.exp().sum(1, keepdim=True), lambda x: F.softmax(x, dim=1), X, name="softmax")
    assert capsys.readouterr().out == "ok: softmax: values and gradients agree (tolerance 1e-05)\n"


def test_without_floats_only_values_are_said_to_agree(capsys):
    def double(x):
        return x + x
    agree(double, lambda x: 2 * x, torch.arange(3))
    assert capsys.readouterr().out == "ok: double: values agree (tolerance 1e-05)\n"


def test_a_module_without_a_name_is_called_by_its_class(capsys):
    agree(nn.ReLU(), torch.relu, X)
    assert capsys.readouterr().out.startswith("ok: ReLU: values and gradients")


def test_a_wrong_gradient_with_right_values_is_caught():
    refuses("gradient 0 differs", WrongGradient.apply, torch.exp, X)


def test_small_gradients_are_compared_as_strictly_as_large_ones():
    refuses("gradient 0 differs", MeanWithoutGradient.apply, torch.mean, torch.ones(200_000))


@given(st.floats(-12, 12), st.sampled_from([.5, .9, 1.1, -1.0]))
def test_values_and_gradients_of_any_size_are_compared(exponent, wrong):
    scale = 10.0 ** exponent
    agree(lambda x: x * scale, lambda x: scale * x, X)
    refuses("output 0 differs", lambda x: x * scale * wrong, lambda x: scale * x, X)
    refuses("gradient 0 differs", lambda x: x.detach() * scale + (x - x.detach()) * scale * wrong,
            lambda x: scale * x, X)


@pytest.mark.parametrize("error, right", [(.9e-3, True), (1.1e-3, False)])
def test_the_tolerance_is_a_fraction_of_the_references_largest_value(error, right):
    reference = torch.tensor([500., 1., 0.])

    def ours(x):
        return x + torch.tensor([0., 500 * error, 0.])
    if right:
        agree(ours, lambda x: x * 1, reference, tolerance=1e-3)
    else:
        refuses(r"largest value of the reference 500", ours, lambda x: x * 1, reference, tolerance=1e-3)


def test_every_tensor_has_its_own_measure():
    def ours(x):
        return x * 1e6, x * 1.01
    refuses("output 1 differs", ours, lambda x: (x * 1e6, x), X)


def test_where_the_reference_is_zero_ours_may_differ_by_rounding_only():
    agree(lambda x: (x, x * 1e-9), lambda x: (x, x * 0), X, tolerance=1e-5)
    refuses("output 1 differs", lambda x: (x, x * 1e-3), lambda x: (x, x * 0), X)
    refuses("output 0 differs", lambda x: x * 1e-30 + 1e-30, lambda x: x * 0, X)


def test_a_value_or_gradient_that_differs_in_one_element_is_caught():
    refuses("gradient 0", lambda x: torch.cat([x[:-1], x[-1:].detach()]), lambda x: x * 1, torch.ones(5))
    refuses("output 0", lambda x: torch.cat([x[:-1], x[-1:] * 1.001]), lambda x: x * 1, torch.ones(5))


def test_shapes_and_types_are_compared():
    refuses(r"(?s)output 0.*shape", lambda x: x.sum(1, keepdim=True), lambda x: x.sum(1), X)
    refuses(r"(?s)output 0.*dtype", lambda x: x.double(), lambda x: x * 1, X)
    refuses(r"(?s)output 0.*dtype", lambda x: x.int(), lambda x: x.long(), torch.arange(3))


def test_whole_numbers_must_be_equal_however_large():
    agree(lambda x: x, lambda x: x, torch.tensor([10**9]))
    refuses("output 0", lambda x: x + 1, lambda x: x, torch.tensor([10**9]))


def test_complex_outputs_are_compared_with_their_imaginary_part():
    n = torch.arange(3)
    refuses("output 0", lambda x: x + 1j, lambda x: x + 2j, n)
    refuses("gradient 0", lambda x: torch.complex(x, x.detach()), lambda x: torch.complex(x, x), X)


def test_a_cut_graph_is_named_and_blamed_on_the_right_side():
    refuses("no gradient reaches the inputs in ours", lambda x: x.detach().exp(), torch.exp, X)
    refuses("no gradient reaches the inputs in the reference", torch.exp, lambda x: x.detach().exp(), X)


def test_nan_is_not_agreement_unless_said_so():
    def nan(x):
        return x * float("nan")
    refuses("output 0", nan, lambda x: x, X)
    refuses("output 0", nan, nan, X)
    def half(x):
        return torch.where(x > 0, x, torch.nan)
    agree(half, half, X, equal_nan=True)
    refuses("output 0", nan, half, X, equal_nan=True)


def test_infinities_agree_in_the_same_places_only():
    def log(x):
        return x.clamp(min=0).log()
    positive = torch.tensor([0., 0., 1.])
    agree(lambda x: log(x).detach(), lambda x: log(x).detach(), positive)
    refuses("output 0", lambda x: log(x).detach(), lambda x: log(x).clamp(min=-100).detach(), positive)


def test_tensors_in_tuples_lists_and_dicts_are_differentiated_and_compared():
    def right(pair, more):
        return {"sum": pair[0] + pair[1], "list": [more["z"] * pair[0]]}

    def wrong(pair, more):
        return {"sum": pair[0] + pair[1].detach(), "list": [more["z"] * pair[0]]}
    arguments = (X, X * 2), {"z": X * 3, "n": 4}
    agree(right, right, *arguments)
    refuses("gradient 1 differs", wrong, right, *arguments)
    refuses("(?s)ours gives 1 tensors, the reference 2", lambda pair, more: pair[0] + pair[1], right, *arguments)


def test_a_recurrent_layer_with_its_nested_state_agrees_with_itself_and_not_with_another():
    a, b = nn.LSTM(3, 4), nn.LSTM(3, 4)
    states = torch.randn(1, 2, 4), torch.randn(1, 2, 4)
    with pytest.raises(AssertionError):
        agree(a, b, torch.randn(5, 2, 3), states)
    b.load_state_dict(a.state_dict())
    agree(a, b, torch.randn(5, 2, 3), states, parameters=(a.parameters(), b.parameters()))


def test_nothing_stands_for_nothing():
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    X = torch.randn(2, 3, 4)
    def without(x):
        return attention(x, x, x, need_weights=False)
    agree(without, without, X)
    refuses("output 1: ours is", lambda x: attention(x, x, x), without, X)
    refuses("ours: returned no tensor", lambda x: None, lambda x: None, X)
    with pytest.raises(TypeError, match=r"ours: returned 3.0 \(float\); only tensors"):
        agree(lambda x: 3.0, lambda x: 3.0, X)


@pytest.fixture
def layers():
    a, b = nn.Linear(4, 2), nn.Linear(4, 2)
    b.load_state_dict(a.state_dict())
    return a, b


def test_gradients_of_parameters_are_compared(layers):
    a, b = layers
    agree(a, b, X, parameters=(a.parameters(), b.parameters()))

    def bias_cut(x):  # the same values, the same gradient of x
        return x @ b.weight.T + b.bias.detach() + 0 * b.bias
    refuses("gradient 2 differs", a, bias_cut, X, parameters=(a.parameters(), b.parameters()))


def test_parameters_are_paired_in_order(layers):
    a, b = layers
    refuses("gradient", a, b, X, parameters=([a.weight, a.bias], [b.bias, b.weight]))
    refuses("2 parameters against 1", a, b, X, parameters=(a.parameters(), [b.weight]))


def test_parameters_that_are_named_must_be_used(layers):
    a, b = layers
    other = torch.zeros(2, requires_grad=True)
    refuses(r"ours: the parameters number \[1\] are not used", a, b, X,
            parameters=([a.weight, other], [b.weight, b.bias]))
    refuses(r"reference: the parameters number \[0\] are not used", a, b, X,
            parameters=([a.weight], [other]))


def test_the_inputs_of_the_caller_are_left_alone():
    x = torch.ones(3)
    agree(lambda x: x * 2, lambda x: x + x, x)
    assert not x.requires_grad and x.grad is None
    n = torch.arange(3)
    agree(lambda n: n.add_(1), lambda n: n + 1, n)
    assert n.tolist() == [0, 1, 2]


def test_a_kept_claim_is_printed_and_a_missed_one_raises(capsys):
    expect("one is less than two", 1 < 2)
    assert capsys.readouterr().out == "ok: one is less than two\n"
    with pytest.raises(AssertionError, match="^the claim does not hold: two is less than one$"):
        expect("two is less than one", 2 < 1)


@pytest.mark.parametrize("true", [np.bool_(True), torch.tensor(True), torch.tensor([[True]])])
def test_truth_values_of_numpy_and_torch_are_truth_values(true):
    expect("so it is", true)
    with pytest.raises(AssertionError):
        expect("so it is not", ~true)


@pytest.mark.parametrize("wrong", [lambda: 2 < 1, (False, "why"), [False, False], float("nan"), "False", 1, None,
                                   torch.tensor(1.), torch.tensor([True, True]), np.array([True]), np.float64(1)])
def test_what_is_no_truth_value_is_refused(wrong):
    with pytest.raises(TypeError, match="the claim 'two is less than one' needs True or False"):
        expect("two is less than one", wrong)
    with pytest.raises(TypeError):  # on a sample too, where the claim itself is not checked
        expect("two is less than one", wrong, on=Thing(real=False))


def test_claims_about_real_data_are_not_checked_on_samples(capsys):
    expect("accuracy is high", False, on=Thing(real=False))
    assert capsys.readouterr().out == "not checked on the built-in sample: accuracy is high\n"
    with pytest.raises(AssertionError):
        expect("accuracy is high", False, on=Thing(real=True))
    for not_data in (torch.ones(2), 3.0, "wine"):  # numbers and tensors have a real part
        with pytest.raises(TypeError, match="on= takes a data set"):
            expect("accuracy is high", True, on=not_data)
