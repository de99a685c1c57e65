"""What a program does, as data: a small immutable list of typed steps, plain JSON when written out.

Registers are numbered by the step that makes them. Constants (weights, indices, residues) are named by
their number in the program's list of leaves.
"""

import dataclasses
import json
from typing import Any

from fhejax.ckks.parameters import Scale


@dataclasses.dataclass(frozen=True)
class Step:
    """One operation on a vector of ciphertexts.

    Attributes:
        operation: input, linear, square, multiply, inner_product, combine, concatenate, gather, shift,
            mask, slot_sum, relinearise, rescale or drop.
        sources: the registers it reads.
        size: ciphertexts in its result; components: 2 or 3 each.
        level, scale: of its result.
        constants: numbers of the leaves it uses, in the order that the operation documents.
        bound: largest |weight| of a linear step or factor of a combination.
        weight_scales: of a linear step its weights'; of a combination those of each term; of a mask its own.
        argument: which argument an input step takes.
        squared: a linear step squares its source first. gathered: it reads entries named by a constant,
            instead of all in order.
        count: how many consecutive slots a slot sum adds up, by rotations by 1, 2, 4, .., count / 2.
        node: the node of the traced graph whose value the result is, or -1.
        label: the primitive and source line it comes from.
    """

    operation: str
    sources: tuple[int, ...]
    size: int
    components: int
    level: int
    scale: Scale
    constants: tuple[int, ...] = ()
    bound: int = 0
    weight_scales: tuple[Scale, ...] = ()
    argument: int = -1
    squared: bool = False
    gathered: bool = False
    count: int = 0
    node: int = -1
    label: str = ""


def to_json(steps: tuple[Step, ...]) -> str:
    """The text of steps as a JSON list; scales as [mantissa, exponent] with the mantissa in hexadecimal."""

    def plain(value: Any) -> Any:
        if isinstance(value, Scale):
            return [hex(value.mantissa), value.exponent]
        return list(map(plain, value)) if isinstance(value, tuple) else value

    fields = [f.name for f in dataclasses.fields(Step)]
    return json.dumps([{name: plain(getattr(step, name)) for name in fields} for step in steps])


def from_json(text: str) -> tuple[Step, ...]:
    """The steps that `to_json` wrote."""

    def scale(pair: list) -> Scale:
        return Scale(int(pair[0], 16), pair[1])

    def step(written: dict[str, Any]) -> Step:
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in written.items()}
        fields["scale"] = scale(written["scale"])
        fields["weight_scales"] = tuple(map(scale, written["weight_scales"]))
        return Step(**fields)

    return tuple(map(step, json.loads(text)))
