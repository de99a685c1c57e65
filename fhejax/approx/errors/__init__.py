"""Errors of approximations: their measurement on fine grids, and the alternation that proves a fit."""

from fhejax.approx.errors.measurement import derivative_error, error, root_mean_square_error

__all__ = [
    "derivative_error",
    "error",
    "root_mean_square_error",
]
