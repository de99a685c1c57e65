"""The interface of a program: the arguments it takes, the results it gives, and how both are nested."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from fhejax.program.arguments import Encrypted, Plain
from fhejax.program.circuit.graph import Graph, Output
from fhejax.program.circuit.views import View


@dataclasses.dataclass(frozen=True)
class ResultDescription:
    """The description of one result.

    Attributes:
        shape: of the whole array, batch included.
        dtype: in which the function computes it in the clear.
        batch_axis: the axis that lies in the slots, or None.
        encrypted: whether it depends on an encrypted argument; a plain result is known with the program.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    batch_axis: int | None
    encrypted: bool


@dataclasses.dataclass(frozen=True)
class Interface:
    """The arguments and results of a program, flat and in order, and their nesting; hashable.

    Attributes:
        arguments: the descriptions.
        inputs: how arguments are nested.
        outputs: the descriptions of results.
        results: how results are nested.
        carry: the results that replace arguments of the next call, as pairs of numbers (result, argument).
    """

    arguments: tuple[Encrypted | Plain, ...]
    inputs: Any
    outputs: tuple[ResultDescription, ...]
    results: Any
    carry: tuple[tuple[int, int], ...] = ()

    @property
    def encrypted(self) -> tuple[Encrypted, ...]:
        """The descriptions of the encrypted arguments."""
        return tuple(a for a in self.arguments if isinstance(a, Encrypted))

    @property
    def carried(self) -> tuple[Encrypted | Plain, ...]:
        """The descriptions of the arguments that results replace in the next call."""
        return tuple(self.arguments[number] for _, number in self.carry)

    @property
    def takes_plain(self) -> bool:
        """Whether some argument is given in the clear with each call."""
        return any(isinstance(a, Plain) for a in self.arguments)

    def flatten(self, values: tuple, verb: str) -> list:
        """The values of a call, one for each argument.

        Args:
            values: nested like the function's arguments.
            verb: what is done with them, in messages.

        Raises:
            ValueError: when they are nested in another way.
        """
        return _flattened(self.inputs, values, verb)

    def flatten_encrypted(self, values: tuple, verb: str) -> list:
        """The values of the encrypted arguments, one for each.

        Args:
            values: nested like the function's arguments, without plain ones; None for one that is left out.
            verb: what is done with them, in messages.

        Raises:
            ValueError: when they are nested in another way.
        """
        return _flattened_partly(self._encrypted_inputs, values, verb)

    def flatten_partly(self, values: tuple, verb: str) -> list:
        """The values of a call, one for each argument, as `flatten`; None for one that is left out."""
        return _flattened_partly(self.inputs, values, verb)

    def nest_encrypted(self, values: Sequence) -> Any:
        """The values of the encrypted arguments, nested like these; one argument alone as it is."""
        nested = jax.tree.unflatten(self._encrypted_inputs, values)
        return nested[0] if len(nested) == 1 else nested

    @property
    def _encrypted_inputs(self) -> Any:
        """The nesting of the encrypted arguments."""
        known = [a if isinstance(a, Encrypted) else None for a in self.arguments]
        nested = jax.tree.unflatten(self.inputs, known)
        return jax.tree.structure(tuple(a for a in nested if jax.tree.leaves(a)))


def _left_out(nesting: Any) -> Any:
    """An argument of this nesting that holds no array."""
    return jax.tree.unflatten(nesting, [None] * nesting.num_leaves)


def _flattened_partly(nesting: Any, values: tuple, verb: str) -> list:
    """The values in an order as they are nested, where None stands for whole arguments."""
    if len(values) == len(nesting.children()):
        pairs = zip(values, nesting.children(), strict=True)
        values = tuple(_left_out(inner) if value is None else value for value, inner in pairs)
    return _flattened(nesting, values, verb)


def _flattened(nesting: Any, values: tuple, verb: str) -> list:
    try:
        return nesting.flatten_up_to(values)
    except (TypeError, ValueError):
        raise ValueError(
            f"{verb} was given {len(values)} arguments nested like {jax.tree.structure(values)}; it "
            f"needs {len(nesting.children())}, nested like {nesting}: those that `compile` was given."
        ) from None


def interface_of(graph: Graph) -> Interface:
    """The interface of a circuit, in plain Python's numbers and types of NumPy."""
    arguments = tuple(map(in_plain_types, graph.arguments))
    outputs = tuple(map(_described, graph.outputs))
    return Interface(arguments, graph.inputs, outputs, graph.results, graph.carry)


def in_plain_types(argument: Encrypted | Plain) -> Encrypted | Plain:
    """The description with plain Python's numbers, whatever kinds of them the user gave."""
    shape, bounds = tuple(map(int, argument.shape)), (float(argument.range[0]), float(argument.range[1]))
    return dataclasses.replace(argument, shape=shape, range=bounds, dtype=np.dtype(argument.dtype))


def _described(output: Output) -> ResultDescription:
    value, dtype = output.value, np.dtype(output.dtype)
    axis = value.batch_axis if isinstance(value, View) else None
    return ResultDescription(tuple(output.shape), dtype, axis, isinstance(value, View))
