"""The compiler: from an ordinary JAX function to a program on encrypted data."""

from fhejax.program.arguments import Encrypted, Plain
from fhejax.program.compiler import compile
from fhejax.program.levels.plan import TooDeepError
from fhejax.program.program import Program
from fhejax.program.run.encrypted_array import EncryptedArray
from fhejax.program.tensor.refusals import NotPolynomialError
from fhejax.program.verification import Verification

__all__ = [
    "Encrypted",
    "EncryptedArray",
    "NotPolynomialError",
    "Plain",
    "Program",
    "TooDeepError",
    "Verification",
    "compile",
]
