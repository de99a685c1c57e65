"""`program.report(device=...)`: what a program would take on a machine, layer by layer, in words."""

from collections.abc import Sequence

from fhejax.ckks.counts import OperationCounts
from fhejax.program.costs.estimate import LayerCost, ProgramCost, program_cost
from fhejax.program.costs.fitted import fitted_seconds
from fhejax.program.costs.machines import Machine
from fhejax.program.costs.published import Calibration, calibration_of
from fhejax.program.costs.roofline import FORMS, PlaintextForm
from fhejax.program.levels.plan import ProgramPlan

_TAGS = "P: read in a primary source or measured, 3: third party, M: from memory, I: inferred"
_FORMS: dict[PlaintextForm, str] = {
    "loaded": "all limbs loaded",
    "one limb": "one limb loaded, the others made",
    "numbers": "numbers of one period loaded and encoded",
}
_LABEL = 64  # characters of a layer's name, at most


def cost_report(plan: ProgramPlan, device: Machine | str) -> str:
    """The text of what a planned program would take on a machine.

    Args:
        plan: of the program, whatever device it was planned for.
        device: a machine or its name.

    Raises:
        ValueError: an unknown name.
    """
    cost = program_cost(plan, device)
    lines = [
        *_machine_lines(cost.machine),
        _limb_line(plan, cost),
        *operation_lines(cost.counts),
        _byte_line(plan, cost),
        *_time_lines(cost),
        *_fitted_lines(plan, cost.machine),
        *_form_lines(cost),
        *_calibration_lines(cost.machine),
        "layers",
        *_layer_lines(cost.layers),
    ]
    return "\n".join(lines)


def operation_lines(counts: OperationCounts) -> list[str]:
    """The lines on how many operations there are.

    Args:
        counts: of a program.
    """
    plural = "" if counts.bootstraps == 1 else "s"
    boots = f"{counts.bootstraps:,.0f} bootstrap{plural}; " if counts.bootstraps else ""
    return [
        f"operations    {counts.decompositions:,.0f} decompositions, {counts.inner_products:,.0f} inner "
        f"products with keys, {counts.divisions:,.0f} divisions by P,",
        f"              {counts.products:,.0f} products and {counts.transforms:,.0f} transforms by limbs;",
        f"              {boots}{counts.rotations:,.0f} rotations; {counts.plaintext_products:,.0f} products "
        f"with plaintexts, {counts.tensors:,.0f} of ciphertexts",
    ]


def amount(count: float) -> str:
    """A number of bytes in three digits, with its unit."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def duration(seconds: float) -> str:
    """Seconds in three digits, with their unit."""
    for unit in ("s", "ms"):
        if seconds >= 1:
            return f"{seconds:.3g} {unit}"
        seconds *= 1000
    return f"{seconds:.3g} us"


def span(lower: float | None, upper: float | None) -> str:
    """The two ends of a band in words, as far as they are known."""
    if lower is None:
        return "unknown"
    if upper is None:
        return f"at least {duration(lower)}"
    low, high = duration(lower), duration(upper)
    return low if low == high else f"{low} to {high}"


def _machine_lines(machine: Machine) -> list[str]:
    kind = f"{machine.title} ({machine.kind})"
    return [f"machine       {kind}: {machine.surety() or 'no figure is known'}", f"              {_TAGS}"]


def _limb_line(plan: ProgramPlan, cost: ProgramCost) -> str:
    own = f"{len(plan.params.level_moduli(plan.params.depth))} + {len(plan.params.special)}"
    table, bits = cost.table, cost.machine.usable_bits
    if bits is None:
        return f"limbs         {own} at the highest level, as planned"
    held = f"{table.limbs(plan.params.depth)} + {table.special}"
    return f"limbs         {own} at the highest level are {held} of {bits:g} bits"


def _byte_line(plan: ProgramPlan, cost: ProgramCost) -> str:
    limb = plan.params.ring.degree * cost.machine.word_bytes
    counts = cost.counts
    seeded = 0.5 if cost.machine.figures.get("keys_seeded") else 1.0
    bandwidth = cost.machine.bandwidth
    rate = "" if bandwidth is None else f"; {bandwidth / 1e12:.3g} TB/s"
    return (
        f"bytes         {amount(cost.bytes)} in all: {amount(seeded * limb * counts.key_limbs)} of keys, "
        f"{amount(limb * counts.ciphertext_limbs)} of ciphertexts, the rest of plaintexts{rate}"
    )


def _time_lines(cost: ProgramCost) -> list[str]:
    units = sorted(cost.units.items(), key=lambda item: -item[1])
    each = ", ".join(f"{unit} {duration(seconds)}" for unit, seconds in units)
    if cost.lower is None:
        return ["time          unknown: neither rates of units nor a bandwidth are known"]
    if cost.upper is None:
        missing = "what some units do in a cycle is not known, so that there is no upper end"
        return [f"time          {span(cost.lower, None)} a call; {missing}", f"              {each}"]
    ends = (
        "caches that hold all else, to every pass from memory"
        if cost.machine.is_processor
        else "units that overlap in each layer, to units one after the other; neither below its bytes"
    )
    return [f"time          {span(cost.lower, cost.upper)} a call ({ends})", f"              {each}"]


def _fitted_lines(plan: ProgramPlan, machine: Machine) -> list[str]:
    """The line on what this library takes on a machine that the planner knows."""
    seconds = fitted_seconds(plan, machine)
    if seconds is None:
        return []
    return [f"fitted        {duration(seconds)} a call by the planner's costs, fitted to what fhejax takes"]


def _form_lines(cost: ProgramCost) -> list[str]:
    """The lines on how plaintexts come, where there are any."""
    if not cost.counts.plaintexts or cost.lower is None:
        return []
    lines = []
    for form in FORMS:
        start, found = "plaintexts" if not lines else "", cost.in_form(form)
        lines.append(f"{start:14}{_FORMS[form]}: {span(found.lower, found.upper)}, {amount(found.bytes)}")
    return lines


def _calibration_lines(machine: Machine) -> list[str]:
    """The lines on published times, and what the same model says of them."""
    network = machine.figures.get("resnet20_ms")
    lines = [f"published     ResNet-20 with ReLU: {network:g} ms"] if network else []
    found = calibration_of(machine)
    if found is not None:
        lines.append(f"calibration   {calibration_text(found)}")
    elif "boot_ms" in machine.figures:
        lines.append(
            f"calibration   none: a bootstrap of {machine.figures['boot_ms']:g} ms is published alone"
        )
    else:
        lines.append("calibration   none: no bootstrap is published")
    return lines


def calibration_text(found: Calibration) -> str:
    """The published bootstrap of a machine and the band for it, in words.

    Args:
        found: of a machine whose band has two ends.
    """
    lower, ratio = found.band.lower or 0.0, found.over_upper
    end = f"{ratio:.2f} times the upper end" if ratio >= 1 else f"{found.seconds / lower:.2f} times the lower"
    place = "within" if found.is_within else end
    note = f" ({found.note})" if found.note else ""
    return (
        f"the published bootstrap{note} takes {duration(found.seconds)}, of {span(lower, found.band.upper)} "
        f"by this model: {place}"
    )


def _layer_lines(costs: Sequence[LayerCost]) -> list[str]:
    head = ("transforms", "conversions", "products", "bytes", "lower", "upper")
    width = min(_LABEL, max((len(cost.layer.label) for cost in costs), default=0))
    lines = [f"  {'':3} {'':{width}}" + "".join(f"{name:>12}" for name in head) + "  bound by"]
    for number, cost in enumerate(costs):
        counts, found = cost.layer.counts, cost.band
        products = counts.key_products + counts.products + counts.combinations
        cells = [f"{c:,.0f}" for c in (counts.transforms, counts.conversions, products)]
        ends = ["-" if s is None else duration(s) for s in (found.lower, found.upper)]
        row = "".join(f"{cell:>12}" for cell in (*cells, amount(found.bytes), *ends))
        lines.append(f"  {number:3} {cost.layer.label[:width]:{width}}{row}  {found.bound}")
    return lines
