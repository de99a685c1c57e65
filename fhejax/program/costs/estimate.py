"""The cost of a program on a machine, layer by layer."""

import dataclasses

from fhejax.ckks.counts import NOTHING, LimbTable, OperationCounts, limb_table
from fhejax.program.costs.layers import Layer, layers
from fhejax.program.costs.machines import Machine, chosen_machine
from fhejax.program.costs.roofline import Band, PlaintextForm, band
from fhejax.program.levels.plan import ProgramPlan


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """A layer, its band of seconds, and how its plaintexts come."""

    layer: Layer
    band: Band
    form: PlaintextForm


@dataclasses.dataclass(frozen=True)
class ProgramCost:
    """The cost of a program on a machine.

    Attributes:
        machine: that it would run on.
        table: limbs of its levels there.
        layers: in order.
    """

    machine: Machine
    table: LimbTable
    layers: tuple[LayerCost, ...]

    def in_form(self, form: PlaintextForm) -> "ProgramCost":
        """The cost with all plaintexts in one form."""
        degree = self.table.params.ring.degree
        found = (_layer_cost(cost.layer, self.machine, degree, form) for cost in self.layers)
        return dataclasses.replace(self, layers=tuple(found))

    @property
    def counts(self) -> OperationCounts:
        """The counts of all layers."""
        return sum((cost.layer.counts for cost in self.layers), NOTHING)

    @property
    def lower(self) -> float | None:
        """The seconds with units that overlap within each layer; None where no rate is known."""
        return _total([cost.band.lower for cost in self.layers])

    @property
    def upper(self) -> float | None:
        """The seconds with units one after the other; None where a rate is unknown."""
        return _total([cost.band.upper for cost in self.layers])

    @property
    def bytes(self) -> float:
        """The bytes of keys, plaintexts and ciphertexts that are read and written outside of the chip."""
        return sum(cost.band.bytes for cost in self.layers)

    @property
    def units(self) -> dict[str, float]:
        """The seconds of each unit, and of memory."""
        found: dict[str, float] = {}
        for cost in self.layers:
            for unit, seconds in cost.band.units.items():
                found[unit] = found.get(unit, 0.0) + seconds
        return found


def program_cost(plan: ProgramPlan, device: Machine | str, form: PlaintextForm | None = None) -> ProgramCost:
    """The cost of a plan on a machine.

    Args:
        plan: of a program, whatever device it was planned for.
        device: a machine or its name.
        form: how plaintexts come; by default for each layer the quickest way that the machine has: all limbs
            loaded, on some accelerators one limb, on processors the numbers of one period.

    Raises:
        ValueError: an unknown name.
    """
    machine = chosen_machine(device)
    table = limb_table(plan.params, machine.usable_bits)
    found = (_layer_cost(layer, machine, plan.params.ring.degree, form) for layer in layers(plan, table))
    return ProgramCost(machine, table, tuple(found))


def forms(machine: Machine) -> tuple[PlaintextForm, ...]:
    """The ways in which plaintexts can come on a machine."""
    if machine.is_processor:
        return ("loaded", "numbers")
    return ("loaded", "one limb") if machine.figures.get("limbs_made") else ("loaded",)


def _layer_cost(layer: Layer, machine: Machine, degree: int, form: PlaintextForm | None) -> LayerCost:
    tried: tuple[PlaintextForm, ...] = forms(machine) if form is None else (form,)
    found = [LayerCost(layer, band(layer.counts, machine, degree, f, layer.launches), f) for f in tried]
    return min(found, key=lambda cost: cost.band.upper or cost.band.lower or 0.0)


def _total(seconds: list[float | None]) -> float | None:
    known = [s for s in seconds if s is not None]
    return sum(known) if len(known) == len(seconds) else None
