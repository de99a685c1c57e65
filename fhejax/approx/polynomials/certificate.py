"""What a fit is worth, in five numbers."""

import functools
from dataclasses import dataclass
from typing import Any

import jax


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["error", "ratio", "growth"],
    meta_fields=["degree", "depth", "intervals"],
)
@dataclass(frozen=True)
class Certificate:
    """Proof and price of an approximation.

    ``error``: the largest weighted error on the intervals of the fit, measured at 12,000 points or more and
    between them where these do not resolve it: exceeded by less than 0.5% where nothing happens within
    less than 1/8,192 of an interval. That of slopes counts in ``c1``. ``ratio``: that error over the
    smallest one of degree + 2 points of alternating sign. No polynomial of the degree has an error
    below error / ratio (de la Vallee-Poussin, 1919), so that 1 means best; infinite where the error
    does not alternate often enough, and for composites. ``growth``: largest magnitude between and
    beyond the intervals, up to 1.05 times their hull, over that on them; 1 where the polynomial does
    not grow. ``degree`` and ``depth`` are those of the evaluation, ``intervals`` where all of this holds
    (None where their ends are traced). Coefficients are taken as exact: evaluating in floating point
    adds its own rounding errors.
    """

    error: Any
    ratio: Any
    growth: Any
    degree: int
    depth: int
    intervals: tuple[tuple[float, float], ...] | None = None
