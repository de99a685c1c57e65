"""Parameters of a ring with room to bootstrap: everything derived from what is wanted left afterwards.

From the top: levels for coefficients to slots; two-prime levels for the modular reduction; levels of the
user's own scale; levels for slots to coefficients; level 0. Slots to coefficients comes first in a
bootstrap, at the bottom of the modulus, where its keys and matrices are small (the order of thin
bootstrapping: Chen and Han, "Homomorphic lower digits removal and improved FHE bootstrapping", 2018). The
numbers in slots are then coefficients when they meet the modular reduction: its error is that of each number
by itself, whatever the others are, and noise in slots is not multiplied by sqrt(N) afterwards.
"""

import dataclasses
import functools
import math

from fhejax.approx import Polynomial
from fhejax.ckks.bootstrapping.cosine_interpolation import interpolate_cosine, reduction_error
from fhejax.ckks.bootstrapping.encapsulation import check_sparse_security, sparse_security
from fhejax.ckks.bootstrapping.fourier_factors import (
    coefficients_to_slots_factors,
    slots_to_coefficients_factors,
    split_stages,
)
from fhejax.ckks.bootstrapping.homomorphic_dft import factor_rotations
from fhejax.ckks.bootstrapping.modular_reduction import approximate_arcsine, modular_reduction_depth
from fhejax.ckks.bootstrapping.options import (
    BootstrappingOptions,
    check_bound,
    check_known_security,
    check_request,
)
from fhejax.ckks.bootstrapping.overflow_distribution import log2_failure_probability, smallest_bound
from fhejax.ckks.bootstrapping.predicted_time import predicted_seconds, transform_stages
from fhejax.ckks.bootstrapping.reduction_choice import choose_reduction
from fhejax.ckks.keys.manifest import KeyBytes, KeyManifest
from fhejax.ckks.parameters.level_table import (
    PRIME_BITS,
    RATIONAL_BITS,
    LevelTable,
    chain,
    level_primes,
    rational_chain,
    split_bits,
)
from fhejax.ckks.parameters.options import ParameterOptions
from fhejax.ckks.parameters.parameters import Parameters, check_modulus_size, parameters_of_table
from fhejax.ckks.parameters.requested_numbers import instance, power_of_two
from fhejax.ckks.parameters.scale import Scale
from fhejax.ring import Ring, modulus_bits
from fhejax.ring.platform import TWO_CORES, Device, chosen_device

_DEFAULTS = BootstrappingOptions()
_SMALLEST_MESSAGE_BITS = 33  # of the scale at level 0, where roundings are of coefficients and not of slots
_LARGEST_BASE = 95


@dataclasses.dataclass(frozen=True)
class BootstrappingParameters:
    """Immutable and hashable: the parameters of all ciphertexts, and how a bootstrap goes through them.

    Attributes:
        params: of ciphertexts and keys.
        slots: n, of the message; in a ring of more slots it repeats itself with this period.
        hamming_weight: of the ephemeral sparse secret.
        bound: K: phases over q_0 are within (-K, K) but with the probability of failure.
        degree, double_angles: of the modular reduction.
        coefficients_to_slots, slots_to_coefficients: butterflies in each matrix, the first applied first.
        ratio_bits: log2 of q_0 over the scale of the message at level 0.
        minimum_keys: whether each matrix takes two rotation keys, at more time: see `minimum_keys`.
        arcsine_degree: of the polynomial after the sine; None for none.

    Raises:
        SecurityError: a sparse secret of less than 128 bits of security, in parameters that were not made
            with insecure=True.
    """

    params: Parameters
    slots: int
    hamming_weight: int
    bound: int
    degree: int
    double_angles: int
    coefficients_to_slots: tuple[int, ...]
    slots_to_coefficients: tuple[int, ...]
    ratio_bits: int
    minimum_keys: bool = False
    arcsine_degree: int | None = None

    def __post_init__(self) -> None:
        check_sparse_security(self.params, self.hamming_weight)

    @functools.cached_property
    def security(self) -> int:
        """Bits of security known of both secrets, the dense and the sparse one: 128, or 0 for less."""
        return min(self.params.security, sparse_security(self.params, self.hamming_weight))

    @property
    def input_level(self) -> int:
        """A ciphertext at this level or a higher one can be bootstrapped."""
        return len(self.slots_to_coefficients)

    @property
    def reduction_level(self) -> int:
        """The level at which the modular reduction starts."""
        return self.params.depth - len(self.coefficients_to_slots)

    @property
    def output_level(self) -> int:
        """The level of the result."""
        shape = self.degree, self.double_angles, self.arcsine_degree
        return self.reduction_level - modular_reduction_depth(*shape)

    @property
    def levels_left(self) -> int:
        """Multiplications between two bootstraps."""
        return self.output_level - self.input_level

    @property
    def cosine(self) -> Polynomial:
        """What the modular reduction evaluates first."""
        shape = (self.bound, self.degree, self.double_angles, self.hamming_weight, self.ratio_bits)
        return interpolate_cosine(*shape)

    @property
    def arcsine(self) -> Polynomial | None:
        """What it evaluates last."""
        if self.arcsine_degree is None:
            return None
        return approximate_arcsine(self.arcsine_degree, self.ratio_bits)

    @property
    def failure_probability_bits(self) -> float:
        """-log2 of a bound of the probability that one bootstrap fails: exact Irwin-Hall, union bound."""
        return -log2_failure_probability(self.hamming_weight, self.bound, 2 * self.slots)

    @property
    def message_scale(self) -> Scale:
        """The scale of the message at level 0, before the modulus is raised."""
        return Scale.of(math.prod(self.params.level_moduli(0))) / 2**self.ratio_bits

    @functools.cached_property
    def manifest(self) -> KeyManifest:
        """The keys of a bootstrap, but for the two of the sparse secret."""
        top, ring_slots = self.params.depth, self.params.slots
        levels: dict[int | str, int] = {
            "relinearise": self.reduction_level,
            "conjugate": self.reduction_level,
        }
        gap = ring_slots // self.slots
        levels |= {self.slots << bit: top for bit in range(gap.bit_length() - 1)}
        raised = coefficients_to_slots_factors(self.slots, self.coefficients_to_slots)
        lowered = slots_to_coefficients_factors(self.slots, self.slots_to_coefficients)
        for level, factors in ((top, raised), (self.input_level, lowered)):
            rotations = factor_rotations(factors, ring_slots, self.minimum_keys)
            for number, steps in enumerate(rotations):
                for step in steps:
                    step = step if step <= ring_slots // 2 else step - ring_slots
                    levels[step] = max(level - number, levels.get(step, 0))
        return KeyManifest.of(levels)

    @property
    def key_bytes(self) -> KeyBytes:
        """The bytes of all keys, those of the sparse secret included up to a few kilobytes."""
        wire, memory = self.manifest.bytes(self.params)
        whole = self.params.switching_key_bytes()
        return KeyBytes(wire + whole, memory + 2 * whole)

    @property
    def reduction_precision_bits(self) -> tuple[float, float]:
        """-log2 of the root mean square, and of the largest, error of the reduction of numbers in (-1, 1)."""
        shape = self.double_angles, self.hamming_weight, self.ratio_bits, self.arcsine
        errors = reduction_error(self.cosine, *shape)
        return -math.log2(errors[0]), -math.log2(errors[1])

    @functools.cached_property
    def transform_stages(self) -> int:
        """Residues times the stages of their transforms in the key switches of a bootstrap."""
        return transform_stages(self)

    def predicted_seconds(self, device: Device | str | None = None) -> float:
        """The seconds of a bootstrap, warm: on two CPU cores within a factor of two from N = 2^12 to 2^16.

        Args:
            device: a `fhejax.Device` or the name of one, such as "h200"; by default the current one.

        Raises:
            ValueError: an unknown name.
        """
        return predicted_seconds(self, chosen_device(device))

    @staticmethod
    def for_levels(
        levels: int,
        *,
        degree: int = 1 << 16,
        slots: int | None = None,
        scale_bits: float = 40,
        security: int = 128,
        failure_bits: float = 128,
        insecure: bool = False,
        options: BootstrappingOptions = _DEFAULTS,
    ) -> "BootstrappingParameters":
        """Parameters with `levels` multiplications between bootstraps of numbers of magnitude at most 1.

        Args:
            levels: of `scale_bits` bits each.
            degree: N of the standard ring.
            slots: complex numbers in a ciphertext, by default N / 2; fewer take fewer keys and less time.
            scale_bits: of the user's levels: 35, 40 or 45 (rational rescaling), up to 29 (one prime), or 50
                to 60 (two).
            security: 128: no more is known of sparse secrets.
            failure_bits: a bootstrap fails with probability at most 2**-failure_bits.
            insecure: True permits any modulus and any sparse secret at any degree, for tests only.
            options: how it is done, such as BootstrappingOptions(minimum_keys=True).

        Raises:
            ValueError: where these are out of range, or do not fit each other or the ring.
            SecurityError: where they do not reach this security.
        """
        ring = Ring(power_of_two("degree", degree, 2**4, 2**17))
        instance("options", options, BootstrappingOptions)
        slots = ring.slots if slots is None else slots
        check_request(ring, levels, slots, scale_bits, failure_bits, options)
        check_known_security(security, insecure)
        permitted = ParameterOptions(digit_size=options.digit_size, security=security, insecure=insecure)
        check_modulus_size(ring, levels * scale_bits, permitted)
        largest = smallest_bound(options.hamming_weight, 2 * slots, failure_bits)
        bound = largest if options.bound is None else options.bound
        check_bound(bound, largest, options.hamming_weight, slots, failure_bits)
        return _with_options(ring, levels, slots, scale_bits, bound, options, permitted)

    def __repr__(self) -> str:
        wire, memory = self.key_bytes
        mean, worst = self.reduction_precision_bits
        known = f"{self.security}-bit" if self.security else "INSECURE"
        seconds = predicted_seconds(self, TWO_CORES)
        secret = "" if self.security == self.params.security else f"{known} with its sparse secret, "
        after = "" if self.arcsine_degree is None else f", an arcsine of degree {self.arcsine_degree}"
        return (
            f"BootstrappingParameters({self.params!r}: {secret}{self.levels_left} levels left of "
            f"{self.params.depth}, {self.slots} slots, input at level {self.input_level}, output at level "
            f"{self.output_level}, failure probability 2**-{self.failure_probability_bits:.1f} (weight "
            f"{self.hamming_weight}, K = {self.bound}), modular reduction of degree {self.degree} with "
            f"{self.double_angles} double angles{after} and {mean:.1f} bits in the mean, "
            f"{worst:.1f} at worst, "
            f"{'minimum ' * self.minimum_keys}keys {wire / 1e6:.0f} MB on the wire and "
            f"{memory / 1e6:.0f} MB in memory, about {seconds:.2g} s on {TWO_CORES})"
        )


def _with_options(
    ring: Ring,
    levels: int,
    slots: int,
    scale_bits: float,
    bound: int,
    options: BootstrappingOptions,
    permitted: ParameterOptions,
) -> BootstrappingParameters:
    """Parameters from numbers that were checked, from the lowest level up; the bound is K."""
    weight, ratio_bits, arcsine_degree = options.hamming_weight, options.ratio_bits, options.arcsine_degree
    degree, double_angles = choose_reduction(
        bound, weight, ratio_bits, options.polynomial_degree, options.double_angles, arcsine_degree
    )
    reduction_depth = modular_reduction_depth(degree, double_angles, arcsine_degree)
    up = split_stages(slots, options.coefficients_to_slots)
    down = split_stages(slots, options.slots_to_coefficients)
    table = _user_levels(ring, len(down) + levels, scale_bits, ratio_bits, options.base_bits)
    table = _with_reduction(ring, table, reduction_depth, options.modular_bits)
    table = _with_transforms(ring, table, len(up), options.transform_bits)
    params = parameters_of_table(ring, table, permitted)
    check_sparse_security(params, weight, permitted.security)
    return BootstrappingParameters(
        params,
        slots,
        weight,
        bound,
        degree,
        double_angles,
        up,
        down,
        ratio_bits,
        options.minimum_keys,
        arcsine_degree,
    )


def _user_levels(
    ring: Ring, depth: int, scale_bits: float, ratio_bits: int, base_bits: int | None
) -> LevelTable:
    """Levels 0 to `depth`: of the possible bases, that with the smallest modulus in all."""
    if scale_bits not in RATIONAL_BITS:
        base = max(scale_bits + 4, ratio_bits + _SMALLEST_MESSAGE_BITS) if base_bits is None else base_bits
        return chain(ring, [scale_bits] * depth, scale_bits, base)
    if base_bits is not None:
        return rational_chain(ring, depth, int(scale_bits), base_bits)
    lowest = -(-max(scale_bits + 5, ratio_bits + _SMALLEST_MESSAGE_BITS + 1) // 5) * 5
    tables = []
    for base in range(int(lowest), _LARGEST_BASE + 1, 5):
        try:
            tables.append(rational_chain(ring, depth, int(scale_bits), base))
        except ValueError:  # no primes of 25 and 30 bits make up every level above this base
            if base + 5 > _LARGEST_BASE and not tables:
                raise
    return min(tables, key=lambda table: modulus_bits(table.moduli) - min(_idle_bits(table), PRIME_BITS * 2))


def _idle_bits(table: LevelTable) -> float:
    """The bits of primes that lower levels have and the highest one has not, as in rational rescaling."""
    return modulus_bits(table.moduli) - modulus_bits(tuple(table.moduli[i] for i in table.levels[-1]))


def _with_reduction(ring: Ring, table: LevelTable, depth: int, bits: float) -> LevelTable:
    """Levels of two primes above; each makes up for what the scale is off by, from the top down.

    The lowest of them, at whose scale nothing is squared, is made of the primes that would be idle above.
    """
    above: tuple[int, ...] = ()
    sizes: list[int] = []
    scales = [Scale.of(2.0**bits)]
    pieces = split_bits(bits)
    for _ in range(depth - 1):
        wished = sum(pieces) + 2 * (scales[0].bits - bits)
        primes = level_primes(ring, wished, len(pieces), table.moduli + above)
        above, sizes = primes + above, [len(primes), *sizes]
        scales.insert(0, scales[0] * scales[0] / math.prod(primes))
    count = max(0, round((bits - _idle_bits(table)) / PRIME_BITS))
    size = min((bits - _idle_bits(table)) / max(count, 1), pieces[0])
    lowest = level_primes(ring, size * count, count, table.moduli + above)
    return _extended(table, lowest + above, [count, *sizes], scales)


def _with_transforms(ring: Ring, table: LevelTable, depth: int, bits: float) -> LevelTable:
    """Levels for matrices, whose scales are chosen with them: as its own each has that of the level below."""
    pieces = split_bits(bits)
    above: tuple[int, ...] = ()
    for _ in range(depth):
        above += level_primes(ring, bits, len(pieces), table.moduli + above)
    return _extended(table, above, [len(pieces)] * depth, [table.scales[-1]] * depth)


def _extended(
    table: LevelTable, primes: tuple[int, ...], sizes: list[int], scales: list[Scale]
) -> LevelTable:
    start, stop = 0, len(table.moduli)
    levels = list(table.levels)
    for size in sizes:
        stop += size
        levels.append(tuple(range(start, stop)))
    return LevelTable(table.moduli + primes, tuple(levels), table.scales + tuple(scales))
