"""Relinearisation: three components to two, and a division in the same transforms."""

import dataclasses
from typing import ClassVar

from fhejax import ckks
from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import OperationCounts
from fhejax.ckks.counts.key_switching import key_reads, relinearisation
from fhejax.ckks.operation import calls_kernels
from fhejax.program.circuit.lowering.scales import Real
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.steps.call import StepCall, in_groups
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.step import Step
from fhejax.ring.platform import Device


@dataclasses.dataclass(frozen=True)
class RelinearisationStep(Step):
    """The return to two components, at the level of the step, which may lie below that of its source."""

    operation: ClassVar[str] = "relinearise"
    elementwise: ClassVar[bool] = True
    switches_keys: ClassVar[bool] = True
    compiled_bytes: ClassVar[int] = 40_000_000

    def run(self, call: StepCall) -> Ciphertext:
        """The relinearised ciphertexts, a few at a time."""

        def one(part: Ciphertext) -> Ciphertext:
            return ckks.relinearise(call.evaluation, part, target_level=self.level)

        return in_groups(one, call.sources[0]) if calls_kernels(call.sources[0]) else one(call.sources[0])

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The nanoseconds and kernels of one key switch for each ciphertext."""
        return key_switches(self.size, before, settings, device)

    def counts(self, place: StepPlace) -> OperationCounts:
        """The key switches, each with the division by P and by primes of Q in the same transforms."""
        at = place.switched
        return self.size * relinearisation(at, *place.division(int(self.level))) + key_reads(at)


def key_switches(count: int, limbs: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
    """The nanoseconds of several key switches, and the kernels they launch.

    Each digit is raised to all primes, P's among them, and both components are divided by P. A digit of one
    prime is raised by a copy, and of P then there is one prime.
    """
    if settings.digit_size == 1:
        nanoseconds = limbs * (limbs + 3) * device.costs.transform
    else:
        special, digits = settings.special_limbs, settings.digit_count(limbs)
        transforms, converted = digits + 2, limbs + 2 * special
        per_limb = transforms * device.costs.transform + converted * device.costs.multiplied
        nanoseconds = (limbs + special) * per_limb
    groups = -(-count // device.blocks.relinearised)
    return count * nanoseconds * settings.ring.degree, groups * device.costs.switch_launches


def hoisted_key_switches(count: int, limbs: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
    """The nanoseconds of key switches of one ciphertext that share its digits, and the kernels they launch.

    The digits are raised once. Each switch divides both components by P, as in `key_switches`.
    """
    if settings.digit_size == 1:
        nanoseconds = limbs * (limbs + 3 * count) * device.costs.transform
    else:
        special, digits = settings.special_limbs, settings.digit_count(limbs)
        transforms, converted = digits + 2 * count, limbs + 2 * count * special
        per_limb = transforms * device.costs.transform + converted * device.costs.multiplied
        nanoseconds = (limbs + special) * per_limb
    return nanoseconds * settings.ring.degree, count * device.costs.switch_launches
