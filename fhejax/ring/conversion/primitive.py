"""The conversion as a primitive of JAX: by the kernel where it is lowered for CUDA, else on arrays."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from fhejax.ring.conversion.constants import conversion
from fhejax.ring.transform.pallas.backends import BACKENDS, cuda_rule
from fhejax.ring.wide import kernel, wide

convert_p = Primitive("base_conversion")
Arrays = Callable[[jax.Array, tuple[int, ...], tuple[int, ...]], jax.Array]


def convert(
    x: jax.Array, source: tuple[int, ...], target: tuple[int, ...], *, backend: str, on_arrays: Arrays
) -> jax.Array:
    """The conversion of [..., source limb, N] to [..., target limb, N].

    Args:
        x: as of `convert_basis`.
        source: primes.
        target: primes.
        backend: a key of Pallas' `BACKENDS`.
        on_arrays: the same conversion by XLA, for platforms without the kernel and for exports.
    """
    flat = x.reshape(-1, *x.shape[-2:])
    found = convert_p.bind(flat, source=source, target=target, backend=backend, on_arrays=on_arrays)
    return found.reshape(*x.shape[:-2], *found.shape[1:])


def _on_arrays(
    x: jax.Array, *, source: tuple[int, ...], target: tuple[int, ...], backend: str, on_arrays: Arrays
) -> jax.Array:
    return wide(on_arrays)(x, source, target)


def _by_kernel(
    x: jax.Array, *, source: tuple[int, ...], target: tuple[int, ...], backend: str, on_arrays: Arrays
) -> jax.Array:
    if not x.size:
        return wide(on_arrays)(x, source, target)
    from fhejax.ring.conversion.kernel import converted

    return wide(converted)(x, conversion(source, target), BACKENDS[backend]())


def _abstract(x: Any, *, target: tuple[int, ...], **_: Any) -> ShapedArray:
    return ShapedArray((x.shape[0], len(target), x.shape[-1]), x.dtype)


def _batch(operands: Any, axes: Any, **parameters: Any) -> tuple[jax.Array, int]:
    x = jnp.moveaxis(operands[0], axes[0], 0)
    merged = convert_p.bind(x.reshape(-1, *x.shape[2:]), **parameters)
    return merged.reshape(*x.shape[:2], *merged.shape[1:]), 0


# Within a kernel, and so compiled, this is never called; as the primitive again it would not end without jit.
_STATIC = ("source", "target", "backend", "on_arrays")
convert_p.def_impl(functools.partial(kernel, static_argnames=_STATIC)(_on_arrays))
convert_p.def_abstract_eval(_abstract)
batching.primitive_batchers[convert_p] = _batch
mlir.register_lowering(convert_p, mlir.lower_fun(_on_arrays, multiple_results=False))
mlir.register_lowering(convert_p, cuda_rule(_on_arrays, _by_kernel), platform="cuda")
