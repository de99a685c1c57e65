"""Range extension: cubics that fold a wide interval into a narrow one, then one polynomial."""

from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebvander

from fhejax.approx.boundedness import check_function
from fhejax.approx.checks import check_count, check_degree, check_flag, check_interval, check_positive
from fhejax.approx.errors.measurement import certified, on_host
from fhejax.approx.functions import Function, values
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
    interval: tuple[float, float],
    *,
    stages: int = 1,
    factor: float = 2.0,
    gated: bool = False,
) -> Composite:
    """Approximate on a wide interval with few products: fold it ``stages`` times, then fit.

    Each stage v -> v - 4 v^3 / (27 r^2) maps an interval ``factor`` times as wide as (-r, r) into that
    and is near v where v is small (Cheon, Kim and Park, IEEE TIFS 17, 2022): two levels and two
    products a stage. The last polynomial is the minimax fit through the folds, not of the function on
    the narrow interval, so that their distortion is undone where it can be. What folds together has
    to be alike: functions that saturate, as sigmoid and tanh; with ``gated`` the last stage is
    slope(v) x + offset(v), for those that grow like x, as SiLU and GELU. Errors: ValueError for a
    factor outside of (1, 2.59), beyond which a fold passes 0; as ``minimax`` otherwise.
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


def _folds(interval: tuple[float, float], stages: int, factor: float) -> tuple[Polynomial, ...]:
    """Cubics from the whole interval inwards; the first maps its middle to 0."""
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


def _assembled(folds: Any, solution: np.ndarray, image: tuple[float, float], gated: bool) -> Composite:
    if not gated:
        return Composite((*folds, Polynomial(solution, image)))
    slope, offset = (Polynomial(part, image) for part in np.split(solution, 2))
    return Composite(folds, slope, offset)
