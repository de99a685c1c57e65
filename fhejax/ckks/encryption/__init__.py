"""Encryption of plaintexts, seeded or not, and decryption."""

from fhejax.ckks.doors import public
from fhejax.ckks.encryption.encryption import decrypt, encrypt, encrypt_seeded, expand
from fhejax.ckks.types import Ciphertext, SeededCiphertext

__all__ = [
    "Ciphertext",
    "SeededCiphertext",
    "decrypt",
    "encrypt",
    "encrypt_seeded",
    "expand",
]

public(globals())
