"""Kernels compiled beside each other, before a long computation calls them one after another.

XLA compiles one kernel on few processors, and a computation that calls its kernels in turn waits for each
of them. So the computation is traced first, without arithmetic; whatever kernel it would call is lowered at
once and compiled by a pool of threads (XLA holds no lock of Python's). JAX finds the compiled code as the
kernel is called for the first time.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import jax
import numpy as np

_collecting: ContextVar["_Collector | None"] = ContextVar("_collecting", default=None)


class _Collector:
    """Has each kernel compiled that is called while a computation is traced."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._submitted: dict[Any, Future] = {}

    def add(self, compiled: Any, arguments: tuple, keywords: dict) -> None:
        """Lower a kernel for arguments of these shapes, and have it compiled."""
        shapes = jax.tree.map(shape_of, (arguments, keywords))
        leaves, structure = jax.tree.flatten(shapes)
        known = (compiled, structure, tuple(leaves))
        if known not in self._submitted:
            lowered = compiled.lower(*shapes[0], **shapes[1])
            self._submitted[known] = self._pool.submit(lowered.compile)

    def wait(self) -> int:
        """Wait for all of them; return how many there were. Raises what a compilation raised."""
        for future in self._submitted.values():
            future.result()
        return len(self._submitted)


def shape_of(leaf: Any) -> Any:
    """An array's shape and type in its place; what is no array stands for itself.

    A NumPy scalar is an array too: kernels take it as an argument, and compile once for all its values.
    """
    if isinstance(leaf, np.ndarray | np.generic):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
    if isinstance(leaf, jax.Array):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, weak_type=leaf.aval.weak_type)
    return leaf


@contextlib.contextmanager
def _collected_by(collector: _Collector | None) -> Iterator[None]:
    token = _collecting.set(collector)
    try:
        yield
    finally:
        _collecting.reset(token)


def processors() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compile_ahead(function: Callable[..., Any], *arguments: Any) -> int:
    """Compile every kernel that `function(*arguments)` calls, several at a time.

    Args:
        function: pure, of pytrees of arrays; traced once, as by `jax.eval_shape`.
        *arguments: those of the call to come; arrays are not read.

    Returns:
        How many kernels there are, for their shapes.
    """
    with ThreadPoolExecutor(processors()) as pool:
        collector = _Collector(pool)
        with _collected_by(collector):
            jax.eval_shape(function, *arguments)
        return collector.wait()


def is_compiling_ahead() -> bool:
    """Whether this is the trace of a computation whose kernels will be called one by one, untraced."""
    return _collecting.get() is not None


def uncollected() -> contextlib.AbstractContextManager[None]:
    """A scope in which kernels that are called belong to what is traced, and are not compiled alone."""
    return _collected_by(None)


@contextlib.contextmanager
def compiling_ahead(compiled: Any, arguments: tuple, keywords: dict) -> Iterator[None]:
    """Around the call of a kernel in such a trace: has it compiled.

    Kernels that this kernel calls are part of it.
    """
    collector = _collecting.get()
    assert collector is not None  # in such a trace
    with _collected_by(None):
        collector.add(compiled, arguments, keywords)
        yield
