"""The levels at which results travel: the lowest that hold them, so that a client loads no limb in vain."""

import math
from collections.abc import Sequence

from fhejax.ckks import Parameters
from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.lowering.scales import exact_scale
from fhejax.program.circuit.nodes import CarriedValues
from fhejax.program.circuit.steps.drop import DropStep
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.views import View
from fhejax.ring import modulus_bits

_MARGIN_BITS = 1.25  # a sign, and room for noise


def cut_results(
    graph: Graph,
    limits: Sequence[float],
    params: Parameters,
    steps: tuple[Step, ...],
    registers: tuple[int, ...],
) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """The steps and the registers of encrypted results, with a drop of limbs where that spares some.

    Values and scales stay as they are, for no limb is divided by. Results of one node share the drop.

    Args:
        graph: the circuit.
        limits: the largest magnitude of each node, beyond which no value can be.
        params: of the program.
        steps: with levels counted from the bottom.
        registers: of the encrypted results.
    """
    found, cut = list(steps), {}
    nodes = [o.value.node for o in graph.outputs if isinstance(o.value, View)]
    for node, register in zip(nodes, registers, strict=True):
        if isinstance(graph.nodes[node], CarriedValues):  # an argument of the next call needs its levels
            continue
        step = steps[register]
        level = _lowest_level(params, step, limits[node])
        if level < step.level and register not in cut:
            fields = (register,), step.size, step.components, level, step.scale
            found.append(DropStep(*fields, label=step.label))
            cut[register] = len(found) - 1
    return tuple(found), tuple(cut.get(register, register) for register in registers)


def _lowest_level(params: Parameters, step: Step, limit: float) -> int:
    """The lowest level whose primes the step's level has too, and whose modulus holds the values."""
    bits = exact_scale(step.scale).bits + math.log2(max(limit, 2.0**-10)) + _MARGIN_BITS
    own = set(params.levels[step.level])
    for level in range(step.level):
        if own.issuperset(params.levels[level]) and modulus_bits(params.level_moduli(level)) >= bits:
            return level
    return step.level
