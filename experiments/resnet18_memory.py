"""The memory that a program of values of several ciphertexts takes, predicted from its plan."""

from collections.abc import Sequence

import jax

from fhejax.program.circuit.nodes.in_slots.block_transform import BlockTransformStep
from fhejax.program.levels.plan import ProgramPlan
from fhejax.program.report import ciphertext_bytes, peak_bytes

PROCESS = 1.5e9  # Python, JAX, and the kernels that it has compiled


def predicted_bytes(plan: ProgramPlan, leaves: Sequence[jax.Array]) -> float:
    """Predict the bytes of a process that makes all keys and calls the program once.

    Keys lie there with their seeds expanded, values as the widest step has them, and beside them what the
    largest map makes: the rotations of one ciphertext, a sum for each giant step, and its diagonals.
    """
    keys = plan.key_manifest.bytes(plan.params).memory
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(leaves))
    maps = [map_bytes(plan, step) for step in plan.steps if isinstance(step, BlockTransformStep)]
    return PROCESS + keys + weights + peak_bytes(plan) + max(maps, default=0.0)


def map_bytes(plan: ProgramPlan, step: BlockTransformStep) -> float:
    """Count the bytes that the maps of one step take beside their sources and their result."""
    level = plan.steps[step.sources[0]].level
    special = len(plan.params.special) * plan.params.ring.degree * 4
    pair = ciphertext_bytes(plan, level, 2) + 2 * special
    found = 0.0
    for blocks, period in zip(step.blocks, step.periods, strict=True):
        babies: dict[int, set[int]] = {}
        for _, source, steps in blocks:
            babies.setdefault(source, set()).update(baby for _, baby in steps)
        giants = {(result, giant) for result, _, steps in blocks for giant, _ in steps}
        rotated = max(map(len, babies.values()), default=0)
        diagonals = 4 * period * sum(len(steps) for _, _, steps in blocks)
        found = max(found, float(pair * (2 * rotated + len(giants)) + diagonals))
    return found + step.size * ciphertext_bytes(plan, step.level, 2) * len(step.sources)
