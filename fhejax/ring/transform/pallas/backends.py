"""How a Pallas kernel becomes machine code: what the phases need of each of Pallas' backends.

Triton is the one that was measured, and JAX announces that it will go. Mosaic GPU, which is to stay, does not
lower the phases yet (tried with JAX 0.10, without a card): blocks have to be copied into shared memory by
multiples of 128 bytes, which constants could do without, in global memory; a first step and the exchange then
lower. A vector of 16 roots does not, for Mosaic loads multiples of 128 numbers: the second steps would take
tables of roots as large as their tiles. What follows them was not reached.
"""

import concurrent.futures
import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import mlir

from fhejax.ring.transform.pallas import phases


@dataclasses.dataclass(frozen=True)
class Backend:
    """A backend of Pallas.

    title: as reports call it. upper_half: of products of 32-bit numbers. barrier: what makes all that a
    program wrote visible to all of its threads. options: keywords of `pallas_call` for programs of so many
    warps.
    """

    title: str
    upper_half: Callable[[jax.Array, jax.Array], jax.Array]
    barrier: Callable[[], None]
    options: Callable[[int], dict[str, Any]]


def _triton() -> Backend:
    """Triton, which later versions of JAX may lack."""
    from jax.experimental.pallas import triton

    def instruction(x: jax.Array, y: jax.Array) -> jax.Array:
        """The upper half by the instruction itself, for which Triton has no name."""
        # Signed around it: a result of unsigned type is one that Triton's arithmetic then refuses.
        signed = [a.astype(jnp.int32) for a in jnp.broadcast_arrays(x, y)]
        [found] = triton.elementwise_inline_asm(
            "mul.hi.u32 $0, $1, $2;",
            args=signed,
            constraints="=r,r,r",
            pack=1,
            result_shape_dtypes=[jax.ShapeDtypeStruct(signed[0].shape, jnp.int32)],
        )
        return found.astype(jnp.uint32)

    def options(warps: int) -> dict[str, Any]:
        return {"compiler_params": triton.CompilerParams(num_warps=warps, num_stages=1)}

    return Backend("Triton", instruction, triton.debug_barrier, options)


def interpreter() -> Backend:
    """The interpreter, which computes the kernels' results anywhere, slowly: for tests."""
    return Backend("the interpreter", phases.upper_half, lambda: None, lambda warps: {"interpret": True})


@contextlib.contextmanager
def announced() -> Iterator[None]:
    """A scope for lowering kernels, in which nobody is told again that JAX will drop Triton some day.

    That day the trial of the kernels finds that they are gone; until then a user can do nothing about it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def cuda_rule(
    on_arrays: Callable[..., jax.Array], by_kernels: Callable[..., jax.Array]
) -> Callable[..., Any]:
    """How a primitive is lowered for CUDA: by kernels.

    But not for `jax.export`, which takes no code that later versions of JAX may refuse.
    """

    def lowered(context: mlir.LoweringRuleContext, *operands: Any, **parameters: Any) -> Any:
        """The operation on these operands."""
        exported = getattr(context.module_context.lowering_parameters, "for_export", False)
        rule = mlir.lower_fun(on_arrays if exported else by_kernels, multiple_results=False)
        with announced():
            return rule(context, *operands, **parameters)

    return lowered


def problem_of(trial: Callable[[], str | None]) -> str | None:
    """What a trial of a kernel found wrong, or raised, as the end of a sentence; None where all is right.

    It runs in a thread of its own, since the caller may be tracing, and threads trace each for themselves.
    """

    def told() -> str | None:
        """What the trial says, or what it raised."""
        try:
            with announced():
                return trial()
        except Exception as error:
            return f"{type(error).__name__} was raised ({' '.join(str(error).split())[:200]})"

    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(told).result()


# In the order in which they are tried.
BACKENDS: dict[str, Callable[[], Backend]] = {"Triton": _triton}
