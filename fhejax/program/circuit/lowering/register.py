"""A value while a circuit becomes steps."""

import dataclasses

from fhejax.program.circuit.lowering.scales import AnyScale, Whole


@dataclasses.dataclass(frozen=True, eq=False)
class Register:
    """A value while lowering: the step that makes it, primes dropped, its scale, components, ciphertexts.

    `drops` and `scale` are arrays, one number for each setting, where many settings are looked at together.
    """

    step: int
    drops: Whole
    scale: AnyScale
    components: int
    size: int
