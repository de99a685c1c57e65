"""Plaintexts, ciphertexts and keys: frozen pytrees whose only leaves are arrays.

Axes are [..., poly, limb, N] with N last and any leading batch axes. Parameters, level, scale and
domain are static, so that a mismatch is found while tracing, and every user's keys share one treedef:
ids and seeds are array leaves.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.identity import MIXED, is_concrete, matched_identity
from fhejax.ckks.memory_maps import pieces
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.parameters.scale import Scale

if TYPE_CHECKING:
    Array = jax.Array
else:
    Array = Any  # JAX rebuilds pytrees with placeholders in place of arrays

Domain = Literal["coefficient", "evaluation"]
Progress = Callable[[int, int], None]  # called with (done, in all) after each of many objects


def static() -> Any:
    """A field of a pytree that is part of its structure, not an array."""
    return dataclasses.field(metadata={"static": True})


def _shape(array: Array, axes: int) -> str:
    shape = getattr(array, "shape", None)
    return "?" if shape is None else str(tuple(shape[: len(shape) - axes]))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class Plaintext:
    """An encoded vector: data uint32 [..., limb, N] at a level, scale and domain."""

    data: Array
    params: Parameters = static()
    level: int = static()
    scale: Scale = static()
    domain: Domain = static()

    def __repr__(self) -> str:
        return (
            f"Plaintext(N={self.params.ring.degree}, level={self.level}/{self.params.depth}, "
            f"scale={self.scale}, batch={_shape(self.data, 2)}, {self.domain})"
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class Ciphertext:
    """Polynomials c_0, c_1 (and c_2 before relinearisation): c_0 + c_1 s + c_2 s^2 = m + e.

    data: uint32 [..., poly, limb, N]. key_id: uint32 [4], which secret opens it.
    """

    data: Array
    key_id: Array
    params: Parameters = static()
    level: int = static()
    scale: Scale = static()
    domain: Domain = static()

    @property
    def components(self) -> int:
        """2, or 3 before relinearisation."""
        return self.data.shape[-3]

    @property
    def batch(self) -> tuple[int, ...]:
        """The leading batch axes."""
        return self.data.shape[:-3]

    @property
    def moduli(self) -> tuple[int, ...]:
        """The primes of the level."""
        return self.params.level_moduli(self.level)

    def replace(self, **changes: Any) -> "Ciphertext":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def __repr__(self) -> str:
        return (
            f"Ciphertext(N={self.params.ring.degree}, level={self.level}/{self.params.depth}, "
            f"scale={self.scale}, batch={_shape(self.data, 3)}, {self.domain})"
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class SeededCiphertext:
    """A fresh secret-key encryption on the wire: c_0 in full, c_1 as the seed it is drawn from.

    body: uint32 [..., limb, N] in the evaluation domain. seed: uint32 [8], public.
    """

    body: Array
    seed: Array
    key_id: Array
    params: Parameters = static()
    level: int = static()
    scale: Scale = static()

    def __repr__(self) -> str:
        return (
            f"SeededCiphertext(N={self.params.ring.degree}, level={self.level}, "
            f"scale={self.scale}, batch={_shape(self.body, 2)})"
        )


@jax.tree_util.register_pytree_with_keys_class
class SecretKey:
    """A uniform ternary secret: coefficients int8 [N]. It prints no data and is copied nowhere by accident.

    Immutable, and a pytree of `coefficients` and `key_id`, but no dataclass and without a `__dict__`: what
    turns objects into dictionaries (`dataclasses.asdict`, `vars`), copies or pickles finds nothing to write
    out.
    """

    __slots__ = ("__weakref__", "coefficients", "key_id", "params")
    coefficients: Array
    key_id: Array
    params: Parameters

    def __init__(self, coefficients: Array, key_id: Array, params: Parameters) -> None:
        object.__setattr__(self, "coefficients", coefficients)
        object.__setattr__(self, "key_id", key_id)
        object.__setattr__(self, "params", params)

    def __setattr__(self, name: str, value: Any) -> None:
        raise dataclasses.FrozenInstanceError(
            f"{name} of a SecretKey was to be set; it is immutable: make another with "
            f"secret.replace({name}=...)."
        )

    def __delattr__(self, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"{name} of a SecretKey was to be deleted; it is immutable.")

    def replace(self, **changes: Any) -> "SecretKey":
        """Another key with some of `coefficients`, `key_id` and `params` changed."""
        kept = {"coefficients": self.coefficients, "key_id": self.key_id, "params": self.params}
        return SecretKey(**{**kept, **changes})

    def tree_flatten_with_keys(self) -> tuple[tuple[tuple[Any, Array], ...], Parameters]:
        """Coefficients and key id as leaves; the parameters are part of the structure."""
        names = ("coefficients", "key_id")
        return tuple((jax.tree_util.GetAttrKey(n), getattr(self, n)) for n in names), self.params

    @classmethod
    def tree_unflatten(cls, params: Parameters, leaves: tuple[Array, Array]) -> "SecretKey":
        """The object from what `tree_flatten_with_keys` gave, or placeholders of JAX in its place."""
        return cls(*leaves, params)

    def __repr__(self) -> str:
        return f"SecretKey(N={self.params.ring.degree}, coefficients hidden)"

    def __reduce__(self) -> Any:
        raise TypeError(
            "a SecretKey was about to be pickled or copied, which would write the secret out in the clear; "
            "keep it in memory, or write it to a file that only its owner may read with "
            "ckks.files.save_secret_key(path, secret)."
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class PublicKey:
    """An encryption of zero at the highest level: data uint32 [2, limb, N], evaluation domain.

    Body, then mask, which is expanded from `seed`, uint32 [8]: all that travels of it.
    """

    data: Array
    seed: Array
    key_id: Array
    params: Parameters = static()

    @property
    def body(self) -> Array:
        """uint32 [limb, N]: what travels."""
        return self.data[0]

    def __repr__(self) -> str:
        return f"PublicKey(N={self.params.ring.degree})"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class SwitchingKey:
    """Turns a factor of one secret into another secret (hybrid, Han and Ki 2020).

    data: uint32 [digit, 2, limb, N], evaluation domain: body, then mask, for the primes of
    `params.key_range(level)` and P. The mask is expanded from `seed`, uint32 [8], which is all that
    travels of it. key_id: uint32 [4], the `switching_identity` of the secret and of what the key is for.
    level: the highest at which the key works.
    """

    data: Array
    seed: Array
    key_id: Array
    params: Parameters = static()
    level: int = static()

    @property
    def body(self) -> Array:
        """uint32 [digit, limb, N]: what travels."""
        return self.data[:, 0]

    @property
    def mask(self) -> Array:
        """uint32 [digit, limb, N]: what `seed` stands for."""
        return self.data[:, 1]

    @property
    def wire_bytes(self) -> int:
        """Bytes that travel: the body and the seed."""
        return 4 * (int(np.prod(self.data.shape)) // 2 + int(np.prod(self.seed.shape)))

    def __repr__(self) -> str:
        return f"SwitchingKey(N={self.params.ring.degree}, level={self.level})"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class EvaluationKeys:
    """What a server may hold: no secret fits in this type.

    relinearisation: for s^2, or None. rotations: by automorphism exponent, 5**k for k slots to the left
    and -1 for complex conjugation.
    """

    relinearisation: SwitchingKey | None
    rotations: dict[int, SwitchingKey]
    key_id: Array
    params: Parameters = static()

    @property
    def wire_bytes(self) -> int:
        """Bytes that travel, seeded."""
        relinearisation = () if self.relinearisation is None else (self.relinearisation,)
        return sum(key.wire_bytes for key in (*relinearisation, *self.rotations.values()))

    def __repr__(self) -> str:
        return (
            f"EvaluationKeys(N={self.params.ring.degree}, "
            f"relinearisation={self.relinearisation is not None}, rotations={list(self.rotations)}, "
            f"{self.wire_bytes / 1e6:.2f} MB on the wire)"
        )


def common_key_id(first: Any, *others: Any) -> Array:
    """The identity of the secret to which all belong, uint32 [4]; under jit `MIXED` where there is none.

    Raises:
        ValueError: when called eagerly, operands that belong to different secrets.
    """
    identity = first.key_id
    for other in others:
        identity = matched_identity(
            identity, other.key_id, functools.partial(_of_different_keys, first, other)
        )
    return identity


def _of_different_keys(first: Any, other: Any) -> str:
    return (
        f"{type(first).__name__} and {type(other).__name__} of different secret keys were combined; use keys "
        f"and ciphertexts that come from one keygen."
    )


def check_opens(secret: Any, holder: Any) -> None:
    """Refuse, when called eagerly, a secret that does not open a ciphertext.

    Raises:
        ValueError: saying whether the ciphertext is another secret's, or of several secrets by mistake.
    """
    if is_concrete(holder.key_id) and (np.asarray(holder.key_id) == MIXED).all(-1).any():
        raise ValueError(
            f"what was to be decrypted, of type {type(holder).__name__}, was computed inside jax.jit from "
            f"ciphertexts or keys of different secrets, or with a key meant for another use; compute it "
            f"again with what comes from one keygen: ckks.checked(function) names the operation."
        )
    common_key_id(secret, holder)


def check_same_parameters(*holders: Any) -> None:
    """Refuse operands made under different parameters."""
    first = holders[0].params
    for holder in holders[1:]:
        if holder.params != first:
            raise ValueError(
                f"{type(holders[0]).__name__} and {type(holder).__name__} have different parameters, "
                f"{first} and {holder.params}; make both with the same parameters."
            )


def check_residues(data: Array, moduli: tuple[int, ...], what: str) -> None:
    """Refuse, when called eagerly, residues that are not below their primes: tampered or damaged."""
    if not is_concrete(data):
        return
    check_form(data, moduli, what)
    if isinstance(data, np.ndarray):  # perhaps a map of a file
        highest = np.max([part.max((0, 2), initial=0) for part in pieces(data, 2)], 0, initial=0)
    else:
        others = tuple(a for a in range(data.ndim) if a != data.ndim - 2)
        highest = np.asarray(jnp.max(data, axis=others, initial=0))
    refuse_residues(highest, moduli, what)


def check_form(data: Array, moduli: tuple[int, ...], what: str) -> None:
    """Refuse what are no residues of these primes by their type and number of limbs."""
    if data.dtype != jnp.uint32 or data.shape[-2] != len(moduli):
        raise ValueError(
            f"{what} holds {data.dtype} with {data.shape[-2]} limbs; it needs uint32 with "
            f"{len(moduli)} limbs. It was altered, or belongs to other parameters: make it again."
        )


def refuse_residues(highest: np.ndarray, moduli: tuple[int, ...], what: str) -> None:
    """Refuse residues of which the highest of each limb is not below its prime."""
    if (highest >= np.array(moduli, np.uint32)).any():
        raise ValueError(
            f"{what} holds a residue that is not below its prime, so it was altered or damaged on the "
            f"way; send or make it again."
        )
