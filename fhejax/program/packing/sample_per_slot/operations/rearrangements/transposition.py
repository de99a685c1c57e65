"""Transpositions: the batch axis goes where its number goes."""

from fhejax.program.circuit.views import Builder, View
from fhejax.program.tensor.operations.rearrangements.transposition import Transposition


def transposition(builder: Builder, operation: Transposition, sources: list[View]) -> View:
    """The view with the axes in another order."""
    return transposed(sources[0], operation.order)


def transposed(tensor: View, order: tuple[int, ...]) -> View:
    """The view of which axis i is axis order[i] of the tensor."""
    axis = tensor.batch_axis
    if axis is None:
        return tensor.view(lambda a: a.transpose(order))
    reduced = [d if d < axis else d - 1 for d in order if d != axis]
    return tensor.view(lambda a: a.transpose(reduced), batch_axis=order.index(axis))
