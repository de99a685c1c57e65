"""Contractions: of an encrypted array with plain weights, or of two encrypted arrays."""

import numpy as np

from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.operations.encrypted_contractions import dot_general_of_encrypted
from fhejax.program.packing.sample_per_slot.operations.plain_contractions import dot_general_by_plain
from fhejax.program.tensor.operations.contraction import Contraction


def contraction(builder: Builder, operation: Contraction, sources: list[View]) -> View:
    """The contraction of an encrypted array with a plain or an encrypted one.

    Raises:
        ValueError: weights that differ between samples, or samples that meet other axes.
    """
    numbers = (operation.summed, operation.common)
    if operation.plain is None:
        first, second = sources
        return dot_general_of_encrypted(builder, first, second, numbers)
    plain = np.asarray(operation.plain.array, np.float64)
    return dot_general_by_plain(
        builder, sources[0], plain, numbers, not operation.plain_first, operation.plain.varies
    )
