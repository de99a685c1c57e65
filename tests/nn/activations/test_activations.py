"""Square and polynomial activations against NumPy's own evaluation; ranges, noise, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fhejax import approx
from fhejax.nn import ExactActivation, PolynomialActivation, Square


def test_square():
    x = jnp.asarray([-3.0, 0.5], jnp.float32)
    np.testing.assert_array_equal(Square()(x), [9.0, 0.25])


@pytest.mark.parametrize("degree", [1, 2, 3, 7])
def test_starts_as_the_interpolant_of_its_function(degree):
    activation = PolynomialActivation(degree, function=jax.nn.softplus, interval=(-3.0, 5.0))
    nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    x = jnp.asarray(1.0 + 4.0 * nodes, jnp.float32)
    np.testing.assert_allclose(activation(x), jax.nn.softplus(x), atol=1e-5)


def test_channels_have_their_own_coefficients():
    coefficients = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
    activation = PolynomialActivation(2, coefficients=coefficients, features=2, interval=(-2, 2))
    x = np.linspace(-2, 2, 6, dtype=np.float32).reshape(3, 2)
    expected = [
        np.polynomial.Chebyshev(c, domain=(-2, 2))(x[:, i].astype(float)) for i, c in enumerate(coefficients)
    ]
    for evaluate in (activation, jax.jit(activation), jax.vmap(activation)):
        np.testing.assert_allclose(evaluate(x), np.stack(expected, axis=1), atol=1e-5)


def test_only_trainable_coefficients_are_parameters():
    trainable = PolynomialActivation(3)
    fixed = PolynomialActivation(3, trainable=False)
    assert len(jax.tree.leaves(nnx.state(trainable, nnx.Param))) == 1
    assert not jax.tree.leaves(nnx.state(fixed, nnx.Param))
    gradient = nnx.grad(lambda model: jnp.sum(model(jnp.ones(4, jnp.float32))))(trainable)
    assert np.any(jax.tree.leaves(gradient)[0] != 0)


def test_bad_descriptions_are_refused():
    with pytest.raises(ValueError, match="degree of at least 1"):
        PolynomialActivation(0)
    with pytest.raises(ValueError):
        PolynomialActivation(2, interval=(1.0, 1.0))
    with pytest.raises(ValueError, match=r"needs coefficients of shape \(4, 3\), not \(4, 2\)"):
        PolynomialActivation(2, features=4, coefficients=np.zeros((4, 2)))


METHODS = [
    "antiderivative",
    "c1",
    "chebyshev",
    "hermite",
    "least_squares",
    "minimax",
    "modified_chebyshev",
    "taylor",
]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_starts_as_its_own_fit(method):
    fit = getattr(approx, method)("softplus", 3, (-2.0, 2.0))
    activation = PolynomialActivation(3, function="softplus", method=method, interval=(-2.0, 2.0))
    np.testing.assert_allclose(activation.coefficients[...], fit.coefficients, rtol=1e-6, atol=1e-7)
    assert activation.certificate.error == pytest.approx(approx.error(fit, "softplus"), rel=1e-4)


def test_a_callable_method_keeps_its_options():
    steep = functools.partial(approx.c1, slope_weight=0.1)
    activation = PolynomialActivation(4, method=steep)
    expected = approx.c1("relu", 4, (-4.0, 4.0), slope_weight=0.1)
    np.testing.assert_allclose(activation.coefficients[...], expected.coefficients, rtol=1e-6, atol=1e-7)


def test_from_a_fitted_polynomial_for_all_channels_or_each():
    single = approx.minimax("gelu", 5, (-3.0, 5.0))
    family = approx.Polynomial.from_chebyshev(np.arange(6.0).reshape(2, 3), (-1.0, 2.0))
    x = jnp.asarray(np.linspace(-1, 2, 10).reshape(5, 2), jnp.float32)
    for polynomial, features in ((single, None), (family, 2)):
        activation = PolynomialActivation.from_polynomial(polynomial)
        np.testing.assert_allclose(activation(x), polynomial(x), rtol=1e-6, atol=1e-6)
        assert activation.interval == polynomial.interval and activation.features == features
        assert activation.certificate is None
    each = PolynomialActivation.from_polynomial(single, features=2, function="gelu", trainable=False)
    assert [found.error for found in each.certificate] == pytest.approx(
        [single.certificate.error] * 2, rel=1e-4
    )
    assert not jax.tree.leaves(nnx.state(each, nnx.Param))


@pytest.mark.parametrize("function", ["relu", "sigmoid"])
def test_a_trained_range_scales_the_input_and_for_relu_the_value(function):
    activation = PolynomialActivation(4, function=function, interval=(-2.0, 3.0), scaling="trained")
    fixed = PolynomialActivation(4, function=function, interval=(-2.0, 3.0))
    x = jnp.linspace(-3.0, 3.0, 11, dtype=jnp.float32)
    np.testing.assert_allclose(activation(x), fixed(x), rtol=1e-6, atol=1e-6)
    activation.log_scale[...] = jnp.log(jnp.float32(2.5))
    factor = 2.5 if function == "relu" else 1.0
    for evaluate in (activation, jax.jit(activation), jax.vmap(activation)):
        np.testing.assert_allclose(evaluate(x), factor * fixed(x / 2.5), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(activation.interval, (-5.0, 7.5), rtol=1e-6)
    folded = activation.folded()
    assert folded.scaling == "fixed" and folded.unscaled_interval == activation.interval
    np.testing.assert_allclose(folded(x), activation(x), rtol=1e-5, atol=1e-6)
    if function == "relu":
        # ReLU is approximated as well as before, relative to the interval.
        assert activation.certificate.error == pytest.approx(2.5 * fixed.certificate.error, rel=1e-4)


def test_gradients_reach_coefficients_and_range():
    activation = PolynomialActivation(3, interval=(-2.0, 2.0), scaling="trained", features=2)
    x = jnp.asarray([[0.5, -1.5], [1.0, 0.3]], jnp.float32)

    def loss(model):
        return jnp.sum(model(x) ** 2)

    gradient = nnx.grad(loss)(activation)
    step = 1e-2
    for name, index in (("log_scale", ()), ("coefficients", (0, 1)), ("coefficients", (1, 3))):
        values = []
        for sign in (1, -1):
            moved = nnx.clone(activation)
            variable = getattr(moved, name)
            variable[...] = variable[...].at[index].add(sign * step)
            values.append(float(loss(moved)))
        found = float(gradient[name][...][index])
        assert found == pytest.approx((values[0] - values[1]) / (2 * step), rel=2e-3, abs=1e-3)
        assert abs(found) > 1e-3


def test_training_the_range_lowers_a_loss_that_only_the_range_can():
    activation = PolynomialActivation(7, interval=(-1.0, 1.0), scaling="trained", trainable=False)
    x = jnp.linspace(-3.0, 3.0, 64, dtype=jnp.float32)
    definition, parameters, other = nnx.split(activation, nnx.Param, ...)

    @jax.jit
    def step(parameters):
        def loss(parameters):
            return jnp.mean((nnx.merge(definition, parameters, other)(x) - jax.nn.relu(x)) ** 2)

        value, gradient = jax.value_and_grad(loss)(parameters)
        return value, jax.tree.map(lambda p, g: p - jnp.clip(0.3 * g, -0.1, 0.1), parameters, gradient)

    losses = []
    for _ in range(60):
        loss, parameters = step(parameters)
        losses.append(float(loss))
    assert losses[-1] < 1e-2 < 1 < losses[0]
    assert 2.5 < nnx.merge(definition, parameters, other).interval[1] < 4.0


def test_dynamic_range_follows_the_batch_and_then_stands():
    activation = PolynomialActivation(5, interval=(-1.0, 1.0), scaling="dynamic")
    unit = PolynomialActivation(5, interval=(-1.0, 1.0))
    x = jnp.asarray([[-8.0, 2.0], [4.0, 1.0]], jnp.float32)
    np.testing.assert_allclose(activation(x), 8 * unit(x / 8), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(activation(x / 2), 4 * unit(x / 8), rtol=1e-5, atol=1e-5)
    largest = 8.0 * 0.99
    assert float(activation.largest[...]) == pytest.approx(largest, rel=1e-6)
    predict = nnx.view(activation, use_running_average=True)
    for evaluate in (predict, jax.jit(predict), jax.vmap(predict)):
        np.testing.assert_allclose(evaluate(x / 4), largest * unit(x / 4 / largest), rtol=1e-5, atol=1e-5)
    assert float(activation.largest[...]) == pytest.approx(largest, rel=1e-6)
    np.testing.assert_allclose(predict.folded()(x), predict(x), rtol=1e-5, atol=1e-5)
    assert predict.folded().interval == pytest.approx((-largest, largest), rel=1e-6)
    assert np.all(np.isfinite(activation(jnp.zeros((2, 2), jnp.float32))))


def test_dynamic_range_has_no_gradient_of_its_own():
    activation = PolynomialActivation(
        2, coefficients=[0.0, 1.0, 0.0], interval=(-1.0, 1.0), scaling="dynamic"
    )

    @jax.jit
    def slope(x):
        return jax.grad(lambda x: jnp.sum(nnx.clone(activation)(x)))(x)

    # p(u) = u, and the value is s p(x / s): a gradient through s would not be 1.
    np.testing.assert_allclose(slope(jnp.asarray([1.0, -5.0], jnp.float32)), [1.0, 1.0], rtol=1e-6)


def variance(coefficients):
    return jnp.sum(coefficients**2 * jnp.asarray([0.1, 0.2, 0.0], coefficients.dtype))


@pytest.mark.parametrize("scaling", ["fixed", "dynamic"])
def test_noise_has_the_variance_asked_for_in_training_only(scaling):
    coefficients = np.array([[1.0, 2.0, 0.5], [0.0, 0.3, 1.0]])
    options = {"features": 2, "interval": (-1.0, 1.0), "scaling": scaling}
    noisy = PolynomialActivation(
        2, coefficients=coefficients, noise=variance, rngs=nnx.Rngs(noise=3), **options
    )
    x = jnp.full((40_000, 2), 0.5, jnp.float32)
    exact = nnx.view(noisy, use_running_average=True)(x)
    np.testing.assert_array_equal(exact, nnx.view(noisy.folded(), use_running_average=False)(x))
    quiet = PolynomialActivation(2, coefficients=coefficients, **options)
    scale = 0.5 if scaling == "dynamic" else 1.0
    first, second = noisy(x), noisy(x)
    assert np.mean(first != second) > 0.99
    difference = np.asarray(first - quiet(x), np.float64)
    expected = scale**2 * np.array([0.1 * 1 + 0.2 * 4, 0.2 * 0.09])
    # The standard error of a variance of 40,000 samples is 0.7%.
    np.testing.assert_allclose(difference.var(axis=0), expected, rtol=0.04)
    assert np.all(np.abs(difference.mean(axis=0)) < 5 * np.sqrt(expected / 40_000))


def test_noise_is_differentiable_also_where_it_vanishes():
    quiet = PolynomialActivation(2, coefficients=np.zeros(3), noise=variance, rngs=nnx.Rngs(0))
    gradient = nnx.grad(lambda model: jnp.sum(model(jnp.ones(4, jnp.float32)) ** 2))(quiet)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


def test_exact_activation():
    x = jnp.asarray([-1.0, 2.0], jnp.float32)
    np.testing.assert_array_equal(ExactActivation()(x), [0.0, 2.0])
    np.testing.assert_allclose(ExactActivation("sigmoid")(x), jax.nn.sigmoid(x))
    with pytest.raises(ValueError, match="no function named 'rely'"):
        ExactActivation("rely")


def test_dtypes_follow_the_input():
    activation = PolynomialActivation(2, scaling="trained", features=2)
    for dtype in (jnp.float16, jnp.bfloat16, jnp.float32):
        assert activation(jnp.ones((3, 2), dtype)).dtype == dtype
    assert activation(np.ones((3, 2), np.int32)).dtype == jnp.result_type(float)
    with jax.enable_x64(True):
        assert activation(jnp.ones((3, 2), jnp.float64)).dtype == jnp.float64


def test_bad_options_are_refused():
    with pytest.raises(TypeError, match="degree is an integer"):
        PolynomialActivation(2.5)
    with pytest.raises(ValueError, match=r"no method 'remez' .* antiderivative, c1, chebyshev"):
        PolynomialActivation(2, method="remez")
    with pytest.raises(TypeError, match=r"single approx\.Polynomial, but the method returned Composite"):
        PolynomialActivation(7, method=lambda f, degree, interval: approx.composite(f, (3, 3), interval))
    with pytest.raises(ValueError, match=r"no scaling 'running' .* fixed, trained, dynamic"):
        PolynomialActivation(2, scaling="running")
    for bad in (np.nan, np.inf, 1e39):
        with pytest.raises(ValueError, match="finite in float32"):
            PolynomialActivation(2, coefficients=[0.0, bad, 0.0])
    with pytest.raises(ValueError, match="one axis of channels"):
        PolynomialActivation.from_polynomial(approx.Polynomial.from_chebyshev(np.ones((2, 2, 3)), (-1, 1)))
    with pytest.raises(ValueError, match="degree of at least 1"):
        PolynomialActivation.from_polynomial(approx.Polynomial.from_chebyshev([1.0], (-1, 1)))
    with pytest.raises(ValueError, match=r"pass rngs=nnx.Rngs\(0\)"):
        PolynomialActivation(2, noise=variance)
    wrong = PolynomialActivation(2, noise=lambda c: c, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="scalar for each polynomial"):
        wrong(jnp.ones(3, jnp.float32))
    ranged = PolynomialActivation(2, scaling="trained")
    with pytest.raises(TypeError, match="read on the host"):
        jax.jit(lambda model: model.interval[0])(ranged)
