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

import numpy as np
from jax.typing import ArrayLike

from fhejax.approx import Polynomial
from fhejax.ckks.arithmetic import (
    add,
    drop_level,
    multiply_plain,
    relinearise,
    rescale,
    square_tensor,
    tensor,
)
from fhejax.ckks.encoding import encode
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.polynomial.product_plan import (
    BasisProduct,
    Node,
    Plan,
    depth_of_index,
    depth_of_support,
    plan_evaluation,
)
from fhejax.ckks.polynomial.series import Series, read_series
from fhejax.ckks.scalars import add_scalar, weighted_sum
from fhejax.ckks.types import Ciphertext, EvaluationKeys, Plaintext

_ONE = Scale.of(1)
_TOLERATED_BITS = 1.5  # of scale above the level's own in the highest T_m: its factor loses as many
_TOLERATED_LINEAR_BITS = 8.0  # the same where the input is only multiplied by plain numbers


def evaluate_polynomial(
    keys: EvaluationKeys | None,
    ciphertext: Ciphertext,
    polynomial: Polynomial | ArrayLike,
    *,
    target_level: int | None = None,
    target_scale: Scale | float | None = None,
) -> Ciphertext:
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
            a wrong number of slots, or traced by JAX; a result that does not fit the modulus.
        TypeError: coefficients that are not real numbers.
    """
    return _evaluate_all(keys, ciphertext, [read_series(polynomial)], target_level, target_scale)[0]


def evaluate_undivided(
    keys: EvaluationKeys | None,
    ciphertext: Ciphertext,
    polynomial: Polynomial,
    *,
    target_level: int,
    target_scale: Scale,
) -> Ciphertext:
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
    keys: EvaluationKeys | None,
    ciphertext: Ciphertext,
    polynomial: Polynomial | ArrayLike,
    *,
    target_level: int | None = None,
    target_scale: Scale | float | None = None,
) -> tuple[Ciphertext, Ciphertext]:
    """(p(x), p'(x)) from one basis, both at the level of p(x) alone. Else as `evaluate_polynomial`."""
    series = read_series(polynomial)
    both = [series, series.derivative()]
    value, slope = _evaluate_all(keys, ciphertext, both, target_level, target_scale)
    return value, slope


def polynomial_depth(degree: int, *, bound: float = 1.0) -> int:
    """Levels that `evaluate_polynomial` takes: ceil(log2(degree + 1)), and one more for large inputs.

    Args:
        degree: of the polynomial.
        bound: half the interval's width, times the ciphertext's scale over its level's own. Up to 2 is
            free: with y = 2 x / bound, the scaled 2 T_m(y / 2) have 2 T_2m = (2 T_m)^2 - 2, without a
            factor. Beyond, the scale of T_m would grow like (bound / 2)^m, and nothing but a division
            by primes brings it down. An input of a scale that is smaller by `bound` has none of this.

    Raises:
        ValueError: a negative degree, or a bound that is not positive and finite.
    """
    if degree < 0 or not 0 < bound < math.inf:
        raise ValueError(
            f"the depth of a polynomial of degree {degree} with a bound of {bound} was asked for; the degree "
            f"is at least 0, and the bound positive and finite."
        )
    depth, bits = degree.bit_length(), math.log2(bound)
    if depth < 2:
        return depth + (depth == 1 and bits > _TOLERATED_LINEAR_BITS)
    return depth + (2 ** (depth - 1) * (bits - 1) + 1 > _TOLERATED_BITS)


@dataclasses.dataclass(frozen=True)
class _Value:
    """A ciphertext held at scale one, and the scale that it has."""

    ciphertext: Ciphertext
    scale: Scale

    @classmethod
    def of(cls, ciphertext: Ciphertext, scale: Scale = _ONE) -> "_Value":
        """Of the scale that the ciphertext names, times `scale`."""
        return cls(ciphertext.replace(scale=_ONE), ciphertext.scale * scale)


@dataclasses.dataclass(frozen=True)
class _Circuit:
    """What the steps of one evaluation share.

    basis: (index, level) -> T_index there; T_1 is the mapped input. Lower levels of a T_index that were asked
    for are kept where a division leads to them, as in rational rescaling.
    """

    keys: EvaluationKeys | None
    params: Parameters
    chebyshev: bool
    level: int
    basis: dict[tuple[int, int], _Value]

    def at(self, index: int, level: int) -> _Value:
        """T_index, dropped to a level."""
        if (index, level) in self.basis:
            return self.basis[index, level]
        value = self.basis[index, self.level - depth_of_index(index)]
        dropped = _Value.of(drop_level(value.ciphertext, level), value.scale)
        if not self.params.contains(value.ciphertext.level, level):
            self.basis[index, level] = dropped
        return dropped


def _evaluate_all(
    keys: EvaluationKeys | None,
    ciphertext: Ciphertext,
    polynomials: Sequence[Series],
    target_level: int | None,
    target_scale: Scale | float | None,
) -> list[Ciphertext]:
    """Polynomials of one basis and interval, all at one level and scale."""
    circuit, plan, target, scale = _prepare(keys, ciphertext, polynomials, target_level, target_scale)
    return [
        _evaluate_node(circuit, root, series, target, scale).replace(scale=scale)
        for root, series in zip(plan.roots, polynomials, strict=True)
    ]


def _prepare(
    keys: EvaluationKeys | None,
    ciphertext: Ciphertext,
    polynomials: Sequence[Series],
    target_level: int | None,
    target_scale: Scale | float | None,
) -> tuple[_Circuit, Plan, int, Scale]:
    """(basis and all, plan, level and scale of the results): everything is checked first."""
    params, first = ciphertext.params, polynomials[0]
    supports = tuple(series.support for series in polynomials)
    plan = plan_evaluation(supports, depth_of_support(supports), first.chebyshev)
    target, extra = _choose_levels(ciphertext, first, plan, target_level)
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


def _mapped(ciphertext: Ciphertext, series: Series) -> _Value:
    """(x - middle) / half_width: a constant, and another scale."""
    centred = add_scalar(ciphertext, -series.middle) if series.middle else ciphertext
    return _Value.of(centred, Scale.of(series.half_width))


def _lowered(x: _Value, params: Parameters) -> _Value:
    """x near the scale of the level below."""
    level = x.ciphertext.level
    factor = _lowering_factor(params, level, x.scale)
    return _Value.of(rescale(weighted_sum([x.ciphertext], [factor]), level - 1), x.scale * factor)


def _lowering_factor(params: Parameters, level: int, scale: Scale) -> int:
    wished = params.scales[level - 1].fraction() * params.rescale_factor(level, level - 1)
    return max(1, round(wished / scale.fraction()))


def _add_product(circuit: _Circuit, product: BasisProduct) -> None:
    """T_(i+j) = 2 T_i T_j - T_(i-j), or x^(i+j) = x^i x^j, in the basis."""
    above = circuit.level - depth_of_index(product.index) + 1
    scale, total = _undivided_product(circuit, product, above)
    result = relinearise(circuit.keys, total, target_level=above - 1)
    circuit.basis[product.index, above - 1] = _Value.of(result, scale)


def _undivided_product(circuit: _Circuit, product: BasisProduct, above: int) -> tuple[Scale, Ciphertext]:
    """(scale, three components) of a basis product, before it is divided."""
    x, y = circuit.at(product.first, above), circuit.at(product.second, above)
    square = product.first == product.second
    terms = [square_tensor(x.ciphertext) if square else tensor(x.ciphertext, y.ciphertext)]
    factor, scale = _product_scale(circuit.params, above, x.scale, y.scale, circuit.chebyshev)
    weights, constant = [factor], 0
    if circuit.chebyshev and square:
        constant = -round(scale.fraction())
    elif circuit.chebyshev:
        difference = circuit.at(product.first - product.second, above)
        terms.append(difference.ciphertext)
        weights.append(-round((scale / difference.scale).fraction()))
    return scale, weighted_sum(terms, weights, constant)


def _product_scale(
    params: Parameters, above: int, first: Scale, second: Scale, chebyshev: bool
) -> tuple[int, Scale]:
    """(factor, scale) of a product before it is divided: factor T_i T_j of this scale stands for 2 T_i T_j.

    The factor brings it closest to the lower level's own scale; in the monomial basis there is no 2.
    """
    product = first.fraction() * second.fraction() / (2 if chebyshev else 1)
    wished = params.scales[above - 1].fraction() * params.rescale_factor(above, above - 1)
    factor = max(1, round(wished / product))
    return factor, Scale.of(product * factor)


def _integer(value: float, scale: Scale) -> int:
    return round(Fraction(value) * scale.fraction())


def _evaluate_node(circuit: _Circuit, node: Node, series: Series, level: int, scale: Scale) -> Ciphertext:
    """The node at `level` and `scale`, held at scale one."""
    if not node.splits and not node.terms:
        nothing = weighted_sum([circuit.at(1, level).ciphertext], [0])
        return _linear_sum(circuit, [nothing], {}, series, scale)
    above = level + 1
    total_scale = scale * circuit.params.rescale_factor(above, level)
    total = _undivided_node(circuit, node, series, above, total_scale)
    return relinearise(circuit.keys, total, target_level=level).replace(scale=_ONE)


def _undivided_node(circuit: _Circuit, node: Node, series: Series, above: int, scale: Scale) -> Ciphertext:
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
    circuit: _Circuit, products: list[Ciphertext], terms: dict[int, _Value], series: Series, scale: Scale
) -> Ciphertext:
    """sum of products, of coefficient T_k for each term, and the constant coefficient, all of `scale`."""
    if series.channels:
        return _linear_sum_of_vectors(circuit.params, products, terms, series, scale)
    weights = [_integer(series.coefficients[k], scale / value.scale) for k, value in terms.items()]
    ciphertexts = [*products, *(value.ciphertext for value in terms.values())]
    return weighted_sum(ciphertexts, [1] * len(products) + weights, _integer(series.coefficients[0], scale))


def _linear_sum_of_vectors(
    params: Parameters,
    products: list[Ciphertext],
    terms: dict[int, _Value],
    series: Series,
    scale: Scale,
) -> Ciphertext:
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
    plaintext = encode(params, slots * float(scale / rounded), level=level, scale=rounded)
    return dataclasses.replace(plaintext, scale=_ONE)


def _choose_levels(
    ciphertext: Ciphertext, series: Series, plan: Plan, target_level: int | None
) -> tuple[int, int]:
    """(level of the result, levels spent before to bring the input's scale down).

    Raises:
        ValueError: when there are too few.
    """
    level, params = ciphertext.level, ciphertext.params
    lowest = 0 if target_level is None else target_level
    _check_depth(plan, level, lowest)
    scale = ciphertext.scale * series.half_width
    for extra in range(level - lowest - plan.depth + 1):
        target = level - plan.depth - extra if target_level is None else target_level
        if _excess_bits(params, scale, plan, target, extra, series.chebyshev) <= _tolerated(plan):
            return target, extra
    raise ValueError(
        f"a polynomial of values up to {float(series.half_width):.4g} at scale {ciphertext.scale} was to be "
        f"evaluated in {level - lowest} levels. It takes {plan.depth}, and here one more: values times scale "
        f"are more than twice the level's own scale, {params.scales[level]}, and must be brought down first. "
        f"Use parameters with one level more, or encode x, or end the product that it comes from, at a scale "
        f"that is {float(series.half_width):.4g} times smaller."
    )


def _check_depth(plan: Plan, level: int, lowest: int) -> None:
    left = level - lowest
    if not 0 <= lowest <= level:
        raise ValueError(
            f"a polynomial of a ciphertext at level {level} was asked for at level {lowest}; the target is "
            f"from 0 to {max(0, level - plan.depth)}."
        )
    if left < plan.depth:
        raise ValueError(
            f"a polynomial that takes {plan.depth} levels was to be evaluated on a ciphertext at level "
            f"{level}, down to level {lowest}: {left} are left, in which degree {2**left - 1} would fit. "
            f"Lower the degree, encrypt at a higher level, or make parameters of more depth."
        )


def _tolerated(plan: Plan) -> float:
    return _TOLERATED_BITS if plan.basis else _TOLERATED_LINEAR_BITS


def _excess_bits(
    params: Parameters, scale: Scale, plan: Plan, target: int, extra: int, chebyshev: bool
) -> float:
    """How far the scale of the highest power of two in the basis would lie above its level's own."""
    level = target + plan.depth + extra
    if not plan.depth:
        return 0.0
    for _ in range(extra):
        divisor = params.rescale_factor(level, level - 1)
        scale = scale * _lowering_factor(params, level, scale) / divisor
        level -= 1
    for _ in range(depth_of_index(plan.largest)):
        _, product = _product_scale(params, level, scale, scale, chebyshev)
        scale = product / params.rescale_factor(level, level - 1)
        level -= 1
    return scale.bits - params.scales[level].bits


def _check_channels(series: Series, ciphertext: Ciphertext) -> None:
    channels, shape = series.channels, (*ciphertext.batch, ciphertext.params.slots)
    trailing = shape[max(0, len(shape) - len(channels)) :]
    if len(channels) > len(shape) or any(c not in (1, n) for c, n in zip(channels, trailing, strict=True)):
        raise ValueError(
            f"polynomials with channels {channels} were to be evaluated on values of shape {shape}, the "
            f"batch and then the {shape[-1]} slots; each of the trailing axes must match or be 1."
        )


def _check_size(series: Series, params: Parameters, level: int, scale: Scale) -> None:
    modulus = math.prod(params.level_moduli(level))
    largest = series.largest_value()
    if Fraction(largest) * scale.fraction() * 2 >= modulus:
        raise ValueError(
            f"a polynomial with values up to {largest:.4g} was to be evaluated at level {level} and scale "
            f"{scale}, where the modulus of 2**{math.log2(modulus):.1f} holds at most "
            f"{float(modulus / scale.fraction() / 2):.4g}; divide the polynomial, or give a smaller "
            f"target_scale or a higher target_level."
        )


def _check_operands(keys: EvaluationKeys | None, ciphertext: Ciphertext, plan: Plan, level: int) -> None:
    """Before anything is computed. Estimates have no domain, and need no keys."""
    if not plan.products or not isinstance(ciphertext, Ciphertext):
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
