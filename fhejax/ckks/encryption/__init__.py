"""Encryption of plaintexts, seeded or not, decryption, and decryption for others to see."""

from fhejax.ckks.doors import public
from fhejax.ckks.encryption.encryption import decrypt, encrypt, encrypt_seeded, expand
from fhejax.ckks.encryption.sharing import SharingBudget, decrypt_for_sharing, flooded, sharing_budget
from fhejax.ckks.types import Ciphertext, SeededCiphertext

__all__ = [
    "Ciphertext",
    "SeededCiphertext",
    "SharingBudget",
    "decrypt",
    "decrypt_for_sharing",
    "encrypt",
    "encrypt_seeded",
    "expand",
    "flooded",
    "sharing_budget",
]

public(globals())
