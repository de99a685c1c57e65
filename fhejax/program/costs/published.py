"""Published bootstraps, counted as their papers do them: what the bands are compared with.

Three transforms of 32, 63 and 63 diagonals by 8 baby steps each way, and a modular reduction of 15 products
for each of two halves, on the chain of primes that each paper names: formulas and chains as far as they are
known; the number of products is assumed. For GPUs the counts are those of the library Cheddar.
"""

import dataclasses
import functools
import math

from fhejax.ckks.counts import NOTHING, OperationCounts, SwitchedLimbs
from fhejax.ckks.counts.key_switching import (
    decomposition,
    division,
    division_by_special,
    inner_product,
    key_reads,
    plaintext_product,
    relinearisation,
    rotation,
    tensor,
)
from fhejax.program.costs.machines import MACHINES, Machine
from fhejax.program.costs.roofline import Band, PlaintextForm, band

_DIAGONALS, _BABIES = (32, 63, 63), 8
_HALVES, _PRODUCTS, _REDUCTION_LEVELS = 2, 15, 9
_LIMB = 2**16 * 4  # bytes, of Cheddar's
_CHEDDAR = OperationCounts(  # of a bootstrap with primes of 40 bits; 10.7 GB are keys and diagonals
    transforms=15948, conversions=7.85e9 / 2**16, key_products=1.98e9 / 2**16, key_limbs=10.7e9 / _LIMB
)


@dataclasses.dataclass(frozen=True)
class PublishedBootstrap:
    """A bootstrap of a paper.

    Attributes:
        machine: the name of its machine.
        seconds: published.
        degree: of the ring.
        top: limbs at the highest level.
        special: limbs of P, and of a digit.
        dropped: limbs of a level of coefficients to slots, of the reduction, and of slots to coefficients.
        minimum_keys: two rotation keys a transform, by whole rotations.
        note: what is to be known about it.
    """

    machine: str
    seconds: float
    degree: int
    top: int
    special: int
    dropped: tuple[int, int, int]
    minimum_keys: bool
    note: str = ""


PUBLISHED = (
    PublishedBootstrap("ARK", 3.52e-3, 2**16, 24, 6, (1, 1, 1), True),
    PublishedBootstrap("SHARP", 3.12e-3, 2**16, 36, 12, (2, 2, 1), True),
    PublishedBootstrap("CraterLake", 3.91e-3, 2**16, 57, 57, (2, 3, 2), False, "at 80 bits of security"),
    PublishedBootstrap("FAST", 1.38e-3, 2**16, 36, 12, (2, 2, 1), True, "it switches keys in other ways too"),
    PublishedBootstrap("BTS", 22.9e-3, 2**17, 28, 28, (1, 1, 1), False, "its chain is inferred"),
)


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A published time beside the band for the same work.

    Attributes:
        machine: that was published.
        seconds: published.
        band: predicted.
        note: what is to be known about it.
    """

    machine: Machine
    seconds: float
    band: Band
    note: str

    @property
    def is_within(self) -> bool:
        """Whether the published time lies in the band."""
        lower, upper = self.band.lower, self.band.upper
        return lower is not None and upper is not None and lower <= self.seconds <= upper

    @property
    def over_upper(self) -> float:
        """The published time over the band's upper end."""
        return math.nan if self.band.upper is None else self.seconds / self.band.upper


@functools.cache
def calibrations() -> tuple[Calibration, ...]:
    """All published bootstraps whose machines are known well enough, accelerators first."""
    found = [_accelerator(published) for published in PUBLISHED]
    return (*found, *(_gpu(m) for m in MACHINES.values() if m.kind == "gpu" and "boot_ms" in m.figures))


def calibration_of(machine: Machine) -> Calibration | None:
    """The published bootstrap of a machine beside its band, if there is one."""
    return next((c for c in calibrations() if c.machine == machine), None)


def bootstrap_counts(published: PublishedBootstrap) -> OperationCounts:
    """The counts of a published bootstrap; each key is read once."""
    chain = _Chain(published)
    raised, products = chain.limbs(0), _HALVES * chain.products()
    down = len(_DIAGONALS) * published.dropped[0] + _REDUCTION_LEVELS * published.dropped[1]
    counted = OperationCounts(transforms=2 * raised.limbs) + chain.transforms(0, published.dropped[0])
    parted = chain.limbs(len(_DIAGONALS) * published.dropped[0])
    counted += rotation(parted) + key_reads(parted) + products + key_reads(parted)
    return counted + chain.transforms(down, published.dropped[2], reverse=True)


@dataclasses.dataclass(frozen=True)
class _Chain:
    """The limbs of a published bootstrap, by how many were dropped."""

    published: PublishedBootstrap

    def limbs(self, dropped: int) -> SwitchedLimbs:
        left, digit = self.published.top - dropped, self.published.special
        digits = (digit,) * (left // digit) + ((left % digit,) if left % digit else ())
        return SwitchedLimbs(left, digit, digits)

    def transforms(self, dropped: int, each: int, reverse: bool = False) -> OperationCounts:
        """The counts of a homomorphic transform: its matrices, each with a division."""
        counted = NOTHING
        for number, diagonals in enumerate(_DIAGONALS[::-1] if reverse else _DIAGONALS):
            counted += self._matrix(self.limbs(dropped + number * each), diagonals, each)
        return counted

    def _matrix(self, at: SwitchedLimbs, diagonals: int, dropped: int) -> OperationCounts:
        babies, giants = _BABIES - 1, math.ceil(diagonals / _BABIES) - 1
        products = plaintext_product(at.limbs, count=diagonals) + division(dropped, at.limbs - dropped)
        if self.published.minimum_keys:
            return products + (babies + giants) * rotation(at) + key_reads(at, 2)
        moved = OperationCounts(rotations=1, permuted=at.limbs + len(at.digits) * at.extended)
        hoisted = inner_product(at) + division_by_special(at) + moved
        rotated = decomposition(at) + babies * hoisted + giants * rotation(at)
        return products + rotated + key_reads(at, babies + giants)

    def products(self) -> OperationCounts:
        """The counts of the products of the polynomial that stands for the remainder."""
        start, each = len(_DIAGONALS) * self.published.dropped[0], self.published.dropped[1]
        counted = NOTHING
        for number in range(_PRODUCTS):
            at = self.limbs(start + each * (number * _REDUCTION_LEVELS // _PRODUCTS))
            counted += relinearisation(at) + tensor(at.limbs) + division(each, at.limbs - each)
        return counted


def _accelerator(published: PublishedBootstrap) -> Calibration:
    machine, counts = MACHINES[published.machine], bootstrap_counts(published)
    form: PlaintextForm = "one limb" if machine.figures.get("limbs_made") else "loaded"
    found = band(counts, machine, published.degree, form)
    return Calibration(machine, published.seconds, found, published.note)


def _gpu(machine: Machine) -> Calibration:
    seconds = machine.figures["boot_ms"] * 1e-3
    return Calibration(machine, seconds, band(_CHEDDAR, machine, 2**16), "the library Cheddar's counts")
