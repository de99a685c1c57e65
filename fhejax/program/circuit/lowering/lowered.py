"""A circuit once it is lowered: steps, constants, and what they need."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.ckks import Parameters
from fhejax.program.circuit.constants import RawConstant
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scales import Real, Whole
from fhejax.program.circuit.steps.step import Step
from fhejax.ring import modulus_bits

_NOISE_BITS = 0.02  # by which noise may make the largest value larger


@dataclasses.dataclass(frozen=True, eq=False)
class Lowered:
    """A lowered circuit; with arrays, one number for each, where many settings are looked at together.

    Attributes:
        steps: in order, levels still counted as primes dropped, negated.
        active: for each step whether it is there; with many settings an array.
        constants: the leaves of the program, before they are encoded.
        drops: primes dropped on the longest path.
        base_bits: log2 of the modulus that must remain.
        noise: per node, the deviation of what encryption adds to its values.
        registers: node -> register.
        factors: per node, what its weights are multiplied by, or divided by, before they are rounded.
        rounding: per node (and term), the integers that stand for weights w are the nearest to w times this.
    """

    steps: tuple[Step, ...]
    active: tuple[Any, ...]
    constants: tuple[RawConstant, ...]
    drops: Whole
    base_bits: Real
    noise: dict[int, Real]
    registers: dict[int, Register]
    factors: dict[int, tuple[Real, ...]]
    rounding: dict[int, tuple[Real, ...]]

    @property
    def switches_keys(self) -> bool:
        """Whether any evaluation key is needed."""
        return any(step.switches_keys for step in self.steps)

    def representable(self, params: Parameters, top: int) -> dict[int, float]:
        """The magnitude up to which each node's values fit the modulus at their level; beyond they wrap.

        Args:
            params: whose primes are dropped.
            top: the level from which drops are counted.
        """
        found = {}
        for node, register in self.registers.items():
            bits = modulus_bits(params.level_moduli(top - register.drops)) - 1 - register.scale.bits
            found[node] = 2.0 ** min(bits, 1000.0)
        return found

    def missing_bits(self, bounds: Sequence[float], params: Parameters, top: int) -> float:
        """The bits by which the modulus is too small for values of these magnitudes; none are missing at 0.

        Args:
            bounds: the largest magnitude of each node.
            params: whose primes are dropped.
            top: the level from which drops are counted.
        """
        if self.drops > top:
            return math.inf
        room = self.representable(params, top)
        sizes = [
            math.log2(max(bounds[node], 2.0**-900)) - math.log2(largest) for node, largest in room.items()
        ]
        return max(0.0, max(sizes) + _NOISE_BITS)

    def at(self, index: int) -> "Lowered":
        """The circuit under one of many settings: all that is known but steps, constants and registers."""

        def one(number: Any) -> Any:
            return number[index].item() if isinstance(number, np.ndarray) and number.ndim else number

        return dataclasses.replace(
            self,
            drops=one(self.drops),
            base_bits=one(self.base_bits),
            noise={node: one(deviation) for node, deviation in self.noise.items()},
            factors={node: tuple(map(one, every)) for node, every in self.factors.items()},
            rounding={node: tuple(map(one, every)) for node, every in self.rounding.items()},
        )
