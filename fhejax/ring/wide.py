"""Kernels that do the same under every setting of the user's: always compiled, always with 64-bit types."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax

from fhejax.ring.compile_ahead import compiling_ahead, is_compiling_ahead

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def kernel(function: Callable[Arguments, Result], **options: Any) -> Callable[Arguments, Result]:
    """The `jax.jit` that `jax_disable_jit` does not switch off.

    That setting is for looking into one's own functions. Run by single operations a kernel would take
    minutes and gigabytes, for XLA compiles each operation anew for each shape, and its loops would be
    Python's: 20 rounds of ChaCha20 for every few polynomials.

    Args:
        function: pure; of arrays, but for what `options` call static.
        **options: those of `jax.jit`.
    """
    compiled = jax.jit(function, **options)

    @functools.wraps(function)
    def call(*arguments: Arguments.args, **keywords: Arguments.kwargs) -> Result:
        if not is_compiling_ahead():
            return run(*arguments, **keywords)
        with compiling_ahead(compiled, arguments, keywords):
            return run(*arguments, **keywords)

    def run(*arguments: Arguments.args, **keywords: Arguments.kwargs) -> Result:
        # JAX gives its configuration these attributes at run time.
        if not jax.config.jax_disable_jit:  # pyright: ignore[reportAttributeAccessIssue]
            return compiled(*arguments, **keywords)
        with jax.disable_jit(False):
            return compiled(*arguments, **keywords)

    # The type of a wrapped function has none of the attributes that a function may be given.
    call.lower = compiled.lower  # pyright: ignore[reportAttributeAccessIssue]
    return call


def wide(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let `function` use 64-bit types while it is traced; write `@kernel` above it.

    The scope opens inside the traced function, so that a later call from outside finds the same
    compiled code: opened around the jit instead, JAX would retrace with 32-bit types and truncate
    silently. Arrays that leave the function must be 32-bit (or the caller must be wide itself).
    Ranks may differ inside, whatever `jax_numpy_rank_promotion` says: constants [limb, 1] are meant to
    broadcast against residues [..., limb, N].
    """

    @functools.wraps(function)
    def scoped(*arguments: Arguments.args, **keywords: Arguments.kwargs) -> Result:
        with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
            return function(*arguments, **keywords)

    return scoped
