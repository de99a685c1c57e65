"""Polynomials of a ciphertext, in the Chebyshev and the monomial basis, at the least depth.

A plan (`polynomial_plan`) says which products to form. Scales are exact: whoever needs a polynomial says at
which level and scale, a quotient is asked for at the scale that makes its product right, and the plain
coefficients, integers in the end, make up every difference. The affine map of the interval to [-1, 1] is
a change of scale and a constant, which take no level.

Ciphertexts are held at scale one with their scale beside them: the operations are then compiled once for
each level, and not once for each scale.
"""

import dataclasses
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Generic

import numpy as np
from jax.typing import ArrayLike

from fhejax.approx import Polynomial
from fhejax.ckks.arithmetic import (
    add,
    multiply_plain,
    relinearise,
    square_tensor,
    tensor,
)
from fhejax.ckks.encoding.vector_encoding import encode_term
from fhejax.ckks.keys.recorder import KeyRecorder
from fhejax.ckks.levels import drop_level, rescale
from fhejax.ckks.noise.noise_estimate import NoiseEstimate
from fhejax.ckks.operation import Keys, Value
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.polynomial.depth import choose_levels, lowering_factor, product_scale
from fhejax.ckks.polynomial.product_plan import (
    BasisProduct,
    ProductNode,
    ProductPlan,
    depth_of_index,
    depth_of_support,
    plan_evaluation,
)
from fhejax.ckks.polynomial.series import Series, read_series
from fhejax.ckks.scalars import shift, weighted_sum
from fhejax.ckks.types import Ciphertext, Plaintext

_ONE = Scale.of(1)


def evaluate_polynomial(
    keys: Keys,
    ciphertext: Value,
    polynomial: Polynomial | ArrayLike,
    *,
    target_level: int | None = None,
    target_scale: Scale | float | None = None,
) -> Value:
    """p(x) in every slot, at exactly the level and scale asked for.

    Degree 2^d - 1 takes d levels, the coefficients and the map of the interval to [-1, 1] included. One
    more goes where half the interval's width times the ciphertext's scale is above twice the level's own
    scale, as for x in [-8, 8] at that scale: see `polynomial_depth`.

    Args:
        keys: with a relinearisation key; None will do for a `NoiseEstimate`.
        ciphertext: x, of any batch. Outside of the interval the result is no approximation of anything,
            and may outgrow the modulus.
        polynomial: a `Polynomial`, or the coefficients of 1, x, x^2, .. for x in [-1, 1], shape
            [*channels, degree + 1]. Channels match the trailing axes of [*batch, slots]: (slots,) is
            another polynomial in every slot. Coefficients that are exactly zero cost nothing, and odd and
            even polynomials only the products that they need.
        target_level: by default as high as can be.
        target_scale: by default the level's own.

    Raises:
        ValueError: too few levels; no relinearisation key; no coefficients, or some that are not finite, of
            a wrong number of slots, or traced by JAX; a result that does not fit the modulus, or rounds to
            zero.
        TypeError: coefficients that are not real numbers.
    """
    return _evaluate_all(keys, ciphertext, [read_series(polynomial)], target_level, target_scale)[0]


def evaluate_undivided(
    keys: Keys,
    ciphertext: Value,
    polynomial: Polynomial,
    *,
    target_level: int,
    target_scale: Scale,
) -> Value:
    """`evaluate_polynomial` up to its last step, `relinearise(keys, .., target_level=target_level)`.

    What is added before that step shares its rounding.

    Returns:
        Ciphertext [..., 3, limb, N] at `target_level` + 1, of the target's scale times the primes between;
        two components where the polynomial takes no product.
    """
    series = read_series(polynomial)
    circuit, plan, target, scale = _prepare(keys, ciphertext, [series], target_level, target_scale)
    above = target + 1
    scale = scale * circuit.params.rescale_factor(above, target)
    return _undivided_node(circuit, plan.roots[0], series, above, scale).replace(scale=scale)


def evaluate_with_derivative(
    keys: Keys,
    ciphertext: Value,
    polynomial: Polynomial | ArrayLike,
    *,
    target_level: int | None = None,
    target_scale: Scale | float | None = None,
) -> tuple[Value, Value]:
    """(p(x), p'(x)) from one basis, both at the level of p(x) alone. Else as `evaluate_polynomial`."""
    series = read_series(polynomial)
    both = [series, series.derivative()]
    value, slope = _evaluate_all(keys, ciphertext, both, target_level, target_scale)
    return value, slope


@dataclasses.dataclass(frozen=True)
class _Held(Generic[Value]):
    """A ciphertext held at scale one, and the scale that it has."""

    ciphertext: Value
    scale: Scale

    @classmethod
    def of(cls, ciphertext: Value, scale: Scale = _ONE) -> "_Held[Value]":
        """The operand whose scale is the one that the ciphertext names, times `scale`."""
        return cls(ciphertext.replace(scale=_ONE), ciphertext.scale * scale)


@dataclasses.dataclass(frozen=True)
class _Circuit(Generic[Value]):
    """What the steps of one evaluation share.

    basis: (index, level) -> T_index there; T_1 is the mapped input. Lower levels of a T_index that were asked
    for are kept where a division leads to them, as in rational rescaling.
    """

    keys: Keys
    params: Parameters
    chebyshev: bool
    level: int
    basis: dict[tuple[int, int], _Held[Value]]

    def at(self, index: int, level: int) -> _Held[Value]:
        """T_index, dropped to a level."""
        if (index, level) in self.basis:
            return self.basis[index, level]
        value = self.basis[index, self.level - depth_of_index(index)]
        dropped = _Held.of(drop_level(value.ciphertext, level), value.scale)
        if not self.params.contains(value.ciphertext.level, level):
            self.basis[index, level] = dropped
        return dropped


def _evaluate_all(
    keys: Keys,
    ciphertext: Value,
    polynomials: Sequence[Series],
    target_level: int | None,
    target_scale: Scale | float | None,
) -> list[Value]:
    """Polynomials of one basis and interval, all at one level and scale."""
    circuit, plan, target, scale = _prepare(keys, ciphertext, polynomials, target_level, target_scale)
    _check_something_left(polynomials, scale)
    return [
        _evaluate_node(circuit, root, series, target, scale).replace(scale=scale)
        for root, series in zip(plan.roots, polynomials, strict=True)
    ]


def _prepare(
    keys: Keys,
    ciphertext: Value,
    polynomials: Sequence[Series],
    target_level: int | None,
    target_scale: Scale | float | None,
) -> tuple[_Circuit[Value], ProductPlan, int, Scale]:
    """(basis and all, plan, level and scale of the results): everything is checked first."""
    params, first = ciphertext.params, polynomials[0]
    supports = tuple(series.support for series in polynomials)
    plan = plan_evaluation(supports, depth_of_support(supports), first.chebyshev)
    target, extra = choose_levels(ciphertext, first, plan, target_level)
    scale = params.scales[target] if target_scale is None else Scale.of(target_scale)
    for series in polynomials:
        _check_channels(series, ciphertext)
        _check_size(series, params, target, scale)
    _check_operands(keys, ciphertext, plan, target + plan.depth)
    x = _mapped(drop_level(ciphertext, target + plan.depth + extra), first)
    for _ in range(extra):
        x = _lowered(x, params)
    level = x.ciphertext.level
    circuit = _Circuit(keys, params, first.chebyshev, level, {(1, level): x})
    for product in plan.basis:
        _add_product(circuit, product)
    return circuit, plan, target, scale


def _mapped(ciphertext: Value, series: Series) -> _Held[Value]:
    """(x - middle) / half_width: a constant, and another scale."""
    centred = shift(ciphertext, -series.middle) if series.middle else ciphertext
    return _Held.of(centred, Scale.of(series.half_width))


def _lowered(x: _Held[Value], params: Parameters) -> _Held[Value]:
    """x near the scale of the level below."""
    level = x.ciphertext.level
    factor = lowering_factor(params, level, x.scale)
    return _Held.of(rescale(weighted_sum([x.ciphertext], [factor]), level - 1), x.scale * factor)


def _add_product(circuit: _Circuit[Value], product: BasisProduct) -> None:
    """T_(i+j) = 2 T_i T_j - T_(i-j), or x^(i+j) = x^i x^j, in the basis."""
    above = circuit.level - depth_of_index(product.index) + 1
    scale, total = _undivided_product(circuit, product, above)
    result = relinearise(circuit.keys, total, target_level=above - 1)
    circuit.basis[product.index, above - 1] = _Held.of(result, scale)


def _undivided_product(circuit: _Circuit[Value], product: BasisProduct, above: int) -> tuple[Scale, Value]:
    """(scale, three components) of a basis product, before it is divided."""
    x, y = circuit.at(product.first, above), circuit.at(product.second, above)
    square = product.first == product.second
    terms = [square_tensor(x.ciphertext) if square else tensor(x.ciphertext, y.ciphertext)]
    factor, scale = product_scale(circuit.params, above, x.scale, y.scale, circuit.chebyshev)
    weights, constant = [factor], 0
    if circuit.chebyshev and square:
        constant = -round(scale.fraction())
    elif circuit.chebyshev:
        difference = circuit.at(product.first - product.second, above)
        terms.append(difference.ciphertext)
        weights.append(-round((scale / difference.scale).fraction()))
    return scale, weighted_sum(terms, weights, constant)


def _integer(value: float, scale: Scale) -> int:
    return round(Fraction(value) * scale.fraction())


def _evaluate_node(
    circuit: _Circuit[Value], node: ProductNode, series: Series, level: int, scale: Scale
) -> Value:
    """The node at `level` and `scale`, held at scale one."""
    if not node.splits and not node.terms:
        nothing = weighted_sum([circuit.at(1, level).ciphertext], [0])
        return _linear_sum(circuit, [nothing], {}, series, scale)
    above = level + 1
    total_scale = scale * circuit.params.rescale_factor(above, level)
    total = _undivided_node(circuit, node, series, above, total_scale)
    return relinearise(circuit.keys, total, target_level=level).replace(scale=_ONE)


def _undivided_node(
    circuit: _Circuit[Value], node: ProductNode, series: Series, above: int, scale: Scale
) -> Value:
    """The sum of products and terms before it is divided; nothing else of them stays in memory."""
    products = []
    for split in node.splits:
        quotient, series = series.divide(split)
        giant = circuit.at(split.giant, above)
        factor = _evaluate_node(circuit, split.quotient, quotient, above, scale / giant.scale)
        products.append(tensor(factor, giant.ciphertext))
        del factor  # before another one is computed
    terms = {index: circuit.at(index, above) for index in node.terms}
    return _linear_sum(circuit, products, terms, series, scale)


def _linear_sum(
    circuit: _Circuit[Value],
    products: list[Value],
    terms: dict[int, _Held[Value]],
    series: Series,
    scale: Scale,
) -> Value:
    """sum of products, of coefficient T_k for each term, and the constant coefficient, all of `scale`."""
    if series.channels:
        return _linear_sum_of_vectors(circuit.params, products, terms, series, scale)
    weights = [_integer(series.coefficients[k], scale / value.scale) for k, value in terms.items()]
    ciphertexts = [*products, *(value.ciphertext for value in terms.values())]
    return weighted_sum(ciphertexts, [1] * len(products) + weights, _integer(series.coefficients[0], scale))


def _linear_sum_of_vectors(
    params: Parameters,
    products: list[Value],
    terms: dict[int, _Held[Value]],
    series: Series,
    scale: Scale,
) -> Value:
    """The same with an encoded vector in the place of each coefficient."""
    parts = [weighted_sum(products, [1] * len(products))] if products else []
    for index, value in terms.items():
        plaintext = _encoded(params, series.coefficients[index], value.ciphertext.level, scale / value.scale)
        parts.append(multiply_plain(value.ciphertext, plaintext))
    total = parts[0]
    for part in parts[1:]:
        total = add(total, part)
    return add(total, _encoded(params, series.coefficients[0], total.level, scale))


def _encoded(params: Parameters, values: np.ndarray, level: int, scale: Scale) -> Plaintext:
    """Encoded at `scale` and held at scale one: at a power of two, for which few encodings are compiled."""
    rounded = Scale.of(2.0 ** round(scale.bits))
    slots = np.broadcast_to(values, (*values.shape[:-1], params.slots))
    plaintext = encode_term(params, slots * float(scale / rounded), level, rounded)
    return dataclasses.replace(plaintext, scale=_ONE)


def _check_channels(series: Series, ciphertext: Ciphertext | NoiseEstimate) -> None:
    channels, shape = series.channels, (*ciphertext.batch, ciphertext.params.slots)
    trailing = shape[max(0, len(shape) - len(channels)) :]
    if len(channels) > len(shape) or any(c not in (1, n) for c, n in zip(channels, trailing, strict=True)):
        raise ValueError(
            f"polynomials with channels {channels} were to be evaluated on values of shape {shape}, the "
            f"batch and then the {shape[-1]} slots; each of the trailing axes must match or be 1."
        )


def _check_size(series: Series, params: Parameters, level: int, scale: Scale) -> None:
    modulus = math.prod(params.level_moduli(level))
    largest = series.largest_value
    if Fraction(largest) * scale.fraction() * 2 >= modulus:
        raise ValueError(
            f"a polynomial with values up to {largest:.4g} was to be evaluated at level {level} and scale "
            f"{scale}, where the modulus of 2**{math.log2(modulus):.1f} holds at most "
            f"{float(modulus / scale.fraction() / 2):.4g}; divide the polynomial, or give a smaller "
            f"target_scale or a higher target_level."
        )


def _check_something_left(polynomials: Sequence[Series], scale: Scale) -> None:
    """Refuse polynomials other than zero that all round to zero."""
    largest = max(series.largest_value for series in polynomials)
    if 0 < Fraction(largest) * scale.fraction() * 2 <= 1:
        raise ValueError(
            f"a polynomial with values up to {largest:.4g} was to be evaluated at scale {scale}, where all "
            f"of them round to zero; give a larger target_scale, or multiply the polynomial and divide what "
            f"is decrypted."
        )


def _check_operands(
    keys: Keys, ciphertext: Ciphertext | NoiseEstimate, plan: ProductPlan, level: int
) -> None:
    """Before anything is computed. Estimates have no domain, and need no keys."""
    if not plan.products or isinstance(keys, KeyRecorder) or isinstance(ciphertext, NoiseEstimate):
        return
    if ciphertext.domain != "evaluation":
        raise ValueError(
            f"a polynomial of a ciphertext in the {ciphertext.domain} domain was asked for; products are "
            f"formed in the evaluation domain."
        )
    key = None if keys is None else keys.relinearisation
    if key is None or key.level < level:
        have = "no relinearisation key" if key is None else f"one for level {key.level} and below"
        raise ValueError(
            f"a polynomial with {plan.products} products from level {level} on was to be evaluated, and the "
            f"evaluation keys have {have}; make them with evaluation_keys(key, secret, relinearise=True)."
        )
