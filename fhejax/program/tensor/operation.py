"""The base of all operations of the tensor graph."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Label(NamedTuple):
    """The name of the JAX primitive that an operation comes from, and its line; for messages alone.

    Attributes:
        primitive: the name.
        line: file:line.
        scope: the names of `jax.named_scope` around it, joined by slashes; none is the empty text.
    """

    primitive: str
    line: str
    scope: str = ""

    def __str__(self) -> str:
        """The scope if there is one, the name, and the line in brackets."""
        return f"{self.scope + ': ' if self.scope else ''}{self.primitive} ({self.line})"


@dataclasses.dataclass(frozen=True, eq=False)
class Operation(abc.ABC):
    """A value of the traced function that depends on an encrypted argument, as a whole array.

    A kind of operation is a subclass in `tensor.operations`, with fields for what is plain or static about
    it; plain arrays are of type `PlainArray`, or tuples of them.

    Attributes:
        sources: the numbers of the operations whose values it reads, all before its own.
        shape: of the whole array, as the function sees it.
        label: for messages.
    """

    sources: tuple[int, ...]
    shape: tuple[int, ...]
    label: Label

    @abc.abstractmethod
    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear, in float64, from those of the sources in order."""
