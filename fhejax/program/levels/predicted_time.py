"""The predicted time of a program's steps on a device, without bootstraps."""

from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.lowering.state import Lowered, Settings, base_limbs
from fhejax.program.circuit.nodes import InnerProduct, Linear
from fhejax.program.circuit.steps import Step
from fhejax.ring.platform import Device


def predicted_block_seconds(graph: Graph, lowered: Lowered, settings: Settings, device: Device) -> float:
    """The predicted seconds of one block on a device, without bootstraps.

    Args:
        graph: what was lowered.
        lowered: its steps.
        settings: those that it was lowered under.
        device: where the program will run.
    """
    unit, launches = device.costs, 0
    primes = base_limbs(lowered.base_bits) + lowered.drops * base_limbs(settings.prime_bits)
    degree, total = settings.ring.degree, 0.0
    sizes = {i: step.size for i, step in enumerate(lowered.steps)}
    for step in lowered.steps:
        limbs = primes + step.level  # levels are still minus the primes dropped
        words = limbs * degree * step.components
        total += words * unit.entry * (step.size + sum(sizes[s] for s in step.sources))
        total += words * _product_nanoseconds(graph, step, device)
        if step.operation in ("relinearise", "rescale", "slot_sum"):
            before = primes + lowered.steps[step.sources[0]].level
            transforms = 2 * before if step.operation == "rescale" else before * (before + 3)
            repeats = max(1, step.count.bit_length() - 1)
            total += step.size * transforms * degree * unit.transform * repeats
        launches += _launches(step, limbs, degree, device)
    return total * 1e-9 + launches * device.launch


def _launches(step: Step, limbs: int, degree: int, device: Device) -> int:
    """The kernels of a step, where they are many: one after the other for tiles and for key switches."""
    if step.operation == "linear":
        return limbs * max(1, degree // device.blocks.matrix_tile) * device.costs.tile_launches
    if step.operation in ("relinearise", "slot_sum"):
        repeats = max(1, step.count.bit_length() - 1)
        return repeats * -(-step.size // device.blocks.relinearised) * device.costs.switch_launches
    return 0


def _product_nanoseconds(graph: Graph, step: Step, device: Device) -> float:
    """The nanoseconds for each word of a step's result that its products take."""
    node = graph.nodes[step.node] if step.node >= 0 else None
    if step.operation == "linear" and isinstance(node, Linear):
        return device.multiply_add() * node.weights.size * node.entries.shape[2]
    if step.operation == "inner_product" and isinstance(node, InnerProduct):
        return device.costs.product * node.entries[0].size
    return 0.0
