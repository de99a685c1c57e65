"""The plain JSON of steps: written, and read back."""

import dataclasses
import json
from typing import Any

from fhejax.ckks.parameters import Scale
from fhejax.program.circuit.nodes.bootstrap import BootstrapStep
from fhejax.program.circuit.nodes.combination import CombinationStep
from fhejax.program.circuit.nodes.concatenation import ConcatenationStep
from fhejax.program.circuit.nodes.gather import GatherStep
from fhejax.program.circuit.nodes.in_slots.block_transform import BlockTransformStep
from fhejax.program.circuit.nodes.in_slots.ciphertext_of import CiphertextOfStep
from fhejax.program.circuit.nodes.in_slots.masked_sum import MaskedSumStep
from fhejax.program.circuit.nodes.in_slots.plane_transform import PlaneTransformStep
from fhejax.program.circuit.nodes.in_slots.rotated_sum import RotatedSumStep
from fhejax.program.circuit.nodes.in_slots.rotations import RotationsStep
from fhejax.program.circuit.nodes.in_slots.slot_transform import SlotTransformStep
from fhejax.program.circuit.nodes.in_slots.stepped_sum import SteppedSumStep
from fhejax.program.circuit.nodes.in_slots.sum_of_products import SumOfProductsStep
from fhejax.program.circuit.nodes.inner_product import InnerProductStep
from fhejax.program.circuit.nodes.input import InputStep
from fhejax.program.circuit.nodes.linear import LinearStep
from fhejax.program.circuit.nodes.product import ProductStep
from fhejax.program.circuit.nodes.slot_sum import SlotSumStep
from fhejax.program.circuit.nodes.square import SquareStep
from fhejax.program.circuit.nodes.summand import MaskStep
from fhejax.program.circuit.steps.drop import DropStep
from fhejax.program.circuit.steps.real_part import RealPartStep
from fhejax.program.circuit.steps.relinearise import RelinearisationStep
from fhejax.program.circuit.steps.rescale import RescaleStep
from fhejax.program.circuit.steps.scaling import ScalingStep
from fhejax.program.circuit.steps.shift import ShiftStep
from fhejax.program.circuit.steps.slot_shift import SlotShiftStep
from fhejax.program.circuit.steps.step import Step

KINDS: tuple[type[Step], ...] = (
    BlockTransformStep,
    BootstrapStep,
    CiphertextOfStep,
    CombinationStep,
    ConcatenationStep,
    DropStep,
    GatherStep,
    InnerProductStep,
    InputStep,
    LinearStep,
    MaskStep,
    MaskedSumStep,
    PlaneTransformStep,
    ProductStep,
    RealPartStep,
    RelinearisationStep,
    RescaleStep,
    RotatedSumStep,
    RotationsStep,
    ScalingStep,
    ShiftStep,
    SlotShiftStep,
    SlotSumStep,
    SlotTransformStep,
    SquareStep,
    SteppedSumStep,
    SumOfProductsStep,
)
_BY_NAME = {kind.operation: kind for kind in KINDS}


def to_json(steps: tuple[Step, ...]) -> str:
    """The text of steps as a JSON list; scales as {"scale": [mantissa in hexadecimal, exponent]}."""
    return json.dumps([{"operation": step.operation, **_plain_fields(step)} for step in steps])


def from_json(text: str) -> tuple[Step, ...]:
    """The steps that `to_json` wrote."""
    return tuple(map(_step, json.loads(text)))


def _plain_fields(step: Step) -> dict[str, Any]:
    return {field.name: _plain(getattr(step, field.name)) for field in dataclasses.fields(step)}


def _plain(value: Any) -> Any:
    if isinstance(value, Scale):
        return {"scale": [hex(value.mantissa), value.exponent]}
    return list(map(_plain, value)) if isinstance(value, tuple) else value


def _step(written: dict[str, Any]) -> Step:
    fields = {name: _read(value) for name, value in written.items() if name != "operation"}
    return _BY_NAME[written["operation"]](**fields)


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        mantissa, exponent = value["scale"]
        return Scale(int(mantissa, 16), exponent)
    return tuple(map(_read, value)) if isinstance(value, list) else value
