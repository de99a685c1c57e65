"""Certificates against a dense grid of their own, for functions that coarse grids do not resolve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax import approx
from fhejax.approx.errors.magnification import largest_between
from fhejax.approx.errors.measurement import on_host

PLACE = 1 / np.pi  # no point of any grid

ROUGH = {
    "kink": (lambda x: jnp.abs(x - PLACE), (-1, 1.3)),
    "spike of 1e-3": (lambda x: 1 / (1 + ((x - PLACE) / 1e-3) ** 2), (-1, 1.3)),
    "spike of 2e-4": (lambda x: jnp.exp(-(((x - 0.7123) / 2e-4) ** 2)), (-1, 1.3)),
    "triangle": (lambda x: jnp.maximum(0, 1 - jnp.abs(x - PLACE) * 1000), (-1, 1)),
    "oscillation": (lambda x: jnp.sin(500 * x), (-1, 1.3)),
    "fast oscillation": (lambda x: jnp.sin(3e5 * x), (-1, 1.3)),
    "oscillation of even grids": (lambda x: jnp.sin(2 * jnp.pi * 8192 * x), (-1, 1)),
    "jump": (lambda x: x > PLACE, (-1, 1.3)),
    "stairs": (lambda x: jnp.floor(7 * x), (-1, 1.3)),
    "chirp": (lambda x: jnp.sin(1 / (jnp.abs(x) + 0.01)), (-1, 1)),
    "steep": ("reciprocal", (1e-3, 1)),
    "root": ("sqrt", (0, 1)),
    "far from 0": (lambda x: jnp.abs(x - 1000.3), (1000, 1001)),
    "huge interval": (lambda x: jnp.abs(x - 2e20), (-1e21, 1e21)),
    "tiny interval": (lambda x: jnp.abs(x - 2e-12), (-1e-11, 1e-11)),
    "offset": (lambda x: 1e8 + jnp.sin(5 * x), (-1, 2)),
}


def dense_error(polynomial, function, interval):
    points = np.append(np.random.default_rng(5).uniform(*interval, 200_000), interval)
    with jax.enable_x64(True):
        function = approx.FUNCTIONS[function] if isinstance(function, str) else function
        exact = np.asarray(function(jnp.asarray(points)), float)
    return np.max(np.abs(on_host(polynomial, points) - exact)), 1e-14 * np.max(np.abs(exact))


@pytest.mark.parametrize("name", ROUGH)
@pytest.mark.parametrize("fit", [approx.minimax, approx.chebyshev, approx.least_squares])
def test_certificates_bound_the_error_of_a_dense_grid(fit, name):
    function, interval = ROUGH[name]
    for degree in (3, 30):
        p = fit(function, degree, interval)
        found, rounding = dense_error(p, function, interval)
        assert found <= 1.005 * p.certificate.error + rounding, degree
        assert found >= 0.95 * p.certificate.error - rounding, degree
        values = np.asarray(p(jnp.linspace(*interval, 999)))
        assert values.dtype == np.float32 and np.all(np.isfinite(values))


@pytest.mark.parametrize("name", ["spike of 1e-3", "jump", "kink", "fast oscillation", "chirp"])
def test_minimax_of_rough_functions_is_best(name):
    function, interval = ROUGH[name]
    assert approx.minimax(function, 30, interval).certificate.ratio < 1.01


def test_peaks_between_points():
    points = np.linspace(0, 1, 101)

    def peak(x):
        return np.exp(-30 * np.abs(x - PLACE))

    places, sizes = largest_between(peak, points, peak(points))
    best = np.argmax(np.abs(sizes))
    assert places[best] == pytest.approx(PLACE, abs=1e-9) and sizes[best] == pytest.approx(1, abs=1e-7)
    smooth = np.sin(3 * points)
    assert len(largest_between(lambda x: np.sin(3 * x), points, smooth)[0]) == 0

    # A jump has two sides, of which the larger counts.
    def jump(x):
        return np.where(x < PLACE, 0.5 + x, x - 1.2)

    assert np.max(np.abs(largest_between(jump, points, jump(points))[1])) == pytest.approx(
        1.2 - PLACE, rel=1e-9
    )
