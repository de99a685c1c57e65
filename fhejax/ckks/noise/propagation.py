"""First-order propagation of noise with shared sources, one ciphertext at a time.

The error in slot j is a sum over sources of g[j] n[j]. A source is one encryption, rounding or key
switch; its noise n has mean zero, is independent from slot to slot, and has unit variance in the real part
(and in the imaginary one, in the standard ring). The gain g follows from the circuit: a product x y has gains
g_x y + g_y x.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fhejax.ring import Ring

_SOURCES_KEPT = (128, 512)  # at least, and at most
_GAINS_KEPT = 1 << 22  # numbers of a message: 64 MB


class NoiseSource(NamedTuple):
    """Where noise came from: the operation, and a digest of what went into it.

    Operations being deterministic, computing the same thing twice names the same source twice.
    """

    operation: str
    identity: bytes


@dataclasses.dataclass(frozen=True)
class Message:
    """What one ciphertext holds: values [slots], their identity, and the gain [slots] of each source.

    A source appears under the automorphism that it went through, X -> X^exponent: moved to other slots it
    is a different vector, and moved back the same.
    """

    values: np.ndarray
    identity: bytes
    gains: Mapping[tuple[NoiseSource, int], np.ndarray]

    def variance(self) -> np.ndarray:
        """The error's variance, float64 [slots]: the mean of real and imaginary part's, if it is complex."""
        return sum((np.abs(gain) ** 2 for gain in self.gains.values()), np.zeros(len(self.values)))

    def real_variance(self, ring: Ring) -> np.ndarray:
        """The variance of the error's real part, float64 [slots]: a source and its conjugate share theirs."""
        total = self.variance()
        for (source, exponent), gain in self.gains.items():
            conjugate = self.gains.get((source, -exponent % ring.root_order))
            if conjugate is not None:
                total += np.real(gain * conjugate)
        return total


def digest(*parts: Any) -> bytes:
    """16 bytes that name a deterministic result by what it was made from."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()


def with_source(message: Message, gain: float | np.ndarray, operation: str, *details: Any) -> Message:
    """`message` with new noise of standard deviation `gain`, from an operation with these details."""
    identity = digest(operation, details, message.identity)
    gain = np.broadcast_to(gain, message.values.shape)
    gains = {**message.gains, (NoiseSource(operation, identity), 1): gain}
    return Message(message.values, identity, gains)


def weighted_messages(terms: Iterable[tuple[complex | np.ndarray, Message]], slots: int) -> Message:
    """The sum of weight * message, weights being exact: numbers, or arrays [slots].

    Terms may be made one by one: none is kept, and each may take hundreds of megabytes.
    """
    values, names, gains = np.zeros(slots), [], {}
    for weight, message in terms:
        values = values + weight * message.values
        names.append((np.asarray(weight).tobytes(), message.identity))
        _add_gains(gains, weight, message)
        del message  # before the next one is made
    return Message(values, digest("sum", names), _limited(gains))


def _add_gains(gains: dict, weight: complex | np.ndarray, message: Message) -> None:
    """Add gains to a dictionary that is being made."""
    for key, gain in message.gains.items():
        gains[key] = gains[key] + weight * gain if key in gains else weight * gain


def _limited(gains: dict) -> dict:
    """The sources, at most as many as `_GAINS_KEPT` allows: beyond, the smaller half becomes one of its own.

    Nothing shares that one: a sum in which the merged sources would meet is predicted as if they did not.
    """
    fewest, most = _SOURCES_KEPT
    slots = max((gain.size for gain in gains.values()), default=1)
    kept_sources = min(most, max(fewest, _GAINS_KEPT // slots))
    if len(gains) <= kept_sources:
        return gains
    order = sorted(gains, key=lambda key: -np.sum(np.abs(gains[key]) ** 2))
    kept, merged = order[: kept_sources // 2], order[kept_sources // 2 :]
    total = np.sqrt(sum(np.abs(gains[key]) ** 2 for key in merged))
    return {key: gains[key] for key in kept} | {
        (NoiseSource("several small sources", digest(merged)), 1): total
    }


def product(first: Message, second: Message, ring: Ring) -> Message:
    """Slot by slot; the product of both errors becomes a source of its own."""
    gains: dict = {}
    _add_gains(gains, second.values, first)
    _add_gains(gains, first.values, second)
    gains = _limited(gains)
    identity = digest("product", first.identity, second.identity)
    moment = _moment_of_product(first, second, ring)
    if moment.any():
        gains[NoiseSource("products of errors", identity), 1] = np.sqrt(moment)
    return Message(first.values * second.values, identity, gains)


def _moment_of_product(first: Message, second: Message, ring: Ring) -> np.ndarray:
    """E[(e f)^2] of the two errors in each slot, as of normal variables.

    With variances v and w and a covariance c: v w + 2 c^2 for real errors and, for each part of complex
    ones whose phase is uniform, 2 (v w + |c|^2).
    """
    apart = first.variance() * second.variance()
    shared = [gain * np.conj(second.gains[k]) for k, gain in first.gains.items() if k in second.gains]
    together = np.abs(sum(shared, np.zeros(1))) ** 2
    return apart + 2 * together if ring.conjugate_invariant else 2 * (apart + together)


def permuted(message: Message, ring: Ring, exponent: int) -> Message:
    """X -> X^exponent: slots move, and are conjugated where the exponent says so."""
    source, conjugated = _slot_permutation(ring, exponent % ring.root_order)

    def move(slots: np.ndarray) -> np.ndarray:
        return np.where(conjugated, np.conj(slots[source]), slots[source])

    gains = {(s, _composed(ring, e, exponent)): move(gain) for (s, e), gain in message.gains.items()}
    return Message(move(message.values), digest("automorphism", exponent, message.identity), gains)


def _composed(ring: Ring, first: int, second: int) -> int:
    """The exponent of two automorphisms; X -> 1/X does nothing in the conjugate-invariant ring."""
    exponent = first * second % ring.root_order
    return min(exponent, ring.root_order - exponent) if ring.conjugate_invariant else exponent


@functools.cache
def _slot_permutation(ring: Ring, exponent: int) -> tuple[np.ndarray, np.ndarray]:
    """The slot from which each slot is read, and whether it is conjugated on the way."""
    if exponent % 2 == 0:
        raise ValueError(f"X -> X^{exponent} is no automorphism; the exponent must be odd.")
    exponents = ring.slot_exponents()
    slot = np.empty(ring.root_order, np.int32)
    conjugate = np.zeros(ring.root_order, bool)
    slot[-exponents % ring.root_order] = np.arange(ring.slots)
    conjugate[-exponents % ring.root_order] = not ring.conjugate_invariant
    slot[exponents] = np.arange(ring.slots)
    wanted = exponents * exponent % ring.root_order
    return slot[wanted], conjugate[wanted]
