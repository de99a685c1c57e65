"""The predicted time of a program's steps, without bootstraps, on two CPU cores."""

from fhejax.program.circuit.steps import Step
from fhejax.program.packing.sample_per_slot.lowering import Lowered, Settings, base_limbs
from fhejax.program.tensor.graph import Graph
from fhejax.program.tensor.nodes import InnerProduct, Linear

# Predicted nanoseconds on two CPU cores, fitted to benchmarks/kernels.py
_MULTIPLY_ADD = 0.02
_PRODUCT = 2.0
_ENTRY = 3.0
_TRANSFORM = 6.0


def predicted_block_seconds(graph: Graph, lowered: Lowered, settings: Settings) -> float:
    """The predicted seconds of one block, without bootstraps.

    Args:
        graph: what was lowered.
        lowered: its steps.
        settings: those that it was lowered under.
    """
    primes = base_limbs(lowered.base_bits) + lowered.drops * base_limbs(settings.prime_bits)
    degree, total = settings.ring.degree, 0.0
    sizes = {i: step.size for i, step in enumerate(lowered.steps)}
    for step in lowered.steps:
        limbs = primes + step.level  # levels are still minus the primes dropped
        words = limbs * degree * step.components
        total += words * _ENTRY * (step.size + sum(sizes[s] for s in step.sources))
        total += words * _product_nanoseconds(graph, step)
        if step.operation in ("relinearise", "rescale", "slot_sum"):
            before = primes + lowered.steps[step.sources[0]].level
            transforms = 2 * before if step.operation == "rescale" else before * (before + 3)
            repeats = max(1, step.count.bit_length() - 1)
            total += step.size * transforms * degree * _TRANSFORM * repeats
    return total * 1e-9


def _product_nanoseconds(graph: Graph, step: Step) -> float:
    """The nanoseconds for each word of a step's result that its products take."""
    node = graph.nodes[step.node] if step.node >= 0 else None
    if step.operation == "linear" and isinstance(node, Linear):
        return _MULTIPLY_ADD * node.weights.size * node.entries.shape[2]
    if step.operation == "inner_product" and isinstance(node, InnerProduct):
        return _PRODUCT * node.entries[0].size
    return 0.0
