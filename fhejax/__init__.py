"""fhejax: fully homomorphic encryption (CKKS) as pure, jitted JAX functions."""

from typing import TYPE_CHECKING, Any

from fhejax import approx, ckks, ring
from fhejax.program import (
    ClientProgram,
    Encrypted,
    EncryptedArray,
    LoopProgram,
    NotPolynomialError,
    Plain,
    Program,
    ServerProgram,
    TooDeepError,
    Verification,
    compile,
    compile_loop,
    from_bytes,
    load,
    load_client,
    load_server,
    save,
    to_bytes,
)
from fhejax.ring.platform import Device

if TYPE_CHECKING:
    from fhejax import nn

__all__ = [
    "ClientProgram",
    "Device",
    "Encrypted",
    "EncryptedArray",
    "LoopProgram",
    "NotPolynomialError",
    "Plain",
    "Program",
    "ServerProgram",
    "TooDeepError",
    "Verification",
    "approx",
    "ckks",
    "compile",
    "compile_loop",
    "from_bytes",
    "load",
    "load_client",
    "load_server",
    "nn",
    "ring",
    "save",
    "to_bytes",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`fhejax.nn` loads Flax on first use."""
    if name == "nn":
        import importlib

        return importlib.import_module("fhejax.nn")
    raise AttributeError(f"module 'fhejax' has no attribute {name!r}")
