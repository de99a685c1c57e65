"""Functions that no polynomial is near are refused by every fit; bounded ones are not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax import approx
from fhejax.approx.boundedness import check_function, samples

PLACE = 1 / np.pi  # no point of any grid

UNBOUNDED = {
    "pole": (lambda x: 1 / (x - PLACE), (-1, 1)),
    "tangent": (jnp.tan, (-2, 2)),
    "double pole": (lambda x: (x - PLACE) ** -2, (-1, 1)),
    "root in a denominator": (lambda x: jnp.abs(x - PLACE) ** -0.5, (-1, 1)),
    "logarithm": (lambda x: jnp.log(jnp.abs(x - PLACE)), (-1, 1)),
    "small logarithm on a slope": (lambda x: 100 * x + 0.3 * jnp.log(jnp.abs(x - PLACE)), (-1, 1)),
    "small residue": (lambda x: x + 1e-4 / (x - PLACE), (-1, 1)),
    "many poles": (lambda x: 1 / jnp.sin(20 * x + 0.1), (-1, 1)),
    "pole of a tiny interval": (lambda x: 1 / (x - 1e-12 * PLACE), (-1e-12, 1e-12)),
    "pole far from 0": (lambda x: 1 / (x - 1000.3210123), (1000, 1001)),
}
NOT_FINITE = {
    "reciprocal": ("reciprocal", (-1, 1)),
    "log at 0": ("log", (0, 1)),
    "root of negative numbers": ("sqrt", (-1, 1)),
    "atanh at its ends": (jnp.arctanh, (-1, 1)),
    "NaN on a part": (lambda x: jnp.where(x > 0.999, jnp.nan, x), (-1, 1)),
    "overflow": (jnp.exp, (0, 800)),
}
BOUNDED = {
    "kink": (lambda x: jnp.abs(x - PLACE), (-1, 1)),
    "jump": (lambda x: jnp.sign(x - PLACE), (-1, 1)),
    "cusp": (lambda x: jnp.abs(x - PLACE) ** 0.1, (-1, 1)),
    "vertical slope": (lambda x: jnp.cbrt(x - PLACE), (-1, 1)),
    "root at an end": ("sqrt", (0, 1)),
    "oscillation without end": (lambda x: jnp.sin(1 / (x - PLACE)), (-1, 1)),
    "fast oscillation": (lambda x: jnp.sin(1e9 * x), (-1, 1)),
    "spike": (lambda x: 1 / ((x - PLACE) ** 2 + 1e-10), (-1, 1)),
    "x log x": (lambda x: (x - PLACE) * jnp.log(jnp.abs(x - PLACE)), (-1, 1)),
    "almost a pole": (jnp.tan, (-1.57, 1.57)),
    "saw": (lambda x: jnp.mod(x, 0.01), (-1, 1)),
    "booleans": (lambda x: x > PLACE, (-1, 1)),
    "integers": (lambda x: jnp.round(3 * x).astype(int), (-1, 1)),
    "constant": (lambda x: 3.0, (-1, 1)),
    "steep exponential": (jnp.exp, (0, 60)),
    "near a singularity": ("log", (1e-12, 1)),
    "tiny values": (lambda x: 1e-300 * x, (-1, 1)),
}
FITS = {
    "antiderivative": approx.antiderivative,
    "c1": approx.c1,
    "chebyshev": approx.chebyshev,
    "extend": approx.extend,
    "fit": lambda function, degree, interval: approx.fit(function, interval, depth=3),
    "hermite": lambda function, degree, interval: approx.hermite(function, degree, interval, deviation=0.05),
    "least_squares": approx.least_squares,
    "minimax": approx.minimax,
    "modified_chebyshev": approx.modified_chebyshev,
    "noise_aware": lambda f, degree, interval: approx.noise_aware(
        f, degree, interval, lambda c: 1e-9 * jnp.sum(c * c)
    ),
    "taylor": approx.taylor,
}


@pytest.mark.parametrize("name", UNBOUNDED)
def test_unbounded_functions_are_found(name):
    function, interval = UNBOUNDED[name]
    with pytest.raises(ValueError, match=r"grows without bound near|is not finite at"):
        check_function(function, (interval,))


@pytest.mark.parametrize("name", NOT_FINITE)
def test_functions_that_are_not_finite_are_found(name):
    function, interval = NOT_FINITE[name]
    with pytest.raises(ValueError, match="is not finite at"):
        check_function(function, (interval,))


@pytest.mark.parametrize("name", BOUNDED)
def test_bounded_functions_are_let_through(name):
    function, interval = BOUNDED[name]
    check_function(function, (interval,))


@pytest.mark.parametrize("fit", FITS)
def test_every_fit_refuses_poles_and_overflow(fit):
    with pytest.raises(ValueError, match=r"grows without bound near -?1\.57"):
        FITS[fit](jnp.tan, 5, (-2, 2))
    with pytest.raises(ValueError, match=r"reaches .* but an approximation has values of at most 1e"):
        FITS[fit](jnp.exp, 5, (0, 200))
    with pytest.raises(ValueError, match="is not finite at"):
        FITS[fit]("reciprocal", 5, (-1, 2))


def test_sizes_at_the_limit():
    p = approx.minimax(lambda x: 1e29 * jnp.exp(x), 9, (-1, 1))
    assert np.all(np.isfinite(np.asarray(p(jnp.linspace(-1, 1, 99)))))
    with pytest.raises(ValueError, match="divide the function by a constant"):
        approx.minimax(lambda x: 1e30 * jnp.exp(x), 9, (-1, 1))


@pytest.mark.parametrize("function", [lambda x: x - jnp.mean(x), jnp.cumsum, jax.nn.softmax, jnp.sort])
def test_functions_that_are_not_elementwise(function):
    if function is jnp.sort:  # of increasing points it is

        def function(x):
            return jnp.sort(x)[::-1]

    with pytest.raises(ValueError, match="is not elementwise"):
        approx.minimax(function, 3, (-1, 2))


@pytest.mark.parametrize(
    "function", [lambda x: jnp.stack([x, x]), jnp.sum, lambda x: jax.lax.complex(x, x), lambda x: x[:3]]
)
def test_functions_of_other_shapes_and_kinds(function):
    with pytest.raises(ValueError, match=r"to map each real number to a real number|is not elementwise"):
        approx.chebyshev(function, 3, (-1, 2))


@pytest.mark.parametrize("function", [lambda x: 1 // 0, lambda x: x.missing, lambda x: {}["key"], lambda: 0])
def test_what_a_function_raises_is_told(function):
    with pytest.raises(TypeError, match="could not be applied to a float64 array"):
        approx.minimax(function, 3, (-1, 2))


def test_under_transformations_unbounded_functions_are_nan():
    def error(function, bound):
        return approx.minimax(function, 5, (-bound, bound)).certificate.error

    bounds = jnp.array([1.5, 2.0])
    errors = jax.jit(jax.vmap(lambda bound: error(jnp.tan, bound)))(bounds)
    assert np.isnan(errors).tolist() == [False, True]
    slopes = jax.vmap(jax.grad(lambda bound: error(jnp.tan, bound)))(bounds)
    assert np.isnan(slopes).tolist() == [False, True]
    assert np.isnan(jax.jit(lambda bound: error(jnp.exp, bound))(100.0))
    assert jax.jit(lambda bound: error(jnp.sign, bound))(2.0) >= 1


def test_samples_are_one_in_each_part():
    points = samples(1026)
    assert np.array_equal(np.floor((points[1:-1] + 1) * 512), np.arange(1024))
    assert points[0] == -1 and points[-1] == 1
