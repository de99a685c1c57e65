"""The estimate of a batch of ciphertexts: values, noise, and whether they have outgrown the modulus."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from fhejax.ckks.encoding.canonical_embedding import largest_coefficients
from fhejax.ckks.noise.propagation import Message, weighted_messages
from fhejax.ckks.parameters import deviations
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.parameters.scale import Scale

_FAR_OUT = 6.0  # standard deviations, which none of 2**17 coefficients of noise is expected to exceed


class Overflow(NamedTuple):
    """The bits by which a coefficient outgrew half the modulus of a level."""

    level: int
    bits: float


@dataclasses.dataclass(frozen=True, repr=False)
class NoiseEstimate:
    """The shadow of a batch of ciphertexts: the exact values in their slots, and their noise to come.

    Every operation of `fhejax.ckks` takes one in place of a ciphertext (keys may then be None) and
    returns one, so that a circuit run on estimates predicts its own noise.

    messages: one for each ciphertext of the batch, flattened. components: 2, or 3 before relinearisation.
    divided_after: the overflow, if any, that a rescale or key switch on the way has met and made final.
    """

    messages: tuple[Message, ...]
    batch: tuple[int, ...]
    params: Parameters
    level: int
    scale: Scale
    components: int
    divided_after: Overflow | None = None

    @property
    def values(self) -> np.ndarray:
        """What the slots hold without noise: [*batch, slots], complex in the standard ring.

        Encoded operands are taken as they were rounded, which is counted among the noise, too.
        """
        return self._stack([message.values for message in self.messages])

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation of the error's real part in each slot: float64 [*batch, slots]."""
        ring = self.params.ring
        return self._stack([np.sqrt(message.real_variance(ring)) for message in self.messages])

    @property
    def precision_bits(self) -> float:
        """-log2 of the root mean square error over all slots and parts: what `precision(...).mean` finds."""
        return -log2(math.sqrt(np.mean([message.variance() for message in self.messages])))

    @property
    def head_room_bits(self) -> float:
        """log2 of half the modulus over the largest coefficient, noise of six deviations included.

        Negative where the message has outgrown the modulus: it has wrapped around, and a decryption at this
        level would give other numbers. At a higher level, or after a subtraction, it may fit again.
        """
        ring, share = self.params.ring, deviations.slot_deviation(self.params.ring, 1.0)
        with jax.enable_x64(True):
            largest = [float(largest_coefficients(jax.numpy.asarray(m.values), ring)) for m in self.messages]
        noise = [_FAR_OUT * math.sqrt(np.mean(m.variance())) / share for m in self.messages]
        return self._half_modulus_bits - log2(max(map(sum, zip(largest, noise, strict=True)), default=0.0))

    @property
    def _half_modulus_bits(self) -> float:
        """log2 of the largest number that a coefficient may hold: half the modulus over the scale."""
        return math.log2(math.prod(self.moduli)) - 1 - self.scale.bits

    @property
    def overflow(self) -> Overflow | None:
        """Where and by how much the message has outgrown the modulus: before a division, or now."""
        if self.divided_after is not None or self._surely_fits():
            return self.divided_after
        room = self.head_room_bits
        return Overflow(self.level, -room) if room < 0 else None

    def _surely_fits(self) -> bool:
        """Whether the mean magnitude of the slots, above which no coefficient is, fits: without a transform.

        Noise, which takes long to add up, is left the other half: as large as that it has drowned the
        message.
        """
        largest = max((float(np.mean(np.abs(message.values))) for message in self.messages), default=0.0)
        return log2(2 * largest) < self._half_modulus_bits

    @property
    def moduli(self) -> tuple[int, ...]:
        """The primes of the level."""
        return self.params.level_moduli(self.level)

    @property
    def domain(self) -> Literal["evaluation"]:
        """The domain of the ciphertexts that operations work on."""
        return "evaluation"

    @property
    def key_id(self) -> np.ndarray:
        """Zeros, the id of no secret: estimates go with each other, and are refused with ciphertexts."""
        return np.zeros(4, np.uint32)

    @property
    def shares(self) -> dict[str, float]:
        """The share of the variance that each kind of operation is the source of, largest first."""
        sums: dict[str, float] = {}
        for message in self.messages:
            for (source, _), gain in message.gains.items():
                sums[source.operation] = sums.get(source.operation, 0.0) + float(np.sum(np.abs(gain) ** 2))
        total = sum(sums.values()) or 1.0
        return {name: sums[name] / total for name in sorted(sums, key=sums.__getitem__, reverse=True)}

    def replace(self, **changes: Any) -> "NoiseEstimate":
        """A copy with some fields changed. Another scale reads the same polynomial as other values."""
        changed = dataclasses.replace(self, **changes)
        if changed.scale == self.scale:
            return changed
        ratio = float(self.scale / changed.scale)
        messages = (weighted_messages([(ratio, message)], self.params.slots) for message in self.messages)
        return dataclasses.replace(changed, messages=tuple(messages))

    def _stack(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(rows).reshape(*self.batch, -1)

    def __repr__(self) -> str:
        largest = next(iter(self.shares.items()), ("nothing", 1.0))
        return (
            f"NoiseEstimate of {math.prod(self.batch)} x {self.params.slots} values at level "
            f"{self.level}/{self.params.depth}, scale {self.scale}: {self.precision_bits:.1f} bits after the "
            f"point are right in the mean and {-log2(self.deviation.max()):.1f} in the worst slot; "
            f"{largest[1]:.0%} of the noise comes from {largest[0]}.{self._warning()}"
        )

    def _warning(self) -> str:
        found = self.overflow
        if found is None:
            return ""
        return f" BUT the values outgrew the modulus of level {found.level} by {found.bits:.1f} bits."


def log2(value: float) -> float:
    """The binary logarithm, minus infinity for zero."""
    return math.log2(value) if value else -math.inf
