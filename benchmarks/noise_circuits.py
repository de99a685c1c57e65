"""Operations and circuits whose noise is predicted and measured: each a function, and the same in the clear.

The functions take keys and ciphertexts, or None and estimates. Arguments have a batch of one size, so that
few shapes have to be compiled.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext, EvaluationKeys
from fhejax.ckks.parameters import Scale

DEPTH = 4
BATCH = 4
_WEIGHT_BITS = 9


@dataclasses.dataclass(frozen=True)
class Circuit:
    """A function of keys and ciphertexts, which runs on estimates too, and the same in the clear.

    arguments: how many. batched: whether an argument is a batch of different vectors; else the same
    vector is encrypted several times over. public: whether under the public key. added_bits: to the
    canonical scale when encoding. plain: whether the reference takes the number of slots first. complex:
    whether it needs complex slots.
    """

    function: Callable[..., Any]
    reference: Callable[..., np.ndarray]
    arguments: int = 1
    batched: bool = False
    public: bool = False
    added_bits: int = 0
    plain: bool = False
    complex: bool = False


def _waves(slots: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, slots)


def _plain(x: Ciphertext, seed: int) -> ckks.Plaintext:
    """Encoded so that the product, rescaled, has the scale of the level below."""
    params, dropped = x.params, math.prod(x.moduli) // math.prod(x.params.level_moduli(x.level - 1))
    scale = params.scales[x.level - 1] * dropped / x.scale
    return ckks.encode(params, _waves(params.slots, seed), level=x.level, scale=scale)


def _add_plain(x: Ciphertext, values: np.ndarray | float) -> Ciphertext:
    values = np.broadcast_to(values, x.params.slots)
    return ckks.add(x, ckks.encode(x.params, values, level=x.level, scale=x.scale))


def _late_relinearisation(keys: EvaluationKeys, x: Ciphertext, y: Ciphertext) -> Ciphertext:
    """x y - x^2, rescaled while it has three components, and relinearised after."""
    three = ckks.subtract(ckks.evaluation.tensor(x, y), ckks.evaluation.square_tensor(x))
    return ckks.relinearise(keys, ckks.rescale(three))


OPERATIONS = {
    "encryption, secret key": Circuit(lambda k, x: x, lambda x: x),
    "encryption, public key": Circuit(lambda k, x: x, lambda x: x, public=True),
    "addition": Circuit(lambda k, x, y: ckks.add(x, y), lambda x, y: x + y, 2),
    "addition to itself": Circuit(lambda k, x: ckks.add(x, x), lambda x: 2 * x),
    "subtraction": Circuit(lambda k, x, y: ckks.subtract(x, y), lambda x, y: x - y, 2),
    "negation": Circuit(lambda k, x: ckks.negate(x), lambda x: -x),
    "lower level": Circuit(lambda k, x: ckks.drop_level(x, 1), lambda x: x),
    "times an integer": Circuit(lambda k, x: ckks.evaluation.multiply_integer(x, -3), lambda x: -3 * x),
    "times a number": Circuit(lambda k, x: ckks.multiply_scalar(x, 0.37), lambda x: 0.37 * x),
    "plus a plaintext": Circuit(
        lambda k, x: _add_plain(x, _waves(x.params.slots, 4)), lambda n, x: x + _waves(n, 4), plain=True
    ),
    "times a plaintext": Circuit(
        lambda k, x: ckks.multiply_plain(x, _plain(x, 5)), lambda n, x: x * _waves(n, 5), plain=True
    ),
    "times a plaintext, rescaled": Circuit(
        lambda k, x: ckks.rescale(ckks.multiply_plain(x, _plain(x, 5))),
        lambda n, x: x * _waves(n, 5),
        plain=True,
    ),
    "tensor": Circuit(lambda k, x, y: ckks.evaluation.tensor(x, y), lambda x, y: x * y, 2),
    "square tensor": Circuit(lambda k, x: ckks.evaluation.square_tensor(x), lambda x: x * x),
    "product": Circuit(ckks.multiply, lambda x, y: x * y, 2),
    "square": Circuit(ckks.square, lambda x: x * x),
    "relinearisation": Circuit(
        lambda k, x: ckks.relinearise(k, ckks.evaluation.square_tensor(x)), lambda x: x * x, added_bits=-12
    ),
    "rescaling": Circuit(lambda k, x: ckks.rescale(x), lambda x: x, added_bits=26),
    "rescaling by two levels": Circuit(lambda k, x: ckks.rescale(x, DEPTH - 2), lambda x: x, added_bits=52),
    "rescaling of three components": Circuit(_late_relinearisation, lambda x, y: x * y - x**2, 2),
    "rotation": Circuit(lambda k, x: ckks.rotate(k, x, 1), lambda x: np.roll(x, -1)),
    "rotations, hoisted": Circuit(
        lambda k, x: ckks.add(*ckks.rotate_hoisted(k, x, (1, 2))), lambda x: np.roll(x, -1) + np.roll(x, -2)
    ),
    "sum of 8 slots": Circuit(
        lambda k, x: ckks.inner_sum(k, x, 8), lambda x: sum(np.roll(x, -i) for i in range(8))
    ),
    "conjugation": Circuit(lambda k, x: ckks.conjugate(k, x), np.conj, complex=True),
    "real part": Circuit(lambda k, x: ckks.evaluation.real_part(k, x), np.real, complex=True),
    "imaginary part": Circuit(lambda k, x: ckks.evaluation.imaginary_part(k, x), np.imag, complex=True),
    "alignment": Circuit(lambda k, x: ckks.evaluation.match_scale(x, 1, x.params.scales[1]), lambda x: x),
}


def polynomial(keys: EvaluationKeys, x: Ciphertext) -> Ciphertext:
    """1/4 + x/2 - x^2/3 + x^3 + x^5/2 - x^7, of two ways to x^4 and three levels."""
    square = ckks.square(keys, x)
    fourth = ckks.square(keys, square)
    low = ckks.add(ckks.multiply_scalar(square, -1 / 3), ckks.multiply_scalar(x, 0.5))
    cube = ckks.multiply(keys, square, x)
    high = ckks.subtract(ckks.multiply_scalar(x, 0.5), cube)
    total = ckks.add(ckks.add(low, cube), ckks.multiply(keys, fourth, high))
    return _add_plain(total, 0.25)


def chebyshev(keys: EvaluationKeys, x: Ciphertext) -> Ciphertext:
    """T_7 = 2 T_4 T_3 - T_1."""
    second = _add_plain(ckks.evaluation.multiply_integer(ckks.square(keys, x), 2), -1.0)
    third = ckks.subtract(ckks.evaluation.multiply_integer(ckks.multiply(keys, second, x), 2), x)
    fourth = _add_plain(ckks.evaluation.multiply_integer(ckks.square(keys, second), 2), -1.0)
    return ckks.subtract(ckks.evaluation.multiply_integer(ckks.multiply(keys, fourth, third), 2), x)


def mixed_levels(keys: EvaluationKeys, x: Ciphertext) -> Ciphertext:
    """x + x^2 + x^4 - x^8: each at another level."""
    square = ckks.square(keys, x)
    fourth = ckks.square(keys, square)
    total = ckks.add(x, ckks.add(fourth, square))
    return ckks.subtract(total, ckks.square(keys, fourth))


def sign_steps(keys: EvaluationKeys, x: Ciphertext) -> Ciphertext:
    """Two steps x (3 - x^2) / 2 towards the sign of x."""
    for _ in range(2):
        half = ckks.multiply_scalar(x, 0.5)
        x = ckks.multiply(keys, half, _add_plain(ckks.negate(ckks.square(keys, x)), 3.0))
    return x


def _sign_steps_in_the_clear(x: np.ndarray) -> np.ndarray:
    for _ in range(2):
        x = x * (3 - x**2) / 2
    return x


def plain_chain(keys: EvaluationKeys, x: Ciphertext, y: Ciphertext) -> Ciphertext:
    """((x p + y p) + q) p', where both products share the rounding of p."""
    del keys
    first = _plain(x, 1)
    total = ckks.rescale(ckks.add(ckks.multiply_plain(x, first), ckks.multiply_plain(y, first)))
    total = _add_plain(total, _waves(x.params.slots, 2))
    return ckks.rescale(ckks.multiply_plain(total, _plain(total, 3)))


def gradient_step(keys: EvaluationKeys, w: Ciphertext, x: Ciphertext, y: Ciphertext) -> Ciphertext:
    """w - (w x - y) x / 4: linear regression on one feature, weight and data encrypted."""
    residual = ckks.subtract(ckks.multiply(keys, w, x), y)
    return ckks.subtract(w, ckks.multiply_scalar(ckks.multiply(keys, residual, x), 0.25))


def logistic_step(keys: EvaluationKeys, w: Ciphertext, x: Ciphertext) -> Ciphertext:
    """w - (z/4 - z^3/48) x with z = w x: the odd part of a logistic gradient."""
    z = ckks.multiply(keys, w, x)
    cube = ckks.multiply(keys, ckks.square(keys, z), ckks.multiply_scalar(z, -1 / 48))
    slope = ckks.add(ckks.multiply_scalar(z, 0.25), cube)
    return ckks.subtract(w, ckks.multiply(keys, slope, x))


def four_factors(keys: EvaluationKeys, *factors: Ciphertext) -> Ciphertext:
    """(x y)(z w)."""
    x, y, z, w = factors
    return ckks.multiply(keys, ckks.multiply(keys, x, y), ckks.multiply(keys, z, w))


def diagonals(keys: EvaluationKeys, x: Ciphertext) -> Ciphertext:
    """A matrix of three diagonals times the slots, and its product with them."""
    rotated = [x, *ckks.rotate_hoisted(keys, x, (1, 2))]
    products = [ckks.multiply_plain(y, _plain(y, seed)) for seed, y in enumerate(rotated)]
    total = ckks.rescale(ckks.add(ckks.add(products[0], products[1]), products[2]))
    return ckks.multiply(keys, total, x)


def _diagonals_in_the_clear(slots: int, x: np.ndarray) -> np.ndarray:
    return x * sum(_waves(slots, step) * np.roll(x, -step) for step in range(3))


def neighbours(keys: EvaluationKeys, x: Ciphertext) -> Ciphertext:
    """y - (y rotated) with y = x^2 (x rotated): one source in slots apart, and again in one slot."""
    y = ckks.multiply(keys, ckks.square(keys, x), ckks.rotate(keys, x, 1))
    return ckks.subtract(y, ckks.rotate(keys, y, 1))


def _neighbours_in_the_clear(x: np.ndarray) -> np.ndarray:
    y = x**2 * np.roll(x, -1)
    return y - np.roll(y, -1)


def magnitude(keys: EvaluationKeys, x: Ciphertext) -> Ciphertext:
    """x times its conjugate."""
    return ckks.multiply(keys, x, ckks.conjugate(keys, x))


_SIGNS = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.int32)


def inner_products(keys: EvaluationKeys, x: Ciphertext, y: Ciphertext) -> Ciphertext:
    """Sums over the batch of x y, with four patterns of signs, relinearised after the sum."""
    total = ckks.linear_combinations(_SIGNS[None], ckks.evaluation.tensor(x, y), Scale.of(1), 1)
    return ckks.relinearise(keys, total, target_level=x.level - 1)


_OTHERS = 1 - np.eye(BATCH, dtype=np.int32)


def variances(keys: EvaluationKeys, x: Ciphertext) -> Ciphertext:
    """Sum of squares / 4 less the square of sum / 4, over three of the batch: sources cancel."""
    squares = ckks.linear_combinations(4 * _OTHERS[None], x, Scale.of(16), 4, square=True)
    squares = ckks.relinearise(keys, squares, target_level=x.level - 1)
    mean = ckks.linear_combinations(_OTHERS[None], x, Scale.of(4), 1)
    return ckks.subtract(squares, ckks.square(keys, mean))


def _variances_in_the_clear(x: np.ndarray) -> np.ndarray:
    return _OTHERS @ x**2 / 4 - (_OTHERS @ x / 4) ** 2


def _weights(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(2**_WEIGHT_BITS), 2**_WEIGHT_BITS, shape, dtype=np.int32)


_WINDOWS = np.array([[[-1, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, -1]]], np.int32)


def convolution(keys: EvaluationKeys, x: Ciphertext) -> Ciphertext:
    """A plain convolution over the batch, a square, and a plain dense layer of four outputs."""
    scale, bound = Scale.of(2**_WEIGHT_BITS), 2**_WEIGHT_BITS
    hidden = ckks.linear_combinations(_weights(1, 2, 3, seed=1), x, scale, bound, entries=_WINDOWS)
    dense = ckks.linear_combinations(_weights(1, 4, 8, seed=2), hidden, scale, bound, square=True)
    return ckks.relinearise(keys, dense, target_level=DEPTH - 1)


def _convolution_in_the_clear(x: np.ndarray) -> np.ndarray:
    padded = np.concatenate([x, np.zeros_like(x[:1])])
    first, second = _weights(2, 3, seed=1), _weights(4, 8, seed=2)
    hidden = np.einsum("ok,kps->ops", first, padded[_WINDOWS[0]]).reshape(8, -1)
    return second @ (hidden / 2**_WEIGHT_BITS) ** 2 / 2**_WEIGHT_BITS


CIRCUITS = {
    "x^8": Circuit(lambda k, x: ckks.square(k, ckks.square(k, ckks.square(k, x))), lambda x: x**8),
    "x^3": Circuit(lambda k, x: ckks.multiply(k, ckks.square(k, x), x), lambda x: x**3),
    "x y + z": Circuit(lambda k, x, y, z: ckks.add(ckks.multiply(k, x, y), z), lambda x, y, z: x * y + z, 3),
    "polynomial of degree 7": Circuit(polynomial, lambda x: 0.25 + x / 2 - x**2 / 3 + x**3 + x**5 / 2 - x**7),
    "Chebyshev T_7": Circuit(chebyshev, lambda x: 64 * x**7 - 112 * x**5 + 56 * x**3 - 7 * x),
    "x + x^2 + x^4 - x^8": Circuit(mixed_levels, lambda x: x + x**2 + x**4 - x**8),
    "two steps to the sign": Circuit(sign_steps, _sign_steps_in_the_clear),
    "chain of plaintexts": Circuit(
        plain_chain,
        lambda n, x, y: ((x + y) * _waves(n, 1) + _waves(n, 2)) * _waves(n, 3),
        2,
        plain=True,
    ),
    "step of linear regression": Circuit(gradient_step, lambda w, x, y: w - (w * x - y) * x / 4, 3),
    "step of logistic regression": Circuit(
        logistic_step, lambda w, x: w - (w * x / 4 - (w * x) ** 3 / 48) * x, 2
    ),
    "(x y)(z w), public key": Circuit(four_factors, lambda x, y, z, w: x * y * z * w, 4, public=True),
    "three diagonals, times x": Circuit(diagonals, _diagonals_in_the_clear, plain=True),
    "products of neighbours": Circuit(neighbours, _neighbours_in_the_clear),
    "square of the magnitude": Circuit(magnitude, lambda x: np.abs(x) ** 2, complex=True),
    "inner products": Circuit(inner_products, lambda x, y: _SIGNS @ (x * y), 2, batched=True),
    "variances over a batch": Circuit(variances, _variances_in_the_clear, batched=True),
    "convolution, square, dense layer": Circuit(convolution, _convolution_in_the_clear, batched=True),
}
