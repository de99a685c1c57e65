"""The file of a secret key: of a kind of its own, for its owner's eyes only.

    offset  bytes  field
         0      8  magic
         8      2  version of the format
        10      2  zero
        12      4  bytes of parameters
        16     16  id of the key

followed by the parameters (see `parameter_format`), the coefficients, one signed byte each, and the
BLAKE2b-256 of all of it. The file is not encrypted: who can read it can decrypt.
"""

import os
import stat
import struct
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from fhejax.ckks.files.atomic_file import replaced
from fhejax.ckks.files.container import (
    CHECKSUM_BYTES,
    MAGIC,
    SECRET_MAGIC,
    VERSION,
    FormatError,
    Source,
    check_checksum,
    checksum,
)
from fhejax.ckks.files.object_format import words
from fhejax.ckks.files.parameter_format import LARGEST_BYTES, decode_parameters, encode_parameters
from fhejax.ckks.notices import warn_caller
from fhejax.ckks.types import SecretKey

_HEADER = struct.Struct("<8sHHI16s")


def save_secret_key(path: str | os.PathLike, secret: SecretKey) -> None:
    """Write a secret key, with its parameters, to a file that only its owner may read (mode 0600).

    Raises:
        TypeError: any other object, which `save` writes.
        ValueError: a key that could not be read again.
    """
    if not isinstance(secret, SecretKey):
        raise TypeError(f"save_secret_key was given {type(secret).__name__}; save writes what is not secret.")
    coefficients = np.asarray(secret.coefficients)
    _check(coefficients, secret.params.ring.degree)
    params = encode_parameters(secret.params)
    header = _HEADER.pack(SECRET_MAGIC, VERSION, 0, len(params), words(secret.key_id))
    parts = [header, params, coefficients.tobytes()]
    with replaced(Path(path), 0o600) as stream:
        for part in (*parts, checksum(parts)):
            stream.write(part)


def load_secret_key(path: str | os.PathLike) -> SecretKey:
    """Read what `save_secret_key` wrote; the parameters are `secret.params`.

    A warning says so where others than its owner may read or write the file.

    Raises:
        FormatError: a file of another kind, or damaged. OSError.
    """
    with Path(path).open("rb") as stream:
        source = Source(stream, os.fstat(stream.fileno()).st_size)
        header = source.read(_HEADER.size)
        magic, version, zero, length, identity = _HEADER.unpack(header)
        if magic != SECRET_MAGIC or version != VERSION or zero or length > LARGEST_BYTES:
            kind = "an object that load reads" if magic == MAGIC else "something else, or of another version"
            raise FormatError(f"the file is no secret key of version {VERSION}: it is {kind}.")
        warn_caller(_shared(path, os.fstat(stream.fileno()).st_mode), UserWarning)
        encoded = source.read(length)
        params = decode_parameters(encoded, allow_insecure=True)
        degree = params.ring.degree
        if source.remaining != degree + CHECKSUM_BYTES:
            raise FormatError("the file of the secret key has a wrong length; it was cut short or altered.")
        body = source.read(degree)
        check_checksum(source.read(CHECKSUM_BYTES), [header, encoded, body])
    coefficients = np.frombuffer(body, np.int8)
    _check(coefficients, degree)
    key_id = np.frombuffer(identity, "<u4")
    return SecretKey(jnp.array(coefficients, jnp.int8), jnp.array(key_id, jnp.uint32), params)


def _shared(path: str | os.PathLike, mode: int) -> str | None:
    """What is to be said of a file that is not its owner's alone; Windows has other permissions."""
    if os.name != "posix" or not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return None
    return (
        f"the secret key in {os.fspath(path)} is open to others than its owner: its mode is "
        f"{mode & 0o777:04o}, and 0600 is needed. Run chmod 600 on it, and make another key if somebody may "
        f"have read it."
    )


def _check(coefficients: np.ndarray, degree: int) -> None:
    """Refuse what is no ternary secret of this degree, without saying what it is."""
    right = coefficients.shape == (degree,) and coefficients.dtype == np.int8
    if not right or coefficients.min() < -1 or coefficients.max() > 1:
        raise FormatError("the coefficients of the secret key are not -1, 0 and 1; the file was altered.")
