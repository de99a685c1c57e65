"""Best approximations inside JAX transformations, with derivatives by the implicit function theorem."""

from fhejax.approx.implicit.traced_fit import is_needed, traced_fit

__all__ = [
    "is_needed",
    "traced_fit",
]
