"""Rules: what each JAX primitive does to encrypted views, and what to write instead of the others.

A rule takes the builder, the operands (at least one a `View`, the others plain) and the primitive's
parameters, and returns a `View`. It raises ValueError with a reason to refuse.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from fhejax.program.circuit.views import Builder, View
from fhejax.program.tensor.operations import contractions, encrypted_contractions, rearrangement, windows
from fhejax.program.tensor.operations.elementwise import (
    Operand,
    add_views,
    divide_view,
    multiply_views,
    power_of_view,
    square_view,
    subtract_views,
)
from fhejax.program.tensor.operations.polynomials import polynomial

Rule = Callable[[Builder, list[Operand], dict[str, Any]], View | list[View]]


def _matrix_product(builder: Builder, operands: list[Operand], params: dict[str, Any]) -> View:
    x, y = operands
    numbers = params["dimension_numbers"]
    if isinstance(x, View) and isinstance(y, View):
        return encrypted_contractions.dot_general_of_encrypted(builder, x, y, numbers)
    if isinstance(x, View):
        return contractions.dot_general_by_plain(builder, x, np.asarray(y, np.float64), numbers, True)
    return contractions.dot_general_by_plain(builder, y, np.asarray(x, np.float64), numbers, False)


def _convolution(builder: Builder, operands: list[Operand], params: dict[str, Any]) -> View:
    image, kernel = operands
    if not isinstance(image, View) or isinstance(kernel, View):
        raise ValueError("a convolution by an encrypted kernel; the kernel must be plain")
    return windows.convolution(builder, image, np.asarray(kernel, np.float64), params)


def _convert(builder: Builder, operands: list[Operand], params: dict[str, Any]) -> View:
    if not jnp.issubdtype(params["new_dtype"], jnp.floating):
        raise ValueError("a conversion to integers; keep encrypted values in floating point")
    return operands[0]


def _unchanged(builder: Builder, operands: list[Operand], params: dict[str, Any]) -> View:
    return operands[0]


def _padding(builder: Builder, operands: list[Operand], params: dict[str, Any]) -> View:
    array, value = operands
    if isinstance(value, View):
        raise ValueError("a padding with an encrypted value; pad with zero, and add the value")
    return rearrangement.pad(array, value, params)


def _unary(rule: Callable[[View, dict[str, Any]], View | list[View]]) -> Rule:
    return lambda builder, operands, params: rule(operands[0], params)


def _binary(rule: Callable[[Builder, Operand, Operand], View]) -> Rule:
    return lambda builder, operands, params: rule(builder, *operands)


def _select(builder: Builder, operands: list[Operand], params: dict[str, Any]) -> View:
    """The choice lax.select_n by a plain predicate: the sum of masks times cases."""
    which, *cases = operands
    if isinstance(which, View):
        raise ValueError("a choice by an encrypted predicate; use a smooth polynomial instead")
    masks = [np.asarray(which).astype(np.int64) == i for i in range(len(cases))]
    like = next(c for c in cases if isinstance(c, View))
    plain, encrypted = np.zeros(like.shape), []
    for mask, case in zip(masks, cases, strict=True):
        shaped = np.broadcast_to(mask, like.shape)
        if isinstance(case, View):
            encrypted.append(multiply_views(builder, case, shaped.astype(np.float64)))
        else:
            plain = np.where(shaped, np.asarray(case, np.float64), plain)
    total = functools.reduce(lambda x, y: add_views(builder, x, y), encrypted)
    return add_views(builder, total, plain)


RULES: dict[str, Rule] = {
    "add": _binary(add_views),
    "add_any": _binary(add_views),
    "sub": _binary(subtract_views),
    "mul": _binary(multiply_views),
    "div": _binary(divide_view),
    "neg": lambda builder, operands, params: operands[0].affine(-1.0, 0.0),
    "square": lambda builder, operands, params: square_view(builder, operands[0]),
    "integer_pow": lambda builder, operands, params: power_of_view(builder, operands[0], params["y"]),
    "dot_general": _matrix_product,
    "conv_general_dilated": _convolution,
    "reduce_sum": lambda builder, operands, params: contractions.reduce_sum(
        builder, operands[0], tuple(params["axes"])
    ),
    "reduce_window_sum": lambda builder, operands, params: windows.window_sum(builder, operands[0], params),
    "polynomial": lambda builder, operands, params: polynomial(
        builder, operands[0], operands[1], params["interval"]
    ),
    "reshape": _unary(rearrangement.reshape),
    "transpose": _unary(rearrangement.transpose),
    "broadcast_in_dim": _unary(rearrangement.broadcast_in_dim),
    "squeeze": _unary(rearrangement.squeeze),
    "expand_dims": _unary(rearrangement.expand_dims),
    "slice": _unary(rearrangement.slice_),
    "rev": _unary(rearrangement.reverse),
    "split": _unary(rearrangement.split),
    "pad": _padding,
    "concatenate": rearrangement.concatenate_views,
    "stack": rearrangement.stack_views,
    "tile": _unary(rearrangement.tile),
    "select_n": _select,
    "convert_element_type": _convert,
    "reduce_precision": _unchanged,
    "copy": _unchanged,
    "copy_p": _unchanged,
    "stop_gradient": _unchanged,
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
    "pow": "a power that is not a whole number; use x**n with a Python integer n",
    "scan": "a loop; unroll it in Python",
    "while": "a loop; unroll it in Python",
    "cond": "a branch; compute both sides, or decide in the clear",
    "gather": "indexing by an array; use slices, or reshape",
    "dynamic_slice": "indexing by a traced position; use Python slices",
}


def substitute(name: str) -> str:
    """The advice on what to write instead of a primitive that has no rule."""
    if name in {"gt", "lt", "ge", "le", "eq", "ne", "is_finite", "and", "or", "not"}:
        return _COMPARISON
    default = "it has no rule; write it with sums, products, convolutions or fhejax.approx polynomials"
    return _SUBSTITUTES.get(name, default)
