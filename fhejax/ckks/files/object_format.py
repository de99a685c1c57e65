"""Plaintexts, ciphertexts and keys as header and payload, and back.

Of what is half uniform, the other half and a seed travel; the uniform half of a key is drawn again when it is
read, and that of a seeded ciphertext by `expand`.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.files.container import (
    SEED_BYTES,
    FormatError,
    Header,
    Kind,
    check_below,
    check_fields,
    layout,
    read_residues,
)
from fhejax.ckks.identity import switching_identity
from fhejax.ckks.keys.generation import expand_seed
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.types import (
    Ciphertext,
    Plaintext,
    PublicKey,
    SeededCiphertext,
    SwitchingKey,
    is_concrete,
)

Content = Plaintext | Ciphertext | SeededCiphertext | PublicKey | SwitchingKey
Part = bytes | memoryview


@functools.singledispatch
def pack_object(obj: Any) -> tuple[Header, list[Part]]:
    """Header and payload of an object.

    Raises:
        TypeError: an object that is none of `Content`.
        ValueError: arrays being traced, or that do not fit the parameters, level and domain.
    """
    raise TypeError(
        f"{type(obj).__name__} was to be written; parameters, plaintexts, ciphertexts and public, switching "
        f"and evaluation keys can be."
    )


@pack_object.register
def _(obj: Plaintext) -> tuple[Header, list[Part]]:
    fields = {"level": obj.level, "scale": obj.scale, "domain": obj.domain, "batch": obj.data.shape[:-2]}
    return pack_arrays(Kind.PLAINTEXT, obj.params, obj.data, None, **fields)


@pack_object.register
def _(obj: Ciphertext) -> tuple[Header, list[Part]]:
    fields = {"level": obj.level, "scale": obj.scale, "domain": obj.domain, "key_id": words(obj.key_id)}
    shape = {"batch": obj.batch, "components": obj.components}
    return pack_arrays(Kind.CIPHERTEXT, obj.params, obj.data, None, **fields, **shape)


@pack_object.register
def _(obj: SeededCiphertext) -> tuple[Header, list[Part]]:
    fields = {"level": obj.level, "scale": obj.scale, "key_id": words(obj.key_id)}
    batch = obj.body.shape[:-2]
    return pack_arrays(Kind.SEEDED_CIPHERTEXT, obj.params, obj.body, obj.seed, **fields, batch=batch)


@pack_object.register
def _(obj: PublicKey) -> tuple[Header, list[Part]]:
    return pack_arrays(Kind.PUBLIC_KEY, obj.params, obj.body, obj.seed, key_id=words(obj.key_id))


@pack_object.register
def _(obj: SwitchingKey) -> tuple[Header, list[Part]]:
    fields = {"level": obj.level, "key_id": words(obj.key_id)}
    return pack_arrays(Kind.SWITCHING_KEY, obj.params, obj.body, obj.seed, **fields)


def pack_arrays(
    kind: Kind, params: Parameters, body: jax.Array, seed: jax.Array | None, **fields: Any
) -> tuple[Header, list[Part]]:
    """Header and payload, checked as they will be when they are read. Errors as `pack_object`."""
    residues, seeds = _host(body), b"" if seed is None else words(seed)
    header = Header(kind, params.fingerprint, **fields)
    try:
        check_fields(header, params)
        shape, moduli, seeded = layout(header, params)
        if residues.shape != shape or len(seeds) != SEED_BYTES * seeded:
            raise FormatError(f"its shape is {residues.shape}, where its level and batch make {shape}.")
        check_below(residues, moduli, kind)
    except FormatError as error:
        raise ValueError(f"a {kind.words} that could not be read again was to be written: {error}") from None
    header = dataclasses.replace(header, payload=len(seeds) + residues.nbytes)
    return header, [seeds, residues.reshape(-1).view(np.uint8).data]


def _host(array: jax.Array) -> np.ndarray:
    """The array as little-endian words of 32 bits in this machine's memory."""
    if not isinstance(array, np.ndarray | jax.Array):
        raise TypeError(
            f"{type(array).__name__} was to be written as residues or an id, which are uint32 arrays."
        )
    if not is_concrete(array):
        raise ValueError("an object was to be written inside of a traced function; write what it returns.")
    if array.dtype != jnp.uint32:
        raise ValueError(f"{array.dtype} was to be written as residues, which are uint32.")
    return np.ascontiguousarray(np.asarray(array), "<u4")


def words(array: jax.Array) -> bytes:
    """A uint32 array, such as a seed, as little-endian bytes."""
    return _host(array).tobytes()


def build_object(header: Header, payload: bytes, params: Parameters) -> Content:
    """The object of a checked header and a payload of its length, on the device.

    Raises:
        FormatError: a residue that is not below its prime.
    """
    seed, residues = (jnp.array(part, jnp.uint32) for part in read_residues(payload, header, params))
    identity, level, scale, domain = key_id(header), header.level, header.scale, header.domain
    match header.kind:
        case Kind.PLAINTEXT:
            assert scale is not None and domain is not None  # `check_fields`
            return Plaintext(residues, params, level, scale, domain)
        case Kind.CIPHERTEXT:
            assert scale is not None and domain is not None  # `check_fields`
            return Ciphertext(residues, identity, params, level, scale, domain)
        case Kind.SEEDED_CIPHERTEXT:
            assert scale is not None  # `check_fields`
            return SeededCiphertext(residues, seed, identity, params, level, scale)
        case Kind.PUBLIC_KEY:
            return PublicKey(_with_mask(header, residues, seed, params), seed, identity, params)
        case _:
            if header.kind == Kind.EVALUATION_KEY:
                identity = jnp.asarray(switching_identity(identity, header.automorphism))
            return SwitchingKey(_with_mask(header, residues, seed, params), seed, identity, params, level)


def key_id(header: Header) -> jax.Array:
    """uint32 [4]: the secret key that the object belongs to."""
    return jnp.array(np.frombuffer(header.key_id, "<u4"), jnp.uint32)


def _with_mask(header: Header, body: jax.Array, seed: jax.Array, params: Parameters) -> jax.Array:
    """uint32 [..., 2, limb, N]: the body and what the seed stands for."""
    mask = expand_seed(seed, layout(header, params).moduli, body.shape[:-2], params.ring.degree)
    return jnp.stack([body, mask], -3)
