"""Best approximations inside JAX transformations, with derivatives by the implicit function theorem."""

from fhejax.approx.implicit.traced_fit import fit, is_needed

__all__ = [
    "fit",
    "is_needed",
]
