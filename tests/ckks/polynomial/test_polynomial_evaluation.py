"""Encrypted polynomials: the right values, at the level, scale and number of products that were promised.

Most run at a scale of 2**56: there a scale that is off by 2**-30 anywhere would show.
"""

import collections

import jax
import numpy as np
import pytest
from numpy.polynomial import chebyshev, polynomial
from schemes import Scheme, make_scheme

from fhejax import ckks
from fhejax.approx import Polynomial
from fhejax.ckks.noise import estimates
from fhejax.ckks.parameters import Scale
from fhejax.ckks.polynomial import evaluation
from fhejax.ckks.polynomial.depth import polynomial_depth
from fhejax.ckks.polynomial.evaluation import evaluate_polynomial, evaluate_with_derivative
from fhejax.ckks.polynomial.product_plan import plan_evaluation

DEPTH = 6
EXACT = 2.0**-38  # at a scale of 2**56, in a ring of degree 64


@pytest.fixture(scope="module")
def fine() -> Scheme:
    return make_scheme(ckks.insecure_parameters(64, DEPTH, 56))


def coefficients(degree: int, *channels: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed + degree).uniform(-1, 1, (*channels, degree + 1))
    return values / np.abs(values).sum(-1, keepdims=True)


def points(scheme: Scheme, interval=(-1.0, 1.0)) -> np.ndarray:
    start, stop = interval
    return np.linspace(start, stop, scheme.params.slots)


def expected_of(p: Polynomial | np.ndarray, x: np.ndarray) -> np.ndarray:
    if not isinstance(p, Polynomial):
        return polynomial.polyval(x, p)
    start, stop = p.interval
    return chebyshev.chebval((2 * x - start - stop) / (stop - start), p.coefficients)


def check(scheme: Scheme, p: Polynomial | np.ndarray, within: float = EXACT, level=None, **options):
    interval = p.interval if isinstance(p, Polynomial) else (-1.0, 1.0)
    x = points(scheme, interval)
    result = evaluate_polynomial(scheme.keys, scheme.encrypt(x), p, **options)
    assert abs(scheme.decrypt(result) - expected_of(p, x)).max() < within
    assert result.components == 2
    assert result.scale == options.get("target_scale", scheme.params.scales[result.level])
    if level is not None:
        assert result.level == level
    return result


@pytest.mark.parametrize("degree", [*range(33), 40, 47, 62, 63])
def test_every_degree_in_both_bases(fine, degree):
    values = coefficients(degree)
    level = DEPTH - polynomial_depth(degree)
    check(fine, Polynomial.from_chebyshev(values, (-1, 1)), level=level)
    check(fine, values, level=level)


def test_depth_is_the_least_there_is():
    for depth in range(8):
        assert polynomial_depth(2**depth - 1) == depth
        assert polynomial_depth(2**depth) == depth + 1
        assert polynomial_depth(2**depth - 1, bound=2.0) == depth
    assert polynomial_depth(31, bound=8.0) == 6
    assert polynomial_depth(0, bound=1e9) == 0
    assert polynomial_depth(1, bound=8.0) == 1
    for bad in ({"degree": -1}, {"degree": 3, "bound": 0.0}, {"degree": 3, "bound": float("inf")}):
        with pytest.raises(ValueError, match="the degree is at least 0, and the bound positive"):
            polynomial_depth(**bad)


@pytest.mark.parametrize("degree", [5, 15, 22, 31])
@pytest.mark.parametrize("parity", [0, 1])
def test_odd_and_even_polynomials(fine, degree, parity):
    values = coefficients(degree)
    values[parity::2] = 0.0
    check(fine, Polynomial.from_chebyshev(values, (-1, 1)))
    check(fine, values)


@pytest.mark.parametrize(
    "kept",
    [(), (0,), (1,), (31,), (16,), (0, 16), (8, 15), (1, 2, 30), (17, 31), (3, 20), (0, 24), (29,)],
)
def test_sparse_polynomials(fine, kept):
    values = np.zeros(32)
    values[list(kept)] = np.linspace(0.3, -0.2, len(kept))
    level = DEPTH - polynomial_depth(max(kept, default=0))
    check(fine, Polynomial.from_chebyshev(values, (-1, 1)), level=level)
    check(fine, values, level=level)


@pytest.mark.parametrize(
    "interval", [(0, 1), (-1, 3), (0.25, 0.5), (-0.001, 0.001), (-0.7, 1.9), (2, 4), (-3, -1.5), (-2, 2)]
)
def test_intervals_take_no_level(fine, interval):
    for degree in (4, 15):
        p = Polynomial.from_chebyshev(coefficients(degree), interval)
        tolerance = EXACT * max(1, 0.2 / (interval[1] - interval[0]))
        check(fine, p, within=tolerance, level=DEPTH - polynomial_depth(degree))


def test_a_wide_interval_takes_a_level_or_a_smaller_scale(fine):
    """The scale of T_m grows like (K / 2)^m: 2**31 times for T_16 on [-8, 8], if nothing is done."""
    p = Polynomial.from_chebyshev(coefficients(31), (-8, 8))
    check(fine, p, level=DEPTH - 6)
    x = points(fine, p.interval)
    narrow = fine.encrypt(x, scale=fine.params.scales[DEPTH] / 8)
    result = evaluate_polynomial(fine.keys, narrow, p)
    assert result.level == DEPTH - 5
    assert abs(fine.decrypt(result) - expected_of(p, x)).max() < EXACT
    pending = fine.encrypt(x, scale=fine.params.scales[DEPTH] * 2.0**56)
    result = evaluate_polynomial(fine.keys, pending, Polynomial.from_chebyshev(coefficients(3), (-8, 8)))
    assert result.level == DEPTH - 4


def test_target_level_and_scale(fine):
    p = Polynomial.from_chebyshev(coefficients(6), (-1, 1))
    for options in (
        {"target_level": 2},
        {"target_level": 3, "target_scale": Scale.of(2.0**58 / 3)},
        {"target_level": 0, "target_scale": Scale.of(2.0**51)},
        {"target_scale": fine.params.scales[1]},
    ):
        result = check(fine, p, level=options.get("target_level", 3), **options)
        assert result.scale == options.get("target_scale", fine.params.scales[result.level])
    low = fine.encrypt(points(fine), level=4, scale=Scale.of(2.0**55 * 1.37))
    result = evaluate_polynomial(fine.keys, low, p)
    assert (result.level, result.scale) == (1, fine.params.scales[1])
    assert abs(fine.decrypt(result) - expected_of(p, points(fine))).max() < EXACT


def test_a_constant_at_a_target(fine):
    p = Polynomial.from_chebyshev([0.3], (-1, 1))
    for level, scale in ((DEPTH, fine.params.scales[DEPTH]), (2, Scale.of(2.0**50))):
        check(fine, p, level=level, target_level=level, target_scale=scale)


@pytest.mark.parametrize("degree", [0, 1, 2, 7, 12, 31])
def test_value_and_derivative(fine, degree):
    x = points(fine, (-1, 2))
    p = Polynomial.from_chebyshev(coefficients(degree), (-1, 2))
    for given, x in ((p, points(fine, (-1, 2))), (coefficients(degree), points(fine))):
        value, slope = evaluate_with_derivative(fine.keys, fine.encrypt(x), given)
        assert value.level == slope.level == DEPTH - polynomial_depth(degree)
        assert value.scale == slope.scale == fine.params.scales[value.level]
        derivative = p.derivative() if given is p else polynomial.polyder(given)
        assert abs(fine.decrypt(value) - expected_of(given, x)).max() < EXACT
        assert abs(fine.decrypt(slope) - expected_of(derivative, x)).max() < EXACT * (degree + 1) ** 2


@pytest.mark.parametrize("degree", [0, 1, 3, 6, 20])
def test_another_polynomial_in_every_slot(fine, degree):
    slots = fine.params.slots
    values = coefficients(degree, slots)
    p = Polynomial.from_chebyshev(values, (-1, 2))
    x = points(fine, (-1, 2))
    result = evaluate_polynomial(fine.keys, fine.encrypt(x), p)
    expected = [expected_of(Polynomial.from_chebyshev(v, (-1, 2)), a) for v, a in zip(values, x, strict=True)]
    assert abs(fine.decrypt(result) - expected).max() < EXACT
    assert (result.level, result.scale) == (
        DEPTH - polynomial_depth(degree),
        fine.params.scales[result.level],
    )
    result = evaluate_polynomial(fine.keys, fine.encrypt(points(fine)), values)
    expected = [polynomial.polyval(a, v) for v, a in zip(values, points(fine), strict=True)]
    assert abs(fine.decrypt(result) - expected).max() < EXACT


@pytest.fixture
def counted(monkeypatch) -> collections.Counter:
    counts: collections.Counter = collections.Counter()
    for name in ("tensor", "square_tensor", "relinearise"):
        operation = getattr(evaluation, name)

        def count(*arguments, _name=name, _operation=operation, **options):
            if _name != "relinearise":
                counts["products"] += 1
            elif arguments[1].components == 3:
                counts["relinearisations"] += 1
            return _operation(*arguments, **options)

        monkeypatch.setattr(evaluation, name, count)
    return counts


@pytest.mark.parametrize("degree", [3, 15, 31, 63])
def test_products_are_those_of_the_plan(fine, counted, degree):
    for step in (1, 2):
        counted.clear()
        values = coefficients(degree)
        values[degree - 1 :: -2] *= step == 1
        check(fine, Polynomial.from_chebyshev(values, (-1, 1)))
        support = sum(1 << k for k in np.flatnonzero(values).tolist())
        plan = plan_evaluation((support,), polynomial_depth(degree), True)
        found = counted["products"], counted["relinearisations"]
        assert found == (plan.products, plan.relinearisations)
    if degree == 31:
        assert found == (13, 10)


def test_in_the_standard_ring(insecure_complex):
    """Complex slots, at a scale of 2**26: conjugation plays no part in it."""
    scheme = insecure_complex
    x, z = points(scheme), scheme.numbers()
    for degree in (1, 3):
        p = Polynomial.from_chebyshev(coefficients(degree), (-1, 1))
        result = evaluate_polynomial(scheme.keys, scheme.encrypt(x, level=2), p)
        assert abs(scheme.decrypt(result) - expected_of(p, x)).max() < 2.0**-13
        result = evaluate_polynomial(scheme.keys, scheme.encrypt(z, level=2), coefficients(degree))
        assert abs(scheme.decrypt(result) - polynomial.polyval(z, coefficients(degree))).max() < 2.0**-13


@pytest.mark.nightly
def test_rational_rescaling():
    """Levels that bring primes back: a basis polynomial cannot just drop primes."""
    scheme = make_scheme(ckks.insecure_parameters(64, 2, 35, rational=True))
    for values in (coefficients(3), coefficients(1)):
        check(scheme, Polynomial.from_chebyshev(values, (-1, 2)), within=2.0**-22, target_level=0)


def test_batches_jit_and_vmap_give_the_same_bits(fine):
    p = Polynomial.from_chebyshev([0.3, 0.0, -0.5], (-1, 2))
    x = np.stack([points(fine), points(fine)[::-1] / 2])
    ciphertext = fine.encrypt(x, level=2)

    def circuit(keys, y):
        return evaluate_polynomial(keys, y, p)

    eager = circuit(fine.keys, ciphertext)
    assert abs(fine.decrypt(eager) - expected_of(p, x)).max() < EXACT
    whole = jax.jit(circuit)(fine.keys, ciphertext)
    axes = ciphertext.replace(data=0, key_id=None)
    each = jax.vmap(circuit, in_axes=(None, axes), out_axes=0)(fine.keys, ciphertext)
    for other in (whole, each):
        assert (other.data == eager.data).all()
        assert (other.level, other.scale) == (eager.level, eager.scale)
    own = coefficients(2, 2, 1)
    result = evaluate_polynomial(fine.keys, ciphertext, own)
    expected = np.stack([polynomial.polyval(row, c[0]) for row, c in zip(x, own, strict=True)])
    assert abs(fine.decrypt(result) - expected).max() < EXACT


@pytest.mark.parametrize("degree", [3, 20])
def test_predicted_noise(fine, degree):
    params, x = fine.params, points(fine)
    p = Polynomial.from_chebyshev(coefficients(degree), (-1, 2))
    vectors = np.broadcast_to(coefficients(degree), (params.slots, degree + 1)).copy()
    for given in (p, coefficients(degree), vectors):
        predicted = evaluate_polynomial(None, estimates.estimate(params, x), given)
        results = [evaluate_polynomial(fine.keys, fine.encrypt(x), given) for _ in range(8)]
        assert (predicted.level, predicted.scale) == (results[0].level, results[0].scale)
        exact = expected_of(given[0] if given is vectors else given, x)
        np.testing.assert_allclose(predicted.values, exact, rtol=0, atol=2.0**-45)
        error = np.sqrt(np.mean([(fine.decrypt(result) - exact) ** 2 for result in results]))
        assert abs(-np.log2(error) - predicted.precision_bits) < 0.8  # a few slots have most of the error


def test_levels_that_run_out(fine):
    p = Polynomial.from_chebyshev(coefficients(15), (-1, 1))
    low = fine.encrypt(points(fine), level=3)
    with pytest.raises(ValueError, match=r"takes 4 levels .* at level 3, .* 3 are left, in which degree 7"):
        evaluate_polynomial(fine.keys, low, p)
    with pytest.raises(ValueError, match=r"down to level 3: 3 are left, in which degree 7 would fit"):
        check(fine, p, target_level=3)
    for target in (-1, 7):
        with pytest.raises(ValueError, match=rf"asked for at level {target}; the target is from 0 to 2"):
            check(fine, p, target_level=target)
    wide = Polynomial.from_chebyshev(coefficients(63), (-8, 8))
    with pytest.raises(ValueError, match=r"It takes 6, and here one more: .* scale that is 8 times smaller"):
        check(fine, wide)


def test_coefficients_that_are_refused(fine):
    ciphertext = fine.encrypt(points(fine))
    refused = {
        "a coefficient that is NaN or infinite": (ValueError, np.array([1.0, np.nan])),
        r"shape \(0,\) .* at least one": (ValueError, np.zeros(0)),
        r"shape \(\) .* at least one": (ValueError, np.float64(1.0)),
        "dtype complex128": (TypeError, np.array([1j, 2.0])),
        r"channels \(63,\) .* the 64 slots": (ValueError, np.zeros((63, 3))),
        r"channels \(2, 64\) were": (ValueError, np.zeros((2, 64, 3))),
        "holds at most 8; divide the polynomial": (ValueError, np.array([9.0, 0.5])),
        "values up to 40 ": (ValueError, Polynomial.from_chebyshev([0.0, 40.0], (-1, 1))),
    }
    refused |= {
        "all of them round to zero; give a larger target_scale": (ValueError, np.array([0.0, 1e-18])),
        "given str": (TypeError, "x + 1"),
        "given NoneType": (TypeError, None),
        "array of object": (TypeError, [1.0, None]),
        "dtype bool": (TypeError, [True, False]),
        "masked entries": (TypeError, np.ma.masked_array([1.0, 2.0], mask=[True, False])),
    }
    for message, (kind, values) in refused.items():
        with pytest.raises(kind, match=message):
            evaluate_polynomial(fine.keys, ciphertext, values, target_level=0)
    assert evaluate_polynomial(fine.keys, ciphertext, [0.0, 0.0]).level == DEPTH
    broken = Polynomial(np.array([np.inf, 1.0]), (-1.0, 1.0))
    with pytest.raises(ValueError, match="look at the fit"):
        evaluate_polynomial(fine.keys, ciphertext, broken)
    with pytest.raises(ValueError, match="traced by JAX"):
        jax.jit(lambda p: evaluate_polynomial(fine.keys, ciphertext, p))(
            Polynomial.from_chebyshev([0.0, 1.0], (-1, 1))
        )


def test_keys_that_do_not_reach(fine):
    p, ciphertext = coefficients(3), fine.encrypt(points(fine))
    without = ckks.evaluation_keys(ckks.random_key(), fine.secret)
    for keys in (None, without):
        with pytest.raises(ValueError, match=r"2 products from level 6 on .* have no relinearisation key"):
            evaluate_polynomial(keys, ciphertext, p)
        assert evaluate_polynomial(keys, ciphertext, p[:2]).level == DEPTH - 1
    low = ckks.evaluation_keys(ckks.random_key(), fine.secret, relinearise=True, level=1)
    with pytest.raises(ValueError, match="have one for level 1 and below"):
        evaluate_polynomial(low, ciphertext, p)
    with pytest.raises(ValueError, match="in the coefficient domain"):
        evaluate_polynomial(fine.keys, ciphertext.replace(domain="coefficient"), p)
