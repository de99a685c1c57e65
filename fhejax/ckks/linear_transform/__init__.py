"""Linear transforms of the slots: any matrix, by its diagonals."""

from fhejax.ckks.doors import public
from fhejax.ckks.linear_transform.application import apply_linear_transform, apply_linear_transforms
from fhejax.ckks.linear_transform.transform import LinearTransform, linear_transform

__all__ = [
    "LinearTransform",
    "apply_linear_transform",
    "apply_linear_transforms",
    "linear_transform",
]

public(globals())
