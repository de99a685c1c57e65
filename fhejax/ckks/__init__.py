"""The CKKS scheme (Cheon, Kim, Kim and Song 2017) as pure functions over frozen pytrees."""

import inspect

from fhejax.ckks.arguments import check_arguments
from fhejax.ckks.arithmetic import (
    add,
    multiply,
    multiply_plain,
    multiply_scalar,
    negate,
    relinearise,
    square,
    square_tensor,
    subtract,
    tensor,
)
from fhejax.ckks.bootstrapping.bootstrap_circuit import (
    BootstrappingCircuit,
    BootstrappingKeys,
    bootstrap,
    bootstrapping_circuit,
    bootstrapping_keys,
)
from fhejax.ckks.bootstrapping.parameters import BootstrappingParameters
from fhejax.ckks.bootstrapping.variants import bootstrap_iteratively, bootstrap_pair, bootstrap_real
from fhejax.ckks.checked import checked, validate
from fhejax.ckks.combinations import linear_combinations
from fhejax.ckks.encoding.encodable import is_encodable
from fhejax.ckks.encoding.vector_encoding import decode, encode
from fhejax.ckks.encryption import decrypt, encrypt, encrypt_seeded, expand
from fhejax.ckks.files.bootstrapping_keys import load_bootstrapping_keys, save_bootstrapping_keys
from fhejax.ckks.files.container import FormatError
from fhejax.ckks.files.secret_key import load_secret_key, save_secret_key
from fhejax.ckks.files.serialisation import from_bytes, load, save, save_evaluation_keys, to_bytes
from fhejax.ckks.keys.generation import evaluation_keys, public_key, secret_key
from fhejax.ckks.keys.manifest import (
    KeyManifest,
    evaluation_keys_for,
    generate_evaluation_keys,
    required_keys,
)
from fhejax.ckks.levels import align, drop_level, match_scale, rescale
from fhejax.ckks.linear_transform import (
    LinearTransform,
    apply_linear_transform,
    apply_linear_transforms,
    linear_transform,
)
from fhejax.ckks.noise.estimates import NoiseEstimate, estimate
from fhejax.ckks.parameters.options import ParameterOptions
from fhejax.ckks.parameters.parameters import (
    Parameters,
    insecure_parameters,
    make_parameters,
)
from fhejax.ckks.parameters.presets import PRESETS, preset
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.parameters.security import SecurityError
from fhejax.ckks.polynomial.depth import polynomial_depth
from fhejax.ckks.polynomial.evaluation import evaluate_polynomial, evaluate_with_derivative
from fhejax.ckks.precision import OverflowWarning, Precision, PrecisionWarning, precision
from fhejax.ckks.rotation import (
    conjugate,
    imaginary_part,
    inner_sum,
    multiply_by_imaginary_unit,
    power_of_two_rotations,
    real_part,
    rotate,
    rotate_hoisted,
)
from fhejax.ckks.scalars import add_scalar, multiply_integer
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
    "PRESETS",
    "BootstrappingCircuit",
    "BootstrappingKeys",
    "BootstrappingParameters",
    "Ciphertext",
    "EvaluationKeys",
    "FormatError",
    "KeyManifest",
    "LinearTransform",
    "NoiseEstimate",
    "OverflowWarning",
    "ParameterOptions",
    "Parameters",
    "Plaintext",
    "Precision",
    "PrecisionWarning",
    "PublicKey",
    "Scale",
    "SecretKey",
    "SecurityError",
    "SeededCiphertext",
    "SwitchingKey",
    "add",
    "add_scalar",
    "align",
    "apply_linear_transform",
    "apply_linear_transforms",
    "bootstrap",
    "bootstrap_iteratively",
    "bootstrap_pair",
    "bootstrap_real",
    "bootstrapping_circuit",
    "bootstrapping_keys",
    "checked",
    "conjugate",
    "decode",
    "decrypt",
    "drop_level",
    "encode",
    "encrypt",
    "encrypt_seeded",
    "estimate",
    "evaluate_polynomial",
    "evaluate_with_derivative",
    "evaluation_keys",
    "evaluation_keys_for",
    "expand",
    "from_bytes",
    "generate_evaluation_keys",
    "imaginary_part",
    "inner_sum",
    "insecure_parameters",
    "is_encodable",
    "key_from_bytes",
    "linear_combinations",
    "linear_transform",
    "load",
    "load_bootstrapping_keys",
    "load_secret_key",
    "make_parameters",
    "match_scale",
    "multiply",
    "multiply_by_imaginary_unit",
    "multiply_integer",
    "multiply_plain",
    "multiply_scalar",
    "negate",
    "polynomial_depth",
    "power_of_two_rotations",
    "precision",
    "preset",
    "public_key",
    "random_key",
    "real_part",
    "relinearise",
    "required_keys",
    "rescale",
    "rotate",
    "rotate_hoisted",
    "save",
    "save_bootstrapping_keys",
    "save_evaluation_keys",
    "save_secret_key",
    "secret_key",
    "square",
    "square_tensor",
    "subtract",
    "tensor",
    "to_bytes",
    "validate",
]

# What comes in by a public name is compared with the signature; within the package nothing is checked twice.
# What makes parameters says itself what each of its numbers has to be, and `validate` takes anything.
OWN_CHECKS = ("make_parameters", "insecure_parameters", "validate")
globals().update(
    {
        name: check_arguments(value)
        for name, value in list(globals().items())
        if name in __all__ and callable(value) and not inspect.isclass(value) and name not in OWN_CHECKS
    }
)
