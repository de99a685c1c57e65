"""The nodes that are made while a function is packed in tiles, whatever the layout of its arguments."""

import abc
from collections.abc import Sequence

import numpy as np

from fhejax.program.arguments import Encrypted, Plain, normalisation
from fhejax.program.circuit.node import Node
from fhejax.program.circuit.nodes import Input
from fhejax.program.packing.layout import Layout
from fhejax.program.packing.layout.packing import entries
from fhejax.program.packing.tiles.forms import ArgumentAtom, Forms


class MadeNodes(abc.ABC):
    """The nodes of a circuit so far, of which those of the arguments come first.

    Attributes:
        forms: of the function.
        nodes: in order.
        inputs: the node of each argument's atom.
        layouts: of each argument, by its number.
    """

    def __init__(self, arguments: Sequence[Encrypted | Plain], forms: Forms) -> None:
        self.forms = forms
        self.nodes: list[Node] = []
        self.inputs: dict[int, int] = {}
        self.layouts: dict[int, Layout] = {}
        for number, atom in enumerate(forms.atoms):
            if isinstance(atom, ArgumentAtom):
                self.inputs[number] = self._input(number, atom, arguments[atom.argument])

    @abc.abstractmethod
    def layout_of(self, number: int, atom: ArgumentAtom) -> Layout:
        """The layout of an argument, by the number of its atom."""

    def emit(self, node: Node) -> int:
        """The number of a new node."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _input(self, number: int, atom: ArgumentAtom, described: Encrypted | Plain) -> int:
        assert isinstance(described, Encrypted)
        layout = self.layouts[atom.argument] = self.layout_of(number, atom)
        low, high = map(normalisation(described).normalised, map(float, described.range))
        held, key = np.array(entries(layout).reshape(-1)), described.public_key
        return self.emit(
            Input(atom.argument, layout.ciphertext_count, low, high, atom.label, public_key=key, held=held)
        )
