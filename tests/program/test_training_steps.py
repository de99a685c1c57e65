"""Steps of gradient descent by plain jax.grad, with data, labels and weights encrypted."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_programs import alone as small
from small_programs import shared

import fhejax
from fhejax import approx

FEATURES = 4
SOFTPLUS = approx.chebyshev("softplus", 4, (-8.0, 8.0))  # its derivative is a sigmoid of degree 3
TANH = approx.chebyshev("tanh", 3, (-2.0, 2.0))


def squared_error(model, x, y):
    return jnp.mean((x @ model["weights"] + model["bias"] - y) ** 2)


def cross_entropy(model, x, y):
    z = x @ model["weights"] + model["bias"]
    return jnp.mean(SOFTPLUS(z) - y * z)


def network_error(model, x, y):
    hidden = TANH(x @ model["first"] + model["biases"][None])
    return jnp.mean(jnp.sum((hidden @ model["second"] - y) ** 2, 1))


def descend(loss, rate, steps, model, x, y):
    for _ in range(steps):
        model = jax.tree.map(lambda p, g: p - rate * g, model, jax.grad(loss)(model, x, y))
    return model


def two_steps(loss, rate):
    return functools.partial(descend, loss, rate, 2)


def regression_arguments(samples):
    model = {"weights": shared(FEATURES), "bias": shared()}
    return model, fhejax.Encrypted((samples, FEATURES)), fhejax.Encrypted((samples,), range=(0, 1))


def values_of(arguments, seed=0):
    generator = np.random.default_rng(seed)
    return jax.tree.map(
        lambda a: generator.uniform(*a.range, a.shape).astype(np.float32),
        arguments,
        is_leaf=lambda a: isinstance(a, fhejax.Encrypted),
    )


def encrypted_run(program, secret, keys, values):
    return program.decrypt(secret, program(keys, *program.encrypt(secret, *values)))


def flat(results):
    return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(results)]


def check_against_clear(program, function, values, found):
    """Every number within the error predicted for its array, four times over."""
    clear = flat(program.clear(*values))
    for direct, exact in zip(flat(function(*values)), clear, strict=True):
        np.testing.assert_allclose(exact, direct, atol=1e-5)
    for got, exact, predicted in zip(flat(found), clear, program.plan.predicted_errors, strict=True):
        assert np.sqrt(np.mean((got - exact) ** 2)) < 4 * predicted


REGRESSIONS = {"linear": (squared_error, 0.2, 4), "logistic": (cross_entropy, 1.0, 8)}


@pytest.mark.parametrize("name", REGRESSIONS)
@pytest.mark.parametrize("samples", [16, 13])
def test_regressions_in_the_clear_and_in_fixed_point(name, samples):
    loss, rate, depth = REGRESSIONS[name]
    function, arguments = two_steps(loss, rate), regression_arguments(samples)
    values = values_of(arguments)
    program = small(function, *arguments, sample=tuple(jax.tree.leaves(values)))
    assert program.plan.depth == depth
    assert program.plan.whole_batch == (samples == 16)
    assert any(step.operation == "mask" for step in program.plan.steps) == (samples == 13)
    check_against_clear(program, function, values, program.simulate(*values))


@pytest.mark.parametrize("name", ["linear", pytest.param("logistic", marks=pytest.mark.nightly)])
def test_noise_of_two_encrypted_steps_is_as_predicted(name):
    loss, rate, _ = REGRESSIONS[name]
    function, arguments = two_steps(loss, rate), regression_arguments(16)
    values = values_of(arguments)
    program = small(function, *arguments, sample=tuple(jax.tree.leaves(values)))
    clients = [program.keygen() for _ in range(8)]  # in so small a ring each secret has noise of its own
    runs = [encrypted_run(program, *client, values) for client in clients for _ in range(5)]
    check_against_clear(program, function, values, runs[0])
    relative = []
    for index, exact in enumerate(flat(program.simulate(*values))):
        errors = np.stack([flat(run)[index] for run in runs]) - exact
        relative.append((errors / program.plan.predicted_noise[index]).reshape(len(runs), -1))
    measured = np.sqrt(np.mean(np.concatenate(relative, 1) ** 2))
    assert abs(np.log2(measured)) < 0.3


@pytest.mark.nightly
def test_two_steps_of_logistic_regression_at_real_security():
    function, arguments = two_steps(cross_entropy, 1.0), regression_arguments(512)
    values = values_of(arguments)
    program = fhejax.compile(function, *arguments, sample=tuple(jax.tree.leaves(values)))
    assert program.params.security >= 128
    assert program.params.ring.degree == 2**14
    assert "INSECURE" not in program.report()
    secret, keys = program.keygen()
    found = encrypted_run(program, secret, keys, values)
    check_against_clear(program, function, values, found)


def test_a_missing_bias_needs_no_mask():
    """A column of ones that the client encrypts is zero where samples are missing."""

    def loss(weights, x, y):
        return jnp.mean((x @ weights - y) ** 2)

    program = small(two_steps(loss, 0.2), shared(3), fhejax.Encrypted((16, 3)), fhejax.Encrypted((16,)))
    assert not program.plan.whole_batch
    assert not any(step.operation == "mask" for step in program.plan.steps)
    generator = np.random.default_rng(0)
    weights, x, y = (generator.uniform(-1, 1, shape).astype(np.float32) for shape in ((3,), (9, 3), (9,)))
    expected = descend(lambda w, x, y: loss(w, x, y) * 9 / 16, 0.2, 2, weights, x, y)
    np.testing.assert_allclose(program.clear(weights, x, y), expected, atol=1e-5)


NETWORK = (
    {"first": shared(4, 3), "biases": shared(3), "second": shared(3, 2)},
    fhejax.Encrypted((256, 4)),
    fhejax.Encrypted((256, 2), range=(0, 1)),
)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_network_is_planned_at_real_security(steps):
    function = functools.partial(descend, network_error, 0.1, steps)
    values = values_of(NETWORK)
    program = fhejax.compile(
        function, *NETWORK, precision_bits=8, sample=tuple(jax.tree.leaves(values)), margin=4
    )
    assert program.params.ring.degree <= 2**14
    check_against_clear(program, function, values, program.simulate(*values))


def test_powers_of_a_polynomial_and_its_derivative_are_shared():
    program = small(functools.partial(descend, network_error, 0.1, 1), *NETWORK)
    operations = [step.operation for step in program.plan.steps]
    assert operations.count("square") == 1


def test_observed_bounds_need_no_larger_modulus():
    arguments = regression_arguments(16)
    values = values_of(arguments)
    options = {"precision_bits": 8, "sample": tuple(jax.tree.leaves(values))}
    rigorous, observed = (
        small(two_steps(cross_entropy, 1.0), *arguments, margin=margin, **options) for margin in (None, 4)
    )
    assert len(observed.params.moduli) <= len(rigorous.params.moduli)  # what is spared goes into precision
    resolution = observed.plan.device.resolution  # by which times have to differ for the planner to tell
    assert observed.plan.predicted_seconds <= rigorous.plan.predicted_seconds + resolution
    assert observed.plan.largest_output < rigorous.plan.largest_output
    check_against_clear(observed, two_steps(cross_entropy, 1.0), values, observed.simulate(*values))


def test_steps_of_training_are_plain_json():
    from fhejax.program.circuit.step_files import from_json, to_json

    program = small(two_steps(squared_error, 0.2), *regression_arguments(13))
    assert from_json(to_json(program.plan.steps)) == program.plan.steps
    kinds = {step.operation for step in program.plan.steps}
    assert {"inner_product", "mask", "slot_sum", "combine"} <= kinds
