"""The CKKS scheme (Cheon, Kim, Kim and Song 2017) as pure functions over frozen pytrees."""

from fhejax.ckks.arithmetic import (
    add,
    align,
    drop_level,
    linear_combinations,
    match_scale,
    multiply,
    multiply_integer,
    multiply_plain,
    multiply_scalar,
    negate,
    relinearise,
    rescale,
    square,
    square_tensor,
    subtract,
    tensor,
)
from fhejax.ckks.encoding import decode, encode
from fhejax.ckks.encryption import decrypt, encrypt, encrypt_seeded, expand
from fhejax.ckks.keys import evaluation_keys, public_key, secret_key
from fhejax.ckks.parameters import Parameters, insecure_parameters, make_parameters, security_of
from fhejax.ckks.scale import Scale
from fhejax.ckks.security import SecurityError
from fhejax.ckks.types import (
    Ciphertext,
    EvaluationKeys,
    Plaintext,
    PublicKey,
    SecretKey,
    SeededCiphertext,
    SwitchingKey,
)
from fhejax.ring import key_from_bytes, random_key

__all__ = [
    "Ciphertext",
    "EvaluationKeys",
    "Parameters",
    "Plaintext",
    "PublicKey",
    "Scale",
    "SecretKey",
    "SecurityError",
    "SeededCiphertext",
    "SwitchingKey",
    "add",
    "align",
    "decode",
    "decrypt",
    "drop_level",
    "encode",
    "encrypt",
    "encrypt_seeded",
    "evaluation_keys",
    "expand",
    "insecure_parameters",
    "key_from_bytes",
    "linear_combinations",
    "make_parameters",
    "match_scale",
    "multiply",
    "multiply_integer",
    "multiply_plain",
    "multiply_scalar",
    "negate",
    "public_key",
    "random_key",
    "relinearise",
    "rescale",
    "secret_key",
    "security_of",
    "square",
    "square_tensor",
    "subtract",
    "tensor",
]
