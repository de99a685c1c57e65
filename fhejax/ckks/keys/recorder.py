"""What stands for evaluation keys when a circuit is run to find out which of them it needs."""

import dataclasses
from collections.abc import Iterable

import jax.numpy as jnp

from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.types import Array


class _EveryExponent:
    """The rotations of a recorder: there is a key for each, so that none is composed of others."""

    def __contains__(self, exponent: object) -> bool:
        return True


@dataclasses.dataclass(frozen=True)
class KeyRecorder:
    """A stand-in for `EvaluationKeys` in circuits run on noise estimates, which notes what is asked for.

    levels: exponent of the automorphism (0 for relinearisation) -> the highest level it was needed at.
    """

    params: Parameters
    levels: dict[int, int] = dataclasses.field(default_factory=dict)

    @property
    def rotations(self) -> _EveryExponent:
        """Every rotation there is."""
        return _EveryExponent()

    @property
    def key_id(self) -> Array:
        """The identity of no secret, which estimates have too."""
        return jnp.zeros(4, jnp.uint32)

    def note(self, exponents: Iterable[int], level: int) -> None:
        """Note that the keys of these automorphisms, 0 for relinearisation, are needed at a level."""
        for exponent in exponents:
            self.levels[exponent] = max(level, self.levels.get(exponent, 0))
