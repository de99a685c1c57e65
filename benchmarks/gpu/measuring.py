"""Rows of the table, and the one way by which all of them are measured."""

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax


@dataclasses.dataclass(frozen=True)
class Row:
    """One time.

    Attributes:
        what: in words.
        seconds: the median.
        first: seconds of the first call, with what was not compiled yet.
        predicted: seconds by the planner's costs, where it has any.
        bar: seconds that are to be reached.
    """

    what: str
    seconds: float
    first: float
    predicted: float | None = None
    bar: float | None = None


class Wrong(AssertionError):
    """A result that is not what it has to be."""


@dataclasses.dataclass
class Sheet:
    """What a section writes down.

    Attributes:
        warm_up: call everything once only, so that it is compiled.
        repeats: timed calls after the first.
        rows: times.
        notes: other findings, by name.
        changed: called after each row.
    """

    warm_up: bool = False
    repeats: int = 9
    rows: list[Row] = dataclasses.field(default_factory=list)
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)
    changed: Callable[["Sheet"], None] = lambda sheet: None

    def time(
        self,
        what: str,
        function: Callable[[], Any],
        *,
        in_one: int = 1,
        predicted: float | None = None,
        bar: float | None = None,
    ) -> Any:
        """The function's result, of which one call does `in_one` times what is timed."""
        begun = time.perf_counter()
        result = jax.block_until_ready(function())
        first = time.perf_counter() - begun
        if self.warm_up:
            return result
        samples = []
        for _ in range(self.repeats):
            begun = time.perf_counter()
            jax.block_until_ready(function())
            samples.append(time.perf_counter() - begun)
        self._add(Row(what, statistics.median(samples) / in_one, first, predicted, bar))
        return result

    def once(self, what: str, function: Callable[[], Any], *, bar: float | None = None) -> Any:
        """The function's result, timed at its first call alone."""
        begun = time.perf_counter()
        result = jax.block_until_ready(function())
        seconds = time.perf_counter() - begun
        if not self.warm_up:
            self._add(Row(what, seconds, seconds, None, bar))
        return result

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        self.changed(self)


def require(right: Any, message: str) -> None:
    """Raise `Wrong` unless the condition holds."""
    if not bool(right):
        raise Wrong(message)


def table(rows: list[Row]) -> str:
    """The rows as lines of text, in the unit that suits each."""
    lines = [f"{'':52}{'measured':>12}{'predicted':>12}{'bar':>12}{'first call':>12}"]
    for row in rows:
        cells = (row.seconds, row.predicted, row.bar, row.first)
        lines.append(f"{row.what[:51]:52}" + "".join(f"{shown(cell):>12}" for cell in cells))
    return "\n".join(lines)


def shown(seconds: float | None) -> str:
    """Seconds in a unit that leaves one to three digits before the point."""
    if seconds is None:
        return ""
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.4g} {unit}"
    return f"{seconds * 1e6:.4g} us"
