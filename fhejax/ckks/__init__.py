"""The CKKS scheme (Cheon, Kim, Kim and Song 2017) as pure functions over frozen pytrees.

What everyday circuits use is here. The rest lies in packages: `parameters`, `encoding`, `keys`, `encryption`,
`evaluation` (every operation on ciphertexts), `linear_transform`, `polynomial`, `bootstrapping`, `noise` and
`files`, each of which also has what is here of it.
"""

# The packages, by the form of import that says that they are public; __all__ lists what is on the face.
from fhejax.ckks import bootstrapping as bootstrapping
from fhejax.ckks import encoding as encoding
from fhejax.ckks import encryption as encryption
from fhejax.ckks import evaluation as evaluation
from fhejax.ckks import files as files
from fhejax.ckks import keys as keys
from fhejax.ckks import linear_transform as linear_transform
from fhejax.ckks import noise as noise
from fhejax.ckks import parameters as parameters
from fhejax.ckks import polynomial as polynomial
from fhejax.ckks.bootstrapping import BootstrappingParameters, bootstrap
from fhejax.ckks.encoding import Plaintext, decode, encode
from fhejax.ckks.encryption import Ciphertext, decrypt, encrypt
from fhejax.ckks.evaluation import (
    add,
    add_scalar,
    checked,
    conjugate,
    drop_level,
    inner_sum,
    linear_combinations,
    multiply,
    multiply_plain,
    multiply_scalar,
    negate,
    relinearise,
    rescale,
    rotate,
    rotate_hoisted,
    square,
    subtract,
    validate,
)
from fhejax.ckks.files import load, save
from fhejax.ckks.keys import (
    EvaluationKeys,
    PublicKey,
    SecretKey,
    evaluation_keys,
    public_key,
    random_key,
    secret_key,
)
from fhejax.ckks.noise import NoiseEstimate, estimate, precision
from fhejax.ckks.parameters import Parameters, SecurityError, insecure_parameters, preset
from fhejax.ckks.polynomial import evaluate_polynomial

__all__ = [
    "BootstrappingParameters",
    "Ciphertext",
    "EvaluationKeys",
    "NoiseEstimate",
    "Parameters",
    "Plaintext",
    "PublicKey",
    "SecretKey",
    "SecurityError",
    "add",
    "add_scalar",
    "bootstrap",
    "checked",
    "conjugate",
    "decode",
    "decrypt",
    "drop_level",
    "encode",
    "encrypt",
    "estimate",
    "evaluate_polynomial",
    "evaluation_keys",
    "inner_sum",
    "insecure_parameters",
    "linear_combinations",
    "load",
    "multiply",
    "multiply_plain",
    "multiply_scalar",
    "negate",
    "precision",
    "preset",
    "public_key",
    "random_key",
    "relinearise",
    "rescale",
    "rotate",
    "rotate_hoisted",
    "save",
    "secret_key",
    "square",
    "subtract",
    "validate",
]
