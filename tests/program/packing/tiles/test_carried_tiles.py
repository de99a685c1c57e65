"""Training steps in tiles that go on: weights and momenta are results, and arguments of the next call."""

import functools

import jax
import numpy as np
import pytest

import fhejax as fhe
from fhejax.ckks import BootstrappingParameters
from fhejax.ckks.bootstrapping import BootstrappingOptions
from fhejax.program.levels.plan import TooDeepError

BATCH, FEATURES, CLASSES = 8, 3, 2
RATE, MOMENTUM = 0.25, 0.5


def momentum_step(state, x, y):
    """Gradient descent with a momentum, on the mean square error, its gradient written out."""
    weights, momentum = state
    momentum = MOMENTUM * momentum + (x.T @ (x @ weights - y)) / BATCH
    return weights - RATE * momentum, momentum


@functools.cache
def parameters(levels=6):
    options = BootstrappingOptions(
        hamming_weight=4, double_angles=1, coefficients_to_slots=1, slots_to_coefficients=1
    )
    return BootstrappingParameters.for_levels(
        levels, degree=128, slots=64, insecure=True, scale_bits=40, options=options
    )


def batches(count):
    generator = np.random.default_rng(0)
    wanted = generator.uniform(-0.5, 0.5, (FEATURES, CLASSES))
    for _ in range(count):
        x = generator.uniform(-1, 1, (BATCH, FEATURES)).astype(np.float32)
        yield x, (x @ wanted).astype(np.float32)


def compiled(levels=6, **options):
    weights = fhe.Encrypted((FEATURES, CLASSES), batch_axis=None)
    x, y = next(batches(1))
    zeros = np.zeros((FEATURES, CLASSES), np.float32)
    return fhe.compile(
        lambda state, x, y: (momentum_step(state, x, y),),
        (weights, weights),
        fhe.Encrypted((BATCH, FEATURES)),
        fhe.Encrypted((BATCH, CLASSES)),
        carry=0,
        packing="tiles",
        insecure_log_degree=7,
        sample=(zeros + 0.3, zeros + 0.3, x, y),
        margin=8,
        precision_bits=5,
        device="cpu",
        **{"bootstrapping": parameters(levels), **options},
    )


@pytest.mark.nightly
def test_steps_that_go_on():
    """Three calls: each has the weights that the function gives, within what was predicted before any key."""
    program = compiled()
    zeros = np.zeros((FEATURES, CLASSES), np.float32)
    calls = [((zeros, zeros), *pair) for pair in batches(1)]
    calls += [((None, None), *pair) for pair in list(batches(3))[1:]]
    dry = program.dry_run(calls)
    secret, keys = program.keygen()
    state, clear = None, (zeros, zeros)
    for number, (given, x, y) in enumerate(calls):
        encrypted = program.encrypt(secret, given, x, y)
        state = encrypted[0] if number == 0 else state
        (state,) = program(keys, state, *encrypted[1:])
        clear = momentum_step(clear, x, y)
        found = program.decrypt(secret, state)
        for one, other, error in zip(found, clear, dry[number].predicted_errors, strict=True):
            assert np.sqrt(np.mean((one - other) ** 2)) < 2.5 * error


def test_weights_and_momenta_share_a_bootstrap():
    program = compiled()
    assert program.plan.bootstraps == 1
    assert "1, up to two ciphertexts in each" in program.report()


def test_a_step_of_more_levels_than_a_bootstrap_leaves_is_refused():
    with pytest.raises(TooDeepError, match="takes more levels"):
        compiled(levels=3)


def test_parameters_have_no_more_levels_than_a_call_takes(monkeypatch):
    monkeypatch.setattr("fhejax.program.levels.bootstrapped_plan._INSECURE_LEVELS", (3, 8))
    chosen = compiled(bootstrapping=True).plan.bootstrapping
    assert chosen.levels_left == 4
    fewer = BootstrappingParameters.for_levels(3, degree=128, slots=64, scale_bits=40, insecure=True)
    with pytest.raises(TooDeepError, match="more levels than there are"):
        compiled(bootstrapping=fewer)


def train(state, inputs, targets):
    """An ordinary loop over batches."""
    return jax.lax.scan(
        lambda carried, batch: (momentum_step(carried, *batch), None), state, (inputs, targets)
    )[0]


def test_a_loop_of_steps():
    """What `lax.scan` runs is a program of one turn, whose results are the next one's arguments."""
    inputs, targets = map(np.stack, zip(*batches(3), strict=True))
    zeros = np.zeros((FEATURES, CLASSES), np.float32)
    weights = fhe.Encrypted(zeros.shape, batch_axis=None)
    loop = fhe.compile_loop(
        train,
        (weights, weights),
        fhe.Encrypted(inputs.shape, batch_axis=1),
        fhe.Encrypted(targets.shape, batch_axis=1),
        packing="tiles",
        insecure_log_degree=7,
        bootstrapping=parameters(),
        sample=(zeros + 0.3, zeros + 0.3, inputs, targets),
        margin=8,
        precision_bits=5,
        device="cpu",
    )
    turns = loop.dry_run((zeros, zeros), inputs, targets)
    assert len(turns) == 3
    values = (zeros, zeros), inputs, targets
    for found, wanted in zip(loop.clear(*values), train(*values), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
