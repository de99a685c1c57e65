"""Linear transforms of the slots: any matrix, by its diagonals."""

from fhejax.ckks.linear_transform.transform import LinearTransform, apply_linear_transform, linear_transform

__all__ = [
    "LinearTransform",
    "apply_linear_transform",
    "linear_transform",
]
