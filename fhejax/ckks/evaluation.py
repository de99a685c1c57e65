"""Homomorphic evaluation: every operation on ciphertexts, and on estimates of them.

Those of everyday circuits are on the face of `ckks`, too. The others are steps that these are made of, such
as `tensor` and `match_scale`, for who steers levels, scales and components alone, and what few circuits need.
"""

from fhejax.ckks.arithmetic import (
    add,
    multiply,
    multiply_plain,
    multiply_scalar,
    negate,
    relinearise,
    square,
    square_tensor,
    subtract,
    tensor,
)
from fhejax.ckks.checked import checked, validate
from fhejax.ckks.combinations import linear_combinations
from fhejax.ckks.doors import public
from fhejax.ckks.levels import align, drop_level, match_scale, rescale
from fhejax.ckks.monomials import multiply_by_monomial
from fhejax.ckks.rotation import (
    conjugate,
    imaginary_part,
    inner_sum,
    multiply_by_imaginary_unit,
    power_of_two_rotations,
    real_part,
    rotate,
    rotate_hoisted,
)
from fhejax.ckks.scalars import add_scalar, multiply_integer

__all__ = [
    "add",
    "add_scalar",
    "align",
    "checked",
    "conjugate",
    "drop_level",
    "imaginary_part",
    "inner_sum",
    "linear_combinations",
    "match_scale",
    "multiply",
    "multiply_by_imaginary_unit",
    "multiply_by_monomial",
    "multiply_integer",
    "multiply_plain",
    "multiply_scalar",
    "negate",
    "power_of_two_rotations",
    "real_part",
    "relinearise",
    "rescale",
    "rotate",
    "rotate_hoisted",
    "square",
    "square_tensor",
    "subtract",
    "tensor",
    "validate",
]

public(globals(), without=("validate",))
