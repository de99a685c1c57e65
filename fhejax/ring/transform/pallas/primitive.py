"""The transform as one primitive of JAX: how it is computed is decided when it is lowered, for each platform.

A branch by platform within a traced function would not do: lowered for several platforms at once, each of its
branches is lowered for all of them, and a Pallas kernel for a GPU cannot be lowered for a CPU. So Pallas is
also imported only where something is lowered for a GPU.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from fhejax.ring.ring import Ring
from fhejax.ring.transform.pallas import whole
from fhejax.ring.transform.pallas.backends import BACKENDS, cuda_rule
from fhejax.ring.transform.pallas.roots import Tables
from fhejax.ring.wide import kernel, wide

transform_p = Primitive("number_theoretic_transform")


def transform(x: jax.Array, tables: Tables, *, direction: str, ring: Ring, backend: str | None) -> jax.Array:
    """The transform of [polynomial, limb, N], as in `whole`, by kernels where it is lowered for CUDA.

    Args:
        x: as `whole.forward` or `whole.inverse` takes it.
        tables: of the ring and the limbs.
        direction: "forward" or "inverse".
        ring: degree and kind.
        backend: a key of `BACKENDS`, or None for whole arrays on every platform.
    """
    leaves, structure = jax.tree.flatten(tables)
    return transform_p.bind(x, *leaves, structure=structure, direction=direction, ring=ring, backend=backend)


def _on_arrays(
    x: jax.Array, *leaves: Any, structure: Any, direction: str, ring: Ring, backend: str | None
) -> jax.Array:
    return wide(getattr(whole, direction))(x, structure.unflatten(leaves), ring)


def _by_kernels(
    x: jax.Array, *leaves: Any, structure: Any, direction: str, ring: Ring, backend: str | None
) -> jax.Array:
    if backend is None or not x.size:
        return _on_arrays(x, *leaves, structure=structure, direction=direction, ring=ring, backend=None)
    from fhejax.ring.transform.pallas import kernels

    run = wide(getattr(kernels, direction))
    return run(x, structure.unflatten(leaves), ring, BACKENDS[backend]())


def _abstract(x: Any, *leaves: Any, **_: Any) -> ShapedArray:
    return ShapedArray(x.shape, x.dtype)


def _batch(operands: Any, axes: Any, **parameters: Any) -> tuple[jax.Array, int]:
    """More polynomials; where constants are batched as well, one transform after the other."""
    x, *leaves = operands
    axis, *others = axes
    if axis is None or any(other is not None for other in others):
        return _one_by_one(operands, axes, parameters), 0
    x = jnp.moveaxis(x, axis, 0)
    merged = transform_p.bind(x.reshape(-1, *x.shape[2:]), *leaves, **parameters)
    return merged.reshape(x.shape), 0


def _one_by_one(operands: Any, axes: Any, parameters: dict[str, Any]) -> jax.Array:
    batched = [jnp.moveaxis(a, axis, 0) for a, axis in zip(operands, axes, strict=True) if axis is not None]

    def one(rows: list[jax.Array]) -> jax.Array:
        given = iter(rows)
        chosen = [a if axis is None else next(given) for a, axis in zip(operands, axes, strict=True)]
        return transform_p.bind(*chosen, **parameters)

    return jax.lax.map(one, batched)


# Within a kernel, and so compiled, this is never called; as the primitive again it would not end without jit.
transform_p.def_impl(kernel(_on_arrays, static_argnames=("structure", "direction", "ring", "backend")))
transform_p.def_abstract_eval(_abstract)
batching.primitive_batchers[transform_p] = _batch
mlir.register_lowering(transform_p, mlir.lower_fun(_on_arrays, multiple_results=False))
mlir.register_lowering(transform_p, cuda_rule(_on_arrays, _by_kernels), platform="cuda")
