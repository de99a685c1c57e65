"""The nodes of a circuit, one kind a file: values, intervals, gradients, steps, and how these run."""

from fhejax.program.circuit.nodes.bootstrap import Bootstrap
from fhejax.program.circuit.nodes.carried_values import CarriedValues
from fhejax.program.circuit.nodes.combination import Combine
from fhejax.program.circuit.nodes.concatenation import Concatenate
from fhejax.program.circuit.nodes.gather import Gather
from fhejax.program.circuit.nodes.in_slots.block_transform import BlockTransform
from fhejax.program.circuit.nodes.in_slots.carried_slots import CarriedSlots
from fhejax.program.circuit.nodes.in_slots.ciphertext_of import CiphertextOf
from fhejax.program.circuit.nodes.in_slots.masked_sum import MaskedSum
from fhejax.program.circuit.nodes.in_slots.plane_transform import PlaneTransform
from fhejax.program.circuit.nodes.in_slots.rotated_sum import RotatedSum
from fhejax.program.circuit.nodes.in_slots.rotations import Rotations
from fhejax.program.circuit.nodes.in_slots.slot_transform import SlotTransform
from fhejax.program.circuit.nodes.in_slots.stepped_sum import SteppedSum
from fhejax.program.circuit.nodes.in_slots.sum_of_products import SumOfProducts
from fhejax.program.circuit.nodes.inner_product import InnerProduct
from fhejax.program.circuit.nodes.input import Input
from fhejax.program.circuit.nodes.linear import Linear
from fhejax.program.circuit.nodes.product import ElementwiseProduct
from fhejax.program.circuit.nodes.slot_sum import SlotSum
from fhejax.program.circuit.nodes.square import ElementwiseSquare
from fhejax.program.circuit.nodes.summand import Summand

__all__ = [
    "BlockTransform",
    "Bootstrap",
    "CarriedSlots",
    "CarriedValues",
    "CiphertextOf",
    "Combine",
    "Concatenate",
    "ElementwiseProduct",
    "ElementwiseSquare",
    "Gather",
    "InnerProduct",
    "Input",
    "Linear",
    "MaskedSum",
    "PlaneTransform",
    "RotatedSum",
    "Rotations",
    "SlotSum",
    "SlotTransform",
    "SteppedSum",
    "SumOfProducts",
    "Summand",
]
