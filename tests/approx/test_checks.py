"""Sizes and wrong objects: one sentence each, at once."""

import jax.numpy as jnp
import numpy as np
import pytest

from fhejax import approx

NAN, INFINITY = float("nan"), float("inf")
P = approx.Polynomial.from_chebyshev([0.0, 1.0, 0.5], (-1, 1))
FITS = {
    "antiderivative": approx.antiderivative,
    "c1": approx.c1,
    "chebyshev": approx.chebyshev,
    "exponential": lambda function, degree, interval: approx.exponential(interval, degree, 1),
    "extend": approx.extend,
    "hermite": approx.hermite,
    "least_squares": approx.least_squares,
    "minimax": approx.minimax,
    "modified_chebyshev": approx.modified_chebyshev,
    "noise_aware": lambda f, degree, interval: approx.noise_aware(
        f, degree, interval, lambda c: 0 * jnp.sum(c)
    ),
    "reciprocal": lambda function, degree, interval: approx.reciprocal(interval, degree, 1),
    "rsqrt": lambda function, degree, interval: approx.rsqrt(interval, degree, 1),
    "sqrt": lambda function, degree, interval: approx.sqrt(interval, degree, 1),
    "taylor": approx.taylor,
}


def refuses(kind, words, call, *arguments, **options):
    with pytest.raises(kind, match=words) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message and len(message) < 600
    assert "fhejax" in str(caught.traceback[-1].path)


@pytest.mark.parametrize("fit", FITS)
def test_degrees_that_are_none(fit):
    for degree in (10**6, 10**400):
        refuses(ValueError, "degree is at most", FITS[fit], "silu", degree, (1, 2))
    refuses(ValueError, "degree is at least 0", FITS[fit], "silu", -1, (1, 2))
    for degree in (2.5, 3.0, True, "3", None, (3,), NAN):
        refuses(TypeError, "degree is an integer", FITS[fit], "silu", degree, (1, 2))


@pytest.mark.parametrize("fit", FITS)
def test_intervals_that_are_none(fit):
    for interval in ((2, 1), (1, 1)):
        refuses(ValueError, "empty or reversed", FITS[fit], "silu", 3, interval)
    for interval in ((NAN, 1), (1, INFINITY), (-(10**400), 1)):
        refuses(ValueError, "not finite", FITS[fit], "silu", 3, interval)
    for interval in ((1, True), ("a", "b"), (1, 1j), (None, 1), "ab"):
        refuses(TypeError, "ends of an interval are real numbers", FITS[fit], "silu", 3, interval)
    for interval in (None, 3, (1, 2, 3), (), {}, np.ones(3)):
        refuses(TypeError, "interval is a pair", FITS[fit], "silu", 3, interval)
    for interval in ((1e-40, 2e-40), (1, 1e31)):
        refuses(ValueError, "cannot be mapped", FITS[fit], "silu", 3, interval)
    refuses(ValueError, "too few floats lie in it", FITS[fit], "silu", 3, (1, 1 + 1e-15))


@pytest.mark.parametrize("fit", [approx.minimax, approx.c1])
def test_several_intervals(fit):
    many = [(i, i + 0.5) for i in range(17)]
    refuses(ValueError, "at most 16 intervals", fit, "silu", 3, many)
    assert len(fit("silu", 3, many[:16]).certificate.intervals) == 16
    refuses(ValueError, "touch or overlap", fit, "silu", 3, ((0, 1), (1, 2)))
    refuses(ValueError, "too narrow for one polynomial", fit, "silu", 3, ((1e-11, 2e-11), (1, 2)))
    refuses(TypeError, "interval is a pair", fit, "silu", 3, ((0, 1), (1, 2, 3)))


def test_extreme_intervals_that_are_some():
    for interval in ((-1e-29, 1e-29), (-1e29, 1e29), (1, 1 + 1e-8), (1e20, 1.1e20)):
        middle, radius = sum(interval) / 2, (interval[1] - interval[0]) / 2
        certificate = approx.minimax(
            lambda x, m=middle, r=radius: jnp.abs((x - m) / r), 4, interval
        ).certificate
        assert certificate.error == pytest.approx(0.0676, rel=2e-3)


def test_functions_and_parameters_that_are_none():
    for function in (None, 3, 2.5, object(), ("relu",), np.zeros((2, 2)), b"relu"):
        refuses(TypeError, "is a JAX function or a name", approx.minimax, function, 3, (-1, 1))
    refuses(ValueError, "no function named", approx.minimax, "", 3, (-1, 1))
    for parameters in (None, 0.5, "abc", {1: 2}, iter([1])):
        refuses(
            TypeError,
            "parameters of a function are a tuple",
            approx.minimax,
            "relu",
            3,
            (-1, 1),
            parameters=parameters,
        )
    for parameters in (("a",), (None,), (1j,)):
        refuses(
            TypeError,
            "parameters of a function are real",
            approx.c1,
            "relu",
            3,
            (-1, 1),
            parameters=parameters,
        )
    refuses(TypeError, "could not be applied", approx.minimax, "relu", 3, (-1, 1), parameters=(1.0,))
    refuses(ValueError, "not finite at", approx.minimax, lambda x, a: a * x, 3, (-1, 1), parameters=(NAN,))
    assert (
        approx.minimax(lambda x, a, b: a * x + b, 3, (-1, 1), parameters=np.ones(2)).certificate.error < 1e-15
    )


def test_fits_of_an_error_that_no_float_shows():
    for error in (1e-20, 3e-16):
        refuses(ValueError, r"rounded by 1\.78e-15", approx.fit, "gelu", (-8, 8), error=error)
    for error in (0, -1, NAN, INFINITY, 10**400):
        refuses(ValueError, "error is finite and positive", approx.fit, "gelu", (-8, 8), error=error)
    for error in (True, "1", 1j, (1,)):
        refuses(TypeError, "error is a real number", approx.fit, "gelu", (-8, 8), error=error)
    refuses(TypeError, "depth is an integer", approx.fit, "gelu", (-8, 8), depth=2.5)
    refuses(TypeError, "largest depth is an integer", approx.fit, "gelu", (-8, 8), error=1.0, max_depth="x")


@pytest.mark.nightly
def test_errors_out_of_reach_of_kinks_are_refused_before_all_is_tried():
    message = r"within 1e-12 at a depth of up to 14: the best error found is 3.3e-05, at depth 14"
    refuses(ValueError, message, approx.fit, "relu", (-1, 1), error=1e-12)


def test_sizes_of_compositions():
    refuses(ValueError, "one to 8 degrees, but 9", approx.composite, "relu", (3,) * 9, (-1, 1))
    refuses(ValueError, "one to 8 degrees, but 0", approx.composite, "relu", (), (-1, 1))
    refuses(ValueError, "at most 127", approx.composite, "relu", (3, 129), (-1, 1))
    for degrees in (None, 7, "77", np.array(7)):
        refuses(TypeError, "degrees of a composite", approx.composite, "relu", degrees, (-1, 1))
    for gap in (1e-12, 1.0, 5.0):
        refuses(ValueError, "gap around 0 is at least", approx.composite, "sign", (3, 3), (-1, 1), gap=gap)
    refuses(ValueError, "stages is at most 8", approx.extend, "tanh", 7, (-9, 9), stages=10**6)
    refuses(TypeError, "is True or False", approx.extend, "tanh", 7, (-9, 9), gated=np.ones(2))
    for factor in (1, 2.6):
        refuses(ValueError, "factor between 1 and 2.59", approx.extend, "tanh", 7, (-9, 9), factor=factor)
    refuses(ValueError, "squarings is at most 32", approx.exponential, (-1, 1), 3, 2000)
    for build in (approx.reciprocal, approx.rsqrt, approx.sqrt):
        refuses(ValueError, "iterations is at most 16", build, (1, 2), 3, 10**6)
        refuses(ValueError, "iterations are goldschmidt and newton", build, (1, 2), 3, 1, method=np.ones(2))
    refuses(ValueError, "size of a softmax is at most", approx.softmax, (-1, 1), 10**400)
    refuses(ValueError, "over 2 entries or more", approx.softmax, (-1, 1), 1)
    refuses(ValueError, "below 1, but 2 was", approx.softmax, (-1, 1), 3, error=2.0)
    refuses(ValueError, "exponential on", approx.softmax, (-1e30, 1e30), 3)


def test_measures_of_what_is_no_approximation():
    for measure in (approx.error, approx.root_mean_square_error):
        for thing in (None, "relu", 3, np.ones(3), object, approx.maximum((3, 3), (0, 1))):
            refuses(TypeError, "error is measured of a Polynomial", measure, thing, "relu")
    composite = approx.composite("relu", (3, 3), (-1, 1))
    refuses(TypeError, "derivative is measured of a Polynomial", approx.derivative_error, composite, "relu")
    refuses(TypeError, "is a JAX function or a name", approx.error, P, None)


def test_arguments_of_approximations():
    largest, composite = approx.maximum((3, 3), (0, 1)), approx.composite("relu", (3, 3), (-1, 1))
    soft, inverse = approx.softmax((-1, 1), 3), approx.reciprocal((1, 2), 3, 1)
    for evaluate in (
        P,
        composite,
        inverse,
        approx.rsqrt((1, 2), 3, 1),
        soft,
        largest.reduce,
        approx.modified_measure,
    ):
        for thing in (None, "abc", object(), ("a",), 10**400, np.array(["a"]), [[1.0], [1.0, 2.0]]):
            refuses(TypeError, "is an array of numbers", evaluate, thing)
    for evaluate in (P, soft, largest.reduce, approx.modified_measure):
        refuses(TypeError, "real numbers", evaluate, np.array([1j, 2, 3]))
    for evaluate in (soft, largest.reduce):
        refuses(TypeError, "axis is an integer", evaluate, jnp.ones(3), axis=1.5)
        refuses(ValueError, "no axis 4", evaluate, jnp.ones(3), axis=4)
        refuses(ValueError, "no axis -1", evaluate, 3.0)
    refuses(ValueError, "of one shape and floating dtype", largest, jnp.ones(3), jnp.ones(2))
    refuses(ValueError, "of one shape and floating dtype", largest, 1, 2)
    refuses(ValueError, "the axis given is empty", largest.reduce, jnp.ones((2, 0)))


def test_weights_samples_and_variances():
    for samples in ("abc", 1j, object(), (0, 1j), np.array(["a"]), 10**400):
        refuses(
            TypeError,
            "samples are an array of real",
            approx.least_squares,
            "relu",
            2,
            (-1, 1),
            samples=samples,
        )
    refuses(ValueError, "at least 3 distinct samples", approx.least_squares, "relu", 2, (-1, 1), samples=())
    refuses(ValueError, "NaN or infinite", approx.least_squares, "relu", 2, (-1, 1), samples=[0, 1, NAN])
    refuses(
        TypeError, "weight of the slope", approx.least_squares, "relu", 2, (-1, 1), slope_weight=np.ones(2)
    )
    refuses(
        ValueError,
        "derivative of sqrt is not finite",
        approx.least_squares,
        "sqrt",
        2,
        (0, 1),
        slope_weight=1.0,
    )
    for variance in (None, 3.0, "abc"):
        refuses(
            TypeError, "variance of the noise is a function", approx.noise_aware, "relu", 2, (-1, 1), variance
        )
    for variance in (lambda c: None, lambda c: 1 // 0, lambda: 0):
        refuses(TypeError, "could not be differentiated", approx.noise_aware, "relu", 2, (-1, 1), variance)
    for center in ("a", (0,), None, True):
        if center is not None:
            refuses(TypeError, "center is a real number", approx.taylor, "exp", 2, (-1, 1), center=center)
    refuses(ValueError, "center is finite", approx.taylor, "exp", 2, (-1, 1), center=NAN)
    refuses(ValueError, "mean is finite", approx.hermite, "exp", 2, (-1, 1), mean=NAN)
    for coefficients in (None, "ab", [None], [1j], [[1.0], [1.0, 2.0]], 10**400):
        refuses(
            TypeError, "coefficients of a polynomial", approx.Polynomial.from_chebyshev, coefficients, (-1, 1)
        )


def test_high_hermite_and_taylor_polynomials():
    # Powers of x and factorials would overflow.
    p = approx.hermite("tanh", 300, (-2, 2))
    assert np.all(np.isfinite(p.coefficients)) and p.certificate.error < 2e-3
    refuses(ValueError, "overflows on|comes to", approx.hermite, "abs", 300, (-1e9, 1e9))
    assert approx.taylor("exp", 200, (-1, 1)).certificate.error < 1e-14
    refuses(ValueError, "comes to .* itself", approx.taylor, lambda x: 1 / (1 + 400 * x * x), 120, (-1, 1))
