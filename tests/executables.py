"""The executables that a computation needs, counted as they are compiled, for shapes of its own."""

import contextlib
from collections.abc import Iterator

import jax

_COMPILED = "/jax/core/compile/backend_compile_duration"
_counts: list[int] = []


def _listen(event: str, *rest: object, **options: object) -> None:
    if event == _COMPILED:
        _counts[:] = [count + 1 for count in _counts]


jax.monitoring.register_event_duration_secs_listener(_listen)


@contextlib.contextmanager
def executables() -> Iterator[list[int]]:
    """A scope in which the last of the list's numbers is that of the executables made so far."""
    _counts.append(0)
    found = [0]
    try:
        yield found
    finally:
        found[0] = _counts.pop()
