"""From counts to a band of seconds: units that overlap perfectly, or one after the other, and bytes.

The lower end is the slowest unit of a layer, or what it must read; the upper end is the sum of all units, or
the bytes. On processors the lower end lets all but keys, plaintexts and ciphertexts stay in caches; the
upper end adds the traffic of every pass over the residues to the time of the products, times what GPUs with
small caches were measured to take more, and the launches of kernels.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from fhejax.ckks.counts import OperationCounts
from fhejax.program.costs.machines import Machine

PlaintextForm = Literal["loaded", "one limb", "numbers"]
FORMS: tuple[PlaintextForm, ...] = ("loaded", "one limb", "numbers")
_HALF = 0.5  # of a product with its reduction: a multiply-add that is reduced later
_PASSES = {"gpu": 4, "cpu": 2, "tpu": 4}  # residues that a transform reads and writes
_LARGE_CACHE = 72  # megabytes from which Cheddar's bootstraps take no more than the sum
_SLOWER = 1.7  # times the sum that they take at most on GPUs with less: 1.37 to 1.68 were measured


@dataclasses.dataclass(frozen=True)
class Band:
    """The seconds of some work on a machine.

    Attributes:
        lower: at least, by all rates that are known; None where none is.
        upper: units one after the other; None where a rate is unknown.
        units: seconds of each unit, and of "memory".
        bytes: read and written outside of the chip.
    """

    lower: float | None
    upper: float | None
    units: Mapping[str, float]
    bytes: float

    @property
    def bound(self) -> str:
        """What takes longest."""
        return max(self.units, key=self.units.__getitem__) if self.units else "unknown"


def band(
    counts: OperationCounts,
    machine: Machine,
    degree: int,
    form: PlaintextForm = "loaded",
    launches: float = 0,
) -> Band:
    """The band of seconds of some operations.

    Args:
        counts: of the operations, in the machine's limbs.
        machine: that does them.
        degree: of the ring.
        form: how plaintexts come: all limbs loaded; one limb, from which the others are made; or the numbers
            of one period, which are encoded.
        launches: of kernels.
    """
    counts = with_plaintexts(counts, form)
    units = unit_seconds(counts, machine, degree)
    limb = degree * machine.word_bytes
    seeded = 0.5 if machine.figures.get("keys_seeded") else 1.0
    needed = limb * (seeded * counts.key_limbs + counts.plaintext_limbs + counts.ciphertext_limbs)
    memory = {"memory": needed / machine.bandwidth} if machine.bandwidth else {}
    known = {**units, **memory}
    lower = max(known.values(), default=None)
    upper = None
    if machine.is_complete:
        upper = max(sum(units.values()), memory["memory"])
        if machine.is_processor:
            upper = _processor_seconds(counts, machine, needed, limb, sum(units.values()), launches)
    return Band(lower, upper, known, needed)


def with_plaintexts(counts: OperationCounts, form: PlaintextForm) -> OperationCounts:
    """The counts where plaintexts come in a form: limbs that are loaded, transforms that make the rest."""
    if form == "loaded":
        return counts
    loaded, made = {
        "one limb": (counts.plaintexts, counts.plaintext_limbs),
        "numbers": (counts.distinct_plaintexts, counts.distinct_limbs),
    }[form]
    return dataclasses.replace(counts, plaintext_limbs=loaded, transforms=counts.transforms + made)


def unit_seconds(counts: OperationCounts, machine: Machine, degree: int) -> dict[str, float]:
    """The seconds of each unit that is known.

    Args:
        counts: of operations.
        machine: whose units do them.
        degree: of the ring.
    """
    if machine.is_processor:
        return _processor_units(counts, machine, degree)
    products = counts.key_products + counts.products + counts.combinations
    work = {
        "transforms": counts.transforms,
        "conversions": counts.conversions,
        "products": products + counts.conversions * machine.converts_by_products,
        "automorphisms": counts.permuted,
    }
    return {unit: work[unit] * degree / rate for unit, rate in machine.unit_rates.items()}


def _processor_units(counts: OperationCounts, machine: Machine, degree: int) -> dict[str, float]:
    rate = machine.multiplications
    if rate is None:
        return {}
    stages = degree.bit_length() - 1
    whole = counts.transforms * stages / 2 + counts.products
    summed = counts.conversions + counts.key_products
    combined = _HALF * counts.combinations / rate
    if machine.matrix_products:
        combined = min(combined, counts.combinations / machine.matrix_products)
    return {"multipliers": degree * ((whole + _HALF * summed) / rate + combined)}


def _processor_seconds(
    counts: OperationCounts, machine: Machine, needed: float, limb: float, busy: float, launches: float
) -> float:
    """The seconds of products and of all passes over residues, one after the other."""
    passes = _PASSES[machine.kind] * counts.transforms + counts.key_products + counts.products
    traffic = needed + limb * (passes + 2 * counts.permuted)
    assert machine.bandwidth is not None  # as a complete machine has
    total = busy + traffic / machine.bandwidth
    small = machine.kind == "gpu" and machine.figures.get("l2_mb", 0) < _LARGE_CACHE
    return total * (_SLOWER if small else 1.0) + launches * machine.launch_seconds
