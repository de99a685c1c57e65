"""The certificate of a fit: its error, the proof how near the best it is, its growth, degree and depth."""

import functools
from dataclasses import dataclass
from typing import Any

import jax

from fhejax.approx.intervals import Intervals


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["error", "ratio", "growth"],
    meta_fields=["degree", "depth", "intervals"],
)
@dataclass(frozen=True)
class Certificate:
    """The proof and the price of an approximation.

    Coefficients are taken as exact: evaluating in floating point adds its own rounding errors.

    Attributes:
        error: the largest weighted error on the intervals of the fit, measured at 12,000 points or more and
            between them where these do not resolve it: exceeded by less than 0.5% where nothing happens
            within less than 1/8,192 of an interval. That of slopes counts in `c1`.
        ratio: that error over the smallest one of degree + 2 points of alternating sign. No polynomial of
            the degree has an error below error / ratio (de la Vallee-Poussin, 1919), so that 1 means best;
            infinite where the error does not alternate often enough, and for composites.
        growth: the largest magnitude between and beyond the intervals, up to 1.05 times their hull, over
            that on them; 1 where the polynomial does not grow.
        degree: that of the evaluation.
        depth: its levels, without the map of the interval to [-1, 1].
        intervals: where all of this holds; None where their ends are traced.
    """

    error: Any
    ratio: Any
    growth: Any
    degree: int
    depth: int
    intervals: Intervals | None = None


def certificate_of(approximation: Any) -> Certificate:
    """The certificate of an approximation.

    Args:
        approximation: a `Polynomial`, `Composite` or another result of a fit.

    Raises:
        ValueError: it has none, as what a transformation or an optimiser made of a fit.
    """
    if approximation.certificate is None:
        raise ValueError(
            f"a certificate was asked for, but this {type(approximation).__name__} has none; only the "
            "results of fits have one, before they pass through a transformation of JAX."
        )
    return approximation.certificate
