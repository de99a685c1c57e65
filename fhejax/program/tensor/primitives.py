"""The table of JAX's primitives: which operations each becomes, and what to write instead of the others.

A function of the table takes the builder, the operands (at least one a `Tensor`, the others plain) and the
primitive's parameters, and returns what the primitive's results are. It raises ValueError with a reason to
refuse.
"""

from typing import Any

import jax.numpy as jnp

from fhejax.program.tensor.builder import Builder, FromPrimitive, Operand
from fhejax.program.tensor.operations import (
    affine,
    contraction,
    convolution,
    polynomial,
    power,
    product,
    reduction,
    scatter,
    selection,
    sum,
    window_sum,
)
from fhejax.program.tensor.operations.rearrangements import (
    broadcast,
    concatenation,
    gather,
    padding,
    reshape,
    reversal,
    slice,
    transposition,
)


def _convert(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Operand:
    if not jnp.issubdtype(params["new_dtype"], jnp.floating):
        raise ValueError("a conversion to integers; keep encrypted values in floating point")
    return operands[0]


def _all_unchanged(builder: Builder, operands: list[Any], params: dict[str, Any]) -> list[Operand]:
    return list(operands)


def _unchanged(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Operand:
    return operands[0]


PRIMITIVES: dict[str, FromPrimitive] = {
    "add": sum.addition,
    "add_any": sum.addition,
    "sub": sum.subtraction,
    "mul": product.multiplication,
    "square": product.square,
    "div": affine.division,
    "neg": affine.negation,
    "integer_pow": power.whole_power,
    "pow": power.any_power,
    "polynomial": polynomial.polynomial,
    "dot_general": contraction.dot_general,
    "conv_general_dilated": convolution.convolution,
    "reduce_prod": product.product_over_axes,
    "reduce_sum": reduction.reduction,
    "reduce_window_sum": window_sum.window_sum,
    "reduce_window": window_sum.reduce_window,
    "cumsum": window_sum.cumulative_sum,
    "select_n": selection.selection,
    "reshape": reshape.reshape,
    "squeeze": reshape.squeeze,
    "transpose": transposition.transpose,
    "broadcast_in_dim": broadcast.broadcast_in_dim,
    "expand_dims": broadcast.expand_dims,
    "tile": broadcast.tile,
    "slice": slice.slice_,
    "split": slice.split,
    "dynamic_slice": slice.dynamic_slice,
    "dynamic_update_slice": scatter.dynamic_update_slice,
    "gather": gather.gather,
    "scatter": scatter.scatter,
    "scatter-add": scatter.scatter_add,
    "scatter-sub": scatter.scatter_sub,
    "scatter-mul": scatter.scatter_mul,
    "rev": reversal.reverse,
    "pad": padding.pad,
    "concatenate": concatenation.concatenate,
    "stack": concatenation.stack,
    "convert_element_type": _convert,
    "reduce_precision": _unchanged,
    "copy": _unchanged,
    "copy_p": _unchanged,
    "stop_gradient": _unchanged,
    "optimization_barrier": _all_unchanged,
}

_COMPARISON = "a comparison; work on the numbers themselves, or fit a smooth step with fhejax.approx"
_FIT = "fit it on the range of its input: fhejax.approx.chebyshev({name!r}, degree, (low, high))"
_SUBSTITUTES = {
    "max": "use fhejax.nn.Square, or fhejax.nn.PolynomialActivation in place of ReLU",
    "min": "use fhejax.nn.Square or fhejax.nn.PolynomialActivation",
    "reduce_max": "use average pooling (flax.nnx.avg_pool) instead of max pooling",
    "reduce_window_max": "use average pooling (flax.nnx.avg_pool) instead of max pooling",
    "reduce_min": "use average pooling or a sum",
    "argmax": "return the logits, and take the argmax after decryption",
    "argmin": "return the scores, and take the argmin after decryption",
    "sort": "return the values, and sort after decryption",
    "top_k": "return the values, and choose after decryption",
    "exp": _FIT.format(name="exp"),
    "log": _FIT.format(name="log"),
    "logistic": _FIT.format(name="sigmoid"),
    "tanh": _FIT.format(name="tanh"),
    "erf": "fit the whole activation: fhejax.approx.chebyshev('gelu', degree, (low, high))",
    "rsqrt": _FIT.format(name="rsqrt"),
    "sqrt": _FIT.format(name="sqrt"),
    "abs": _FIT.format(name="abs"),
    "sign": _FIT.format(name="sign"),
    "while": "a loop of unknown length; use lax.scan, or lax.fori_loop between two whole numbers of Python",
    "cond": "a branch; compute both sides, or decide in the clear",
}


def substitute(name: str) -> str:
    """The advice on what to write instead of a primitive that has no rule."""
    if name in {"gt", "lt", "ge", "le", "eq", "ne", "is_finite", "and", "or", "not"}:
        return _COMPARISON
    default = "it has no rule; write it with sums, products, convolutions or fhejax.approx polynomials"
    return _SUBSTITUTES.get(name, default)
