"""CKKS parameters: a ring, primes, levels and canonical scales, checked for security when made."""

import dataclasses
import functools
import hashlib
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from fhejax.ckks.parameters.byte_format import pack_parameters
from fhejax.ckks.parameters.deviations import fresh_deviation, rescale_deviation
from fhejax.ckks.parameters.level_table import (
    LARGEST_LEVEL_BITS,
    MOST_PRIMES,
    PRIME_BITS,
    RATIONAL_BITS,
    LevelTable,
    chain,
    checked_sizes,
    moved_primes,
    rational_chain,
)
from fhejax.ckks.parameters.options import ParameterOptions
from fhejax.ckks.parameters.requested_numbers import (
    flag,
    instance,
    is_whole,
    real_number,
    shown,
    whole_number,
)
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.parameters.security import (
    check_security,
    maximum_modulus_bits,
    security_level,
)
from fhejax.ckks.parameters.special_modulus import special_primes
from fhejax.ckks.parameters.validity import check_parameters
from fhejax.ring import Ring, Twiddles, check_ring, modulus_bits, twiddles

_DEFAULTS = ParameterOptions()
_SPARE_BITS = 0.1  # below 2**30, so that a prime may be larger than its level asks for
_DIGITS = (3, 4, 5, 6)  # of a key switch
_LARGEST_PRECISION = 52  # of the numbers that are decoded
_HOPELESS_BITS = 64, 1.25  # beyond the limit, and times it: no search for primes comes back from there
_SMALLEST_BITS = 4  # beyond the order of the root: there are no primes much below
_DENSE_BITS = 9  # beyond the order of the root: primes are then closer together than 3%


@dataclasses.dataclass(frozen=True)
class Parameters:
    """Immutable and hashable; a static field of every ciphertext, key and plaintext.

    Whatever way they are made, they are checked: by `make_parameters`, `dataclasses.replace` or from a file.

    Attributes:
        ring: degree and kind (conjugate-invariant: N real slots; standard: N/2 complex slots).
        moduli: every prime of Q, each below 2**30.
        special: the primes of P, which exist in switching keys only.
        levels: level -> indices into `moduli` of the primes in use there; level 0 is the last.
        scales: level -> canonical scale, so that scale_l**2 / (primes dropped) = scale_(l-1).
        digit_size: primes in one digit of the hybrid key switch; no digit is larger than P.
        insecure: whether less than 128 bits of security is permitted, for tests only.

    Raises:
        ValueError: fields that no parameters have, or a digit larger than P.
        SecurityError: less than 128 bits of security, and `insecure` is not True.
    """

    ring: Ring
    moduli: tuple[int, ...]
    special: tuple[int, ...]
    levels: tuple[tuple[int, ...], ...]
    scales: tuple[Scale, ...]
    digit_size: int
    insecure: bool = False

    def __post_init__(self) -> None:
        check_parameters(self)

    @functools.cached_property
    def security(self) -> int:
        """Bits of security that the table grants to ring and modulus: 256, 192, 128, or 0 for less."""
        return security_level(self.ring.degree, math.prod(self.moduli + self.special))

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
        """32 bytes that name these parameters in files and errors: BLAKE2b of their file format."""
        return hashlib.blake2b(pack_parameters(self), digest_size=32).digest()

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
        insecure: bool = False,
    ) -> "Parameters":
        """Parameters for `depth` multiplications of `slots` numbers in (-1, 1), in the smallest secure ring.

        Args:
            depth: multiplications in a row, each followed by a rescale.
            slots: numbers needed in one ciphertext, at least 1.
            precision_bits: bits left at the output, mean: from 0 to the 52 of double precision.
            real: real slots in the conjugate-invariant ring (half the size), or complex ones.
            security: 128, 192 or 256 bits that are reached, or more.
            insecure: True takes the smallest ring of the slots, whatever its security, for tests only.

        Raises:
            ValueError: numbers that are out of range, or when no ring up to degree 2**17 is secure with the
                modulus this needs.
            SecurityError: another level of security.
        """
        depth = whole_number("depth", depth, 0, MOST_PRIMES - 1)
        slots = whole_number("slots", slots, 1, 2**62)
        precision_bits = real_number("precision_bits", precision_bits, 0, _LARGEST_PRECISION)
        flag("real", real)
        options = ParameterOptions(security=security, insecure=insecure)
        found = "none has so many slots"
        for log_degree in range(12, 18):
            ring = Ring(2**log_degree, real)
            if ring.slots < slots:
                continue
            wished = precision_bits + _noise_bits(ring) + math.log2(depth + 2) / 2
            try:
                return _for_scale(ring, depth, wished, options)
            except ValueError as error:  # not secure, or too few primes
                found = f"at N = 2**{log_degree}: {str(error).rstrip('.')}"
        raise ValueError(
            f"depth {depth} at {precision_bits:g} bits with {slots} slots was asked for; no ring up to "
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
    """The twiddles of all primes of Q and P: an argument of every kernel that has a transform in it."""
    return twiddles(params.ring, params.moduli + params.special)


def _noise_bits(ring: Ring) -> float:
    """log2 of the standard deviation in a slot that one rescale or fresh encryption leaves."""
    return math.log2(math.hypot(rescale_deviation(ring), fresh_deviation(ring)))


def _for_scale(ring: Ring, depth: int, bits: float, options: ParameterOptions) -> Parameters:
    """Levels of at least `bits`: one prime, rational rescaling, or two primes, whichever is smallest."""
    fitting = [b for b in RATIONAL_BITS if PRIME_BITS - _SPARE_BITS < bits <= 0.99 * b]
    if fitting:
        return make_parameters(ring, depth, fitting[0], dataclasses.replace(options, rational=True))
    return make_parameters(ring, depth, _attainable_bits(ring, bits), options)


def _attainable_bits(ring: Ring, bits: float) -> float:
    """The smallest scale of at least `bits` whose levels find primes close enough to it.

    In a large ring there are no small primes, and those of a level that takes several are scarce unless they
    are large.
    """
    if bits <= PRIME_BITS - _SPARE_BITS:
        return max(bits, math.log2(ring.root_order) + _SMALLEST_BITS)
    dense = math.log2(ring.root_order) + _DENSE_BITS
    count = math.ceil(bits / (PRIME_BITS - _SPARE_BITS))
    return max(bits, count * min(dense, PRIME_BITS - _SPARE_BITS))


def make_parameters(
    ring: Ring, levels: int | Sequence[float], scale_bits: float, options: ParameterOptions = _DEFAULTS
) -> Parameters:
    """Parameters from the sizes of levels: what `for_depth` and the planner of programs call.

    Args:
        ring: degree and kind.
        levels: how many, each of the scale's size; or log2 of what each of them drops, first dropped first,
            from 16. Above 30 bits a level takes several primes.
        scale_bits: log2 of the canonical scale at the highest level; with rational rescaling the scale is 1%
            of its bits below.
        options: all else that can be chosen.

    Raises:
        ValueError: numbers that are out of range, or too few primes.
        SecurityError: log2 QP above the table's limit.
    """
    check_ring(ring)
    instance("options", options, ParameterOptions)
    if options.rational:
        depth = whole_number("levels", levels, 0, MOST_PRIMES - 1)  # no list: levels are all alike
        scale_bits = real_number("scale_bits", scale_bits, 1, LARGEST_LEVEL_BITS)
        check_modulus_size(ring, 0.99 * scale_bits * depth, options)
        return parameters_of_table(ring, rational_chain(ring, depth, scale_bits, options.base_bits), options)
    sizes = checked_sizes(_level_bits(levels, scale_bits), scale_bits, options.base_bits)
    check_modulus_size(ring, sum(sizes.levels) + sizes.base, options)
    return parameters_of_table(ring, chain(ring, *sizes), options)


def _level_bits(levels: int | Sequence[float], scale_bits: float) -> list[float]:
    """The size of each level.

    Raises:
        ValueError: what is neither a number of levels nor their sizes.
    """
    if is_whole(levels):
        return [scale_bits] * whole_number("levels", levels, 0, MOST_PRIMES - 1)
    if not isinstance(levels, Iterable):
        raise ValueError(
            f"levels={shown(levels)} was asked for; it is a number of levels, or a list of their sizes in "
            f"bits: give one of the two."
        )
    return list(levels)


def check_modulus_size(ring: Ring, bits: float, options: ParameterOptions) -> None:
    """Refuse a modulus Q that is far too large for any security, before a search for its primes.

    Raises:
        SecurityError: as `check_security`.
    """
    if options.insecure:
        return
    limit = maximum_modulus_bits(ring.degree, options.security)
    if bits > max(limit + _HOPELESS_BITS[0], limit * _HOPELESS_BITS[1]):
        check_security(ring.degree, [1 << int(bits)], options.security)


def parameters_of_table(ring: Ring, table: LevelTable, options: ParameterOptions) -> Parameters:
    """Parameters of a level table: P is chosen, and the whole checked for security.

    Raises:
        ValueError: too few primes for P.
        SecurityError: log2 QP above the table's limit.
    """

    def of_digits(size: int) -> Parameters:
        special = special_primes(ring, table.moduli, size) if options.key_switching else ()
        if not options.insecure:
            check_security(ring.degree, table.moduli + special, options.security)
        return Parameters(ring, table.moduli, special, table.levels, table.scales, size, options.insecure)

    given = options.digit_size
    sizes = _digit_sizes(len(table.moduli)) if given is None else (given,)
    for size in sizes[:-1]:
        try:
            return of_digits(size)
        except ValueError:  # more digits make slower keys, but half the ring
            continue
    return of_digits(sizes[-1])


def _digit_sizes(count: int) -> tuple[int, ...]:
    """A third of the primes in each digit, then less."""
    return tuple(sorted({-(-count // digits) for digits in _DIGITS}, reverse=True))


def insecure_parameters(
    degree: int,
    depth: int,
    scale_bits: float = 26,
    *,
    real: bool = True,
    rational: bool = False,
    base_bits: float | None = None,
    key_switching: bool = True,
    digit_size: int | None = None,
) -> Parameters:
    """Parameters of a ring too small to be secure, for tests only; every report says so.

    Args:
        degree: N, a power of two from 16.
        depth: levels, each of the scale's size.
        scale_bits: log2 of the scale.
        real: the conjugate-invariant ring, or the standard one.
        rational: levels by rational rescaling.
        base_bits: log2 of the modulus at level 0, as in `ParameterOptions`.
        key_switching: whether any key is made.
        digit_size: primes in one digit of the key switch, as in `ParameterOptions`.

    Raises:
        ValueError: numbers that are out of range, or too few primes.
    """
    ring = Ring(degree, real)
    depth = whole_number("depth", depth, 0, MOST_PRIMES - 1)
    options = ParameterOptions(rational, base_bits, key_switching, digit_size, insecure=True)
    return make_parameters(ring, depth, scale_bits, options)
