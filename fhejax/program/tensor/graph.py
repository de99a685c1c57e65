"""The traced computation: a list of nodes over flat vectors of ciphertexts, and affine views of them.

A `Tensor` is a view: value = multiplier * node[entries] + offset, elementwise. Reshapes,
slices, paddings, products with plain numbers and sums with them change the view alone and cost nothing;
only products of encrypted values and contractions make nodes.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Input:
    """Argument `argument`: `size` ciphertexts of values between low and high.

    shared: one value for all samples, in every slot.
    """

    argument: int
    size: int
    low: float
    high: float
    label: str
    shared: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Linear:
    """out[g, o, p] = sum over k of weights[g, o, k] source[entries[g, k, p]] + bias[g, o, p].

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
class Square:
    """(source + shift)^2, entry by entry."""

    source: int
    shift: np.ndarray | None
    size: int
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class Multiply:
    """(first + shift) * (second + shift), entry by entry."""

    sources: tuple[int, int]
    shifts: tuple[np.ndarray | None, np.ndarray | None]
    size: int
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class InnerProduct:
    """out[o] = sum over k of (first + shift)[f[o, k]] * (second + shift)[s[o, k]], (f, s) = entries.

    An entry of -1 stands for zero. The products are summed before anything is relinearised.
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
    """sum of weights_i * source_i, entry by entry; weights of None stand for 1."""

    sources: tuple[int, ...]
    weights: tuple[np.ndarray | None, ...]
    size: int
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class Concatenate:
    """Entries of several nodes one after the other."""

    sources: tuple[int, ...]
    size: int
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class Gather:
    """source[entries], zero where an entry is -1."""

    source: int
    entries: np.ndarray
    size: int
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class Summand:
    """What a sum over the batch adds: source + shift in slots with a sample, zero in the others.

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


Node = (
    Input
    | Linear
    | Square
    | Multiply
    | InnerProduct
    | Combine
    | Concatenate
    | Gather
    | Summand
    | SlotSum
    | Bootstrap
)
PRODUCTS = (Square, Multiply, InnerProduct)


def sources(node: Node) -> tuple[int, ...]:
    """The nodes that a node reads."""
    if isinstance(node, Input):
        return ()
    return node.sources if hasattr(node, "sources") else (node.source,)


def renamed(node: Node, names: Mapping[int, int]) -> Node:
    """A node that reads others in place of its sources."""
    if isinstance(node, Input):
        return node
    if hasattr(node, "sources"):
        return dataclasses.replace(node, sources=tuple(names[s] for s in node.sources))
    return dataclasses.replace(node, source=names[node.source])


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """An encrypted array of the traced function, as an affine view of a node.

    entries int64, multiplier and offset float64 all have the array's shape without its batch axis;
    an entry of -1 stands for zero. batch_axis is None where no axis lies in the slots.
    """

    node: int
    entries: np.ndarray
    multiplier: np.ndarray
    offset: np.ndarray
    batch_axis: int | None
    batch: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that the traced function sees."""
        shape = list(self.entries.shape)
        if self.batch_axis is not None:
            shape.insert(self.batch_axis, self.batch)
        return tuple(shape)

    def view(
        self, function: Callable[[np.ndarray], np.ndarray], batch_axis: int | str | None = "same"
    ) -> "Tensor":
        """Apply an indexing function to all three arrays."""
        axis = self.batch_axis if batch_axis == "same" else batch_axis
        arrays = (function(a) for a in (self.entries, self.multiplier, self.offset))
        return Tensor(self.node, *arrays, axis, self.batch)

    def affine(self, factor: np.ndarray | float, term: np.ndarray | float) -> "Tensor":
        """factor * self + term, for plain arrays that broadcast to the shape without the batch."""
        shape = self.entries.shape
        factor, term = (np.broadcast_to(np.asarray(a, np.float64), shape) for a in (factor, term))
        with np.errstate(invalid="ignore"):  # infinite weights are refused once all is traced
            offset = self.offset * factor + term
            return dataclasses.replace(self, multiplier=self.multiplier * factor, offset=offset)

    def same_values(self, other: "Tensor") -> bool:
        """Whether both views are of the same numbers."""
        return (
            self.node == other.node
            and self.batch_axis == other.batch_axis
            and all(
                np.array_equal(a, b)
                for a, b in zip(
                    (self.entries, self.multiplier, self.offset),
                    (other.entries, other.multiplier, other.offset),
                    strict=True,
                )
            )
        )


class Builder:
    """Collects nodes while a function is traced; lives no longer than the trace."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.label = ""

    def append(self, node: Node) -> int:
        """Add a node and return its number."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def fresh(self, node: Node, like: Tensor, shape: tuple[int, ...]) -> Tensor:
        """A view of a new node in row-major order of `shape`."""
        entries = np.arange(node.size, dtype=np.int64).reshape(shape)
        ones, zeros = np.ones(shape), np.zeros(shape)
        return Tensor(self.append(node), entries, ones, zeros, like.batch_axis, like.batch)

    def arranged(self, tensor: Tensor) -> tuple[Tensor, bool]:
        """The tensor with each entry of its node used exactly once, gathering if need be.

        Also says whether the order is the row-major one.
        """
        tensor = without_dead_entries(tensor)
        flat = tensor.entries.reshape(-1)
        size = self.nodes[tensor.node].size
        if flat.size == size and np.array_equal(np.sort(flat), np.arange(size)):
            return tensor, np.array_equal(flat, np.arange(size))
        node = Gather(tensor.node, flat.astype(np.int32), flat.size, self.label)
        fresh = self.fresh(node, tensor, tensor.entries.shape)
        return dataclasses.replace(fresh, multiplier=tensor.multiplier, offset=tensor.offset), True

    def row_major(self, tensor: Tensor) -> Tensor:
        """The tensor over a node in the tensor's own row-major order."""
        tensor, ordered = self.arranged(tensor)
        if ordered:
            return tensor
        flat = tensor.entries.reshape(-1).astype(np.int32)
        node = Gather(tensor.node, flat, flat.size, self.label)
        fresh = self.fresh(node, tensor, tensor.entries.shape)
        return dataclasses.replace(fresh, multiplier=tensor.multiplier, offset=tensor.offset)


def without_dead_entries(tensor: Tensor) -> Tensor:
    """Entries times zero become the constant entry -1 with multiplier 1, so that m divides."""
    dead = (tensor.entries < 0) | (tensor.multiplier == 0)
    if not dead.any():
        return tensor
    return dataclasses.replace(
        tensor,
        entries=np.where(dead, -1, tensor.entries),
        multiplier=np.where(dead, 1.0, tensor.multiplier),
    )


def in_node_order(tensor: Tensor, values: np.ndarray) -> np.ndarray:
    """Values given in the tensor's shape, reordered to its node's entries (used once each)."""
    ordered = np.empty(tensor.entries.size)
    ordered[tensor.entries.reshape(-1)] = values.reshape(-1)
    return ordered
