"""fhejax: fully homomorphic encryption (CKKS) as pure, jitted JAX functions."""

from typing import TYPE_CHECKING, Any

from fhejax import approx, ckks, ring
from fhejax.program import (
    Encrypted,
    EncryptedArray,
    NotPolynomialError,
    Plain,
    Program,
    TooDeepError,
    Verification,
    compile,
)
from fhejax.ring.platform import Device

if TYPE_CHECKING:
    from fhejax import nn

__all__ = [
    "Device",
    "Encrypted",
    "EncryptedArray",
    "NotPolynomialError",
    "Plain",
    "Program",
    "TooDeepError",
    "Verification",
    "approx",
    "ckks",
    "compile",
    "nn",
    "ring",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`fhejax.nn` loads Flax on first use."""
    if name == "nn":
        import importlib

        return importlib.import_module("fhejax.nn")
    raise AttributeError(f"module 'fhejax' has no attribute {name!r}")
