"""64-bit arithmetic inside a kernel, whatever the user's `jax_enable_x64` says."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def wide(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let `function` use 64-bit types while it is traced; write `@jax.jit` above it.

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
