"""Typical arguments: those that were given, or random ones, as entries."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.arguments import (
    Encrypted,
    Plain,
    check_values,
    for_any_samples,
    normalisation,
)
from fhejax.program.circuit.entries import sample_entries
from fhejax.program.circuit.graph import Graph, sums_over_batch

_SAMPLES = 64
_PACKED_SAMPLES = 8  # of which each takes a whole ciphertext


@dataclasses.dataclass(frozen=True, eq=False)
class SampleCalls:
    """Typical arguments of several calls: values are bounded on all, precision is predicted on the last."""

    calls: Sequence[Any]


def calls_of(sample: Any) -> Sequence[Any]:
    """The samples of all calls: there may be one, or none was given."""
    return sample.calls if isinstance(sample, SampleCalls) else (sample,)


def typical_sample(graph: Graph, given: Any) -> list[np.ndarray]:
    """The typical arguments as entries, [size, sample] for each argument."""
    whole = sums_over_batch(graph)
    wanted = min(_SAMPLES, graph.batch)
    if graph.least_slots:
        wanted = _PACKED_SAMPLES if _has_batch(graph) else 1
    if given is not None:
        arrays = given_sample(graph.arguments, given)
        return [_repeated(a, graph.batch) for a in arrays] if whole else arrays
    generator = np.random.default_rng(0)
    count = graph.batch if whole else wanted
    samples = []
    for argument in graph.arguments:
        if isinstance(argument, Plain):
            samples.append(np.zeros((0, 0)))
            continue
        axis = argument.batch_axis
        size = math.prod(s for d, s in enumerate(argument.shape) if d != axis)
        shape = (size, 1 if axis is None else count)
        values = normalisation(argument).normalised(generator.uniform(*argument.range, shape))
        samples.append(np.repeat(values, count, 1) if axis is None else values)
    return samples


def _has_batch(graph: Graph) -> bool:
    """Whether some argument has an axis of samples: in tiles they are part of the one value of a call."""
    return any(a.batch_axis is not None for a in graph.arguments if isinstance(a, Encrypted))


def _repeated(entries: np.ndarray, batch: int) -> np.ndarray:
    """The entries with their columns over and over, as many as there are samples."""
    return np.resize(entries.T, (batch, len(entries))).T if entries.size else entries


def given_sample(arguments: Sequence[Encrypted | Plain], given: Any) -> list[np.ndarray]:
    """The sample that was given as entries, [size, sample] for each argument."""
    given = given if isinstance(given, tuple) else (given,)
    encrypted = [a for a in arguments if isinstance(a, Encrypted)]
    if len(given) != len(encrypted):
        raise ValueError(
            f"sample holds {len(given)} arrays, and the function has {len(encrypted)} encrypted arguments; "
            f"give one typical array for each, as a tuple."
        )
    widened = map(for_any_samples, encrypted, given)
    checked = [check_values(a, v) for a, v in zip(widened, given, strict=True)]
    entries = iter(sample_entries(encrypted, checked))
    return [next(entries) if isinstance(a, Encrypted) else np.zeros((0, 0)) for a in arguments]
