"""Files and messages: parameters, ciphertexts and keys as bytes, checked when they are read."""

from fhejax.ckks.doors import public
from fhejax.ckks.files.bootstrapping_keys import load_bootstrapping_keys, save_bootstrapping_keys
from fhejax.ckks.files.container import FormatError
from fhejax.ckks.files.secret_key import load_secret_key, save_secret_key
from fhejax.ckks.files.serialisation import from_bytes, load, save, save_evaluation_keys, to_bytes

__all__ = [
    "FormatError",
    "from_bytes",
    "load",
    "load_bootstrapping_keys",
    "load_secret_key",
    "save",
    "save_bootstrapping_keys",
    "save_evaluation_keys",
    "save_secret_key",
    "to_bytes",
]

public(globals())
