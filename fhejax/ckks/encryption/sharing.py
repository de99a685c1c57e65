"""Decryption whose result others may see: noise flooding, rounding, and a count of releases.

In CKKS a decrypted number carries the noise of its ciphertext, and whoever also has the ciphertext learns
linear equations of the secret from it (Li and Micciancio, "On the security of homomorphic encryption on
approximate numbers", Eurocrypt 2021). Fresh noise that is much larger hides that (Li, Micciancio, Schultz and
Sorrell, "Securing approximate homomorphic encryption using differential privacy", Crypto 2022), if it is
measured by what the noise can be at worst: noise as it is typically can be made larger by chosen inputs (Guo,
Nabokov, Suvanto and Johansson, "Key recovery attacks on approximate homomorphic encryption with
non-worst-case noise flooding countermeasures", USENIX Security 2024).
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.encoding.vector_encoding import decode
from fhejax.ckks.encryption.encryption import decrypt
from fhejax.ckks.keys.generation import check_cryptographic_key, purpose
from fhejax.ckks.types import Ciphertext, SecretKey
from fhejax.ring.randomness import derive

_RESOLUTION = 2.0**-45  # of float64 numbers that noise can hide in without being rounded itself


@dataclasses.dataclass(frozen=True)
class SharingBudget:
    """The count of releases under one secret key, which the caller keeps beside the key.

    All releases together have a statistical distance of at most 2^-distance_bits from what a scheme without
    noise would have given. In the measure of Li, Micciancio, Schultz and Sorrell that is
    2 (distance_bits - 4) bits of security.

    Attributes:
        key_id: the words of the secret's identity.
        releases: how many there may be.
        released: how many there were.
        distance_bits: of all of them together.
    """

    key_id: tuple[int, ...]
    releases: int
    released: int
    distance_bits: float

    @property
    def left(self) -> int:
        """How many releases are left."""
        return self.releases - self.released

    def deviation(self, noise_bound: float, numbers: int) -> float:
        """The deviation of the noise that hides other noise, in one of the releases.

        Two normal distributions of this deviation, whose means differ by no more than the bound in each
        number, have a divergence of numbers (bound / deviation)^2 / 2. Over all releases that adds up, and by
        Pinsker's inequality the distance is at most the root of half of it.

        Args:
            noise_bound: the largest error that any of the numbers can have.
            numbers: that are released at once.
        """
        return noise_bound * math.sqrt(numbers * self.releases) * 2 ** (self.distance_bits - 1)


def sharing_budget(secret: SecretKey, releases: int, *, distance_bits: float = 30.0) -> SharingBudget:
    """The budget of a secret key before its first release.

    Args:
        secret: whose ciphertexts are decrypted for others.
        releases: how many decryptions there may be in all; each takes noise for the root of this number.
        distance_bits: -log2 of the statistical distance between what is released and what a scheme
            without noise would release.

    Raises:
        ValueError: no release, or no distance.
    """
    if releases < 1 or not 1 <= distance_bits <= 128:
        raise ValueError(
            f"a budget of {releases} releases at a distance of 2^-{distance_bits:g} was asked for; it "
            f"needs 1 release or more, and 1 to 128 bits."
        )
    return SharingBudget(_words(secret), releases, 0, float(distance_bits))


def decrypt_for_sharing(
    key: jax.Array, secret: SecretKey, ciphertext: Ciphertext, budget: SharingBudget, *, noise_bound: float
) -> tuple[np.ndarray, SharingBudget]:
    """The numbers in a ciphertext with noise that hides its own, and the budget with one release more.

    Keep the budget that is returned, and give it to the next call: that is the count.

    Args:
        key: a cryptographic random key, used once.
        secret: of the ciphertext.
        ciphertext: data [..., poly, limb, N]; all of a batch count as one release.
        budget: of the secret.
        noise_bound: the largest error that any slot can have against the exact result, whatever values
            others chose to have encrypted; what was typical on some values is no bound.

    Returns:
        float64 or complex128 [..., slots], multiples of a power of two no larger than the noise.

    Raises:
        ValueError: a budget of another key, or one that is used up; a bound that is not positive, or so
            small that float64 cannot hold the noise; and whatever `decrypt` refuses.
    """
    check_cryptographic_key(key)
    values = np.asarray(decode(decrypt(secret, ciphertext)))
    name = purpose("noise flooding", ciphertext.params, ciphertext.level)
    bound_key = derive(key, name, secret.key_id, message=ciphertext.data)
    return flooded(bound_key, secret, values, budget, noise_bound=noise_bound)


def flooded(
    key: jax.Array, secret: SecretKey, values: np.ndarray, budget: SharingBudget, *, noise_bound: float
) -> tuple[np.ndarray, SharingBudget]:
    """Decrypted numbers with noise that hides theirs, rounded, and the budget with one release more.

    Args:
        key: a cryptographic random key, used once.
        secret: that decrypted them.
        values: float64 or complex128 of any shape; nothing else of the decryption may be shown.
        budget: of the secret.
        noise_bound: the largest error of any of them, real or imaginary part.

    Raises:
        ValueError: as `decrypt_for_sharing`.
    """
    check_cryptographic_key(key)
    _check_budget(secret, budget)
    is_complex = np.iscomplexobj(values)
    numbers = np.stack([np.real(values), np.imag(values)]) if is_complex else np.asarray(values, np.float64)
    if not (math.isfinite(noise_bound) and noise_bound > 0):
        raise ValueError(f"noise_bound={noise_bound} was given; it is a positive number, as values are.")
    deviation = budget.deviation(noise_bound, numbers.size)
    _check_resolution(numbers, deviation)
    with jax.enable_x64(True):
        noise = np.asarray(jax.random.normal(key, numbers.shape, jnp.float64))
    step = 2.0 ** math.floor(math.log2(deviation))
    shared = np.round((numbers + deviation * noise) / step) * step
    spent = dataclasses.replace(budget, released=budget.released + 1)
    return (shared[0] + 1j * shared[1] if is_complex else shared), spent


def _words(secret: SecretKey) -> tuple[int, ...]:
    """The words of a secret's identity."""
    return tuple(np.asarray(secret.key_id).tolist())


def _check_budget(secret: SecretKey, budget: SharingBudget) -> None:
    """Refuse a budget of another key, or one that is used up."""
    if budget.key_id != _words(secret):
        raise ValueError(
            "a budget of another secret key was given; releases are counted for each key: give the budget of "
            "this one."
        )
    if budget.left < 1:
        raise ValueError(
            f"all {budget.releases} releases of this secret key are used up: one more would show more of its "
            f"noise than was allowed for. Make new keys, and a budget of as many releases as are needed."
        )


def _check_resolution(numbers: Any, deviation: float) -> None:
    """Refuse noise so small that float64 would round it, and with it what it is to hide."""
    largest = float(np.max(np.abs(numbers), initial=0.0))
    if deviation < _RESOLUTION * largest:
        raise ValueError(
            f"noise of {deviation:.2g} was to be added to numbers of {largest:.2g}, and float64 has not "
            f"so many digits; give a larger noise_bound, which also covers the rounding of decoding."
        )
