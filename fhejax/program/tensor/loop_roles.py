"""Which values of a loop are encrypted, which come with a call, and which are known beforehand."""

import dataclasses
from collections.abc import Sequence

from fhejax.program.arguments import Encrypted, Plain
from fhejax.program.tensor.jaxprs import dependencies
from fhejax.program.tensor.loops import FromArgument, FromLoop, Loop


class LoopRoles:
    """The operands and results of a loop, told apart by what they depend on.

    Attributes:
        loop: that they belong to.
        reads: the operands, by number, that each result of a turn depends on.
        encrypted: the operands that are encrypted, at first or after some turns.
        given: those that `fhejax.Plain` arguments decide, at first or after some turns.
    """

    def __init__(self, loop: Loop, arguments: Sequence[Encrypted | Plain]) -> None:
        self.loop = loop
        self._arguments = arguments
        self.reads = dependencies(loop.body.jaxpr)
        self.encrypted = self._depending_on(Encrypted)
        self.given = self._depending_on(Plain)

    def _depending_on(self, kind: type) -> set[int]:
        """The operands that are arguments of a kind, and what goes round that depends on them in the end."""
        loop = self.loop
        found = {n for n in range(len(loop.operands)) if self._is(n, kind)}
        before = -1
        while before < len(found):
            before = len(found)
            found |= {loop.shared + c for c in range(loop.carried) if self.reads[c] & found}
        return found

    def _is(self, operand: int, kind: type) -> bool:
        source = self.loop.operands[operand]
        return isinstance(source, FromArgument) and isinstance(self._arguments[source.number], kind)

    def encrypted_carries(self) -> list[int]:
        """The numbers, among what goes round, of what is encrypted.

        Raises:
            ValueError: where that is plain at first, where plain arguments decide what goes round in the
                clear, or where nothing is encrypted.
        """
        found = []
        for carry in range(self.loop.carried):
            operand = self.loop.shared + carry
            if operand in self.encrypted:
                self._check_begins_encrypted(carry)
                found.append(carry)
            elif operand in self.given:
                raise ValueError(
                    f"what goes round in the loop ({self.loop.line}) as number {carry} is computed in the "
                    f"clear from fhejax.Plain arguments; close over their values instead."
                )
        if not found:
            raise ValueError(
                f"nothing encrypted goes round in the loop ({self.loop.line}): its turns do not depend on "
                f"each other; compile one turn by fhejax.compile and call that program for each."
            )
        return found

    def _check_begins_encrypted(self, carry: int) -> None:
        operand = self.loop.shared + carry
        if self._is(operand, Encrypted):
            return
        shape = tuple(self.loop.body.in_avals[operand].shape)
        begins, what = self.loop.operands[operand], f"a plain array of shape {shape}"
        if isinstance(begins, FromArgument):
            what = f"{self.loop.names[begins.number]}, which is plain"
        raise ValueError(
            f"what goes round in the loop ({self.loop.line}) as number {carry} is encrypted after some "
            f"turns, and begins as {what}; make it an argument of the function, described by "
            f"fhejax.Encrypted({shape}, range=(low, high)), with batch_axis=None where all samples share it."
        )

    def known_carries(self) -> list[int]:
        """The numbers, among what goes round, of what is known for every turn beforehand."""
        decided = self.encrypted | self.given
        return [c for c in range(self.loop.carried) if self.loop.shared + c not in decided]

    def stacked(self, *, known: bool) -> list[int]:
        """The stacked results that the function returns: those known beforehand, or the others."""
        decided = self.encrypted | self.given
        wanted = {r.number for r in self.loop.results if isinstance(r, FromLoop)}
        numbers = [n for n in range(self.loop.carried, len(self.reads)) if n in wanted]
        return [n for n in numbers if known != bool(self.reads[n] & decided)]

    def argument_of(self, carry: int) -> int:
        """The number of the argument that something that goes round begins as."""
        begins = self.loop.operands[self.loop.shared + carry]
        assert isinstance(begins, FromArgument)  # which `encrypted_carries` made sure of
        return begins.number

    def sliced_arguments(self) -> list[int]:
        """The numbers of the arguments that turns read slices of."""
        found = self.loop.operands[self.loop.first_slice :]
        return [operand.number for operand in found if isinstance(operand, FromArgument)]

    def described(self) -> list[Encrypted | Plain]:
        """The descriptions of the arguments as one turn takes them.

        Raises:
            ValueError: where the loop runs over a batch axis.
        """
        sliced = self.sliced_arguments()
        return [self._slice_of(n) if n in sliced else a for n, a in enumerate(self._arguments)]

    def _slice_of(self, number: int) -> Encrypted | Plain:
        argument = self._arguments[number]
        shape = tuple(argument.shape)[1:]
        if isinstance(argument, Plain) or argument.batch_axis is None:
            return dataclasses.replace(argument, shape=shape)
        if argument.batch_axis == 0:
            raise ValueError(
                f"the loop ({self.loop.line}) reads {self.loop.names[number]} slice by slice along axis 0, "
                f"which is its batch axis; samples lie in the slots, and each turn takes all of a batch: "
                f"describe it as fhejax.Encrypted((turns, batch, ...), batch_axis=1)."
            )
        return dataclasses.replace(argument, shape=shape, batch_axis=argument.batch_axis - 1)


def check_uses(loop: Loop) -> None:
    """Refuse an argument that several operands of a loop are, for one of them would be replaced.

    Raises:
        ValueError: with its name.
    """
    seen: set[int] = set()
    for operand in loop.operands:
        if not isinstance(operand, FromArgument):
            continue
        if operand.number in seen:
            raise ValueError(
                f"the loop ({loop.line}) begins with {loop.names[operand.number]} and its turns read it too, "
                f"or it is used twice in another way; pass it as two arguments, one for each use."
            )
        seen.add(operand.number)
