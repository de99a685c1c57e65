"""How many bits of a result are right, and whether any are."""

import dataclasses
import math
from typing import Any

import jax
import numpy as np

from fhejax.ckks.encoding.values import as_numbers
from fhejax.ckks.encoding.vector_encoding import decode
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.notices import warn_caller
from fhejax.ckks.parameters.deviations import rescale_deviation
from fhejax.ckks.types import Ciphertext, Plaintext, is_concrete

_DECODED_WRONGLY = 0.5  # of an integer: the error at which rounding no longer gives it back


class PrecisionWarning(UserWarning):
    """A decryption of which the prediction says that noise has drowned the message."""


class OverflowWarning(PrecisionWarning):
    """A decryption of which the prediction says that the message has outgrown its modulus."""


@dataclasses.dataclass(frozen=True)
class Precision:
    """Bits after the point that are right, -log2 |error|, over all numbers compared.

    minimum: of the largest error. mean: of the root mean square error, which is what
    `NoiseEstimate.precision_bits` predicts. median: of the median error. maximum: of the smallest. Infinite
    where the error is zero.
    """

    minimum: float
    mean: float
    median: float
    maximum: float

    def __repr__(self) -> str:
        return (
            f"Precision: {self.mean:.1f} bits in the mean, {self.minimum:.1f} at worst, {self.median:.1f} in "
            f"the median and {self.maximum:.1f} at best"
        )


def precision(found: Plaintext | jax.Array | np.ndarray, expected: jax.Array | np.ndarray) -> Precision:
    """The bits that are right in a decryption, or in what `decode` made of it.

    Args:
        found: a Plaintext, or numbers [..., slots].
        expected: numbers that broadcast with those found. Fewer than the slots are compared with the
            first slots. Real and imaginary parts of complex numbers count as two numbers.

    Raises:
        TypeError: what is no array of numbers.
        ValueError: nothing to compare, more numbers expected than found, or one that is not finite.
    """
    numbers, wanted = _host(decode(found) if isinstance(found, Plaintext) else found), _host(expected)
    empty = 0 in (numbers.size, wanted.size, numbers.ndim, wanted.ndim)
    if empty or wanted.shape[-1] > numbers.shape[-1]:
        raise ValueError(
            f"precision was given shape {numbers.shape} and expected values of shape {wanted.shape}; it "
            f"compares the last axis of both, which must not be empty, nor longer in what is expected."
        )
    numbers = numbers[..., : wanted.shape[-1]]
    if not (np.isfinite(numbers).all() and np.isfinite(wanted).all()):
        raise ValueError("precision was given a NaN or infinite value; leave it out of the comparison.")
    leading = zip(numbers.shape[-2::-1], wanted.shape[-2::-1], strict=False)
    if any(a != b and 1 not in (a, b) for a, b in leading):
        raise ValueError(
            f"precision was given shape {numbers.shape} and expected values of shape {wanted.shape}; their "
            f"leading axes must be equal or 1."
        )
    return _precision_of(np.abs(_parts(numbers - wanted)))


def _host(values: Any) -> np.ndarray:
    """float64 or complex128, in which no difference overflows that should not."""
    if not is_concrete(values):
        raise ValueError(
            "precision was asked for inside of a traced function; ask for it with what it returns."
        )
    array = np.asarray(as_numbers(values, "precision"))
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _precision_of(error: np.ndarray) -> Precision:
    statistics = error.max(), np.sqrt(np.mean(error**2)), np.median(error), error.min()
    return Precision(*(-math.log2(value) if value else math.inf for value in statistics))


def check_precision_left(ciphertext: Ciphertext, prediction: NoiseEstimate | None = None) -> None:
    """Warn, when called eagerly, before a decryption of which nothing is right.

    With a prediction: its values have outgrown the modulus, here or before a rescale on the way; or its
    deviation exceeds the root mean square of its values. Without: the rounding of one rescale, at the
    ciphertext's scale, exceeds 1/2 in a slot.

    Nothing is raised because of what a ciphertext holds, which would tell a server that watches.

    Raises:
        ValueError: a prediction for other parameters, another level or another scale.
    """
    if not is_concrete(ciphertext.data):
        return
    if prediction is None:
        warn_caller(_floor_above_half(ciphertext), PrecisionWarning)
        return
    _check_prediction(ciphertext, prediction)
    warn_caller(_overflow(prediction), OverflowWarning)
    warn_caller(_noise_above_values(prediction), PrecisionWarning)


def _overflow(prediction: NoiseEstimate) -> str | None:
    found = prediction.overflow
    if found is None:
        return None
    when = "before a rescale on the way" if prediction.divided_after else "at which it is decrypted"
    return (
        f"the message of this ciphertext is predicted to outgrow the modulus by {found.bits:.1f} bits at "
        f"level {found.level}, {when}: it has wrapped around, and no number in it is right. Use smaller "
        f"numbers or scales, decrypt at a higher level, or make parameters with larger base_bits."
    )


def _check_prediction(ciphertext: Ciphertext, prediction: NoiseEstimate) -> None:
    found, predicted = (f"level {x.level} and scale {x.scale}" for x in (ciphertext, prediction))
    if ciphertext.params != prediction.params or found != predicted:
        raise ValueError(
            f"a prediction for {predicted} of {prediction.params} was given with a ciphertext at {found} of "
            f"{ciphertext.params}; run the same circuit on ckks.estimate(params, values)."
        )


def _parts(values: np.ndarray) -> np.ndarray:
    """Real and imaginary parts on an axis of their own, where there are two."""
    return np.stack([np.real(values), np.imag(values)]) if np.iscomplexobj(values) else values


def _noise_above_values(prediction: NoiseEstimate) -> str | None:
    values = prediction.values
    parts = _parts(values)
    size, deviation = np.sqrt(np.mean(parts**2)), 2.0**-prediction.precision_bits
    if not 0 < size < deviation:
        return None
    operation, share = next(iter(prediction.shares.items()))
    return (
        f"nothing is left of the message in this ciphertext: noise of {deviation:.2g} is predicted on values "
        f"of {size:.2g}, {share:.0%} of it from {operation}; use larger scales or fewer operations."
    )


def _floor_above_half(ciphertext: Ciphertext) -> str | None:
    floor = math.log2(rescale_deviation(ciphertext.params.ring)) - ciphertext.scale.bits
    if floor <= math.log2(_DECODED_WRONGLY):
        return None
    return (
        f"not even integers are left in this ciphertext if it was ever rescaled, which leaves noise of "
        f"2**{floor:.1f} at its scale, {ciphertext.scale}; multiply at a larger scale, or pass prediction=."
    )
