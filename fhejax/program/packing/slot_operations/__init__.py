"""What layouts say, done to ciphertexts, or to the estimates of their noise: shared by the packings."""

from fhejax.program.packing.slot_operations.inner_products import inner_product
from fhejax.program.packing.slot_operations.plain_maps import apply_plain_map, encode_plain_map
from fhejax.program.packing.slot_operations.plain_operands import add_plain_array, multiply_plain_array
from fhejax.program.packing.slot_operations.rotated_sums import add_rotated, add_up

__all__ = [
    "add_plain_array",
    "add_rotated",
    "add_up",
    "apply_plain_map",
    "encode_plain_map",
    "inner_product",
    "multiply_plain_array",
]
