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


def after(
    register: Register,
    drops: Whole | None = None,
    scale: AnyScale | None = None,
    components: int | None = None,
    size: int | None = None,
) -> tuple[tuple[int, ...], int, int, Whole, AnyScale]:
    """The first fields of a step that reads one register: all that is not given is as there."""
    return (
        (register.step,),
        register.size if size is None else size,
        register.components if components is None else components,
        -(register.drops if drops is None else drops),
        register.scale if scale is None else scale,
    )
