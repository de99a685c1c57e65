"""Affine views of a node, which stand for the arrays of the traced function.

A `View` is a view: value = multiplier * node[entries] + offset, elementwise. Reshapes, slices, paddings,
products with plain numbers and sums with them change the view alone and cost nothing; only products of
encrypted values and contractions make nodes.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np

from fhejax.program.circuit.intervals import ValueInterval, taken_interval
from fhejax.program.circuit.node import Evaluation, Node
from fhejax.program.circuit.nodes import Gather
from fhejax.program.circuit.values import Values

_QUIETEST = 16.0  # times as large as on a few samples, no more of which is thought of any entry

Decisions = Mapping[tuple[int, int], Any]
Decision = TypeVar("Decision")


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """An encrypted array of the traced function, as an affine view of a node.

    entries int64, multiplier and offset float64 all have the array's shape without its batch axis;
    an entry of -1 stands for zero. batch_axis is None where no axis lies in the slots. varies says whether
    plain arguments decide the multiplier, so that another call may have any other, zero included.
    """

    node: int
    entries: np.ndarray
    multiplier: np.ndarray
    offset: np.ndarray
    batch_axis: int | None
    batch: int
    varies: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that the traced function sees."""
        shape = list(self.entries.shape)
        if self.batch_axis is not None:
            shape.insert(self.batch_axis, self.batch)
        return tuple(shape)

    def view(
        self, function: Callable[[np.ndarray], np.ndarray], batch_axis: int | Literal["same"] | None = "same"
    ) -> "View":
        """The view with an indexing function applied to all three arrays."""
        axis = self.batch_axis if batch_axis == "same" else batch_axis
        entries, multiplier, offset = map(function, (self.entries, self.multiplier, self.offset))
        return View(self.node, entries, multiplier, offset, axis, self.batch, self.varies)

    def affine(self, factor: np.ndarray | float, term: np.ndarray | float, varies: bool = False) -> "View":
        """The view factor * self + term, for plain arrays that broadcast to the shape without the batch.

        Args:
            factor: what the view is multiplied by.
            term: what is added.
            varies: whether plain arguments decide the factor.
        """
        shape = self.entries.shape
        factor, term = (np.broadcast_to(np.asarray(a, np.float64), shape) for a in (factor, term))
        with np.errstate(invalid="ignore"):  # infinite weights are refused once all is traced
            offset = self.offset * factor + term
            multiplier, varies = self.multiplier * factor, self.varies or varies
            return dataclasses.replace(self, multiplier=multiplier, offset=offset, varies=varies)

    def same_values(self, other: "View") -> bool:
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
    """The collection of nodes while a function is traced; it lives no longer than the trace.

    Attributes:
        decisions: what was decided by the values of plain arguments that the planner worked on, by operation
            and number: a call with other values is to have the same circuit, which then fits its plan.
        typical: arguments, [size, sample] each, that values are as large as; None where ranges alone tell.
    """

    def __init__(
        self,
        batch: int = 1,
        decisions: Decisions | None = None,
        joins_positions: bool = True,
        typical: Sequence[Values] | None = None,
    ) -> None:
        self.nodes: list[Node] = []
        self.joins_positions = joins_positions
        self.label = ""
        self.batch = batch
        self.decisions: dict[tuple[int, int], Any] = dict(decisions or {})
        self.typical = typical
        self._values: list[Values] = []
        self._operation, self._decided = -1, 0
        self._intervals: list[ValueInterval] = []

    def begin(self, operation: int, label: str) -> None:
        """Begin the nodes of an operation of the tensor graph."""
        self.label = label
        self._operation, self._decided = operation, 0

    def decided(self, decide: Callable[[], Decision]) -> Decision:
        """What the planner decided here, or, while it plans, what is decided now."""
        key = (self._operation, self._decided)
        self._decided += 1
        if key not in self.decisions:
            self.decisions[key] = decide()
        return self.decisions[key]

    def largest(self, view: View) -> np.ndarray:
        """The largest magnitude of the node's entry that each entry of a view reads, of the view's shape.

        By interval arithmetic, which is loose in deep circuits, or as on typical arguments where there are
        some: what is small on these may be a little larger on others.
        """
        if self.typical is not None:
            return self._observed(view, self.typical)
        while len(self._intervals) <= view.node:
            node = self.nodes[len(self._intervals)]
            with np.errstate(over="ignore", invalid="ignore"):
                self._intervals.append(node.interval(self._intervals, self.batch))
        low, high = taken_interval(self._intervals[view.node], view.entries)
        return np.maximum(np.abs(low), np.abs(high))

    def _observed(self, view: View, typical: Sequence[Values]) -> np.ndarray:
        while len(self._values) <= view.node:
            node = self.nodes[len(self._values)]
            with np.errstate(over="ignore", invalid="ignore"):
                self._values.append(node.evaluate(Evaluation(self._values, typical)))
        seen = np.abs(self._values[view.node]).max(1)
        seen = np.maximum(seen, seen.max() / _QUIETEST)
        return np.where(view.entries < 0, 0.0, seen[view.entries])

    def append(self, node: Node) -> int:
        """The number of a node that is added."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def fresh(self, node: Node, like: View, shape: tuple[int, ...]) -> View:
        """A view of a new node in row-major order of `shape`."""
        entries = np.arange(node.size, dtype=np.int64).reshape(shape)
        ones, zeros = np.ones(shape), np.zeros(shape)
        return View(self.append(node), entries, ones, zeros, like.batch_axis, like.batch)

    def arranged(self, tensor: View) -> tuple[View, bool]:
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
        return _over(fresh, tensor), True

    def row_major(self, tensor: View) -> View:
        """The tensor over a node in the tensor's own row-major order."""
        tensor, ordered = self.arranged(tensor)
        if ordered:
            return tensor
        flat = tensor.entries.reshape(-1).astype(np.int32)
        node = Gather(tensor.node, flat, flat.size, self.label)
        fresh = self.fresh(node, tensor, tensor.entries.shape)
        return _over(fresh, tensor)


def _over(fresh: View, tensor: View) -> View:
    """The view over other entries with the factors and offsets of a tensor."""
    return dataclasses.replace(
        fresh, multiplier=tensor.multiplier, offset=tensor.offset, varies=tensor.varies
    )


def without_dead_entries(tensor: View) -> View:
    """The view whose entries times zero are the constant entry -1 with multiplier 1, so that m divides.

    A zero that another call may not have stays.
    """
    dead = (tensor.entries < 0) | ((tensor.multiplier == 0) & (not tensor.varies))
    if not dead.any():
        return tensor
    return dataclasses.replace(
        tensor,
        entries=np.where(dead, -1, tensor.entries),
        multiplier=np.where(dead, 1.0, tensor.multiplier),
    )


def in_node_order(tensor: View, values: np.ndarray) -> np.ndarray:
    """The values, given in the tensor's shape, in the order of its node's entries (used once each)."""
    ordered = np.empty(tensor.entries.size)
    ordered[tensor.entries.reshape(-1)] = values.reshape(-1)
    return ordered


def axis_in_view(batch_axis: int | None) -> Callable[[int], int]:
    """The map from axes of the whole array to axes of a view's arrays, which lack the batch axis."""
    return lambda d: d if batch_axis is None or d < batch_axis else d - 1


def entry_count(shape: Sequence[int]) -> int:
    """The number of entries of a shape."""
    return int(np.prod(shape, dtype=np.int64))
