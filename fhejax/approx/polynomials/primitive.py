"""`polynomial_p`: a polynomial in the Chebyshev basis as one JAX primitive.

One primitive, and not a traced evaluation, because the schedule depends on who evaluates: in the
clear Clenshaw's recurrence is stable and uses two temporaries, under encryption it would spend one
level per degree where ceil(log2(d + 1)) suffice. A homomorphic evaluator finds the equation in the
jaxpr by the identity of the primitive and chooses its own schedule.

Operands: `x` (float) and `coefficients` (same dtype), of shape (*channels, degree + 1), where
each entry of `channels` is 1 or the size of the trailing axis of x that it is aligned with.
Parameter: `interval`, a pair of floats. Result: an array of x's shape and dtype.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from fhejax.approx.intervals import Interval
from fhejax.approx.polynomials.basis import derivative_matrix, midpoint_and_scale

polynomial_p = Primitive("polynomial")


def bind_polynomial(x: jax.Array, coefficients: jax.Array, interval: Interval) -> jax.Array:
    """The result of `polynomial_p` for operands that are validated already.

    Args:
        x: floats of any shape.
        coefficients: (*channels, degree + 1), of x's dtype.
        interval: (a, b), static.
    """
    x, coefficients = _vary_alike(x, coefficients)
    return polynomial_p.bind(x, coefficients, interval=interval)


def check_operands(x: Any, coefficients: Any) -> None:
    """Refuse operands of `polynomial_p`, or descriptions of them, that do not fit.

    Raises:
        TypeError: dtypes that differ or are not floating.
        ValueError: channels that do not match the trailing axes of x.
    """
    if x.dtype != coefficients.dtype or not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            "a polynomial evaluates x and coefficients of one floating dtype, but x has dtype "
            f"{x.dtype} and the coefficients have {coefficients.dtype}; convert one of them."
        )
    channels = tuple(coefficients.shape[:-1])
    trailing = tuple(x.shape)[len(x.shape) - len(channels) :]
    fits = len(channels) <= len(x.shape)
    if not fits or any(c not in (1, n) for c, n in zip(channels, trailing, strict=True)):
        raise ValueError(
            f"a polynomial with channels {channels} was evaluated at x of shape {tuple(x.shape)}; "
            "the channels must match the trailing axes of x: move the channel axis of x last, or "
            "use one polynomial for all channels."
        )


def differentiate(coefficients: Any, interval: Interval) -> Any:
    """The Chebyshev coefficients of dp/dx, (*channels, max(degree, 1)), in the dtype of those of p.

    Args:
        coefficients: (*channels, degree + 1). A NumPy array stays one (computed in float64), anything
            else is computed by JAX in its dtype.
        interval: that of p.
    """
    matrix = derivative_matrix(coefficients.shape[-1] - 1, interval).T
    if isinstance(coefficients, np.ndarray):
        return (coefficients @ matrix).astype(coefficients.dtype)
    matrix = jnp.asarray(matrix, dtype=coefficients.dtype)
    return jnp.tensordot(coefficients, matrix, axes=1, precision=lax.Precision.HIGHEST)


def clenshaw(x: jax.Array, coefficients: jax.Array, *, interval: Interval) -> jax.Array:
    """The value by Clenshaw's recurrence b_k = c_k + 2 t b_{k+1} - b_{k+2} (MTAC 9, 1955).

    Unrolled, so that XLA fuses it to one pass over x. Backward stable on the interval; the cost is
    2 multiplications and additions for each degree and entry. Operands as of `polynomial_p`.
    """
    t = _to_unit(x, interval)
    terms = _aligned_terms(coefficients, x.ndim)
    later, current = jnp.zeros_like(t), jnp.zeros_like(t)
    for term in reversed(terms[1:]):
        later, current = current, term + 2 * t * current - later
    return terms[0] + t * current - later


def chebyshev_basis(t: jax.Array, degree: int) -> list[jax.Array]:
    """The polynomials T_0(t) .. T_degree(t), each from two of half its degree.

    2 T_m T_n = T_{m+n} + T_{m-n}, so T_k has the least possible depth ceil(log2 k): this is what
    the gradient with respect to encrypted coefficients runs.
    """
    basis = [jnp.ones_like(t), t]
    for k in range(2, degree + 1):
        basis.append(2 * basis[(k + 1) // 2] * basis[k // 2] - basis[k % 2])
    return basis[: degree + 1]


def _to_unit(x: jax.Array, interval: Interval) -> jax.Array:
    midpoint, scale = midpoint_and_scale(interval)
    return (x - midpoint) * scale


def _aligned_terms(coefficients: jax.Array, rank: int) -> list[jax.Array]:
    """The coefficient of each T_k, with as many axes as x."""
    missing = rank + 1 - coefficients.ndim
    aligned = lax.expand_dims(coefficients, range(missing))
    return [lax.index_in_dim(aligned, k, -1, False) for k in range(coefficients.shape[-1])]


def _abstract(x: Any, coefficients: Any, *, interval: Interval) -> Any:
    check_operands(x, coefficients)
    return x.update(weak_type=False)


def _varying_axes(value: jax.Array) -> frozenset[str]:
    # The attribute's name differs between versions of JAX.
    kind = jax.typeof(value)
    mesh_type = getattr(kind, "manual_axis_type", None)
    return getattr(kind, "vma", frozenset()) if mesh_type is None else mesh_type.varying


def _vary_alike(*values: jax.Array) -> list[jax.Array]:
    """The values, made to vary over the same mesh axes inside shard_map, as JAX's own operations do.

    The conversion's transpose is the sum over devices that a replicated coefficient's gradient
    needs.
    """
    axes = [_varying_axes(value) for value in values]
    missing = [frozenset().union(*axes) - own for own in axes]
    return [
        lax.pcast(value, tuple(sorted(extra)), to="varying") if extra else value
        for value, extra in zip(values, missing, strict=True)
    ]


def _jvp_x(tangent: Any, x: Any, coefficients: Any, *, interval: Interval) -> Any:
    if coefficients.shape[-1] == 1:
        return jnp.zeros_like(tangent)
    slope = bind_polynomial(x, differentiate(coefficients, interval), interval)
    return lax.mul(tangent, slope)


def _jvp_coefficients(tangent: Any, x: Any, coefficients: Any, *, interval: Interval) -> Any:
    return bind_polynomial(x, tangent, interval)


def _transpose(cotangent: Any, x: Any, coefficients: Any, *, interval: Interval) -> Any:
    """The transpose in the coefficients, where the result is linear: T_k weighed by the cotangent."""
    shape = coefficients.aval.shape
    if type(cotangent) is ad.Zero:
        return None, ad.Zero(coefficients.aval)
    basis = chebyshev_basis(_to_unit(x, interval), shape[-1] - 1)
    sums = [_sum_to(lax.mul(cotangent, term), shape[:-1]) for term in basis]
    return None, jnp.stack(sums, axis=-1)


def _sum_to(value: jax.Array, channels: tuple[int, ...]) -> jax.Array:
    leading = value.ndim - len(channels)
    summed = [leading + i for i, size in enumerate(channels) if size == 1]
    return jnp.sum(value, axis=(*range(leading), *summed)).reshape(channels)


def _batch(arguments: Any, axes: Any, *, interval: Interval) -> tuple[jax.Array, int]:
    x, coefficients = arguments
    x_axis, coefficients_axis = axes
    if x_axis is not None:
        x = jnp.moveaxis(x, x_axis, 0)
    if coefficients_axis is not None:
        coefficients = jnp.moveaxis(coefficients, coefficients_axis, 0)
        if x_axis is None:
            x = jnp.broadcast_to(x[None], (coefficients.shape[0], *x.shape))
        # The batch is x's first axis; axes of size one put the channels back on the last ones.
        missing = x.ndim + 1 - coefficients.ndim
        coefficients = lax.expand_dims(coefficients, range(1, 1 + missing))
    return bind_polynomial(x, coefficients, interval), 0


def _implementation(x: jax.Array, coefficients: jax.Array, *, interval: Interval) -> jax.Array:
    """The value itself, and not the primitive again, which would never end where jit is disabled."""
    check_operands(x, coefficients)
    return clenshaw(x, coefficients, interval=interval)


polynomial_p.def_impl(jax.jit(_implementation, static_argnames="interval"))
polynomial_p.def_abstract_eval(_abstract)
ad.defjvp(polynomial_p, _jvp_x, _jvp_coefficients)
ad.primitive_transposes[polynomial_p] = _transpose
batching.primitive_batchers[polynomial_p] = _batch
mlir.register_lowering(polynomial_p, mlir.lower_fun(clenshaw, multiple_results=False))
