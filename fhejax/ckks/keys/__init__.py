"""Keys: their generation, which of them a circuit needs, and key switching."""

from fhejax.ckks.doors import public
from fhejax.ckks.keys.generation import evaluation_keys, public_key, secret_key
from fhejax.ckks.keys.manifest import (
    KeyBytes,
    KeyManifest,
    evaluation_keys_for,
    generate_evaluation_keys,
    required_keys,
)
from fhejax.ckks.types import EvaluationKeys, PublicKey, SecretKey, SwitchingKey
from fhejax.ring import key_from_bytes, random_key

__all__ = [
    "EvaluationKeys",
    "KeyBytes",
    "KeyManifest",
    "PublicKey",
    "SecretKey",
    "SwitchingKey",
    "evaluation_keys",
    "evaluation_keys_for",
    "generate_evaluation_keys",
    "key_from_bytes",
    "public_key",
    "random_key",
    "required_keys",
    "secret_key",
]

public(globals())
