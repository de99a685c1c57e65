"""Results that are arguments of the next call."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fhejax as fhe
from fhejax.ckks import BootstrappingParameters
from fhejax.ckks.bootstrapping import BootstrappingOptions

SLOTS = 16


@functools.cache
def parameters() -> BootstrappingParameters:
    """Small ones, whose levels hold one step of a regression."""
    options = BootstrappingOptions(
        hamming_weight=4, double_angles=1, coefficients_to_slots=1, slots_to_coefficients=1
    )
    return BootstrappingParameters.for_levels(
        6, degree=64, slots=SLOTS, insecure=True, scale_bits=40, options=options
    )


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).uniform(-1, 1, (SLOTS, 3)).astype(np.float32)
    return x, (x @ np.array([0.4, -0.3, 0.2]) + 0.1).astype(np.float32)


def step(model, x, y):
    """Of gradient descent on the squared error."""

    def loss(model):
        return jnp.mean((x @ model["weights"] + model["bias"] - y) ** 2)

    return jax.tree.map(lambda p, g: p - 0.5 * g, model, jax.grad(loss)(model))


MODEL = {"weights": np.zeros(3, np.float32), "bias": np.zeros((), np.float32)}


def described() -> tuple:
    model = {name: fhe.Encrypted(value.shape, batch_axis=None) for name, value in MODEL.items()}
    return model, fhe.Encrypted((SLOTS, 3)), fhe.Encrypted((SLOTS,))


@functools.cache
def training() -> fhe.Program:
    return fhe.compile(
        step,
        *described(),
        carry=0,
        insecure_log_degree=6,
        bootstrapping=parameters(),
        sample=(np.zeros(()), np.zeros(3), *data()),
        margin=4,
        precision_bits=5,
    )


@functools.cache
def keys():
    return training().keygen()


def test_a_program_runs_on_its_own_results():
    program, (secret, evaluation) = training(), keys()
    x, y = data()
    model, encrypted_x, encrypted_y = program.encrypt(secret, MODEL, x, y)
    clear = MODEL
    for _ in range(4):
        model = program(evaluation, model, encrypted_x, encrypted_y)
        clear = program.clear(clear, x, y)
        found = program.decrypt(secret, model)
        for name in MODEL:
            np.testing.assert_allclose(found[name], clear[name], atol=1e-3)
    wanted = MODEL
    for _ in range(4):
        wanted = step(wanted, x, y)
    np.testing.assert_allclose(clear["weights"], wanted["weights"], atol=1e-5)


def test_carried_results_look_like_the_arguments_they_replace():
    program, (secret, evaluation) = training(), keys()
    arguments = program.encrypt(secret, MODEL, *data())
    result = program(evaluation, *arguments)
    for name in MODEL:
        found, replaced = result[name], arguments[0][name].expanded()
        assert jax.tree.structure(found) == jax.tree.structure(replaced)
        assert found.data.shape == replaced.data.shape


def test_one_bootstrap_serves_all_shared_numbers():
    assert training().plan.bootstraps == 1


def test_a_dry_run_predicts_the_errors_of_every_call():
    program, (secret, evaluation) = training(), keys()
    x, y = data()
    model, encrypted_x, encrypted_y = program.encrypt(secret, MODEL, x, y)
    for predicted in program.dry_run([(MODEL, x, y), *[(None, x, y)] * 3]):
        model = program(evaluation, model, encrypted_x, encrypted_y)
        found = program.decrypt(secret, model)
        pairs = zip(jax.tree.leaves(found), jax.tree.leaves(predicted.results), strict=True)
        errors = [float(np.sqrt(np.mean((a - b) ** 2))) for a, b in pairs]
        assert np.linalg.norm(errors) < 3 * np.linalg.norm(predicted.predicted_errors)


def test_a_dry_run_says_which_call_leaves_the_range():
    shape = fhe.Encrypted((SLOTS, 1), range=(-1, 1))
    program = fhe.compile(
        lambda x: 1.5 * x, shape, carry=0, insecure_log_degree=6, bootstrapping=parameters(), precision_bits=5
    )
    start = np.full((SLOTS, 1), 0.3)
    assert len(program.dry_run([(start,), (None,)])) == 2
    with pytest.raises(ValueError, match=r"call 3 of the dry run: .* declare a wider range"):
        program.dry_run([(start,), (None,), (None,)])
    with pytest.raises(ValueError, match="lacks argument 0"):
        program.dry_run([(None,)])


def test_arguments_may_be_left_out():
    program, (secret, _) = training(), keys()
    x, y = data()
    model, encrypted_x, _ = program.encrypt(secret, None, x, y)
    assert jax.tree.leaves(model) == []
    assert encrypted_x.shape == x.shape


def square(x, y):
    return 0.9 * x * x - 0.4, x * y


def test_state_of_each_sample_is_carried_with_the_batch_axis():
    shape = fhe.Encrypted((SLOTS, 3), range=(-1, 1))
    program = fhe.compile(
        square,
        shape,
        shape,
        carry={0: 0},
        insecure_log_degree=6,
        bootstrapping=parameters(),
        precision_bits=5,
    )
    secret, evaluation = program.keygen()
    x, y = np.random.default_rng(1).uniform(-1, 1, (2, SLOTS, 3)).astype(np.float32)
    state, other = program.encrypt(secret, x, y)
    for _ in range(3):
        state, product = program(evaluation, state, other)
        x, wanted = square(x, y)
    np.testing.assert_allclose(program.decrypt(secret, state), x, atol=5e-3)
    np.testing.assert_allclose(program.decrypt(secret, product), wanted, atol=5e-3)


@pytest.mark.parametrize(
    ("carry", "error", "message"),
    [
        ("all", TypeError, "it is the number of a result"),
        (-1, TypeError, "it is the number of a result"),
        (3, ValueError, "has 1 results and 3 arguments"),
        ({0: 1}, ValueError, "return it in the same form"),
    ],
)
def test_a_carry_that_does_not_fit_is_refused(carry, error, message):
    with pytest.raises(error, match=message):
        fhe.compile(step, *described(), carry=carry, insecure_log_degree=6)


def test_results_that_do_not_fit_their_arguments_are_refused():
    shape = fhe.Encrypted((SLOTS, 3))
    with pytest.raises(ValueError, match="both must be alike"):
        fhe.compile(lambda x: x[:, :2], shape, carry=0)
    with pytest.raises(ValueError, match="depends on no encrypted argument"):
        fhe.compile(lambda x, y: (jnp.ones((SLOTS, 3)), x * y), shape, shape, carry=0)
    with pytest.raises(ValueError, match="which is plain"):
        fhe.compile(lambda x, y: (x, x), shape, fhe.Plain((SLOTS, 3)), carry=1)
    with pytest.raises(ValueError, match="by two results"):
        fhe.compile(lambda x: (x * x, x + x), shape, carry={0: 0, 1: 0})


def test_a_result_that_leaves_its_range_on_the_sample_is_refused():
    shape = fhe.Encrypted((SLOTS, 1), range=(-1, 1))
    with pytest.raises(ValueError, match="declare a wider range"):
        fhe.compile(
            lambda x: 3 * x * x,
            shape,
            carry=0,
            sample=np.ones((SLOTS, 1)),
            insecure_log_degree=6,
            bootstrapping=parameters(),
            precision_bits=5,
        )
