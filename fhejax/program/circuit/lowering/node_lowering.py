"""Pass 3, first half: a graph and a few settings to steps, with level, scale and noise of each value.

Rescales wait until a value is about to be multiplied and its scale is worth a prime; three components are
relinearised on the side of a linear layer that has fewer ciphertexts, and never at the output.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fhejax.ckks.parameters.deviations import fresh_deviation
from fhejax.program.circuit.evaluation import weight_factor
from fhejax.program.circuit.graph import Graph, live_nodes
from fhejax.program.circuit.lowering import scale_alignment
from fhejax.program.circuit.lowering.scales import scale_product, scale_quotient
from fhejax.program.circuit.lowering.state import (
    Divisor,
    Lowered,
    Lowering,
    Register,
    Settings,
    TooLowError,
)
from fhejax.program.circuit.nodes import (
    PRODUCTS,
    Bootstrap,
    Combine,
    Concatenate,
    ElementwiseProduct,
    ElementwiseSquare,
    Gather,
    GraphNode,
    InnerProduct,
    Input,
    Linear,
    SlotSum,
    Summand,
)
from fhejax.program.circuit.slots import batch_period

# A rotation's noise is up to 20 times that of a rescale; at 2**6 times the scale it does not matter.
_ROTATION_BITS = 6
# A mask is encoded with an error of 2**6 to 2**7 over its scale, which must stay below that of a rescale.
_MASK_BITS = 26


def lower(
    graph: Graph,
    bounds: tuple[float, ...],
    settings: Settings,
    divisor: Divisor | None = None,
    factors: Mapping[int, tuple[float, ...]] | None = None,
) -> Lowered:
    """The steps of a graph under the planner's settings.

    Args:
        graph: what to compute.
        bounds: largest magnitude of each node.
        settings: what the planner chose.
        divisor: the d-th prime to be dropped; by default a number of the nominal size, which is all that
            the search for settings needs (constants are then not made).
        factors: what each node's weights are multiplied by before rounding; by default what makes the
            largest weight fill `weight_bits`.
    """
    lowering = Lowering(graph, bounds, settings, divisor, factors)
    multiplied = _leads_to_product(graph, lowering.readers)
    for number in sorted(live_nodes(graph)):
        _lower_node(lowering, number, graph.nodes[number], multiplied)
    return lowering.result()


def _lower_node(lowering: Lowering, number: int, node: GraphNode, multiplied: Sequence[bool]) -> None:
    """Emit the steps of one node and remember its register."""
    if isinstance(node, ElementwiseSquare) and _fuses(lowering, number, node, multiplied):
        return
    register = _LOWERINGS[type(node)](lowering, number, node)
    multiplied_next = any(isinstance(n, PRODUCTS) for n in lowering.nodes_after(number))
    if multiplied_next or _relinearises_before_linear(lowering, number, register, multiplied):
        register = lowering.reduce(number, register)
    lowering.registers[number] = register
    lowering.need(number, register)


def _lower_input(lowering: Lowering, number: int, node: Input) -> Register:
    scale = lowering.scale(2.0**lowering.settings.input_bits)
    lowering.add_noise(number, fresh_deviation(lowering.settings.ring) / float(scale))
    fields = (0, scale, 2, node.size)
    return lowering.emit("input", fields, node=number, label=node.label, argument=node.argument)


def _lower_linear(lowering: Lowering, number: int, node: Linear) -> Register:
    source, squared = _linear_source(lowering, node)
    factor = _linear_factor(lowering, number, node)
    weight_scale = lowering.scale(factor)
    read = scale_product(source.scale, source.scale) if squared else source.scale
    scale = scale_product(read, weight_scale)
    components = 3 if squared else source.components
    lowering.need(number, Register(0, source.drops, scale, components, node.size))
    constants = lowering.constant(lambda: np.rint(node.weights * factor).astype(np.int32))
    gathered = not _reads_in_order(node, source.size)
    if gathered:
        constants += lowering.constant(lambda: node.entries)
    bias = node.bias
    if bias is not None:
        constants += lowering.encoded(lambda: bias, scale, source.drops)
    return lowering.emit(
        "linear",
        (source.drops, scale, components, node.size),
        sources=(source.step,),
        constants=constants,
        bound=_weight_bound(lowering, node, factor),
        weight_scales=(weight_scale,),
        squared=squared,
        gathered=gathered,
        node=number,
        label=node.label,
    )


def _linear_source(lowering: Lowering, node: Linear) -> tuple[Register, bool]:
    """The register that a linear layer reads, and whether the layer squares it first.

    The square is then no step of its own.
    """
    before = lowering.graph.nodes[node.source]
    if isinstance(before, ElementwiseSquare) and node.source not in lowering.registers:
        return lowering.registers[before.source], True
    return lowering.registers[node.source], False


def _linear_factor(lowering: Lowering, number: int, node: Linear) -> float:
    if node.exact:
        return 1.0
    factor = weight_factor(node.weights, lowering.settings.weight_bits)
    (factor,) = lowering.factors[number] = lowering.given.get(number, (factor,))
    lowering.rounding[number] = (factor,)
    return factor


def _weight_bound(lowering: Lowering, node: Linear, factor: float) -> int:
    """The bound of the weights' integers, 2**b - 1, as planned or more where plain arguments make it so."""
    planned = 1 if node.exact else 2**lowering.settings.weight_bits - 1
    if not lowering.given:
        return planned
    largest = round(float(np.abs(node.weights).max(initial=0.0)) * factor)
    return max(planned, 2 ** largest.bit_length() - 1)


def _lower_square(lowering: Lowering, number: int, node: ElementwiseSquare) -> Register:
    source = lowering.shift(lowering.registers[node.source], node.shift, node.label)
    fields = (source.drops, scale_product(source.scale, source.scale), 3, node.size)
    return lowering.emit("square", fields, sources=(source.step,), node=number, label=node.label)


def _lower_operands(lowering: Lowering, node: ElementwiseProduct | InnerProduct) -> tuple[Register, Register]:
    """The registers of both factors, with their shifts, at one level."""
    pairs = zip(node.sources, node.shifts, strict=True)
    first, second = (lowering.shift(lowering.registers[s], shift, node.label) for s, shift in pairs)
    drops = max(first.drops, second.drops)
    return lowering.drop(first, drops), lowering.drop(second, drops)


def _lower_multiply(lowering: Lowering, number: int, node: ElementwiseProduct) -> Register:
    first, second = _lower_operands(lowering, node)
    fields = (first.drops, scale_product(first.scale, second.scale), 3, node.size)
    sources = (first.step, second.step)
    return lowering.emit("multiply", fields, sources=sources, node=number, label=node.label)


def _lower_inner_product(lowering: Lowering, number: int, node: InnerProduct) -> Register:
    first, second = _lower_operands(lowering, node)
    return lowering.emit(
        "inner_product",
        (first.drops, scale_product(first.scale, second.scale), 3, node.size),
        sources=(first.step, second.step),
        constants=lowering.constant(lambda: np.stack(node.entries)),
        node=number,
        label=node.label,
    )


def _lower_gather(lowering: Lowering, number: int, node: Gather) -> Register:
    source = lowering.registers[node.source]
    return lowering.emit(
        "gather",
        (source.drops, source.scale, source.components, node.size),
        sources=(source.step,),
        constants=lowering.constant(lambda: node.entries),
        node=number,
        label=node.label,
    )


def _lower_summand(lowering: Lowering, number: int, node: Summand) -> Register:
    """The register of a summand: two components, zero where no sample is, a scale fit for rotations."""
    register = lowering.shift(lowering.registers[node.source], node.shift, node.label)
    if node.masked:
        mask = lowering.scale(2.0**_MASK_BITS)
        fields = (register.drops, scale_product(register.scale, mask), register.components, register.size)
        register = lowering.emit(
            "mask", fields, sources=(register.step,), weight_scales=(mask,), node=number, label=node.label
        )
        lowering.need(number, register)
    floor = lowering.settings.working_bits + _ROTATION_BITS
    return lowering.raise_scale(lowering.reduce(number, register, floor), floor)


def _lower_slot_sum(lowering: Lowering, number: int, node: SlotSum) -> Register:
    """The steps of a sum of slots, by rotations by 1, 2, 4, ..

    The noise of the first rotation is added up most, like that of what is summed.

    In all a total has the noise of count - 1 key switches: as if every summand had nearly one.
    """
    source = lowering.registers[node.source]
    count = batch_period(lowering.graph.batch, lowering.settings.ring.slots)
    lowering.add_switch(node.source, source, math.sqrt(1 - 1 / count))
    return lowering.emit(
        "slot_sum",
        (source.drops, source.scale, 2, node.size),
        sources=(source.step,),
        count=count,
        node=number,
        label=node.label,
    )


def _lower_bootstrap(lowering: Lowering, number: int, node: Bootstrap) -> Register:
    """The steps of a bootstrap, whose numbers enter divided by a bound of theirs.

    Numbers v of magnitude below B > 1 go in as v / B' with B' up to 2 B: a matter of the scale alone.

    A bootstrap takes scales of its input level alone, and a product with a power of two, which is exact and
    costs no level, brings any smaller scale within a factor of two of that; a larger one is divided first.

    Raises:
        TooLowError: where too few levels are left for that.
    """
    parameters = lowering.settings.bootstrapping
    if parameters is None:
        raise ValueError(
            f"{node.label} has a bootstrap, and the settings to lower it with have no parameters of "
            f"bootstrapping; pass Settings(..., bootstrapping=parameters)."
        )
    scales, lowest = parameters.params.scales, parameters.levels_left
    entry, exit_ = scales[parameters.input_level], scales[parameters.output_level]
    register, bound = lowering.registers[node.source], max(lowering.bounds[number], 1.0)
    wanted = (entry / bound).bits
    divisions = math.ceil((register.scale.bits - wanted) / lowering.settings.prime_bits)
    if divisions > 0:
        above = wanted + divisions * lowering.settings.prime_bits
        register = lowering.multiply_scale(register, math.floor(above - register.scale.bits))
        register = lowering.reduce(number, register, wanted - 1)
    elif register.components == 3:
        register = lowering.reduce(number, register, register.scale.bits)
    register = lowering.multiply_scale(register, math.floor(wanted - register.scale.bits))
    if register.drops > lowest:
        raise TooLowError(f"{node.label} has spent {register.drops} levels of {lowest} before its bootstrap.")
    lowering.need(number, register)
    register = lowering.drop(register, lowest)
    scale = scale_quotient(scale_product(register.scale, exit_), entry)
    lowering.add_noise(
        number, lowering.settings.bootstrap_error * float(scale_quotient(entry, register.scale))
    )
    fields = (0, scale, 2, node.size)
    return lowering.emit("bootstrap", fields, sources=(register.step,), node=number, label=node.label)


_LOWERINGS: dict[type, Callable[[Lowering, int, Any], Register]] = {
    Input: _lower_input,
    Linear: _lower_linear,
    ElementwiseSquare: _lower_square,
    ElementwiseProduct: _lower_multiply,
    InnerProduct: _lower_inner_product,
    Combine: scale_alignment.lower_combination,
    Concatenate: scale_alignment.lower_concatenation,
    Gather: _lower_gather,
    Summand: _lower_summand,
    SlotSum: _lower_slot_sum,
    Bootstrap: _lower_bootstrap,
}


def _fuses(lowering: Lowering, number: int, node: ElementwiseSquare, multiplied: Sequence[bool]) -> bool:
    """Whether a square, read by one linear node only, is computed tile by tile inside that node."""
    readers = lowering.readers[number]
    if len(readers) != 1 or readers[0] < 0 or node.shift is not None:
        return False
    reader = lowering.graph.nodes[readers[0]]
    register = Register(0, 0, lowering.scale(1.0), 3, node.size)
    before = _relinearises_before_linear(lowering, number, register, multiplied)
    return isinstance(reader, Linear) and not before


def _relinearises_before_linear(
    lowering: Lowering, number: int, register: Register, multiplied: Sequence[bool]
) -> bool:
    """Whether to relinearise before a linear layer.

    That is so for three components whose layer makes more ciphertexts than it reads, with a product later.
    """
    if register.components == 2:
        return False
    grows = any(isinstance(n, Linear) and n.size >= register.size for n in lowering.nodes_after(number))
    return grows and any(multiplied[r] for r in lowering.readers[number] if r >= 0)


def _reads_in_order(node: Linear, size: int) -> bool:
    """Whether the layer is one matrix over all entries of its source, in order."""
    flat = node.entries.reshape(-1)
    return node.entries.shape == (1, size, 1) and bool((flat == np.arange(size)).all())


def _leads_to_product(graph: Graph, readers: tuple[tuple[int, ...], ...]) -> list[bool]:
    """Whether a relinearisation will be needed after each node: for a product, or a sum of slots."""
    leads = [False] * len(graph.nodes)
    for number in range(len(graph.nodes) - 1, -1, -1):
        ahead = [r for r in readers[number] if r >= 0]
        leads[number] = any(leads[r] or isinstance(graph.nodes[r], (*PRODUCTS, SlotSum)) for r in ahead)
    return leads
