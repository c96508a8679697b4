"""Each erratum of chapter 04: the mistake does what the errata page says, and so does the mend."""

import math
import warnings

import numpy as np
import pytest


def f1(x):
    return x ** 3 - (1 / x)


def diff(f, x):
    h = 1e-4
    return (f(x + h) - f(x - h)) / (2 * h)


def numerical_gradient(f, x):
    """As the notes have it."""
    h = 1e-4
    grad = np.zeros_like(x)
    for idx in range(x.size):
        tmp_val = x[idx]
        x[idx] = tmp_val + h
        fxh1 = f(x)
        x[idx] = tmp_val - h
        fxh2 = f(x)
        grad[idx] = (fxh1 - fxh2) / (2 * h)
        x[idx] = tmp_val
    return grad


def f3(x):
    """As the notes have it."""
    return 3 * x[0] ** 2 + 5 * (math.exp(x[1] ** 2))


def mended_gradient(f, x):
    x = np.array(x, dtype=float)
    grad = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        before = x[place]
        x[place] = before + 1e-4
        right = f(x)
        x[place] = before - 1e-4
        grad[place] = (right - f(x)) / 2e-4
        x[place] = before
    return grad


def test_erratum_04_01():
    names = {"diff": diff, "f1": f1}
    exec("def qx(x, y):\n    k = diff(f, x)\n    y = f1(x)\n    b = y - k * x\n    return k, b", names)
    with pytest.raises(NameError, match="'f'"):
        names["qx"](1, f1)
    exec("def qx(x, f):\n    k = diff(f, x)\n    return k, f(x) - k * x", names)
    assert np.allclose(names["qx"](1, f1), (4, -4), atol=1e-6)


def test_erratum_04_02():
    def qx(x, y):
        k = diff(f1, x)  # with 04.01 mended
        y = f1(x)
        return k, y - k * x

    assert qx(1, f1) == qx(1, np.sin) == qx(1, None)  # what is passed is thrown away

    def mended(x, f):
        k = diff(f, x)
        return k, f(x) - k * x

    assert np.allclose(mended(1, f1), (4, -4), atol=1e-6)
    assert np.allclose(mended(0, np.sin), (1, 0), atol=1e-6)


def test_erratum_04_03():
    x = np.arange(0, 5.0, .1)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert f1(x)[0] == -math.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(f1(np.arange(.1, 5.0, .1))).all()


def test_erratum_04_04():
    x = np.arange(.1, 5.0, .1)
    shown = (f1(x) >= 0) & (f1(x) <= 5)
    line = (4 * x - 4 >= 0) & (4 * x - 4 <= 5)
    assert not shown[x < .99].any() and not line[x < .99].any()  # all that is left of the point of contact
    assert shown.sum() < len(x) / 5
    near = x[x < 2.2]
    assert ((f1(near) > -10.1) & (f1(near) < 10.5)).all()        # a window that shows both sides


def test_erratum_04_05():
    def right(x):
        return 3 * x[0] ** 2 + 5 * math.exp(x[1])

    place = np.array([1., 1.])
    assert f3(place) == right(place)
    assert np.allclose(numerical_gradient(f3, place), (6, 10 * math.e), atol=1e-5)
    assert np.allclose(numerical_gradient(right, place), (6, 5 * math.e), atol=1e-5)


def test_erratum_04_06():
    assert numerical_gradient(f3, np.array([1, 1])).tolist() == [15000, 42957]
    assert np.allclose(numerical_gradient(f3, np.array([1., 1.])), (6, 10 * math.e), atol=1e-5)
    assert np.allclose(mended_gradient(f3, [1, 1]), (6, 10 * math.e), atol=1e-5)


def test_erratum_04_07():
    def squares(x):
        return (x * x).sum()

    table = np.array([[1., 2, 3], [4, 5, 6]])
    with pytest.raises((IndexError, ValueError)):
        numerical_gradient(squares, table.copy())
    assert np.allclose(mended_gradient(squares, table), 2 * table)
