"""Functions that are one loop of fixed length: what goes round in it, and what its turns read."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax

from fhejax.program.tensor.jaxprs import called, jaxpr_of, source_line, used_equations
from fhejax.program.tensor.plain_program import PlainArray
from fhejax.program.tensor.primitives import PRIMITIVES
from fhejax.program.tensor.trace import evaluated

_UNCHANGED = ("copy", "copy_p", "optimization_barrier", "stop_gradient")


@dataclasses.dataclass(frozen=True)
class FromArgument:
    """A value that is one of the function's arguments, by its number in the flat order."""

    number: int


@dataclasses.dataclass(frozen=True)
class FromLoop:
    """A value that is one of the loop's results, by its number: what goes round, then what is stacked."""

    number: int


Source = FromArgument | FromLoop | PlainArray  # the last one known while the function is traced


@dataclasses.dataclass(frozen=True, eq=False)
class Loop:
    """A `lax.scan` or `lax.fori_loop` that is all of a function.

    Attributes:
        body: the closed jaxpr of a turn, from `operands` (slices of the last ones) to what goes round and
            what is stacked.
        operands: what all turns read, what goes round at first, and what each turn reads a slice of.
        shared: how many of them are read by all turns.
        carried: how many go round.
        length: the number of turns.
        reverse: whether the last slice is read first.
        line: of the function, where the loop is.
        results: what the function returns, flat.
        nesting: of the results.
        names: of the arguments in messages, flat.
    """

    body: Any
    operands: tuple[FromArgument | PlainArray, ...]
    shared: int
    carried: int
    length: int
    reverse: bool
    line: str
    results: tuple[FromLoop | PlainArray, ...]
    nesting: Any
    names: tuple[str, ...]

    @property
    def order(self) -> tuple[int, ...]:
        """The slice that each turn reads, in the order of the turns."""
        turns = range(self.length)
        return tuple(reversed(turns)) if self.reverse else tuple(turns)

    @property
    def first_slice(self) -> int:
        """The number of the first operand that turns read slices of."""
        return self.shared + self.carried

    def is_sliced(self, operand: int) -> bool:
        """Whether a turn reads a slice of an operand, by its number."""
        return operand >= self.first_slice

    def goes_round(self, operand: int) -> bool:
        """Whether an operand, by its number, is what the first turn begins with."""
        return self.shared <= operand < self.first_slice


def find_loop(function: Callable, shapes: Sequence[jax.ShapeDtypeStruct], inputs: Any) -> Loop:
    """The loop that a function is.

    Args:
        function: any JAX function of arrays.
        shapes: of its arguments, flat.
        inputs: the nesting of the arguments.

    Raises:
        ValueError: a function that does anything else with its arguments, or whose loop has no fixed length.
    """
    nested = jax.tree.unflatten(inputs, list(shapes))
    closed, results = _traced(function, nested)
    names = tuple(_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(nested))
    reader = _Reader(names)
    arguments = [FromArgument(number) for number in range(len(shapes))]
    found = reader.run(closed.jaxpr, [PlainArray(constant) for constant in closed.consts], arguments)
    if reader.loop is None:
        raise ValueError(
            "compile_loop found no loop in the function that reads its arguments; it needs one lax.scan, or "
            "lax.fori_loop between two whole numbers of Python, that is all of the function. "
            "fhejax.compile takes any other."
        )
    for value in found:
        if isinstance(value, FromArgument):
            raise ValueError(
                f"the function returns its {names[value.number]} as it is; return what the loop makes alone."
            )
    return dataclasses.replace(reader.loop, results=tuple(found), nesting=jax.tree.structure(results))


def _traced(function: Callable, shapes: Any) -> tuple[Any, Any]:
    try:
        return jaxpr_of(function, shapes)
    except TypeError as error:
        if "carry" not in str(error) and "body_fun" not in str(error):
            raise
        raise ValueError(
            f"the body of the loop returns arrays of other shapes, types or nesting than it is given; what "
            f"goes round must stay alike. JAX says: {error}"
        ) from error


def _name(path: tuple) -> str:
    """The name of an argument: its number, and where in it an array is."""
    (first, *rest) = path
    return f"argument {first.idx}{jax.tree_util.keystr(tuple(rest))}"


class _Reader:
    """The interpreter of a jaxpr that computes what is plain and notes one loop; nothing else may be."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.loop: Loop | None = None

    def run(self, jaxpr: Any, constants: Sequence[Source], values: Sequence[Source]) -> list[Any]:
        """The results of a jaxpr."""
        known: dict[Any, Source] = dict(zip(jaxpr.constvars, constants, strict=True))
        known.update(zip(jaxpr.invars, values, strict=True))

        def read(atom: Any) -> Source:
            return PlainArray(atom.val) if hasattr(atom, "val") else known[atom]

        for equation in used_equations(jaxpr):
            results = self._equation(equation, [read(atom) for atom in equation.invars])
            known.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(self, equation: Any, operands: list[Any]) -> Sequence[Source]:
        inner = called(equation)
        if inner is not None:
            jaxpr, constants = inner
            return self.run(jaxpr, [PlainArray(constant) for constant in constants], operands)
        if all(isinstance(operand, PlainArray) for operand in operands):
            found = evaluated(equation.primitive, equation.params, *(o.values for o in operands))
            return [PlainArray(array) for array in found]
        name = equation.primitive.name
        if name in _UNCHANGED:
            return operands
        if name == "scan":
            return self._entered(equation, operands)
        raise ValueError(self._refusal(equation, operands))

    def _entered(self, equation: Any, operands: list[Any]) -> list[Source]:
        """The results of the loop, which is noted."""
        line, params = source_line(equation) or "the function", equation.params
        if self.loop is not None or any(isinstance(operand, FromLoop) for operand in operands):
            raise ValueError(
                f"compile_loop found a second loop ({line}) beside that of {self.loop and self.loop.line}; "
                f"compile each by itself, or put both in one loop's body, where the inner one is unrolled."
            )
        if params["length"] < 1:
            raise ValueError(f"the loop ({line}) has no turns; give it a length of 1 or more.")
        first, count = params["num_consts"], params["num_carry"]
        fields = params["jaxpr"], tuple(operands), first, count, params["length"], params["reverse"]
        self.loop = Loop(*fields, line, (), None, self.names)
        return [FromLoop(number) for number in range(len(equation.outvars))]

    def _refusal(self, equation: Any, operands: list[Any]) -> str:
        """The sentence on an operation that is no loop."""
        name, line = equation.primitive.name, source_line(equation) or "the function"
        if name == "while":
            return (
                f"compile_loop found a loop of unknown length ({line}); use lax.scan, or lax.fori_loop "
                f"between two whole numbers of Python."
            )
        if any(isinstance(operand, FromLoop) for operand in operands):
            return (
                f"compile_loop found {name} ({line}) on what the loop returns; do that in the body, or "
                f"after decryption, so that the loop is all of the function."
            )
        read = next(self.names[o.number] for o in operands if isinstance(o, FromArgument))
        advice = "do that in the body, or before encryption" if name in PRIMITIVES else "do without it"
        return (
            f"compile_loop found {name} ({line}) on {read} outside of the loop; {advice}, so that the loop "
            f"is all of the function. fhejax.compile takes any other function, and unrolls loops."
        )
