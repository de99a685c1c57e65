"""The table of rules: how each kind of operation becomes nodes of a circuit, one sample in each slot.

A rule takes the builder, the operation and the views of its sources, and returns the view of its value. It
raises ValueError with a reason where samples would have to meet each other.
"""

from collections.abc import Callable
from typing import Any

from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.operations.affine import affine
from fhejax.program.packing.sample_per_slot.operations.contraction import contraction
from fhejax.program.packing.sample_per_slot.operations.convolution import convolution
from fhejax.program.packing.sample_per_slot.operations.polynomial import polynomial
from fhejax.program.packing.sample_per_slot.operations.power import power
from fhejax.program.packing.sample_per_slot.operations.product import product
from fhejax.program.packing.sample_per_slot.operations.rearrangements.broadcast import broadcast
from fhejax.program.packing.sample_per_slot.operations.rearrangements.concatenation import concatenation
from fhejax.program.packing.sample_per_slot.operations.rearrangements.gather import gather
from fhejax.program.packing.sample_per_slot.operations.rearrangements.padding import padding
from fhejax.program.packing.sample_per_slot.operations.rearrangements.patches import patches
from fhejax.program.packing.sample_per_slot.operations.rearrangements.reshape import reshape
from fhejax.program.packing.sample_per_slot.operations.rearrangements.reversal import reversal
from fhejax.program.packing.sample_per_slot.operations.rearrangements.slice import slice_
from fhejax.program.packing.sample_per_slot.operations.rearrangements.transposition import transposition
from fhejax.program.packing.sample_per_slot.operations.reduction import reduction
from fhejax.program.packing.sample_per_slot.operations.sum import sum_of_views
from fhejax.program.packing.sample_per_slot.operations.window_sum import window_sum
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.affine import Affine
from fhejax.program.tensor.operations.contraction import Contraction
from fhejax.program.tensor.operations.convolution import Convolution
from fhejax.program.tensor.operations.polynomial import Polynomial
from fhejax.program.tensor.operations.power import Power
from fhejax.program.tensor.operations.product import Product
from fhejax.program.tensor.operations.rearrangements.broadcast import Broadcast
from fhejax.program.tensor.operations.rearrangements.concatenation import Concatenation
from fhejax.program.tensor.operations.rearrangements.gather import Gather
from fhejax.program.tensor.operations.rearrangements.padding import Padding
from fhejax.program.tensor.operations.rearrangements.patches import Patches
from fhejax.program.tensor.operations.rearrangements.reshape import Reshape
from fhejax.program.tensor.operations.rearrangements.reversal import Reversal
from fhejax.program.tensor.operations.rearrangements.slice import Slice
from fhejax.program.tensor.operations.rearrangements.transposition import Transposition
from fhejax.program.tensor.operations.reduction import Reduction
from fhejax.program.tensor.operations.sum import Sum
from fhejax.program.tensor.operations.window_sum import WindowSum

Rule = Callable[[Builder, Any, list[View]], View]

RULES: dict[type[Operation], Rule] = {
    Affine: affine,
    Sum: sum_of_views,
    Product: product,
    Power: power,
    Polynomial: polynomial,
    Contraction: contraction,
    Convolution: convolution,
    WindowSum: window_sum,
    Reduction: reduction,
    Reshape: reshape,
    Transposition: transposition,
    Broadcast: broadcast,
    Slice: slice_,
    Reversal: reversal,
    Gather: gather,
    Padding: padding,
    Patches: patches,
    Concatenation: concatenation,
}
