"""The choice of family, degree and depth by cost."""

import jax.numpy as jnp
import numpy as np
import pytest

from fhejax.approx import Composite, Maximum, Polynomial, error, fit
from fhejax.approx.errors.measurement import on_host


@pytest.mark.parametrize(
    "function, interval, target, depth",
    [
        ("sigmoid", (-8, 8), 2e-2, 3),
        ("gelu", (-8, 8), 1e-4, 5),
        ("relu", (-1, 1), 2e-3, 7),
        ("log", (0.1, 1), 1e-5, 4),
    ],
)
def test_least_depth_and_full_degree(function, interval, target, depth):
    p = fit(function, interval, error=target)
    assert isinstance(p, Polynomial) and p.depth == depth and p.degree == 2**depth - 1
    assert error(p, function) <= target < fit(function, interval, depth=depth - 1).certificate.error


def test_degrees_that_others_lose():
    # At 4 and 5 levels 15 and 31 fit, where 13 and 27 are common.
    assert fit("sigmoid", (-8, 8), depth=4).certificate.error == pytest.approx(8.789e-4, rel=1e-3)
    assert fit("gelu", (-8, 8), depth=5).certificate.error == pytest.approx(4.830e-5, rel=1e-3)
    assert fit("tanh", (-8, 8), depth=6).degree == 63


def test_depth_zero_and_one():
    assert fit("exp", (0, 1), depth=0).degree == 0
    assert fit("exp", (0, 1), depth=1).degree == 1
    assert fit(lambda x: 3.0 + 0 * x, (0, 1), error=1e-9).depth == 0
    assert fit("identity", (-2, 3), error=1e-9).depth == 1


def test_kinks_and_jumps_become_composites():
    p = fit("relu", (-1, 1), error=9e-4)
    assert isinstance(p, Composite) and p.depth == 9 and p.certificate.error <= 9e-4
    intervals = ((-1, -0.01), (0.01, 1))
    q = fit("sign", intervals, error=1e-2)
    assert isinstance(q, Composite) and np.max(np.abs(on_host(q, np.linspace(0.01, 1, 999)) - 1)) <= 1e-2
    largest = fit("max", (0, 1), error=3e-3)
    assert isinstance(largest, Maximum) and largest.certificate.error <= 3e-3
    assert abs(float(largest(0.25, 0.75)) - 0.75) < 3e-3


def test_squarings_save_products():
    p = fit("exp", (-16, 0), error=1e-8)
    assert p.depth == 5 and isinstance(p, Composite) and p.squarings == 1
    assert p.multiplications < fit(lambda x: jnp.exp(x), (-16, 0), error=1e-8).multiplications


def test_iterations_for_reciprocals():
    p = fit("reciprocal", (0.001, 1), error=1e-2)
    x = np.linspace(0.001, 1, 9999)
    assert np.max(np.abs(on_host(p, x) - 1 / x)) <= 1e-2
    assert p.depth <= 10


def test_bad_input_is_refused_in_sentences():
    with pytest.raises(
        ValueError, match=r"within 1e-09 at a depth of up to 5: the best error found is 4\.83e-05"
    ):
        fit("gelu", (-8, 8), error=1e-9, max_depth=5)
    with pytest.raises(ValueError, match="fitted for a number of entries"):
        fit("softmax", (-1, 1), error=1e-2)
    with pytest.raises(ValueError, match="neither was given"):
        fit("relu", (-1, 1))
    with pytest.raises(ValueError, match="both were given"):
        fit("relu", (-1, 1), error=1e-2, depth=3)
    with pytest.raises(ValueError, match="log is not finite"):
        fit("log", (0, 1), error=1e-2)
    with pytest.raises(ValueError, match="error is finite and positive"):
        fit("relu", (-1, 1), error=0.0)
    with pytest.raises(ValueError, match="empty or reversed"):
        fit("max", (1, -1), error=0.1)
    with pytest.raises(ValueError, match="depth is at least 0"):
        fit("relu", (-1, 1), depth=-2)
    with pytest.raises(ValueError, match="the best error found is 1, at depth"):
        fit("sign", (-1, 1), error=0.1, max_depth=6)
