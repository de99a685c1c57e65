"""Keys: their generation, which of them a circuit needs, and key switching."""

from fhejax.ckks.keys.generation import evaluation_keys, public_key, secret_key
from fhejax.ckks.keys.manifest import (
    KeyBytes,
    KeyManifest,
    evaluation_keys_for,
    generate_evaluation_keys,
    required_keys,
)

__all__ = [
    "KeyBytes",
    "KeyManifest",
    "evaluation_keys",
    "evaluation_keys_for",
    "generate_evaluation_keys",
    "public_key",
    "required_keys",
    "secret_key",
]
