"""polynomial_p against NumPy's Chebyshev series, finite differences, and every transformation."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import PartitionSpec
from jax.test_util import check_grads
from numpy.polynomial.chebyshev import chebval, chebvander

from fhejax.approx import Polynomial, polynomial_p
from fhejax.approx.polynomials.primitive import chebyshev_basis

INTERVAL = (-1.5, 4.0)


def reference(x, coefficients, interval):
    """NumPy's evaluation in float64, channels on the trailing axes of x."""
    start, stop = interval
    unit = (2 * np.asarray(x, np.float64) - start - stop) / (stop - start)
    terms = np.asarray(coefficients, np.float64)
    return np.sum(chebvander(unit[..., None], terms.shape[-1] - 1)[..., 0, :] * terms, axis=-1)


def draw(shape, seed=0, interval=None):
    generator = np.random.default_rng(seed)
    return generator.normal(size=shape) if interval is None else generator.uniform(*interval, shape)


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 8, 27, 63])
@pytest.mark.parametrize("double", [False, True])
def test_equals_numpy_in_both_precisions(degree, double):
    coefficients, x = draw(degree + 1), draw((5, 7), interval=INTERVAL)
    with jax.enable_x64(double):
        p = Polynomial.from_chebyshev(coefficients, INTERVAL)
        argument = jnp.asarray(x)
        eager, compiled = p(argument), jax.jit(Polynomial.__call__)(p, argument)
    expected = reference(argument, coefficients, INTERVAL)
    tolerance = (1e-15 if double else 5e-7) * (degree + 1) ** 2
    for value in (eager, compiled):
        assert value.dtype == argument.dtype == (np.float64 if double else np.float32)
        assert np.max(np.abs(np.asarray(value) - expected)) < tolerance


@settings(deadline=None, max_examples=30)
@given(
    start=st.floats(-1e4, 1e4),
    width=st.floats(1e-3, 1e5),
    coefficients=st.lists(st.floats(-10, 10), min_size=4, max_size=4),
)
def test_any_interval(start, width, coefficients):
    interval = (start, start + width)
    unit = np.linspace(-1, 1, 9)
    x = start + width * (unit + 1) / 2
    p = Polynomial.from_chebyshev(coefficients, interval)
    with jax.enable_x64(True):
        value = np.asarray(p(x))
    # The rounding of x itself moves t by about |x| / width units in the last place.
    tolerance = 1e-13 * (1 + (abs(start) + width) / width) * (1 + np.sum(np.abs(coefficients)))
    assert np.max(np.abs(value - chebval(unit, coefficients))) < 10 * tolerance


def test_one_equation_in_the_jaxpr():
    p = Polynomial.from_chebyshev(draw(8), INTERVAL)
    equations = jax.make_jaxpr(p)(jnp.ones((2, 3))).eqns
    assert [equation.primitive for equation in equations] == [polynomial_p]
    assert equations[0].params == {"interval": INTERVAL}


@pytest.mark.parametrize(
    "channels, shape",
    [((), ()), ((3,), (3,)), ((3,), (2, 4, 3)), ((4, 3), (2, 4, 3)), ((1, 3), (2, 4, 3))],
)
def test_channels_are_the_trailing_axes(channels, shape):
    coefficients, x = draw((*channels, 6)), draw(shape, interval=INTERVAL)
    value = Polynomial.from_chebyshev(coefficients, INTERVAL)(x)
    assert value.shape == shape
    assert np.allclose(value, reference(x, coefficients, INTERVAL), atol=2e-5)


def value_at(x, coefficients):
    return Polynomial(coefficients, INTERVAL)(x)


@pytest.mark.parametrize("degree", [0, 1, 2, 9])
@pytest.mark.parametrize("channels", [(), (3,), (1, 3)])
def test_derivatives_of_first_and_second_order(degree, channels):
    with jax.enable_x64(True):
        coefficients = jnp.asarray(draw((*channels, degree + 1)))
        x = jnp.asarray(draw((2, 3), interval=INTERVAL))
        # Finite differences in both arguments, forward and reverse, and derivatives of those.
        check_grads(value_at, (x, coefficients), order=2, atol=1e-4, rtol=1e-4)


def test_jvp_against_exact_derivative():
    coefficients, x = draw(12), draw(50, interval=INTERVAL)
    exact = np.polynomial.Chebyshev(coefficients, domain=INTERVAL)
    p = Polynomial.from_chebyshev(coefficients, INTERVAL)
    with jax.enable_x64(True):
        first = jax.vmap(jax.grad(p))(jnp.asarray(x))
        second = jax.vmap(jax.grad(jax.grad(p)))(jnp.asarray(x))
        slope = p.derivative()(x)
    assert np.allclose(first, exact.deriv()(x), rtol=1e-11, atol=1e-10)
    assert np.allclose(slope, exact.deriv()(x), rtol=1e-11, atol=1e-10)
    assert np.allclose(second, exact.deriv(2)(x), rtol=1e-11, atol=1e-9)


def test_gradient_of_the_coefficients_is_the_basis():
    x = draw(20, interval=INTERVAL)
    with jax.enable_x64(True):
        jacobian = jax.jacrev(value_at, argnums=1)(jnp.asarray(x), jnp.asarray(draw(9)))
        forward = jax.jacfwd(value_at, argnums=1)(jnp.asarray(x), jnp.asarray(draw(9)))
    unit = (2 * x - sum(INTERVAL)) / (INTERVAL[1] - INTERVAL[0])
    assert np.allclose(jacobian, chebvander(unit, 8), atol=1e-12)
    assert np.allclose(forward, chebvander(unit, 8), atol=1e-12)


def test_basis_is_accurate_and_of_least_depth():
    unit = np.linspace(-1, 1, 101)
    with jax.enable_x64(True):
        basis = np.stack(chebyshev_basis(jnp.asarray(unit), 64), axis=-1)
    assert np.allclose(basis, chebvander(unit, 64), atol=1e-12)
    depth = {0: 0, 1: 0}
    for k in range(2, 65):
        depth[k] = 1 + max(depth[(k + 1) // 2], depth[k // 2])
        assert depth[k] == (k - 1).bit_length()


AXES = [axes for axes in itertools.product([None, 0, 1, -1], repeat=2) if axes != (None, None)]


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("compiled", [False, True])
def test_vmap_over_either_argument(axes, compiled):
    size, x_shape, c_shape = 4, (2, 3), (3, 5)
    x = draw(x_shape if axes[0] is None else _insert(x_shape, axes[0], size), interval=INTERVAL)
    c = draw(c_shape if axes[1] is None else _insert(c_shape, axes[1], size))
    mapped = jax.vmap(value_at, in_axes=axes)
    value = (jax.jit(mapped) if compiled else mapped)(jnp.asarray(x), jnp.asarray(c))
    for i in range(size):
        one_x = x if axes[0] is None else np.take(x, i, axes[0])
        one_c = c if axes[1] is None else np.take(c, i, axes[1])
        assert np.allclose(value[i], reference(one_x, one_c, INTERVAL), atol=2e-5)


def _insert(shape, axis, size):
    where = axis if axis >= 0 else len(shape) + 1 + axis
    return (*shape[:where], size, *shape[where:])


def test_nested_vmap_is_an_outer_product():
    x, c = draw(6, interval=INTERVAL), draw((4, 5))
    both = jax.vmap(jax.vmap(value_at, (None, 0)), (0, None))(jnp.asarray(x), jnp.asarray(c))
    assert both.shape == (6, 4)
    assert np.allclose(both, [[reference(u, v, INTERVAL) for v in c] for u in x], atol=2e-5)


def test_per_example_gradients_under_vmap():
    x, c = jnp.asarray(draw((5, 3), interval=INTERVAL)), jnp.asarray(draw((3, 7)))

    def loss(coefficients, row):
        return jnp.sum(value_at(row, coefficients) ** 2)

    batched = jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))(c, x)
    single = jnp.stack([jax.grad(loss)(c, row) for row in x])
    assert np.allclose(batched, single, rtol=1e-4, atol=1e-4)


def test_scan_over_layers_and_remat():
    p = Polynomial.from_chebyshev(jnp.asarray(draw((4, 6)) / 10), (-2.0, 2.0))

    def through_scan(polynomials, x):
        body = jax.checkpoint(lambda carry, one: (one(carry), None))
        return jax.lax.scan(body, x, polynomials)[0]

    def through_loop(polynomials, x):
        for c in polynomials.coefficients:
            x = Polynomial(c, polynomials.interval)(x)
        return x

    x = jnp.linspace(-1, 1, 11)
    results = [jax.value_and_grad(lambda q, f=f: jnp.sum(f(q, x)))(p) for f in (through_scan, through_loop)]
    assert np.allclose(results[0][0], results[1][0], rtol=1e-5)
    assert np.allclose(results[0][1].coefficients, results[1][1].coefficients, rtol=1e-4, atol=1e-5)


def test_replicated_coefficients_under_shard_map():
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    x, c = jnp.asarray(draw((4, 3), interval=INTERVAL)), jnp.asarray(draw((3, 7)))

    def step(x, coefficients):
        return jax.grad(lambda c: jnp.sum(value_at(x, c) ** 2))(coefficients)

    specs = (PartitionSpec("batch"), PartitionSpec())
    # Accepted by shard_map's check only if the gradient is summed over the mesh.
    sharded = jax.jit(jax.shard_map(step, mesh=mesh, in_specs=specs, out_specs=PartitionSpec()))
    assert np.allclose(sharded(x, c), step(x, c), rtol=1e-5)


def test_bad_operands_are_refused_in_sentences():
    p = Polynomial.from_chebyshev(draw((3, 5)), INTERVAL)
    with pytest.raises(ValueError, match=r"channels \(3,\) was evaluated at x of shape \(3, 4\)"):
        p(jnp.ones((3, 4)))
    with pytest.raises(ValueError, match=r"x of shape \(\)"):
        p(0.5)
    with pytest.raises(TypeError, match="x has dtype complex64"):
        p(jnp.ones(3, dtype=jnp.complex64))
    with pytest.raises(TypeError, match="x has dtype bool"):
        p(jnp.ones(3, dtype=bool))
    with pytest.raises(TypeError, match="one floating dtype"):
        polynomial_p.bind(jnp.ones(3), jnp.ones(4, dtype=jnp.bfloat16), interval=INTERVAL)


def test_other_dtypes_of_x():
    p = Polynomial.from_chebyshev([1.0, 2.0, 3.0], (-2, 6))
    assert p(jnp.arange(4)).dtype == jnp.ones(1).dtype
    assert np.allclose(p(jnp.arange(4)), reference(np.arange(4), [1, 2, 3], (-2, 6)), atol=1e-5)
    half = p(jnp.arange(4, dtype=jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    assert np.allclose(half.astype(float), reference(np.arange(4), [1, 2, 3], (-2, 6)), rtol=2**-8)
    assert np.isclose(p(2.0), -2.0) and np.isclose(p(2), -2.0) and p(np.zeros((0,))).shape == (0,)
