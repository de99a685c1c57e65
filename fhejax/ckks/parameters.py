"""CKKS parameters: a ring, primes, levels and canonical scales, checked for security when made."""

import dataclasses
import functools
import hashlib
import math

from fhejax.ckks.noise import fresh_deviation, rescale_deviation
from fhejax.ckks.scale import Scale
from fhejax.ckks.security import check_security, maximum_modulus_bits, security_level
from fhejax.ring import Ring, check_ring, modulus_bits, ntt_primes

_PRIME_BITS = 30
_SMALLEST_PRIME_BITS = 20


@dataclasses.dataclass(frozen=True)
class Parameters:
    """Immutable and hashable; a static field of every ciphertext, key and plaintext.

    Attributes:
        ring: degree and kind (conjugate-invariant: N real slots; standard: N/2 complex slots).
        moduli: every prime of Q, each below 2**30.
        special: the primes of P, which exist in switching keys only.
        levels: level -> indices into `moduli` of the primes in use there; level 0 is the last.
        scales: level -> canonical scale, so that scale_l**2 / (primes dropped) = scale_(l-1).
        digit_size: primes in one digit of the hybrid key switch.
        security: 128, 192 or 256; 0 only from `insecure_parameters`.
    """

    ring: Ring
    moduli: tuple[int, ...]
    special: tuple[int, ...]
    levels: tuple[tuple[int, ...], ...]
    scales: tuple[Scale, ...]
    digit_size: int
    security: int

    @property
    def slots(self) -> int:
        """How many numbers one ciphertext holds."""
        return self.ring.slots

    @property
    def depth(self) -> int:
        """Levels that can be spent: the highest level."""
        return len(self.levels) - 1

    @property
    def modulus_bits(self) -> float:
        """log2 of the largest modulus any key uses, Q P."""
        return modulus_bits(self.moduli + self.special)

    def level_moduli(self, level: int) -> tuple[int, ...]:
        """The primes in use at `level`.

        Raises:
            ValueError: when there is no such level.
        """
        if not 0 <= level <= self.depth:
            raise ValueError(
                f"level {level} was asked for; these parameters have levels 0 to {self.depth}. Make "
                f"parameters of more depth, or spend fewer levels."
            )
        return tuple(self.moduli[i] for i in self.levels[level])

    @functools.cached_property
    def fingerprint(self) -> bytes:
        """32 bytes that name these parameters in files and errors (BLAKE2b of all fields)."""
        return hashlib.blake2b(repr(dataclasses.astuple(self)).encode(), digest_size=32).digest()

    @staticmethod
    def for_depth(
        depth: int,
        *,
        slots: int = 8192,
        precision_bits: float = 12,
        real: bool = True,
        security: int = 128,
    ) -> "Parameters":
        """Parameters for `depth` multiplications of `slots` numbers in (-1, 1).

        Args:
            depth: multiplications in a row, each followed by a rescale.
            slots: numbers needed in one ciphertext, a power of two.
            precision_bits: bits left at the output, mean.
            real: real slots in the conjugate-invariant ring (half the size), or complex ones.
            security: 128, 192 or 256.

        Raises:
            ValueError: when no ring up to degree 2**17 is secure with the modulus this needs.
        """
        found = "none was tried"
        for log_degree in range(12, 18):
            ring = Ring(2**log_degree, real)
            if ring.slots < slots:
                continue
            scale_bits = precision_bits + _noise_bits(ring) + math.log2(depth + 2) / 2
            limit = maximum_modulus_bits(ring.degree, security)
            found = f"at N = 2**{log_degree} log2 QP may be {limit}"
            if _needed_bits(depth, scale_bits) <= limit:
                return make_parameters(ring, [scale_bits] * depth, scale_bits, security=security)
        raise ValueError(
            f"depth {depth} at {precision_bits} bits with {slots} slots was asked for; no ring up to "
            f"degree 2**17 holds it at {security}-bit security ({found}). Lower the depth or the "
            f"precision, or bootstrap."
        )

    def __repr__(self) -> str:
        kind = "conjugate-invariant" if self.ring.conjugate_invariant else "standard"
        level = f"{self.security}-bit security" if self.security else "INSECURE, for tests only"
        limit = maximum_modulus_bits(self.ring.degree, self.security) if self.security else "none"
        return (
            f"Parameters(N=2**{self.ring.degree.bit_length() - 1} {kind}, slots={self.slots}, "
            f"log2 QP={self.modulus_bits:.1f} (limit {limit}), {level}, depth={self.depth}, "
            f"scale={self.scales[-1]}, limbs={len(self.moduli)}+{len(self.special)})"
        )


def _noise_bits(ring: Ring) -> float:
    """log2 of the standard deviation in a slot that one rescale or fresh encryption leaves."""
    return math.log2(math.hypot(rescale_deviation(ring), fresh_deviation(ring)))


def _needed_bits(depth: int, scale_bits: float) -> float:
    """log2 QP: the levels, a base that holds values below 8, and two digits' worth of P."""
    chain = scale_bits * depth + scale_bits + 4
    return chain + 1 + _special_bits(chain, scale_bits)


def _special_bits(chain: float, scale_bits: float) -> float:
    """P: as large as one digit (a third of Q) and 5 bits, so that the key switch adds little."""
    return min(chain, max(chain / 3 + 5, scale_bits + 5))


def make_parameters(
    ring: Ring,
    level_bits: list[float],
    scale_bits: float,
    *,
    base_bits: float | None = None,
    key_switching: bool = True,
    digit_size: int | None = None,
    security: int = 128,
) -> Parameters:
    """Parameters from the sizes of levels: what `for_depth` and the planner of programs call.

    Args:
        ring: degree and kind.
        level_bits: log2 of what each level drops, first dropped first; above 30 bits a level takes
            several primes.
        scale_bits: log2 of the canonical scale at the highest level.
        base_bits: log2 of the modulus at level 0; by default the scale and 4 bits.
        key_switching: whether any key is made; without one there is no P.
        digit_size: primes in one digit of the key switch (by default a third of all). P is as large as
            the largest digit, and 5 bits larger where a digit has several primes.
        security: 128, 192, 256, or 0 for none.

    Raises:
        ValueError: when log2 QP is above the table's limit, or there are too few primes.
    """
    check_ring(ring)
    base = scale_bits + 4 if base_bits is None else base_bits
    groups = [_split_bits(b) for b in (base, *reversed(level_bits))]
    sizes = [size for group in groups for size in group]
    digit_size = digit_size or max(1, -(-len(sizes) // 3))
    special_sizes: list[float] = []
    if key_switching:
        largest = max(sum(sizes[i : i + digit_size]) for i in range(0, len(sizes), digit_size))
        special_sizes = _split_bits(_PRIME_BITS if digit_size == 1 else largest + 5)
    primes = _choose_primes(ring, (*sizes, *special_sizes))
    moduli, special = primes[: len(sizes)], primes[len(sizes) :]
    if security:
        check_security(ring.degree, moduli + special, security)
    levels, used = [], 0
    for group in groups:
        used += len(group)
        levels.append(tuple(range(used)))
    scales = _canonical_scales(moduli, levels, scale_bits)
    return Parameters(ring, moduli, special, tuple(levels), scales, digit_size, security)


def insecure_parameters(
    degree: int, depth: int, scale_bits: float = 26, *, real: bool = True, **options: object
) -> Parameters:
    """Parameters of a ring too small to be secure, for tests only; every report says so."""
    ring = Ring(degree, real)
    return make_parameters(ring, [scale_bits] * depth, scale_bits, security=0, **options)


def _split_bits(bits: float) -> list[float]:
    """Equal prime sizes, each at most 30 bits, that add up to `bits`."""
    count = max(1, math.ceil((bits - 0.01) / _PRIME_BITS))
    return [max(bits / count, _SMALLEST_PRIME_BITS - 4)] * count


def _choose_primes(ring: Ring, sizes: tuple[float, ...]) -> tuple[int, ...]:
    chosen: tuple[int, ...] = ()
    for size in sizes:
        chosen += ntt_primes(size, ring.root_order, 1, chosen)
    return chosen


def _canonical_scales(
    moduli: tuple[int, ...], levels: list[tuple[int, ...]], scale_bits: float
) -> tuple[Scale, ...]:
    """scale_(l-1) = scale_l**2 / (primes that level l drops), from the top down."""
    scales = [Scale.of(2.0**scale_bits)]
    for level in range(len(levels) - 1, 0, -1):
        dropped = math.prod(moduli[i] for i in set(levels[level]) - set(levels[level - 1]))
        scales.append(scales[-1] * scales[-1] / dropped)
    return tuple(reversed(scales))


def security_of(parameters: Parameters) -> int:
    """The security level that the table grants to these parameters: 256, 192, 128 or 0."""
    product = math.prod(parameters.moduli + parameters.special)
    return security_level(parameters.ring.degree, product)
