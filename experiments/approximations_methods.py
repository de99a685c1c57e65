"""The functions, the ways to approximate them, and what each fit is worth in the clear."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev

from fhejax import approx

SAMPLES = 1001
LOW_DEGREES, HIGH_DEGREES = (3, 7), (15, 31)
SWEPT_DEGREES = (3, 5, 7, 9, 11, 13, 15, 19, 23, 27, 31)
COMPOSITES = ((15, 15, 27), (15, 15, 31))
DEVIATIONS = 4


@dataclass(frozen=True)
class Target:
    """A function on [-bound, bound], which is a power of two; `name` is that of `approx.FUNCTIONS`."""

    name: str
    title: str
    bound: float
    evaluate: Callable[[np.ndarray], np.ndarray]
    smooth: bool = True

    @property
    def interval(self) -> tuple[float, float]:
        """Where it is approximated."""
        return -self.bound, self.bound


TARGETS = {
    target.name: target
    for target in (
        Target("relu", "ReLU", 4.0, lambda x: np.maximum(x, 0.0), smooth=False),
        Target("sigmoid", "Sigmoid", 8.0, lambda x: 1 / (1 + np.exp(-x))),
        Target("tanh", "Tanh", 4.0, np.tanh),
    )
}


@dataclass(frozen=True)
class Method:
    """A way to a polynomial; `smooth` says that the function has to be."""

    name: str
    fit: Callable[[Target, int], approx.Polynomial]
    smooth: bool = False


@dataclass(frozen=True)
class Fit:
    """One approximation of a table, or None where the method has none."""

    method: str
    degree: int
    approximation: Any

    @property
    def is_composite(self) -> bool:
        """Whether polynomials of polynomials have to be evaluated."""
        return isinstance(self.approximation, approx.Composite)


def slope_weight(target: Target, degree: int) -> float:
    """How much a derivative counts in a C1 fit.

    No polynomial's slope is nearer than 1/2 to a step, so that the slope alone would decide over ReLU;
    1 / degree keeps that half below the least error of a value.
    """
    return 1.0 if target.smooth else 1 / degree


def _least_squares(target: Target, degree: int) -> approx.Polynomial:
    samples = np.linspace(*target.interval, SAMPLES)
    return approx.least_squares(target.name, degree, target.interval, samples=samples)


def _hermite(target: Target, degree: int) -> approx.Polynomial:
    return approx.hermite(target.name, degree, target.interval, deviation=target.bound / DEVIATIONS)


def _c1(target: Target, degree: int) -> approx.Polynomial:
    weight = slope_weight(target, degree)
    return approx.c1(target.name, degree, target.interval, slope_weight=weight)


def _plain(fit: Callable[..., approx.Polynomial]) -> Callable[[Target, int], approx.Polynomial]:
    return lambda target, degree: fit(target.name, degree, target.interval)


CRYPTODL = (
    Method("least squares", _least_squares),
    Method("Taylor", _plain(approx.taylor), smooth=True),
    Method("Chebyshev", _plain(approx.chebyshev)),
    Method("modified Chebyshev", _plain(approx.modified_chebyshev)),
    Method("CryptoDL", _plain(approx.antiderivative)),
)
MINIMAX = Method("minimax", _plain(approx.minimax))
METHODS = (*CRYPTODL, Method("Hermite", _hermite), Method("C1", _c1), MINIMAX)


def fit_all(target: Target) -> list[Fit]:
    """Every row of the function's table: all methods at low degrees, then what a few levels more give."""
    pairs = [(method, degree) for degree in LOW_DEGREES for method in METHODS]
    pairs += [(MINIMAX, degree) for degree in HIGH_DEGREES]
    fits = [fit_one(method, target, degree) for method, degree in pairs]
    return fits if target.smooth else [*fits, *_composites(target)]


def fit_one(method: Method, target: Target, degree: int) -> Fit:
    """One fit; its approximation is None where the method asks for a smoother function."""
    possible = target.smooth or not method.smooth
    return Fit(method.name, degree, method.fit(target, degree) if possible else None)


def _composites(target: Target) -> Iterator[Fit]:
    for degrees in COMPOSITES:
        approximation = approx.composite(target.name, degrees, target.interval)
        name = f"composite {','.join(map(str, degrees))}"
        yield Fit(name, approximation.degree, approximation)


def clear_errors(fit: Fit, target: Target) -> dict[str, float | None]:
    """Largest error, largest error of the derivative (None for composites), and root mean square error."""
    approximation, name = fit.approximation, target.name
    if approximation is None:
        return dict.fromkeys(("error", "derivative_error", "root_mean_square_error"))
    slope = None if fit.is_composite else float(approx.derivative_error(approximation, name))
    return {
        "error": float(approx.error(approximation, name)),
        "derivative_error": slope,
        "root_mean_square_error": float(approx.root_mean_square_error(approximation, name)),
    }


def sweep(target: Target) -> list[dict[str, Any]]:
    """The errors at all degrees of `SWEPT_DEGREES` of every method that has an approximation."""
    return [
        {"method": method.name, "degree": degree, **clear_errors(fit_one(method, target, degree), target)}
        for method in METHODS
        for degree in SWEPT_DEGREES
        if target.smooth or not method.smooth
    ]


def in_the_clear(approximation: Any, x: np.ndarray) -> np.ndarray:
    """Values of a polynomial or a composite at x, in float64."""
    if isinstance(approximation, approx.Composite):
        return approximation.apply(x, in_the_clear)
    start, stop = approximation.interval
    return chebyshev.chebval((2 * x - start - stop) / (stop - start), approximation.coefficients)
