"""Refusals: what cannot be computed on encrypted values, collected and told in one error."""

import dataclasses
import itertools
from collections.abc import Sequence

from fhejax.program.tensor.operation import Label

_MOST_LINES = 50


class NotPolynomialError(ValueError):
    """An error that lists the operations that no circuit of additions and multiplications computes."""


@dataclasses.dataclass(frozen=True)
class Refusal:
    """One operation that cannot be computed, and why, with what to write instead."""

    label: Label
    reason: str


def refuse(refusals: Sequence[Refusal]) -> None:
    """Raise the error that lists all refusals, if there are any.

    Raises:
        NotPolynomialError: with every operation, its line and a substitute.
    """
    unique = list(dict.fromkeys(_without_scope(refusal) for refusal in refusals))
    if not unique:
        return
    lines = [
        f"  {r.label.line}: {r.label.primitive}: {r.reason}" for r in itertools.islice(unique, _MOST_LINES)
    ]
    count = "one operation" if len(unique) == 1 else f"{len(unique)} operations"
    raise NotPolynomialError(
        f"the function has {count} that cannot be computed on encrypted values, which know only "
        f"addition and multiplication. Replace:\n" + "\n".join(lines)
    )


def _without_scope(refusal: Refusal) -> Refusal:
    """The refusal of one line, which may be met in many scopes."""
    return dataclasses.replace(refusal, label=refusal.label._replace(scope=""))
