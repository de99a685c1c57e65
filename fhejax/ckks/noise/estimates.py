"""Predicted noise: estimates that go through a circuit in place of its ciphertexts.

The error of a ciphertext is a sum over sources, each with a gain in every slot, propagated to first order
(see `noise_propagation`). A variance for each slot alone, as in Bossuat, Costache, Mouchet, Nuernberger and
Troncoso-Pastoriza, "Accurate and composable noise estimates for CKKS" (2025), takes x^2 and x for
independent and is 0.4 bits off for x^3; here both name the same sources.

What it does not know: errors as large as the values (the product of two errors is taken for independent
of everything else), and rounding that is not uniform because what is rounded is nearly exact. Where values
outgrow the modulus it says so (`overflow`), and predicts what would have been without.
"""

import dataclasses
import functools
import hashlib
import math
import secrets
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import numpy as np

from fhejax.ckks.encoding.encodable import check_encodable, encoding_place, slot_values
from fhejax.ckks.encoding.vector_encoding import decode
from fhejax.ckks.noise.noise_estimate import NoiseEstimate
from fhejax.ckks.noise.propagation import Message, digest, permuted, product, weighted_messages, with_source
from fhejax.ckks.parameters import deviations
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import Plaintext, is_concrete
from fhejax.ring import inverse_ntt
from fhejax.ring.residues import residues_to_float

Numbers = np.ndarray | jax.Array


def estimate(
    params: Parameters,
    values: np.ndarray,
    *,
    level: int | None = None,
    scale: Scale | float | None = None,
    encryption: Literal["secret", "public"] = "secret",
) -> NoiseEstimate:
    """The estimate of freshly encrypted `values`, real or complex [..., at most `slots`].

    Args:
        params: as of the ciphertexts.
        values: missing slots are zero; each leading index is an encryption of its own.
        level: by default the highest.
        scale: by default the level's own.
        encryption: under which kind of key.

    Raises:
        TypeError: values that are no numbers, or masked.
        ValueError: an encryption that is neither, values traced by JAX, or whatever `encode` refuses.
    """
    if not isinstance(encryption, str) or encryption not in ("secret", "public"):
        raise ValueError(f"encryption={encryption!r} was given to estimate; it is 'secret' or 'public'.")
    level, scale = encoding_place(params, level, scale)
    values = _slot_values(params, values, level, scale)
    messages = tuple(Message(row, secrets.token_bytes(16), {}) for row in values.reshape(-1, params.slots))
    fresh = NoiseEstimate(messages, values.shape[:-1], params, level, scale, 2)
    variance = deviations.encryption_variance(params.ring, public=encryption == "public")
    return _with_source(fresh, variance, "encryption")


def _slot_values(params: Parameters, given: Numbers, level: int, scale: Scale) -> np.ndarray:
    """float64 or complex128 [..., slots] that could be encoded."""
    values = slot_values(params, given, "estimate")
    if not is_concrete(values):
        raise ValueError(
            "estimate was given values traced by JAX; an estimate is made of numbers: call it outside of jit."
        )
    if 0 in values.shape[:-1]:
        raise ValueError(f"estimate was given shape {values.shape}, an empty batch; it needs a vector.")
    check_encodable(params, values, level, scale)
    padding = [(0, 0)] * (values.ndim - 1) + [(0, params.slots - values.shape[-1])]
    kind = np.float64 if params.ring.conjugate_invariant else np.complex128
    return np.pad(np.asarray(values), padding).astype(kind)


def drop_level(x: NoiseEstimate, level: int) -> NoiseEstimate:
    """Exact: neither the values nor their noise change."""
    return dataclasses.replace(x, level=level)


def negate(x: NoiseEstimate) -> NoiseEstimate:
    """-x, without new noise."""
    return multiply_exactly(x, -1.0)


def multiply_integer(x: NoiseEstimate, factor: int) -> NoiseEstimate:
    """x times an integer, without new noise."""
    return multiply_exactly(x, float(factor))


def multiply_exactly(x: NoiseEstimate, factor: complex | np.ndarray) -> NoiseEstimate:
    """x times what its slots are multiplied with exactly: an integer, or the powers of a root of unity."""
    return _each(x, lambda message: weighted_messages([(factor, message)], x.params.slots))


def multiply_by_imaginary_unit(x: NoiseEstimate) -> NoiseEstimate:
    """i x, without new noise."""
    return multiply_exactly(x, 1j)


def add(x: NoiseEstimate, y: NoiseEstimate, subtract: bool) -> NoiseEstimate:
    """x + y or x - y, of one scale: what both have of a source adds up before it is squared."""
    sign = -1.0 if subtract else 1.0
    result = _pairwise(x, y, lambda a, b: weighted_messages([(1.0, a), (sign, b)], x.params.slots))
    return dataclasses.replace(result, components=max(x.components, y.components))


def multiply_plain(x: NoiseEstimate, plaintext: Plaintext) -> NoiseEstimate:
    """x times an encoded vector, whose own rounding is multiplied by the values of x."""
    return dataclasses.replace(tensor(x, as_estimate(plaintext)), components=x.components)


def tensor(x: NoiseEstimate, y: NoiseEstimate) -> NoiseEstimate:
    """x y with three components: x's noise times y's values, y's times x's, and both noises' product."""
    result = _pairwise(x, y, functools.partial(product, ring=x.params.ring))
    return dataclasses.replace(result, scale=x.scale * y.scale, components=3)


def square_tensor(x: NoiseEstimate) -> NoiseEstimate:
    """x^2 with three components."""
    return tensor(x, x)


def weighted_sum(x: Sequence[NoiseEstimate], weights: Sequence[int], constant: int) -> NoiseEstimate:
    """sum of weight * x, and constant / scale in every slot: exact, so that no noise is added."""
    first, *others = (multiply_integer(each, weight) for each, weight in zip(x, weights, strict=True))
    total = functools.reduce(functools.partial(add, subtract=False), others, first)
    return add_constant(total, float(constant / first.scale.fraction()))


def add_constant(x: NoiseEstimate, value: float | np.ndarray) -> NoiseEstimate:
    """x + value in every slot, one number for all or for each of the batch: exact, so without new noise."""
    pairs = zip(x.messages, np.broadcast_to(value, len(x.messages)).tolist(), strict=True)
    messages = (Message(m.values + v, digest("shift", v, m.identity), m.gains) for m, v in pairs)
    return dataclasses.replace(x, messages=tuple(messages))


def stack(x: Sequence[NoiseEstimate]) -> NoiseEstimate:
    """Estimates of one batch shape on a new leading axis."""
    messages = tuple(message for part in x for message in part.messages)
    return dataclasses.replace(x[0], messages=messages, batch=(len(x), *x[0].batch))


def unstack(x: NoiseEstimate) -> list[NoiseEstimate]:
    """One estimate for each index of the leading axis."""
    count = x.batch[0]
    each = len(x.messages) // count
    rows = (x.messages[i * each : (i + 1) * each] for i in range(count))
    return [dataclasses.replace(x, messages=row, batch=x.batch[1:]) for row in rows]


def relinearise(x: NoiseEstimate, target: int) -> NoiseEstimate:
    """Adds the key's errors, and one rounding after the division by P and the dropped primes."""
    below = divided(x, target)
    shrunk = float(below.scale / x.scale) ** 2
    variance = shrunk * _key_variance(x) + deviations.division_variance(x.params.ring)
    return _with_source(dataclasses.replace(below, components=2), variance, "relinearisation")


def rescale(x: NoiseEstimate, target: int) -> NoiseEstimate:
    """Adds the rounding of every component."""
    below = divided(x, target)
    return _with_source(below, deviations.division_variance(x.params.ring, x.components), "rescaling")


def divided(x: NoiseEstimate, level: int) -> NoiseEstimate:
    """Values and noise stay when the polynomial and its scale are divided by the same primes.

    Unless it has outgrown its modulus, which is noted: up to here sums could have brought it back.
    """
    scale = x.params.settle(level, x.scale / x.params.rescale_factor(x.level, level))
    overflow = x.divided_after if level == x.level else x.overflow
    return dataclasses.replace(x, level=level, scale=scale, divided_after=overflow)


def _key_variance(x: NoiseEstimate) -> float:
    """Coefficient variance that a key switch at this level takes from its key, before any rounding."""
    params = x.params
    digits = [math.prod(params.moduli[start:stop]) for start, stop in params.digit_ranges(x.level)]
    return deviations.key_switch_variance(params.ring, digits, math.prod(params.special))


def apply_automorphism(x: NoiseEstimate, exponent: int) -> NoiseEstimate:
    """X -> X^exponent and the key switch that follows, with the rounding after its division by P."""
    moved = permute(x, exponent)
    variance = _key_variance(x) + deviations.division_variance(x.params.ring)
    return _with_source(moved, variance, "rotation")


def rotate_hoisted(x: NoiseEstimate, exponents: Sequence[int]) -> list[NoiseEstimate]:
    """Each automorphism of x, X -> X being x itself: as noisy as one by one."""
    return [x if e == 1 else apply_automorphism(x, e) for e in exponents]


def permute(x: NoiseEstimate, exponent: int) -> NoiseEstimate:
    """X -> X^exponent alone, without new noise."""
    return _each(x, lambda message: permuted(message, x.params.ring, exponent))


def linear_combinations(
    x: NoiseEstimate,
    weights: Numbers,
    weight_scale: Scale,
    bound: int,
    entries: Numbers | None,
    bias: Numbers | None,
    square: bool,
) -> NoiseEstimate:
    """Integer combinations of the ciphertexts of a batch: exact, so that no noise is added."""
    del bound
    x = square_tensor(x) if square else x
    numbers = np.asarray(weights) / float(weight_scale)
    rows = np.arange(len(x.messages))[None, :, None] if entries is None else np.asarray(entries)
    messages = [
        weighted_messages(
            [(w, x.messages[i]) for w, i in zip(numbers[g, o], rows[g, :, p], strict=True) if i >= 0],
            x.params.slots,
        )
        for g, o, p in np.ndindex(*numbers.shape[:2], rows.shape[-1])
    ]
    scale = x.scale * weight_scale
    result = dataclasses.replace(x, messages=tuple(messages), batch=(len(messages),), scale=scale)
    if bias is None:
        return result
    constants = residues_to_float(bias[..., None], x.moduli)
    return add_constant(result, np.asarray(constants).ravel() / float(scale))


def in_place_of(x: NoiseEstimate, y: Plaintext) -> NoiseEstimate:
    """An encoded vector that is added to an estimate, as one."""
    del x
    return as_estimate(y)


def as_estimate(operand: NoiseEstimate | Plaintext) -> NoiseEstimate:
    """An encoded vector as one: its values, and the rounding of its coefficients as noise.

    A coefficient that is exactly zero, as nearly all are where the values are constant or repeat
    themselves, is taken to have been zero before rounding.
    """
    if isinstance(operand, NoiseEstimate):
        return operand
    params = operand.params
    first = operand.data[..., :1, :]
    if operand.domain == "evaluation":
        first = inverse_ntt(first, params.ring, params.level_moduli(operand.level)[:1])
    first = np.asarray(first).reshape(-1, params.ring.degree)
    values = _decoded(operand)
    messages = tuple(
        encoded_message(row, limb, np.mean(limb != 0), params, operand.scale)
        for row, limb in zip(values, first, strict=True)
    )
    return NoiseEstimate(messages, operand.data.shape[:-2], params, operand.level, operand.scale, 2)


def encoded_message(
    values: np.ndarray, content: np.ndarray, filled: float, params: Parameters, scale: Scale
) -> Message:
    """An encoded vector, with the rounding of its coefficients as noise.

    Args:
        values: in the slots.
        content: what tells this vector from others.
        filled: the share of coefficients that are rounded, and not zero.
        params: of the encoding.
        scale: of the encoding.
    """
    identity = hashlib.blake2b(content.tobytes(), digest_size=16).digest()
    gain = encoding_gain(params, scale, filled)
    return with_source(Message(values, identity, {}), gain, "encoding", scale)


def encoding_gain(params: Parameters, scale: Scale, filled: float) -> float:
    """The standard deviation in a slot of an encoding of which this share of coefficients is rounded."""
    deviation = deviations.slot_deviation(params.ring, deviations.ROUNDING_VARIANCE * filled)
    return deviation / float(scale)


def _decoded(operand: Plaintext) -> np.ndarray:
    """The slots of each vector, [vector, slots]: one after another, for matrices may take gigabytes."""
    rows = operand.data.reshape(-1, *operand.data.shape[-2:])
    each = (dataclasses.replace(operand, data=rows[number]) for number in range(len(rows)))
    return np.stack([np.asarray(decode(plaintext)) for plaintext in each])


def _gain(x: NoiseEstimate | Plaintext, coefficient_variance: float) -> float:
    """Standard deviation in a slot of noise with this coefficient variance."""
    return deviations.slot_deviation(x.params.ring, coefficient_variance) / float(x.scale)


def _with_source(x: NoiseEstimate, coefficient_variance: float, operation: str) -> NoiseEstimate:
    gain = _gain(x, coefficient_variance)
    return _each(x, lambda message: with_source(message, gain, operation, x.level, x.scale))


def _each(x: NoiseEstimate, rule: Callable[[Message], Message]) -> NoiseEstimate:
    return dataclasses.replace(x, messages=tuple(rule(message) for message in x.messages))


def _pairwise(
    x: NoiseEstimate, y: NoiseEstimate, rule: Callable[[Message, Message], Message]
) -> NoiseEstimate:
    """`rule` on the messages of two batches, broadcast against each other; the rest is x's."""
    batch = np.broadcast_shapes(x.batch, y.batch)
    level = min(x.level, y.level)
    pairs = zip(_broadcast(x, batch), _broadcast(y, batch), strict=True)
    messages = tuple(rule(first, second) for first, second in pairs)
    overflow = x.divided_after or y.divided_after
    return dataclasses.replace(x, messages=messages, batch=batch, level=level, divided_after=overflow)


def _broadcast(x: NoiseEstimate, batch: tuple[int, ...]) -> Sequence[Message]:
    index = np.broadcast_to(np.arange(len(x.messages)).reshape(x.batch), batch)
    return [x.messages[i] for i in index.ravel()]
