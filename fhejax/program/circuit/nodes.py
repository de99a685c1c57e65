"""The nodes of a traced graph: what is computed on flat vectors of ciphertexts."""

import dataclasses
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Input:
    """An argument of the function: `size` ciphertexts of values between low and high.

    argument: its number. shared: one value for all samples, in every slot.
    """

    argument: int
    size: int
    low: float
    high: float
    label: str
    shared: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Linear:
    """A linear layer with plain weights.

    out[g, o, p] = sum over k of weights[g, o, k] source[entries[g, k, p]] + bias[g, o, p].

    exact: the weights are integers already (sums), and cost no scale.
    """

    source: int
    entries: np.ndarray
    weights: np.ndarray
    bias: np.ndarray | None
    exact: bool
    label: str

    @property
    def size(self) -> int:
        """g * o * p."""
        return self.weights.shape[0] * self.weights.shape[1] * self.entries.shape[2]


@dataclasses.dataclass(frozen=True, eq=False)
class ElementwiseSquare:
    """The square (source + shift)^2, entry by entry."""

    source: int
    shift: np.ndarray | None
    size: int
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class ElementwiseProduct:
    """The product (first + shift) * (second + shift), entry by entry."""

    sources: tuple[int, int]
    shifts: tuple[np.ndarray | None, np.ndarray | None]
    size: int
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class InnerProduct:
    """The sums of products of two nodes, which are summed before anything is relinearised.

    out[o] = sum over k of (first + shift)[f[o, k]] * (second + shift)[s[o, k]], with (f, s) = entries.
    An entry of -1 stands for zero.
    """

    sources: tuple[int, int]
    shifts: tuple[np.ndarray | None, np.ndarray | None]
    entries: tuple[np.ndarray, np.ndarray]
    label: str

    @property
    def size(self) -> int:
        """o."""
        return self.entries[0].shape[0]


@dataclasses.dataclass(frozen=True, eq=False)
class Combine:
    """The sum of weights_i * source_i, entry by entry; weights of None stand for 1."""

    sources: tuple[int, ...]
    weights: tuple[np.ndarray | None, ...]
    size: int
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class Concatenate:
    """The entries of several nodes one after the other."""

    sources: tuple[int, ...]
    size: int
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class Gather:
    """The entries source[entries] of a node, zero where an entry is -1."""

    source: int
    entries: np.ndarray
    size: int
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class Summand:
    """The terms of a sum over the batch: source + shift in slots with a sample, zero in the others.

    masked: the other slots are made zero by a product. whole: nothing is done about them, although they
    are not zero, so that every slot must hold a sample.
    """

    source: int
    shift: np.ndarray | None
    masked: bool
    whole: bool
    size: int
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class SlotSum:
    """The sum of `source` over all samples, in every slot; the source is a `Summand`."""

    source: int
    size: int
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class Bootstrap:
    """The values of `source` with their levels back; the planner puts it in."""

    source: int
    size: int
    label: str


SingleSource = Linear | ElementwiseSquare | Gather | Summand | SlotSum | Bootstrap
GraphNode = Input | SingleSource | ElementwiseProduct | InnerProduct | Combine | Concatenate
SEVERAL_SOURCES = (ElementwiseProduct, InnerProduct, Combine, Concatenate)
PRODUCTS = (ElementwiseSquare, ElementwiseProduct, InnerProduct)


def sources(node: GraphNode) -> tuple[int, ...]:
    """The nodes that a node reads."""
    if isinstance(node, Input):
        return ()
    return node.sources if isinstance(node, SEVERAL_SOURCES) else (node.source,)


def renamed(node: GraphNode, names: Mapping[int, int]) -> GraphNode:
    """The same node, reading others in place of its sources."""
    if isinstance(node, Input):
        return node
    if isinstance(node, SEVERAL_SOURCES):
        return dataclasses.replace(node, sources=tuple(names[s] for s in node.sources))
    return dataclasses.replace(node, source=names[node.source])
