"""Least-squares fits: uniform, weighted, or under the density of observed values."""

from typing import Any

import numpy as np
from jax.typing import ArrayLike
from numpy.polynomial.chebyshev import chebvander

from fhejax.approx.boundedness import check_function
from fhejax.approx.checks import check_degree, check_positive, is_traced, is_zero, shown
from fhejax.approx.errors.measurement import certified
from fhejax.approx.functions import Function, derivative_of, values
from fhejax.approx.intervals import Interval, check_interval
from fhejax.approx.polynomials.basis import derivative_matrix, from_unit, to_unit, without_rounding_noise
from fhejax.approx.polynomials.polynomial import Polynomial

QUADRATURE_POINTS = 2048


def least_squares(
    function: str | Function,
    degree: int,
    interval: Interval,
    weight: str | Function | None = None,
    samples: ArrayLike | None = None,
    slope_weight: float = 0.0,
) -> Polynomial:
    """The polynomial p that minimises the mean square of p - function on the interval.

    Without `samples` the mean is the integral over the interval of weight(x) (p - f)^2; the quadrature
    is Fejer's first rule with 2048 points or more. With `samples` it is their weighted average: fit
    the activation where its inputs lie. Far from all samples, or where the weight vanishes, the
    error is unbounded: look at the certificate. Solved by lstsq in the Chebyshev basis, on the host in
    float64; memory 8 (degree + 1) bytes a sample.

    Args:
        function: a name, or an elementwise JAX function.
        degree: an integer from 0 to 1,023.
        interval: a pair (a, b).
        weight: the density of the mean, a function like `function`; 1 by default.
        samples: observed values of x, an array of any shape.
        slope_weight: adds that many times the mean square of p' - f' (a Sobolev norm), for activations
            that a network is trained with.

    Returns:
        A `Polynomial` with NumPy float64 coefficients (degree + 1,) and a certificate.

    Raises:
        TypeError: as `chebyshev`; samples that are no real numbers, or traced.
        ValueError: as `chebyshev`; a weight that is negative or zero everywhere; samples that are not finite
            or outside of the interval, or fewer distinct ones than coefficients.
    """
    degree, interval = check_degree(degree), check_interval(interval)
    slope_weight = 0.0 if is_zero(slope_weight) else check_positive(slope_weight, "weight of the slope")
    check_function(function, (interval,))
    if slope_weight > 0 and samples is None:
        check_function(derivative_of(function), (interval,))
    rows, right = weighted_rows(function, degree, interval, weight, samples, slope_weight)
    solution = np.linalg.lstsq(rows, right, rcond=None)[0]
    return certified(Polynomial.from_chebyshev(without_rounding_noise(solution), interval), function)


def weighted_rows(
    function: str | Function,
    degree: int,
    interval: Interval,
    weight: str | Function | None = None,
    samples: ArrayLike | None = None,
    slope_weight: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The rows and right side of a least-squares fit, for which |rows c - right|^2 is the mean square error.

    Args:
        function: as the further arguments, as of `least_squares`.
        degree: that of the polynomial.
        interval: a checked pair (a, b).
        weight: the density of the mean, or None.
        samples: observed values of x, or None.
        slope_weight: a checked weight of the slopes.

    Returns:
        Rows (points, degree + 1) and the right side (points,), float64.

    Raises:
        TypeError: as `least_squares`.
        ValueError: as `least_squares`.
    """
    if samples is None:
        nodes, masses = fejer(max(QUADRATURE_POINTS, 8 * (degree + 1)))
        points, masses = from_unit(nodes, interval), masses / 2
    else:
        points = _check_samples(samples, degree, interval)
        nodes, masses = to_unit(points, interval), np.full(points.shape, 1 / points.size)
    if weight is not None:
        masses = masses * _check_weight(values(weight, points))
    roots = np.sqrt(masses)
    rows, right = roots[:, None] * chebvander(nodes, degree), roots * values(function, points)
    if slope_weight == 0:
        return rows, right
    roots = np.sqrt(slope_weight) * roots
    slope_basis = chebvander(nodes, max(degree - 1, 0)) @ derivative_matrix(degree, interval)
    steep = roots * values(derivative_of(function), points)
    return np.concatenate([rows, roots[:, None] * slope_basis]), np.concatenate([right, steep])


def fejer(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The nodes and positive weights, each (count,), of Fejer's first quadrature rule on [-1, 1].

    Exact for polynomials of degree below count. The weights are the closed form at the Chebyshev
    nodes theta_k: 2 / n (1 - 2 sum_j cos(2 j theta_k) / (4 j^2 - 1)) (Waldvogel, BIT 46, 2006).
    """
    angles = (2 * np.arange(count) + 1) * np.pi / (2 * count)
    orders = np.arange(1, (count + 1) // 2)
    spectrum = np.zeros(count + 1, complex)
    spectrum[2 * orders] = np.exp(1j * orders * np.pi / count) / (4.0 * orders**2 - 1)
    sums = np.fft.irfft(spectrum, 2 * count)[:count] * count
    return np.cos(angles), 2 / count * (1 - 2 * sums)


def _check_samples(samples: ArrayLike, degree: int, interval: Interval) -> np.ndarray:
    points = _as_floats(samples)
    if not np.all(np.isfinite(points)):
        raise ValueError(
            f"samples are finite numbers inside of the interval, but {np.sum(~np.isfinite(points))} of "
            f"the {points.size} given are NaN or infinite and lie outside; look at what was profiled."
        )
    if len(np.unique(points)) <= degree:
        raise ValueError(
            f"a polynomial of degree {degree} needs at least {degree + 1} distinct samples, but "
            f"{len(np.unique(points))} were given; give more, or lower the degree."
        )
    if not (np.min(points) >= interval[0] and np.max(points) <= interval[1]):
        raise ValueError(
            f"the samples reach from {np.min(points):g} to {np.max(points):g}, outside of the "
            f"interval {interval}; widen the interval, or clip the samples to it."
        )
    return points


def _as_floats(samples: Any) -> np.ndarray:
    try:
        array = np.asarray(samples)
    except (TypeError, ValueError, OverflowError):
        array = np.asarray(None)
    if is_traced(samples) or array.dtype.kind not in "iuf":
        raise TypeError(
            f"samples are an array of real numbers known before tracing, but {shown(samples)} of type "
            f"{type(samples).__name__} was given; pass the observed inputs of the function."
        )
    return array.astype(np.float64).ravel()


def _check_weight(weights: np.ndarray) -> np.ndarray:
    if np.min(weights) < 0 or np.max(weights) == 0:
        raise ValueError(
            "a weight is nonnegative and somewhere positive, but the one given takes values from "
            f"{np.min(weights):g} to {np.max(weights):g} on the interval; pass one that is positive there."
        )
    return weights
