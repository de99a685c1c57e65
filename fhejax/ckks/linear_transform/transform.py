"""Homomorphic linear transforms of the slots, by diagonals.

y = M x is the sum over distances d of (diagonal d of M) * (x rotated by d). With d = giant + baby, the baby
steps share one decomposition and stay in the extended basis Q P, undivided; each giant step takes one
more key switch of the sum of its babies' products; one division ends it all (Bossuat, Mouchet,
Troncoso-Pastoriza and Hubaux, "Efficient bootstrapping for approximate homomorphic encryption with
non-sparse keys", 2021, algorithm 6: double hoisting).
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.encoding.encodable import rounds_to_zero
from fhejax.ckks.encoding.values import as_numbers
from fhejax.ckks.encoding.vector_encoding import encode_term
from fhejax.ckks.keys.generation import rotation_exponent
from fhejax.ckks.keys.switching import divide_by_special, extended_moduli
from fhejax.ckks.levels import bring_down
from fhejax.ckks.linear_transform.double_hoisting import (
    decompose,
    divide_mask,
    lift,
    rotate_pair,
    weighted_sum,
)
from fhejax.ckks.linear_transform.rotation_plan import rotation_costs, split_distances
from fhejax.ckks.linear_transform.transform_noise import estimate_linear_transform
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.operation import Found, Keys, Value, operation
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import (
    Array,
    Ciphertext,
    SwitchingKey,
    check_same_parameters,
    is_concrete,
    static,
)
from fhejax.ring import Twiddles, convert_basis, inverse_ntt, ntt, permutation
from fhejax.ring.wide import kernel, wide


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class LinearTransform:
    """The encoded diagonals of a matrix, and the steps by which they are reached.

    diagonals: uint32 [term, limb of Q_level then P, N], evaluation domain; each is rotated back by its giant
    step. steps: (giant, baby) of each term, distances modulo the slots, terms of one giant together and
    those of giant 0 first. level: of the ciphertexts it is applied to. scale: of the diagonals.
    """

    diagonals: Array
    params: Parameters = static()
    level: int = static()
    scale: Scale = static()
    steps: tuple[tuple[int, int], ...] = static()

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
            f"{len(self.giants)} giant steps)"
        )


def linear_transform(
    params: Parameters,
    diagonals: Mapping[int, np.ndarray | jax.Array] | np.ndarray | jax.Array,
    *,
    level: int | None = None,
    scale: Scale | float | None = None,
    baby_steps: int | None = None,
    split: Mapping[int, tuple[int, int]] | None = None,
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

    Raises:
        TypeError: what is no array of numbers, and distances that are no integers.
        ValueError: other sizes, nothing but zeros, or what rounds to zero; numbers that are not finite or do
            not fit the level, complex ones in the conjugate-invariant ring, no level for the rescale, no key
            switching, or a split that lacks a distance or leads elsewhere.
    """
    level = params.depth if level is None else level
    params.level_moduli(level)
    scale = _default_scale(params, level) if scale is None else Scale.of(scale)
    _check_request(params, baby_steps)
    found = _diagonals(params, diagonals)
    if split is None:
        split = split_distances(found, params.slots, rotation_costs(params, level), baby_steps)
    _check_split(params, found, split)
    _check_something_left(params, found.values(), scale)
    order = sorted(found, key=split.__getitem__)
    limbs = len(extended_moduli(params, level))
    rows = jnp.zeros((len(order), limbs, params.ring.degree), jnp.uint32)
    for number, distance in enumerate(order):  # into one array: diagonals may take gigabytes
        row = _encode(params, found[distance], split[distance][0], level, scale)
        rows = _put(rows, row, np.int32(number))
    return LinearTransform(rows, params, level, scale, tuple(split[d] for d in order))


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


def _check_something_left(params: Parameters, diagonals: Iterable[Array], scale: Scale) -> None:
    """Refuse, when called eagerly, a matrix of which every diagonal rounds to zero: each alone may."""
    for diagonal in diagonals:
        if not is_concrete(diagonal) or not rounds_to_zero(params, diagonal, scale):
            return
    raise ValueError(
        f"a linear transform was asked for whose diagonals all round to zero at scale {scale}; give a larger "
        f"scale, or multiply the matrix and divide what is decrypted."
    )


def _diagonals(params: Parameters, given: Mapping[int, Array] | Array) -> dict[int, Array]:
    """Diagonals by distance modulo the slots, without those of zeros."""
    pairs = given.items() if isinstance(given, Mapping) else _diagonals_of_matrix(params, given)
    found: dict[int, Array] = {}
    for distance, diagonal in pairs:
        diagonal = _as_diagonal(params, distance, diagonal)
        if is_concrete(diagonal) and not diagonal.any():
            continue
        place = int(distance) % params.slots
        found[place] = found[place] + diagonal if place in found else diagonal
    if not found:
        raise ValueError(
            "a linear transform without a diagonal other than zero was asked for; its result would be zero, "
            "which needs no transform."
        )
    return found


def _as_diagonal(params: Parameters, distance: int, diagonal: Array) -> Array:
    if isinstance(distance, bool) or not isinstance(distance, int | np.integer):
        raise TypeError(f"a diagonal at distance {distance!r} was given; a distance is an integer.")
    diagonal = as_numbers(diagonal, f"the diagonal at distance {distance}")
    diagonal = np.asarray(diagonal) if is_concrete(diagonal) else diagonal
    if diagonal.shape != (params.slots,):
        raise ValueError(
            f"the diagonal at distance {distance} has shape {diagonal.shape}; it needs [{params.slots}], "
            f"a number for each slot of these parameters. Pad the matrix with zeros."
        )
    if is_concrete(diagonal) and not np.isfinite(diagonal).all():
        raise ValueError(f"the diagonal at distance {distance} holds NaN or an infinite value; replace it.")
    return diagonal


def _diagonals_of_matrix(params: Parameters, matrix: Array) -> Iterable[tuple[int, Array]]:
    slots, matrix = params.slots, as_numbers(matrix, "a linear transform")
    if np.shape(matrix) != (slots, slots):
        raise ValueError(
            f"a matrix of shape {np.shape(matrix)} was given for a linear transform; it needs "
            f"[{slots}, {slots}], the slots of these parameters. Pad it with zeros."
        )
    rows = np.arange(slots)
    if not is_concrete(matrix):
        return ((d, matrix[rows, (rows + d) % slots]) for d in range(slots))
    matrix = np.asarray(matrix)
    row, column = np.nonzero(matrix)
    return ((int(d), matrix[rows, (rows + d) % slots]) for d in np.unique((column - row) % slots))


@functools.partial(kernel, donate_argnums=0)
def _put(rows: jax.Array, row: jax.Array, number: Array) -> jax.Array:
    return jax.lax.dynamic_update_index_in_dim(rows, row, number, 0)


def _encode(params: Parameters, diagonal: Array, giant: int, level: int, scale: Scale) -> jax.Array:
    """One diagonal, rotated back by its giant step: uint32 [limb of Q_level then P, N]."""
    moved = (np if is_concrete(diagonal) else jnp).roll(diagonal, giant)
    return _extend(encode_term(params, moved, level, scale).data, twiddles_of(params), params, level)


@functools.partial(kernel, static_argnames=("params", "level"))
@wide
def _extend(data: jax.Array, twiddles: Twiddles, params: Parameters, level: int) -> jax.Array:
    """Values modulo the primes of the level, and those of the same small polynomial modulo P's."""
    moduli, special = params.level_moduli(level), params.special
    coefficients = inverse_ntt(data, twiddles, moduli)
    extension = ntt(convert_basis(coefficients, moduli, special), twiddles, special)
    return jnp.concatenate([data, extension], -2)


def apply_linear_transform(
    keys: Keys, ciphertext: Value, transform: LinearTransform, *, rescale: bool = True
) -> Value:
    """The matrix times the slots: one level down, at that level's own scale.

    A handful of kernels, each compiled once for a level and a batch shape; inside a `jax.jit` of
    the caller all steps are compiled together, which takes as long as there are steps.

    Args:
        keys: with the keys of `transform.rotations`, of the transform's level or a higher one.
        ciphertext: data [..., 2, limb, N] at the transform's level, or at a higher one, from which
            it is brought down to the level and its own scale. It may be a `NoiseEstimate`.
        transform: from `linear_transform`.
        rescale: in the same division as that by P; if not, the level stays and the scales multiply.

    Returns:
        Ciphertext [..., 2, limb, N]. Each diagonal multiplies the noise of the ciphertext and of its key
        switches; the division by P rounds once for each giant step, and once at the end.

    Raises:
        ValueError: missing keys (all are named), other parameters or secrets, three components, a
            ciphertext below the transform's level, or no level left to rescale to.
    """
    check_same_parameters(ciphertext, transform)
    _check_operand(ciphertext, transform)
    target = _target_level(transform, rescale)
    return _transformed(keys, bring_down(ciphertext, transform.level), transform, target)


def _exponents(ciphertext: object, transform: LinearTransform, target: int) -> list[int]:
    del ciphertext, target
    return [rotation_exponent(transform.params, distance) for distance in transform.rotations]


@operation(noise=estimate_linear_transform, keys=_exponents)
def _transformed(keys: Found, ciphertext: Ciphertext, transform: LinearTransform, target: int) -> Ciphertext:
    params, level = transform.params, transform.level
    found = {d: keys[rotation_exponent(params, d)] for d in transform.rotations}
    data = divide_by_special(_undivided(found, ciphertext, transform), params, level, target)
    scale = ciphertext.scale * transform.scale / params.rescale_factor(level, target)
    return ciphertext.replace(data=data, level=target, scale=params.settle(target, scale))


def _undivided(
    keys: Mapping[int, SwitchingKey], ciphertext: Ciphertext, transform: LinearTransform
) -> jax.Array:
    """P times the result, uint32 [..., 2, limb of Q then P, N]; the terms of giant 0 come first."""
    babies = _baby_steps(keys, ciphertext, transform)
    total, start = None, 0
    for giant, steps in itertools.groupby(transform.steps, key=lambda step: step[0]):
        members = tuple(babies[baby] for _, baby in steps)
        inner = weighted_sum(members, transform.diagonals, np.int32(start), transform.params, transform.level)
        total = inner if total is None else _giant_step(keys[giant], inner, giant, total, transform)
        start += len(members)
    return total


def _target_level(transform: LinearTransform, rescale: bool) -> int:
    if rescale and transform.level == 0:
        raise ValueError(
            "a linear transform at level 0 was to be rescaled, and no level is left; make it at a higher "
            "level, or pass rescale=False."
        )
    return transform.level - rescale


def _check_operand(ciphertext: Ciphertext | NoiseEstimate, transform: LinearTransform) -> None:
    if ciphertext.components != 2:
        raise ValueError(
            f"a linear transform of a ciphertext with {ciphertext.components} components was asked for; it "
            f"needs 2. Relinearise first."
        )
    if ciphertext.level < transform.level:
        raise ValueError(
            f"a linear transform made for level {transform.level} met a ciphertext at level "
            f"{ciphertext.level}; make it with linear_transform(..., level={ciphertext.level})."
        )


def _baby_steps(
    keys: Mapping[int, SwitchingKey], ciphertext: Ciphertext, transform: LinearTransform
) -> dict[int, jax.Array]:
    """P times the ciphertext rotated by each baby step, which share its decomposition."""
    params = transform.params
    lifted = lift(ciphertext.data, params, transform.level)
    if transform.babies == (0,):
        return {0: lifted}
    digits = decompose(ciphertext.data[..., 1, :, :], params, transform.level)
    return {
        baby: rotate_pair(keys[baby], digits, lifted, _positions(params, baby)) if baby else lifted
        for baby in transform.babies
    }


def _giant_step(
    key: SwitchingKey, inner: jax.Array, giant: int, total: jax.Array, transform: LinearTransform
) -> jax.Array:
    """`total` plus the rotation of `inner`, whose second component is divided before it is switched."""
    params, level = transform.params, transform.level
    digits = decompose(divide_mask(inner, params, level), params, level)
    return rotate_pair(key, digits, inner, _positions(params, giant), total)


def _positions(params: Parameters, distance: int) -> jax.Array:
    return permutation(params.ring, rotation_exponent(params, distance))
