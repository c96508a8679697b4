"""Each erratum of chapter 06: the mistake does what the errata page says, and so does the mend."""

import numpy as np
import pytest
import torch
from torch.distributions import Multinomial


def throws(n, shape=()):
    torch.manual_seed(0)
    return Multinomial(n, torch.ones(6) / 6).sample(shape)


def test_erratum_06_01():
    counts = throws(1000)
    assert counts.dtype == torch.float32  # the sampler returns it, nothing was stored
    assert torch.equal(counts.long() / 1000, counts / 1000)


def test_erratum_06_02():
    first, second = (Multinomial(1000, torch.ones(6) / 6).sample() / 1000 for _ in range(2))
    fair = torch.ones(6) / 6
    assert not torch.allclose(first, second, atol=1e-3) and not torch.allclose(first, fair, atol=1e-3)
    many = Multinomial(1_000_000, fair).sample() / 1_000_000
    assert torch.allclose(many, fair, atol=3e-3)


def test_erratum_06_03():
    wrong, right = 6 * .167, 6 * (1 / 6)
    assert abs(wrong - 1) > .001 and abs(right - 1) < 1e-12
    rng = np.random.default_rng(0)
    share = rng.binomial(10**8, 1 / 6) / 10**8
    assert abs(share - 1 / 6) < abs(share - .167)  # the line of the estimates is not the drawn one


def test_erratum_06_04():
    event, other, outcome = {2, 4, 6}, {4, 5, 6}, 4
    with pytest.raises(TypeError):
        event in outcome  # noqa: B015  an outcome is no set, nothing can belong to it
    assert outcome in event and outcome in other  # several events occur at one outcome
    assert 5 not in event and 5 in other


def test_erratum_06_05():
    torch.manual_seed(0)
    means = torch.randint(1, 7, (1000, 10)).float().mean(1)
    assert (means != 3.5).float().mean() > .9 and means.std() > .4  # a mean is a random variable
    assert (torch.arange(1., 7) @ (torch.ones(6) / 6)).item() == pytest.approx(3.5)
    assert means.mean().item() == pytest.approx(3.5, abs=.06)


def test_erratum_06_06():
    with pytest.raises(TypeError):
        torch.normal(means=torch.zeros(3), std=torch.ones(3))
    with pytest.raises(TypeError):  # the third positional argument is no `out`
        torch.normal(0., 1., torch.empty(3))
    assert torch.normal(mean=torch.zeros(3), std=torch.ones(3)).shape == (3,)
    assert torch.normal(0, 1, (5, 2)).shape == (5, 2)  # as that section calls it: a size
    torch.manual_seed(0)
    x = torch.normal(0., 4., (100_000,))
    assert abs(x.var().item() - 16) < .5  # std is a deviation


def test_erratum_06_07():
    rng = np.random.default_rng(0)
    x = np.zeros(100_000)
    for t in range(1, len(x)):  # tau = 1: only the last value is used
        x[t] = .9 * x[t - 1] + rng.normal()
    far = np.corrcoef(x[:-3], x[3:])[0, 1]
    assert far > .65  # and yet values three steps apart belong together
    rest = np.linalg.lstsq(np.stack([x[2:-1], x[:-3]], 1), x[3:], rcond=None)[0]
    assert abs(rest[1]) < .02 < .85 < rest[0]  # given the last one, the older adds nothing
