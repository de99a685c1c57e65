"""Composites for piecewise linear functions: sign and step, and abs, ReLU and others with one kink."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial.chebyshev import chebvander

from fhejax.approx.boundedness import check_function
from fhejax.approx.checks import check_degree, check_positive, is_zero, shown
from fhejax.approx.compositions.sign import sign_stages
from fhejax.approx.errors.measurement import certified, on_host
from fhejax.approx.functions import Function, name_of, values
from fhejax.approx.intervals import Interval, check_intervals
from fhejax.approx.polynomials.composite import Composite
from fhejax.approx.polynomials.polynomial import Polynomial, depth_of_degree
from fhejax.approx.remez.linear_minimax import minimax_on_grid

GOLDEN = (5**0.5 - 1) / 2
SEARCHES = 12
BEYOND_WEIGHT = 1 / 16
LARGEST_GRID = 1 << 16
LARGEST_DEGREE = 127
MOST_STAGES = 8
SMALLEST_GAP = 1e-9


def composite(
    function: str | Function,
    degrees: Sequence[int],
    interval: Any,
    *,
    gap: float | None = None,
    margin: float = 0.05,
) -> Composite:
    """A composition of minimax polynomials of the given degrees, the first applied first.

    For a function with one kink at 0 and straight on either side, such as "relu", "leaky_relu" and "abs",
    the last stage is slope(v) x + offset(v) in the output v of the others, both fitted at once by
    `minimax_on_grid`: at the depth of the usual x (1 + sign(x)) / 2 (Lee et al., 2021), whose offset is
    zero, the error is about three times smaller. Beyond the margin the composite grows without bound.

    Args:
        function: "sign", "step", or a name or JAX function of one kink at 0.
        degrees: one to eight odd integers of at most 127; two or more for a kink.
        interval: a pair (a, b) with 0 inside; for a jump also two, ((-b, -a), (a, b)).
        gap: for "sign" and "step" the error is measured beyond it on either side of 0. For a kink all of
            the interval counts, and the best gap is found unless one is given.
        margin: up to 1 + `margin` times the interval the composite keeps its shape, at the price of that
            much error.

    Returns:
        A `Composite` with a certificate.

    Raises:
        TypeError: degrees, an interval, a gap or a margin that are no numbers of their kind.
        ValueError: other functions, even degrees, an interval without 0 inside, or a jump without a gap.
    """
    degrees, intervals = _check_degrees(degrees), check_intervals(interval)
    margin = 0.0 if is_zero(margin) else check_positive(margin, "margin")
    if isinstance(function, str) and function in ("sign", "step"):
        return _signs(function, degrees, intervals, gap, margin)
    return _kinked(function, degrees, intervals, gap, margin)


def _check_degrees(degrees: Any) -> tuple[int, ...]:
    if isinstance(degrees, str) or np.ndim(degrees) != 1:
        raise TypeError(
            f"the degrees of a composite are a sequence of odd integers, but {shown(degrees)} was given; "
            "pass for example (7, 7)."
        )
    checked = tuple(check_degree(degree, LARGEST_DEGREE) for degree in degrees)
    if not 0 < len(checked) <= MOST_STAGES:
        raise ValueError(
            f"a composite needs one to {MOST_STAGES} degrees, but {len(checked)} were given; pass for "
            "example (7, 7)."
        )
    even = [degree for degree in checked if degree % 2 == 0]
    if even:
        raise ValueError(
            f"the stages of a composite are odd polynomials, but a degree of {even[0]} was given; pass for "
            f"example {even[0] + 1}."
        )
    return checked


def _signs(
    function: str, degrees: tuple[int, ...], intervals: Any, gap: float | None, margin: float
) -> Composite:
    bound = max(abs(intervals[0][0]), abs(intervals[-1][1]))
    if gap is None and len(intervals) == 2 and intervals[0][1] < 0 < intervals[1][0]:
        gap = min(-intervals[0][1], intervals[1][0])
    if gap is None:
        raise ValueError(
            f"the {function} function jumps at 0, so that no polynomial is near it on all of {intervals[0]}; "
            "give the gap around 0 that is left out, or two intervals on either side."
        )
    gap = _check_gap(gap, bound)
    stages, _ = sign_stages(degrees, gap, (1 + margin) * bound)
    if function == "step":
        last = stages[-1].coefficients / 2
        last[0] += 0.5
        stages = (*stages[:-1], Polynomial(last, stages[-1].interval))
    pieces = ((-bound, -gap), (gap, bound))
    return certified(Composite(stages, fitted=(-bound, bound)), function, pieces)


def _check_gap(gap: Any, bound: float) -> float:
    gap = check_positive(gap, "gap")
    if not SMALLEST_GAP * bound <= gap < bound:
        raise ValueError(
            f"the gap around 0 is at least {SMALLEST_GAP:g} of the interval's larger end {bound:g} and "
            f"smaller than that, but {gap:g} was given; pass for example {bound / 100:g}."
        )
    return gap


def _kinked(
    function: str | Function, degrees: tuple[int, ...], intervals: Any, gap: float | None, margin: float
) -> Composite:
    if len(degrees) < 2 or len(intervals) > 1:
        raise ValueError(
            f"a composite for {name_of(function)} has two degrees or more on one interval, but {degrees} on "
            f"{intervals} was given; for a single polynomial use minimax."
        )
    bound = max(abs(end) for end in intervals[0])
    constant, linear, kink = _straight_parts(function, intervals[0])
    if gap is None:
        exponent = _search(lambda e: _absolute(degrees, 2.0**e, margin).error, _expected_gap(degrees))
        fitted = _absolute(degrees, 2.0**exponent, margin)
    else:
        fitted = _absolute(degrees, _check_gap(gap, bound) / bound, margin)
    first, *others = fitted.stages
    first = Polynomial(first.coefficients, (bound * first.interval[0], bound * first.interval[1]))
    slope, offset = kink * fitted.slope, kink * bound * fitted.offset
    slope[0] += linear
    offset[0] += constant
    gate, shift = Polynomial(slope, fitted.image), Polynomial(offset, fitted.image)
    return certified(Composite((first, *others), gate, shift, fitted=intervals[0]), function)


def _straight_parts(function: str | Function, interval: Interval) -> tuple[float, float, float]:
    """The numbers (a, b, c) with function(x) = a + b x + c |x| on the interval."""
    if not interval[0] < 0 < interval[1]:
        raise ValueError(
            f"a composite for {name_of(function)} needs an interval around its kink at 0, but {interval} "
            "was given; use minimax where the function is smooth."
        )
    check_function(function, (interval,))
    left, right = np.linspace(interval[0], 0, 65), np.linspace(0, interval[1], 65)
    before, after = values(function, left), values(function, right)
    falling, rising = (before[0] - before[-1]) / interval[0], (after[-1] - after[0]) / interval[1]
    constant, linear, kink = float(after[0]), float(rising + falling) / 2, float(rising - falling) / 2
    points, found = np.concatenate([left, right]), np.concatenate([before, after])
    straight = constant + linear * points + kink * np.abs(points)
    if kink == 0 or np.max(np.abs(found - straight)) > 1e-12 * np.max(np.abs(found)):
        raise ValueError(
            f"the function {name_of(function)} is not straight on both sides of a kink at 0 in {interval}; "
            "composites are for sign, step, relu, leaky_relu, abs and the like, minimax for all others."
        )
    return constant, linear, kink


class _Absolute(NamedTuple):
    """An approximation of |x| on [-1, 1], slope(v) x + offset(v) in the output v of the stages.

    Attributes:
        stages: the polynomials from x to v.
        slope: Chebyshev coefficients on `image`, (degree + 1,).
        offset: Chebyshev coefficients on `image`, (degree,).
        image: the interval in which v lies.
        error: the largest one.
    """

    stages: tuple[Polynomial, ...]
    slope: np.ndarray
    offset: np.ndarray
    image: Interval
    error: float


def _absolute(degrees: tuple[int, ...], gap: float, margin: float) -> _Absolute:
    stages, _ = sign_stages(degrees[:-1], gap, 1 + margin)
    points = _points(int(np.prod(degrees)), gap, margin)
    inner = on_host(Composite(stages), points)
    reach = float(np.max(np.abs(inner)))
    basis = chebvander(inner / reach, degrees[-1])
    weight = np.where(points <= 1, 1.0, BEYOND_WEIGHT)
    rows = weight[:, None] * np.concatenate([points[:, None] * basis[:, 1::2], basis[:, :-1:2]], axis=1)
    optimum = minimax_on_grid(rows, weight * points)
    slope, offset = np.zeros(degrees[-1] + 1), np.zeros(degrees[-1])
    slope[1::2], offset[::2] = np.split(optimum.solution, 2)
    return _Absolute(stages, slope, offset, (-reach, reach), optimum.error)


def _points(degree: int, gap: float, margin: float) -> np.ndarray:
    """Points of [0, 1 + margin], dense at 0 and where the composition oscillates."""
    count = min(max(4096, 8 * degree), LARGEST_GRID)
    oscillating = (1 + margin) * np.sin(np.linspace(0, np.pi / 2, count))
    close = np.geomspace(gap / 100, min(64 * gap, 1.0), 4096)
    return np.unique(np.concatenate([oscillating, close, [0.0, 1.0]]))


def _expected_gap(degrees: tuple[int, ...]) -> float:
    # The best gap halves about three times for every four levels.
    return 0.5 - 0.76 * sum(depth_of_degree(degree) for degree in degrees)


def _search(objective: Callable[[float], float], expected: float) -> float:
    """The minimum of an objective within 1.5 of what is expected, by golden sections."""
    low, high = expected - 1.5, expected + 1.5
    found: dict[float, float] = {}
    for _ in range(SEARCHES):
        trials = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        for trial in trials:
            if round(trial, 9) not in found:
                found[round(trial, 9)] = objective(trial)
        left, right = (found[round(trial, 9)] for trial in trials)
        low, high = (low, trials[1]) if left < right else (trials[0], high)
    return min(found, key=found.__getitem__)
