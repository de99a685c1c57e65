"""The predicted bytes of a program's evaluation keys, before there are parameters."""

from typing import Any

from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.scales import Real, maximum
from fhejax.program.circuit.lowering.settings import Settings


def predicted_key_bytes(lowered: Lowered, settings: Settings) -> Real:
    """The bytes of all keys as they travel, uniform halves as seeds; an array where settings are.

    Each key has the primes of the highest level at which it is used.

    Args:
        lowered: the steps.
        settings: those that they were lowered under.
    """
    primes = settings.prime_count(lowered.base_bits, lowered.drops)
    uses: dict[int | str, list[Any]] = {}
    for step in lowered.steps:
        if step.switches_keys:
            level = primes + lowered.steps[step.sources[0]].level  # levels are still minus the primes dropped
            for name in step.rotations if step.rotates else ("relinearise",):
                uses.setdefault(name, []).append(level)
    total: Any = 0
    for levels in uses.values():
        limbs = maximum(*levels)
        total = (
            total + 4 * settings.digit_count(limbs) * (limbs + settings.special_limbs) * settings.ring.degree
        )
    return total
