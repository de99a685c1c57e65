"""Encoding: numbers in slots to plaintexts and back, and what can be encoded."""

from fhejax.ckks.doors import public
from fhejax.ckks.encoding.encodable import is_encodable
from fhejax.ckks.encoding.vector_encoding import decode, encode
from fhejax.ckks.types import Plaintext

__all__ = [
    "Plaintext",
    "decode",
    "encode",
    "is_encodable",
]

public(globals())
