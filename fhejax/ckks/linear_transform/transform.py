"""The matrix of a homomorphic linear transform of the slots, by its diagonals.

y = M x is the sum over distances d of (diagonal d of M) * (x rotated by d). With d = giant + baby, each
diagonal is rotated back by its giant step, so that one rotation serves all the diagonals of a giant step.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.encoding.encodable import check_encodable, rounds_to_zero, slot_values
from fhejax.ckks.encoding.vector_encoding import encode_for_all_levels
from fhejax.ckks.keys.switching import extended_moduli
from fhejax.ckks.linear_transform.diagonals import Numbers, as_words, period_of, read_diagonals
from fhejax.ckks.linear_transform.rotation_plan import rotation_costs, split_distances
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import Array, is_concrete, static
from fhejax.ring.wide import kernel

_TRANSFORMED_BYTES = 2**28  # of a transform, up to which its diagonals are held as residues by default


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class LinearTransform:
    """The diagonals of a matrix, and the steps by which they are reached.

    Attributes:
        diagonals: each rotated back by its giant step. As residues uint32 [term, limb of Q_level then P, N],
            evaluation domain; or as numbers float32 [term, real and imaginary part, word, period], the
            words to be added up, which are encoded and transformed whenever they are used.
        params: of the ciphertexts.
        level: of the ciphertexts it is applied to.
        scale: of the diagonals.
        steps: (giant, baby) of each term, distances modulo the slots, terms of one giant together and those
            of giant 0 first.
    """

    diagonals: Array
    params: Parameters = static()
    level: int = static()
    scale: Scale = static()
    steps: tuple[tuple[int, int], ...] = static()

    @property
    def is_transformed(self) -> bool:
        """Whether the diagonals are held as residues: quick to use, and many times as large."""
        return self.diagonals.dtype == np.uint32

    @property
    def babies(self) -> tuple[int, ...]:
        """The distances of the baby steps, 0 among them where a term needs none."""
        return tuple(sorted({baby for _, baby in self.steps}))

    @property
    def giants(self) -> tuple[int, ...]:
        """The distances of the giant steps, 0 first where a term needs none."""
        return tuple(dict.fromkeys(giant for giant, _ in self.steps))

    @property
    def rotations(self) -> tuple[int, ...]:
        """The rotation keys it takes, for `evaluation_keys(..., rotations=...)`."""
        return tuple(sorted({*self.babies, *self.giants} - {0}))

    @property
    def key_switches(self) -> tuple[int, int]:
        """How many hoisted ones, of the baby steps, and how many whole ones, of the giant steps."""
        return len({*self.babies} - {0}), len({*self.giants} - {0})

    def __repr__(self) -> str:
        return (
            f"LinearTransform(N={self.params.ring.degree}, level={self.level}/{self.params.depth}, "
            f"scale={self.scale}, {len(self.steps)} diagonals by {len(self.babies)} baby steps and "
            f"{len(self.giants)} giant steps, {self.diagonals.nbytes / 1e6:.1f} MB)"
        )


def linear_transform(
    params: Parameters,
    diagonals: Mapping[int, Numbers] | Numbers,
    *,
    level: int | None = None,
    scale: Scale | float | None = None,
    baby_steps: int | None = None,
    split: Mapping[int, tuple[int, int]] | None = None,
    transformed: bool | None = None,
) -> LinearTransform:
    """Encode a matrix for `apply_linear_transform`.

    Args:
        params: of the ciphertexts.
        diagonals: a matrix [slots, slots], or diagonals [slots] by distance d, which may be negative: entry j
            is what slot j of the result takes of slot j + d of the argument, cyclically. Complex numbers in
            the standard ring only. Diagonals of zeros are left out.
        level: at which it is applied, by default the highest.
        scale: of the diagonals; by default such that after a rescale the result of a ciphertext of the
            level's own scale has exactly the lower level's own.
        baby_steps: distances reached by hoisting, counted in strides of the distances; by default as many as
            cost least.
        split: instead, the (giant, baby) of each distance modulo the slots, all modulo the slots.
        transformed: hold the diagonals as residues of every prime, which is quickest and takes 4 bytes for
            each; or as the numbers that they are, one period of them where all repeat themselves, which are
            encoded whenever they are used: a number-theoretic transform of each limb for each diagonal. By
            default as residues where those take at most 256 MiB.

    Raises:
        TypeError: what is no array of numbers, and distances that are no integers.
        ValueError: other sizes, nothing but zeros, or what rounds to zero; numbers that are not finite or do
            not fit the level, complex ones in the conjugate-invariant ring, no level for the rescale, no key
            switching, a split that lacks a distance or leads elsewhere, or traced diagonals that are not to
            be held as residues.
    """
    level = params.depth if level is None else level
    params.level_moduli(level)
    scale = _default_scale(params, level) if scale is None else Scale.of(scale)
    _check_request(params, baby_steps)
    found = read_diagonals(params, diagonals)
    if split is None:
        split = split_distances(found, params.slots, rotation_costs(params, level), baby_steps)
    _check_split(params, found, split)
    _check_something_left(params, found.values(), scale)
    moved = {d: _rolled(found.pop(d), split[d][0]) for d in sorted(found, key=split.__getitem__)}
    hold = _as_residues if _is_to_be_transformed(params, level, moved, transformed) else _as_numbers
    rows = hold(params, moved, level, scale)
    return LinearTransform(rows, params, level, scale, tuple(split[d] for d in moved))


def _default_scale(params: Parameters, level: int) -> Scale:
    if level == 0:
        raise ValueError(
            "a linear transform at level 0 was asked for, which leaves no level to rescale to; give a "
            "higher level, or a scale of its own and apply it with rescale=False."
        )
    return params.scales[level - 1] * params.rescale_factor(level, level - 1) / params.scales[level]


def _check_request(params: Parameters, baby_steps: int | None) -> None:
    if not params.special:
        raise ValueError(
            "a linear transform was asked for, and these parameters were made without key switching, which "
            "rotations need; make them with key_switching=True, or use multiply_plain for a diagonal matrix."
        )
    if baby_steps is not None and baby_steps < 1:
        raise ValueError(f"baby_steps={baby_steps} was given; it is 1 or more, or None for the cheapest.")


def _check_split(params: Parameters, found: Iterable[int], split: Mapping[int, tuple[int, int]]) -> None:
    wrong = [d for d in found if d not in split or (sum(split[d]) - d) % params.slots]
    if wrong:
        raise ValueError(
            f"a split without distance {wrong[0]} modulo the slots, or with steps that do not add up to it, "
            f"was given for a linear transform; give (giant, baby) of each distance, giant + baby = distance."
        )


def _check_something_left(params: Parameters, diagonals: Iterable[Numbers], scale: Scale) -> None:
    """Refuse, when called eagerly, a matrix of which every diagonal rounds to zero: each alone may."""
    for diagonal in diagonals:
        if not isinstance(diagonal, np.ndarray) or not rounds_to_zero(params, diagonal, scale):
            return
    raise ValueError(
        f"a linear transform was asked for whose diagonals all round to zero at scale {scale}; give a larger "
        f"scale, or multiply the matrix and divide what is decrypted."
    )


def _rolled(diagonal: Numbers, giant: int) -> Numbers:
    return (np if isinstance(diagonal, np.ndarray) else jnp).roll(diagonal, giant)


def _is_to_be_transformed(
    params: Parameters, level: int, diagonals: Mapping[int, Numbers], wished: bool | None
) -> bool:
    traced = not is_concrete(*diagonals.values())
    if traced and wished is False:
        raise ValueError(
            "a linear transform of traced diagonals was asked for with transformed=False; traced ones are "
            "held as residues: make it outside of jit, or leave transformed out."
        )
    size = 4 * len(diagonals) * len(extended_moduli(params, level)) * params.ring.degree
    return traced or (size <= _TRANSFORMED_BYTES if wished is None else wished)


def _as_numbers(params: Parameters, diagonals: Mapping[int, Numbers], level: int, scale: Scale) -> jax.Array:
    """float32 [term, part, word, period]."""
    rows = [np.asarray(values) for values in diagonals.values()]
    for row in rows:
        check_encodable(params, slot_values(params, row, "linear_transform"), level, scale, vanishing=True)
    return jnp.asarray(as_words(rows, period_of(rows)))


def _as_residues(params: Parameters, diagonals: Mapping[int, Numbers], level: int, scale: Scale) -> jax.Array:
    return extended_residues(params, list(diagonals.values()), level, scale)


def extended_residues(
    params: Parameters, diagonals: Sequence[Numbers], level: int, scale: Scale
) -> jax.Array:
    """The diagonals encoded over Q P, uint32 [term, limb of Q_level then P, N].

    They are written into one array, for they may take gigabytes.

    Args:
        params: of the ciphertexts.
        diagonals: [slots] each.
        level: of the ciphertexts that they multiply.
        scale: at which they are encoded.

    Raises:
        ValueError: a diagonal that does not fit the level's modulus.
    """
    limbs, range_of_level = len(extended_moduli(params, level)), params.limb_range(level)
    rows = jnp.zeros((len(diagonals), limbs, params.ring.degree), jnp.uint32)
    for number, diagonal in enumerate(diagonals):
        data = encode_for_all_levels(params, diagonal, level, scale)
        rows = _put_diagonal(rows, data, np.int32(number), range_of_level, len(params.moduli))
    return rows


@functools.partial(kernel, donate_argnums=0, static_argnames=("range_of_level", "primes"))
def _put_diagonal(
    rows: jax.Array, data: jax.Array, number: np.int32, range_of_level: tuple[int, int], primes: int
) -> jax.Array:
    """The rows with one of them set, of whose residues some of Q's primes are kept, and all of P's."""
    start, stop = range_of_level
    row = jnp.concatenate([data[start:stop], data[primes:]])
    return jax.lax.dynamic_update_index_in_dim(rows, row, number, 0)
