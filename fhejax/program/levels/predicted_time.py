"""The predicted time of a program's steps on a device, without bootstraps."""

from typing import Any

from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.scales import Real
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.ring.platform import Device


def predicted_block_seconds(lowered: Lowered, settings: Settings, device: Device) -> Real:
    """The predicted seconds of one block on a device, without bootstraps; arrays where settings are.

    Args:
        lowered: the steps.
        settings: those that they were lowered under.
        device: where the program will run.
    """
    primes = settings.prime_count(lowered.base_bits, lowered.drops)
    degree, total, launches = settings.ring.degree, 0.0, 0.0
    steps = lowered.steps
    for step, active in zip(steps, lowered.active, strict=True):
        limbs: Any = primes + step.level  # levels are still minus the primes dropped
        before: Any = primes + (steps[step.sources[0]].level if step.sources else 0)
        moved = step.moved(sum(steps[s].size for s in step.sources))
        nanoseconds, kernels = step.work(limbs, before, settings, device)
        nanoseconds = nanoseconds + limbs * degree * step.components * device.costs.entry * moved
        total, launches = total + active * nanoseconds, launches + active * kernels
    return total * 1e-9 + launches * device.launch
