"""Composites against the published tables of minimax compositions, and their shape outside."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax.approx import Composite, composite, error
from fhejax.approx.compositions.sign import sign_stages
from fhejax.approx.errors.measurement import on_host

# Error 2^-a beyond the gap 2^-a.
BALANCED = {
    (7,): 2.54,
    (7, 7): 4.20,
    (15, 15): 5.85,
    (7, 7, 7): 6.09,
    (15, 15, 15): 8.81,
    (15, 15, 27): 9.56,
    (15, 15, 31): 9.73,
    (15, 15, 15, 15): 11.94,
}
# Gap and error of x (1 + sign(x)) / 2 (Lee et al., 2021, with the best gap for ReLU).
RELU = {
    (5,): (1.55, 4.02e-2),
    (13,): (2.41, 1.90e-2),
    (3, 7): (2.70, 1.50e-2),
    (7, 7): (3.57, 7.50e-3),
    (7, 15): (4.43, 3.80e-3),
    (15, 15): (5.32, 1.94e-3),
    (7, 7, 13): (6.32, 8.96e-4),
    (7, 15, 15): (7.43, 3.90e-4),
    (15, 15, 15): (8.37, 1.94e-4),
    (15, 15, 27): (9.15, 1.09e-4),
    (15, 27, 29): (9.98, 5.87e-5),
}


@pytest.mark.parametrize("degrees", BALANCED, ids=str)
def test_balanced_sign_problem(degrees):
    exponent = BALANCED[degrees]
    _, largest = sign_stages(degrees, 2.0**-exponent, 1.0)
    assert -np.log2(largest) == pytest.approx(exponent, abs=0.03)


@pytest.mark.parametrize("degrees", RELU, ids=str)
def test_relu_by_the_sign_alone(degrees):
    exponent, expected = RELU[degrees]
    x = np.concatenate([np.geomspace(1e-6, 2.0 ** (1 - exponent), 20000), np.linspace(0, 1, 200001)])
    stages, _ = sign_stages(degrees, 2.0**-exponent, 1.0)
    found = np.max(np.abs(x * (1 - on_host(Composite(stages), x)) / 2))
    assert found == pytest.approx(expected, rel=1.5e-2)


@pytest.mark.parametrize(
    "degrees", [degrees for degrees in RELU if len(degrees) > 1 and sum(degrees) < 40], ids=str
)
def test_ours_is_better_at_equal_depth(degrees):
    fitted = composite("relu", degrees, (-1, 1))
    sign_depth = sum(degree.bit_length() for degree in degrees)
    assert fitted.depth == sign_depth + 1
    assert fitted.certificate.error < 0.65 * RELU[degrees][1]


@pytest.mark.parametrize("degrees, bar", [((15, 15, 27), 4.0e-5), ((15, 15, 31), 3.4e-5)], ids=str)
@pytest.mark.nightly
def test_relu_reaches_the_bar_and_stays_bounded(degrees, bar):
    p = composite("relu", degrees, (-1, 1))
    # Shipped elsewhere with these degrees: 3.6e-4, and -5e41 at x = 1.01.
    assert p.depth == 14 and p.certificate.error <= bar
    x = np.linspace(-1.05, 1.05, 100001)
    assert np.max(np.abs(on_host(p, x))) < 1.06
    assert np.max(np.abs(on_host(p, x) - np.maximum(x, 0))) < 2e-3
    inside = np.linspace(-1, 1, 400001)
    assert np.max(np.abs(on_host(p, inside) - np.maximum(inside, 0))) <= p.certificate.error * (1 + 1e-3)


@pytest.mark.parametrize(
    "name, parameters, interval",
    [("abs", (), (-3, 3)), ("leaky_relu", (0.1,), (-2, 5)), ("relu", (), (-8, 8))],
)
def test_other_kinks_and_intervals(name, parameters, interval):
    exact = {
        "abs": np.abs,
        "relu": lambda x: np.maximum(x, 0),
        "leaky_relu": lambda x: np.where(x > 0, x, 0.1 * x),
    }
    function = (lambda x: jax.nn.leaky_relu(x, *parameters)) if parameters else name
    p = composite(function, (7, 7), interval)
    x = np.linspace(*interval, 100001)
    errors = np.abs(on_host(p, x) - exact[name](x))
    kink = {"abs": 2.0, "relu": 1.0, "leaky_relu": 0.9}[name]
    assert np.max(errors) <= p.certificate.error * (1 + 1e-3)
    assert p.certificate.error < 4.0e-3 * kink * max(map(abs, interval))
    with jax.enable_x64(True):
        assert np.allclose(p(jnp.asarray(x[::500])), on_host(p, x[::500]), atol=1e-12)


def test_signs_and_steps():
    p = composite("sign", (7, 15), ((-2, -0.05), (0.05, 2)))
    x = np.linspace(0.05, 2, 5001)
    assert np.max(np.abs(on_host(p, x) - 1)) <= p.certificate.error * (1 + 1e-6)
    assert np.allclose(on_host(p, -x), -on_host(p, x))
    assert p.depth == 7 and p.degree == 105
    step = composite("step", (7, 15), (-2, 2), gap=0.05)
    assert step.certificate.error == pytest.approx(p.certificate.error / 2, rel=1e-3)
    assert np.allclose(on_host(step, x), (1 + on_host(p, x)) / 2)


def test_is_a_pytree_under_transformations():
    p = composite("relu", (3, 7), (-1, 1))
    assert len(jax.tree.leaves(p)) == 3 and p.interval == (-1, 1)
    x = jnp.linspace(-1, 1, 33)
    expected = np.asarray(p(x))
    assert np.allclose(jax.jit(lambda q, at: q(at))(p, x), expected, atol=1e-6)
    assert np.allclose(jax.vmap(p)(x), expected, atol=1e-6)
    step = 1e-5
    with jax.enable_x64(True):
        slopes = jax.vmap(jax.grad(p))(jnp.asarray(x, jnp.float64))
    at = np.asarray(x, np.float64)
    assert np.allclose(slopes, (on_host(p, at + step) - on_host(p, at - step)) / (2 * step), atol=1e-6)
    assert jax.tree.map(lambda leaf: leaf, p).certificate is None
    assert error(p, "relu") == pytest.approx(p.certificate.error)


def test_bad_input_is_refused_in_sentences():
    with pytest.raises(ValueError, match="odd polynomials, but a degree of 6"):
        composite("relu", (7, 6), (-1, 1))
    with pytest.raises(ValueError, match="one to 8 degrees, but 0"):
        composite("sign", (), (-1, 1), gap=0.1)
    with pytest.raises(ValueError, match=r"jumps at 0.*give the gap"):
        composite("sign", (7,), (-1, 1))
    with pytest.raises(ValueError, match="smaller than that"):
        composite("sign", (7,), (-1, 1), gap=2.0)
    with pytest.raises(ValueError, match="single polynomial use minimax"):
        composite("relu", (7,), (-1, 1))
    with pytest.raises(ValueError, match="around its kink at 0"):
        composite("relu", (7, 7), (1, 2))
    with pytest.raises(ValueError, match="sigmoid is not straight on both sides"):
        composite("sigmoid", (7, 7), (-1, 1))
    with pytest.raises(ValueError, match="gap is finite and positive"):
        composite("relu", (7, 7), (-1, 1), gap=-1.0)
