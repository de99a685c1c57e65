"""One turn of a loop as a function of its own: which arguments it takes, and which results replace them."""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun

from fhejax.program.arguments import Encrypted, Plain
from fhejax.program.tensor.clear_turns import as_type, clear_turns
from fhejax.program.tensor.loop_roles import LoopRoles, check_uses
from fhejax.program.tensor.loops import FromArgument, FromLoop, Loop
from fhejax.program.tensor.plain_program import PlainArray


@dataclasses.dataclass(frozen=True)
class LastTurn:
    """A result of a loop that is a result of the last turn, by its number there."""

    number: int


@dataclasses.dataclass(frozen=True)
class EveryTurn:
    """A result of a loop that is stacked of a result of each turn, by its number there."""

    number: int


LoopResult = LastTurn | EveryTurn | PlainArray  # the last one known beforehand


@dataclasses.dataclass(frozen=True, eq=False)
class LoopStep:
    """The function of one turn.

    Its arguments are those of the loop, flat, or a slice of them; then what is known for each turn before.

    Attributes:
        function: from flat arguments to a tuple of results: what goes round, then what is stacked.
        arguments: the descriptions.
        carry: for what goes round, result by result, the argument that it replaces.
        sliced: the numbers of the arguments of which a turn takes a slice.
        known: arrays [slice, ...], of which each turn takes one as its last arguments.
        order: the slice that each turn takes.
        results: what the loop returns, flat.
        nesting: of these.
        names: of the loop's arguments in messages, flat.
        digest: of what the loop computes, 32 bytes.
    """

    function: Callable[..., tuple]
    arguments: tuple[Encrypted | Plain, ...]
    carry: dict[int, int]
    sliced: frozenset[int]
    known: tuple[np.ndarray, ...]
    order: tuple[int, ...]
    results: tuple[LoopResult, ...]
    nesting: Any
    names: tuple[str, ...]
    digest: bytes


def step_of(loop: Loop, arguments: Sequence[Encrypted | Plain]) -> LoopStep:
    """The function of one turn of a loop.

    Args:
        loop: that was found in a function.
        arguments: the descriptions of the function's arguments, flat.

    Raises:
        ValueError: where what goes round is plain at first and encrypted later, or nothing encrypted goes
            round; an argument that is used in two ways, or whose batch axis the loop runs over.
    """
    check_uses(loop)
    roles = LoopRoles(loop, arguments)
    carries = roles.encrypted_carries()
    kept = [*carries, *roles.stacked(known=False)]
    beforehand = _Beforehand(loop, roles, kept)
    sources: dict[int, int | PlainArray] = {
        n: o.number if isinstance(o, FromArgument) else o for n, o in enumerate(loop.operands)
    }
    sources |= {n: PlainArray(values) for n, values in beforehand.constant.items()}
    sources |= {n: len(arguments) + k for k, n in enumerate(beforehand.changing)}
    known = tuple(beforehand.changing.values())
    return LoopStep(
        _Turn(loop.body, tuple(sources[n] for n in range(len(loop.operands))), tuple(kept)),
        (*roles.described(), *map(_described, known)),
        {result: roles.argument_of(carry) for result, carry in enumerate(carries)},
        frozenset(roles.sliced_arguments()),
        known,
        loop.order,
        tuple(beforehand.source(result, carries, kept) for result in loop.results),
        loop.nesting,
        loop.names,
        _digest(loop),
    )


class _Beforehand:
    """What is known for all turns: what goes round in the clear, and slices of plain arrays.

    Attributes:
        changing: operands that what is encrypted depends on and that differ from turn to turn, [slice, ...].
        constant: those that are the same in all turns.
    """

    def __init__(self, loop: Loop, roles: LoopRoles, kept: Sequence[int]) -> None:
        plain = {n: o.values for n, o in enumerate(loop.operands) if isinstance(o, PlainArray)}
        carries, stacked = roles.known_carries(), roles.stacked(known=True)
        known = {n: values for n, values in plain.items() if n not in roles.encrypted | roles.given}
        self.turns = clear_turns(loop, known, carries, stacked) if carries or stacked else None
        read = frozenset[int]().union(*(roles.reads[number] for number in kept))
        self.changing: dict[int, np.ndarray] = {}
        self.constant: dict[int, np.ndarray] = {}
        for number in sorted(read & known.keys()):
            if number < loop.shared:
                continue
            if loop.is_sliced(number):
                values = _numbers(known[number], loop)
            else:
                assert self.turns is not None  # for this is among what goes round
                values = _numbers(self.turns.before[number - loop.shared], loop)
            if (values == values[:1]).all():
                self.constant[number] = values[0]
            else:
                self.changing[number] = values

    def source(
        self, result: FromLoop | PlainArray, carries: Sequence[int], kept: Sequence[int]
    ) -> LoopResult:
        """What a result of the loop is made of."""
        if isinstance(result, PlainArray):
            return result
        if result.number in kept:
            number = kept.index(result.number)
            return LastTurn(number) if result.number in carries else EveryTurn(number)
        assert self.turns is not None  # for this result is known
        return PlainArray((self.turns.last | self.turns.stacked)[result.number])


class _Turn:
    """The function of one turn of flat arguments."""

    def __init__(self, body: Any, sources: tuple[int | PlainArray, ...], kept: tuple[int, ...]) -> None:
        self.body, self.sources, self.kept = body, sources, kept

    def __call__(self, *values: Any) -> tuple:
        """The results of a turn that are wanted."""
        operands = [s.values if isinstance(s, PlainArray) else values[s] for s in self.sources]
        pairs = zip(operands, self.body.in_avals, strict=True)
        found = jaxpr_as_fun(self.body)(*(as_type(o, aval.dtype) for o, aval in pairs))
        return tuple(found[number] for number in self.kept)


def _numbers(values: Any, loop: Loop) -> np.ndarray:
    if jnp.issubdtype(values.dtype, jax.dtypes.extended):
        raise ValueError(
            f"the loop ({loop.line}) computes with {values.dtype}, a key of randomness, beside encrypted "
            f"values; draw its numbers beforehand, and let the turns read slices of them."
        )
    return np.asarray(values)


def _described(values: np.ndarray) -> Plain:
    """The description of a plain argument that takes each slice of some values."""
    low, high = float(values.min()), float(values.max())
    return Plain(values.shape[1:], (low, high), values.dtype)


def _digest(loop: Loop) -> bytes:
    """What tells loops apart that compute other things: the text of a turn, without addresses, and arrays."""
    found = hashlib.sha256(re.sub(r"0x[0-9a-f]+", "", str(loop.body.jaxpr)).encode())
    arrays = [operand.values for operand in loop.operands if isinstance(operand, PlainArray)]
    for array in (*loop.body.consts, *arrays):
        words = jax.random.key_data(array) if jnp.issubdtype(array.dtype, jax.dtypes.extended) else array
        numbers = np.asarray(words)
        found.update(f"{numbers.dtype}{numbers.shape}".encode())
        found.update(np.ascontiguousarray(numbers).data)
    return found.digest()


def arguments_of_turns(
    loop: Loop, step: LoopStep, arguments: Sequence[Encrypted | Plain], sample: Sequence[np.ndarray]
) -> list[tuple[np.ndarray, ...]]:
    """The encrypted arguments of every turn, flat, where the loop begins with typical ones.

    Args:
        loop: that was found in a function.
        step: of the loop.
        arguments: the descriptions of the function's arguments, flat.
        sample: values of the encrypted ones, in order.

    Raises:
        ValueError: where what goes round leaves its range, with the turn.
    """
    given = iter(sample)
    values = [next(given) if isinstance(a, Encrypted) else a.placeholder(n) for n, a in enumerate(arguments)]
    operands = {
        n: values[o.number] if isinstance(o, FromArgument) else o.values for n, o in enumerate(loop.operands)
    }
    turns = clear_turns(loop, operands, range(loop.carried))
    carried = {o.number: n - loop.shared for n, o in _beginnings(loop)}
    for number, carry in carried.items():
        after = [*(turns.before[carry][place] for place in step.order[1:]), turns.last[carry]]
        _check_stays(arguments[number], after, loop.names[number])
    found = []
    for place in step.order:
        now = [
            turns.before[carried[n]][place] if n in carried else value[place] if n in step.sliced else value
            for n, value in enumerate(values)
        ]
        found.append(tuple(v for v, a in zip(now, arguments, strict=True) if isinstance(a, Encrypted)))
    return found


def _beginnings(loop: Loop) -> list[tuple[int, FromArgument]]:
    """The operands that go round and are arguments at first."""
    pairs = enumerate(loop.operands)
    return [(n, o) for n, o in pairs if loop.goes_round(n) and isinstance(o, FromArgument)]


def _check_stays(argument: Encrypted | Plain, values: Sequence[np.ndarray], name: str) -> None:
    """Refuse what goes round and leaves its range on the sample."""
    low, high = argument.range
    for turn, array in enumerate(values, 1):
        if not (np.isfinite(array).all() and low <= array.min() and array.max() <= high):
            raise ValueError(
                f"turn {turn} of the loop, on the sample, leaves what is {name} in [{array.min():.4g}, "
                f"{array.max():.4g}], outside its range ({low:g}, {high:g}), in which it must stay to be the "
                f"next turn's; declare a wider range for it, or take smaller steps."
            )
