"""Range extension: cubics that fold a wide interval into a narrow one, then one polynomial."""

from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebvander

from fhejax.approx.boundedness import check_function
from fhejax.approx.checks import check_count, check_degree, check_flag, check_positive
from fhejax.approx.errors.measurement import certified, on_host
from fhejax.approx.functions import Function, values
from fhejax.approx.intervals import Interval, check_interval
from fhejax.approx.polynomials.basis import from_unit
from fhejax.approx.polynomials.composite import Composite
from fhejax.approx.polynomials.polynomial import Polynomial
from fhejax.approx.remez.linear_minimax import minimax_on_grid

POINTS = 6000
LARGEST_DEGREE = 127
MOST_STAGES = 8


def extend(
    function: str | Function,
    degree: int,
    interval: Interval,
    *,
    stages: int = 1,
    factor: float = 2.0,
    gated: bool = False,
) -> Composite:
    """The composite that folds a wide interval into a narrow one and fits the function there.

    Each stage v -> v - 4 v^3 / (27 r^2) maps an interval `factor` times as wide as (-r, r) into that
    and is near v where v is small (Cheon, Kim and Park, IEEE TIFS 17, 2022): two levels and two
    products a stage. The last polynomial is the minimax fit through the folds, not of the function on
    the narrow interval, so that their distortion is undone where it can be. What folds together has
    to be alike: functions that saturate, as sigmoid and tanh, or with `gated` those that grow like x.

    Args:
        function: a name, or an elementwise JAX function.
        degree: that of the last polynomial, from 0 to 127.
        interval: a pair (a, b).
        stages: the number of folds, from 0 to 8.
        factor: by how much each fold narrows the interval, between 1 and 2.59, beyond which it passes 0.
        gated: whether the last stage is slope(v) x + offset(v), as SiLU and GELU need.

    Returns:
        A `Composite` with a certificate.

    Raises:
        TypeError: as `minimax`; a choice of `gated` that is not True or False.
        ValueError: as `minimax`; a number of stages or a factor outside of its range.
    """
    degree, interval = check_degree(degree, LARGEST_DEGREE), check_interval(interval)
    stages = check_count(stages, "number of stages", MOST_STAGES)
    factor = check_positive(factor, "factor of a fold")
    # Without a fold x v and v are polynomials of one variable, and a gate adds nothing.
    gated = check_flag(gated, "choice of a gated last stage") and stages > 0
    if not 1 < factor < 2.59:
        raise ValueError(f"a fold widens by a factor between 1 and 2.59, but {factor} was given; 2 is usual.")
    check_function(function, (interval,))
    folds = _folds(interval, stages, factor)
    angles = np.linspace(0, np.pi, max(POINTS, 64 * degree * 2**stages))
    points = np.unique(np.concatenate([from_unit(np.cos(angles), interval), np.linspace(*interval, POINTS)]))
    inner = on_host(Composite(folds), points) if folds else points
    image = (float(np.min(inner)), float(np.max(inner)))
    middle, radius = sum(image) / 2, (image[1] - image[0]) / 2
    basis = chebvander((inner - middle) / radius, degree)
    rows = np.concatenate([points[:, None] * basis, basis], axis=1) if gated else basis
    solution = minimax_on_grid(rows, values(function, points)).solution
    return certified(_assembled(folds, solution, image, gated), function)


def _folds(interval: Interval, stages: int, factor: float) -> tuple[Polynomial, ...]:
    """The cubics from the whole interval inwards; the first maps its middle to 0."""
    middle, radius = sum(interval) / 2, (interval[1] - interval[0]) / 2
    folds = []
    for index in range(stages):
        narrow = radius / factor
        # v - 4 v^3 / (27 r^2) with v = R t: t^3 = (3 T_1 + T_3) / 4.
        cubic = -4 * radius**3 / (27 * narrow**2)
        coefficients = np.array([0.0, radius + 0.75 * cubic, 0.0, 0.25 * cubic])
        start = middle if index == 0 else 0.0
        folds.append(Polynomial(coefficients, (start - radius, start + radius)))
        radius = narrow
    return tuple(folds)


def _assembled(folds: Any, solution: np.ndarray, image: Interval, gated: bool) -> Composite:
    if not gated:
        return Composite((*folds, Polynomial(solution, image)))
    slope, offset = (Polynomial(part, image) for part in np.split(solution, 2))
    return Composite(folds, slope, offset)
