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
_SPARE_BITS = 0.1  # below 2**30, so that a prime may be larger than its level asks for
_DENSE_BITS = 9  # beyond the order of the root: primes are then closer together than 3%


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
            ValueError: a negative depth, or when no ring up to degree 2**17 is secure with the
                modulus this needs.
        """
        if depth < 0:
            raise ValueError(f"depth {depth} was asked for; a depth is 0 or more.")
        found = "none has so many slots"
        for log_degree in range(12, 18):
            ring = Ring(2**log_degree, real)
            if ring.slots < slots:
                continue
            wished = precision_bits + _noise_bits(ring) + math.log2(depth + 2) / 2
            scale_bits = _attainable_bits(ring, wished)
            try:
                return make_parameters(ring, [scale_bits] * depth, scale_bits, security=security)
            except ValueError as error:  # not secure, or too few primes
                found = f"at N = 2**{log_degree}: {str(error).rstrip('.')}"
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


def _attainable_bits(ring: Ring, bits: float) -> float:
    """The smallest scale of at least `bits` whose levels find primes close enough to it.

    In a large ring, primes of a level that takes several are scarce unless they are large.
    """
    if bits <= _PRIME_BITS - _SPARE_BITS:
        return bits
    dense = math.log2(ring.root_order) + _DENSE_BITS
    count = math.ceil(bits / (_PRIME_BITS - _SPARE_BITS))
    return max(bits, count * min(dense, _PRIME_BITS - _SPARE_BITS))


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
    moduli, special = _choose_primes(ring, groups, special_sizes)
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


def _choose_primes(
    ring: Ring, groups: list[list[float]], special_sizes: list[float]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The primes of Q, those of the lowest level first, and of P.

    From the top down, each level makes up for what the scale is off by: since a level squares the
    scale, the error would double at every level.
    """
    moduli: tuple[int, ...] = ()
    error = 0.0  # log2 of the scale so far over the one intended
    for sizes in reversed(groups[1:]):
        wished = sum(sizes) + 2 * error
        level = _primes_of_product(ring, wished, len(sizes), moduli)
        moduli = level + moduli
        error = wished - modulus_bits(level)
    moduli = _primes_of_product(ring, sum(groups[0]), len(groups[0]), moduli) + moduli
    special = _primes_of_product(ring, sum(special_sizes), len(special_sizes), moduli)
    return moduli, special


def _primes_of_product(ring: Ring, bits: float, count: int, excluded: tuple[int, ...]) -> tuple[int, ...]:
    """`count` primes of about equal size whose product is close to 2**bits."""
    chosen: tuple[int, ...] = ()
    for missing in range(count, 0, -1):
        size = min((bits - modulus_bits(chosen)) / missing, float(_PRIME_BITS))
        chosen += ntt_primes(size, ring.root_order, 1, excluded + chosen)
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
