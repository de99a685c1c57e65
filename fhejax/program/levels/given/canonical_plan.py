"""The plan of a training step in tiles under canonical scales, in parameters that are given."""

from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.lowering.levels import Levels
from fhejax.program.circuit.lowering.node_lowering import lower
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.nodes import MaskedSum, RotatedSum, SumOfProducts
from fhejax.program.levels.candidates import WEIGHT_BITS, Planned, Wish, place_of
from fhejax.program.levels.given.given_levels import GivenLevels
from fhejax.program.levels.plan import LoweredCircuit, described
from fhejax.program.levels.predicted_keys import predicted_key_bytes
from fhejax.program.levels.predicted_time import predicted_block_seconds

_OF_TILES = (MaskedSum, RotatedSum, SumOfProducts)  # nodes that can have canonical scales


def is_of_tiles(graph: Graph) -> bool:
    """Whether a circuit has the nodes of the packing of tiles."""
    return bool(graph.least_slots) and any(isinstance(node, _OF_TILES) for node in graph.nodes)


def canonical_in(levels: GivenLevels, wish: Wish) -> Planned | None:
    """The plan of tiles under the scheme's own scale at each level; None where it does not do.

    A product then takes a level, where lazy scales take more of smaller ones: 11 levels in place of 14 for a
    step of three layers. Levels of one prime leave it too little precision (2 bits at 29), since values have
    no more than its scale after each product: it is for parameters whose levels have about 40 bits, such as
    those of programs with bootstraps.

    Args:
        levels: that are given.
        wish: what the plan is made for.
    """
    if not is_of_tiles(wish.graph):
        return None
    circuit = _lowered(levels, wish)
    if circuit is None:
        return None
    held = levels.ending_at(circuit.top - circuit.lowered.drops, circuit.lowered)
    cost = float(predicted_block_seconds(held, circuit.settings, wish.device))
    plan = described(circuit, wish.predictor, cost, wish.device)
    return (plan, circuit) if plan.predicted_bits >= wish.precision_bits else None


def quicker(one: Planned, other: Planned | None, wish: Wish) -> Planned:
    """The plan of less predicted time, after all whose keys can be sent; the first of those of equal time.

    Args:
        one: a plan.
        other: a second one, if there is one.
        wish: what both are made for.
    """
    if other is None:
        return one

    def place(planned: Planned) -> tuple[int, int]:
        plan, circuit = planned
        sent = predicted_key_bytes(circuit.lowered, circuit.settings)
        return place_of(plan.predicted_seconds, sent, wish.device)

    return min(one, other, key=place)


def _lowered(levels: GivenLevels, wish: Wish) -> LoweredCircuit | None:
    """The circuit from the lowest level that does, or None where none does."""
    params, top = levels.params, 0
    while top <= levels.top:
        bits = params.scales[top].bits
        settings = Settings(
            params.ring,
            bits,
            max(WEIGHT_BITS),
            bits,
            levels.bits,
            digit_size=params.digit_size,
            canonical=True,
        )
        lowered = lower(wish.graph, wish.limits, settings, Levels(params, top))
        if lowered.drops <= top and not lowered.missing_bits(wish.limits, params, top):
            return LoweredCircuit(wish.graph, wish.limits, params, settings, lowered, 1, top)
        top = max(top + 1, lowered.drops)
    return None
