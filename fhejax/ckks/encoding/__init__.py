"""Encoding: numbers in slots to plaintexts and back, and what can be encoded."""

from fhejax.ckks.encoding.encodable import is_encodable
from fhejax.ckks.encoding.vector_encoding import decode, encode

__all__ = [
    "decode",
    "encode",
    "is_encodable",
]
