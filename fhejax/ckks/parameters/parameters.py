"""CKKS parameters: a ring, primes, levels and canonical scales, checked for security when made."""

import dataclasses
import functools
import hashlib
import math
from fractions import Fraction

from fhejax.ckks.parameters.deviations import fresh_deviation, rescale_deviation
from fhejax.ckks.parameters.level_table import (
    PRIME_BITS,
    RATIONAL_BITS,
    LevelTable,
    chain,
    moved_primes,
    primes_of_product,
    rational_chain,
    split_bits,
)
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.parameters.security import check_security, maximum_modulus_bits, security_level
from fhejax.ring import Ring, Twiddles, check_ring, modulus_bits, twiddles

_SPARE_BITS = 0.1  # below 2**30, so that a prime may be larger than its level asks for
_DIGITS = (3, 4, 5, 6)  # of a key switch
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

    def limb_range(self, level: int) -> tuple[int, int]:
        """[start, stop) of the level's primes among `moduli`: every level is one run of them."""
        indices = self.levels[level]
        return indices[0], indices[-1] + 1

    def contains(self, level: int, lower: int) -> bool:
        """Whether the primes of the lower level are all in use at the higher one, so that a drop is free."""
        (first, last), (start, stop) = self.limb_range(level), self.limb_range(lower)
        return first <= start and stop <= last

    def key_range(self, level: int) -> tuple[int, int]:
        """[start, stop) of the primes that any level up to `level` has: those of a key made for it."""
        ranges = [self.limb_range(lower) for lower in range(level + 1)]
        return min(start for start, _ in ranges), max(stop for _, stop in ranges)

    def digit_ranges(self, level: int) -> list[tuple[int, int]]:
        """[start, stop) among `moduli` of the primes of each digit that a level has.

        Digits are fixed runs of `digit_size` primes, so that one key serves every level.
        """
        first, last = self.limb_range(level)
        size = self.digit_size
        starts = range(first // size * size, last, size)
        return [(max(start, first), min(start + size, last)) for start in starts]

    def switching_key_bytes(self, level: int | None = None) -> int:
        """Bytes that travel of one key made for `level`, by default the highest: a body and 32 of seed.

        In memory, where the seed is expanded, the body counts twice.
        """
        start, stop = self.key_range(self.depth if level is None else level)
        digits = -(-stop // self.digit_size) - start // self.digit_size
        return 4 * digits * (stop - start + len(self.special)) * self.ring.degree + 32

    def rescale_factor(self, level: int, target_level: int) -> Fraction:
        """What a rescale divides by: the primes dropped over those brought back."""
        dropped, added = moved_primes(self.moduli, self.levels[level], self.levels[target_level])
        return Fraction(math.prod(dropped), math.prod(added))

    def settle(self, level: int, scale: Scale) -> Scale:
        """The level's own scale where `scale` is equal to it but for rounding, else `scale`."""
        return self.scales[level] if scale.is_close(self.scales[level]) else scale

    @functools.cached_property
    def fingerprint(self) -> bytes:
        """32 bytes that name these parameters in files and errors (BLAKE2b of all fields)."""
        return hashlib.blake2b(repr(dataclasses.astuple(self)).encode(), digest_size=32).digest()

    @functools.cached_property
    def _hash(self) -> int:
        return hash(self.fingerprint)

    def __hash__(self) -> int:
        return self._hash  # parameters are compared at every call of a compiled function

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Parameters) and self.fingerprint == other.fingerprint

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
            try:
                return _for_scale(ring, depth, wished, security)
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
        megabytes = f"{self.switching_key_bytes() / 1e6:.2f} MB"
        keys = f"relinearisation key {megabytes}, rotation key {megabytes}" if self.special else "no keys"
        return (
            f"Parameters(N=2**{self.ring.degree.bit_length() - 1} {kind}, slots={self.slots}, "
            f"log2 QP={self.modulus_bits:.1f} (limit {limit}), {level}, depth={self.depth}, "
            f"scale={self.scales[-1]}, limbs={len(self.moduli)}+{len(self.special)}, {keys})"
        )


def twiddles_of(params: Parameters) -> Twiddles:
    """Those of all primes of Q and P: an argument of every kernel that has a transform in it."""
    return twiddles(params.ring, params.moduli + params.special)


def _noise_bits(ring: Ring) -> float:
    """log2 of the standard deviation in a slot that one rescale or fresh encryption leaves."""
    return math.log2(math.hypot(rescale_deviation(ring), fresh_deviation(ring)))


def _for_scale(ring: Ring, depth: int, bits: float, security: int) -> Parameters:
    """Levels of at least `bits`: one prime, rational rescaling, or two primes, whichever is smallest."""
    fitting = [b for b in RATIONAL_BITS if PRIME_BITS - _SPARE_BITS < bits <= 0.99 * b]
    if fitting:
        return make_rational_parameters(ring, depth, fitting[0], security=security)
    bits = _attainable_bits(ring, bits)
    return make_parameters(ring, [bits] * depth, bits, security=security)


def _attainable_bits(ring: Ring, bits: float) -> float:
    """The smallest scale of at least `bits` whose levels find primes close enough to it.

    In a large ring, primes of a level that takes several are scarce unless they are large.
    """
    if bits <= PRIME_BITS - _SPARE_BITS:
        return bits
    dense = math.log2(ring.root_order) + _DENSE_BITS
    count = math.ceil(bits / (PRIME_BITS - _SPARE_BITS))
    return max(bits, count * min(dense, PRIME_BITS - _SPARE_BITS))


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
        digit_size: primes in one digit of the key switch: by default a third of all, or less down to a
            sixth where only that is secure. P is as large as the largest digit, and 5 bits larger where
            a digit has several primes.
        security: 128, 192, 256, or 0 for none.

    Raises:
        ValueError: when log2 QP is above the table's limit, or there are too few primes.
    """
    check_ring(ring)
    base = scale_bits + 4 if base_bits is None else base_bits
    table = chain(ring, level_bits, scale_bits, base)
    return parameters_of_table(ring, table, key_switching, digit_size, security)


def make_rational_parameters(
    ring: Ring,
    depth: int,
    scale_bits: int,
    *,
    key_switching: bool = True,
    digit_size: int | None = None,
    security: int = 128,
) -> Parameters:
    """Parameters of rational rescaling: levels of 35, 40 or 45 bits from primes of 25 and 30.

    Args and errors as `make_parameters`; the scale is 1% of its bits below the nominal one.
    """
    check_ring(ring)
    return parameters_of_table(
        ring, rational_chain(ring, depth, scale_bits), key_switching, digit_size, security
    )


def parameters_of_table(
    ring: Ring, table: LevelTable, key_switching: bool, digit_size: int | None, security: int
) -> Parameters:
    """Parameters of a level table: P is chosen, and the whole checked for security.

    Args and errors as `make_parameters`.
    """
    moduli = table.moduli
    sizes = _digit_sizes(len(moduli)) if digit_size is None else (digit_size,)
    for size in sizes:
        special = _special_primes(ring, moduli, size) if key_switching else ()
        # More digits make slower keys, but half the ring.
        if not security or math.prod(moduli + special) <= 1 << maximum_modulus_bits(ring.degree, security):
            break
    else:
        check_security(ring.degree, moduli + special, security)
    return Parameters(ring, moduli, special, table.levels, table.scales, size, security)


def _digit_sizes(count: int) -> tuple[int, ...]:
    """A third of the primes in each digit, then less."""
    return tuple(sorted({-(-count // digits) for digits in _DIGITS}, reverse=True))


def _special_primes(ring: Ring, moduli: tuple[int, ...], digit_size: int) -> tuple[int, ...]:
    digits = (moduli[i : i + digit_size] for i in range(0, len(moduli), digit_size))
    largest = max(map(modulus_bits, digits))
    sizes = split_bits(PRIME_BITS if digit_size == 1 else largest + 5)
    return primes_of_product(ring, sum(sizes), len(sizes), moduli)


def insecure_parameters(
    degree: int,
    depth: int,
    scale_bits: float = 26,
    *,
    real: bool = True,
    rational: bool = False,
    **options: object,
) -> Parameters:
    """Parameters of a ring too small to be secure, for tests only; every report says so."""
    ring = Ring(degree, real)
    if rational:
        return make_rational_parameters(ring, depth, int(scale_bits), security=0, **options)
    return make_parameters(ring, [scale_bits] * depth, scale_bits, security=0, **options)


def security_of(parameters: Parameters) -> int:
    """The security level that the table grants to these parameters: 256, 192, 128 or 0."""
    product = math.prod(parameters.moduli + parameters.special)
    return security_level(parameters.ring.degree, product)
