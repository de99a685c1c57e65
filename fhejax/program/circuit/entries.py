"""The entries of arrays, [size, sample]: from arguments, and back through views to results."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from fhejax.program.arguments import Encrypted, normalisation
from fhejax.program.circuit.graph import Output
from fhejax.program.circuit.values import Values, taken
from fhejax.program.circuit.views import View


def entries_of(array: np.ndarray, batch_axis: int | None, samples: int) -> Values:
    """The entries of an argument, [size, sample]: the batch axis last, one shared value repeated.

    Args:
        array: the argument's values.
        batch_axis: where its samples lie, or None where all share one value.
        samples: how often a shared value is repeated.
    """
    if batch_axis is None:
        return np.repeat(array.reshape(-1, 1), samples, 1)
    moved = np.moveaxis(array, batch_axis, -1)
    return moved.reshape(-1, moved.shape[-1])


def samples_held(arguments: Sequence[Encrypted], arrays: Sequence[np.ndarray]) -> int:
    """The samples that the arrays of encrypted arguments hold, 1 where they have no batch axis.

    Raises:
        ValueError: when they hold different numbers of samples.
    """
    axes = [argument.batch_axis for argument in arguments]
    counts = {a.shape[x] for a, x in zip(arrays, axes, strict=True) if x is not None}
    if len(counts) > 1:
        raise ValueError(
            f"the arguments hold {sorted(counts)} samples; samples lie in the same slots, so give every "
            f"argument the same number."
        )
    return max(counts, default=1)


def sample_entries(arguments: Sequence[Encrypted], arrays: Sequence[np.ndarray]) -> list[Values]:
    """The entries of encrypted arguments, normalised, [size, sample], all with the same samples.

    Raises:
        ValueError: when they hold different numbers of samples.
    """
    samples, axes = samples_held(arguments, arrays), [argument.batch_axis for argument in arguments]
    held = [normalisation(argument).normalised(a) for argument, a in zip(arguments, arrays, strict=True)]
    return [entries_of(a, x, samples) for a, x in zip(held, axes, strict=True)]


def result_of(output: Output, values: Sequence[Values]) -> np.ndarray:
    """The array that an output is, from the values of its node, [size, sample]."""
    value = output.value
    if not isinstance(value, View):
        return np.asarray(value)
    return view_values(value, values[value.node])


def results_of_samples(output: Output, values: Sequence[Values]) -> np.ndarray:
    """The arrays of a function of one sample, for each of several, joined along their first axis."""
    value = output.value
    if not isinstance(value, View) or value.batch_axis is not None or not value.entries.ndim:
        return result_of(output, values)
    found = dataclasses.replace(value, batch_axis=0)
    return np.concatenate(list(view_values(found, values[value.node])))


def view_values(view: View, node_values: Values) -> np.ndarray:
    """The array of a view: multiplier * node[entries] + offset, samples along the batch axis."""
    entries = taken(node_values, view.entries)
    array = view.multiplier[..., None] * entries + view.offset[..., None]
    if view.batch_axis is None:
        return array[..., 0]
    return np.moveaxis(array, -1, view.batch_axis)


def view_difference(view: View, difference: Values) -> np.ndarray:
    """The difference in a view's values that a difference in its node's values makes."""
    return view.multiplier[..., None] * taken(difference, view.entries)
