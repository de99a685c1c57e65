"""Training steps by diagonals on ciphertexts: one layer, and by night two of them, step after step."""

import jax
import numpy as np
import pytest
from tile_steps import arguments_of, step, values_of

import fhejax as fhe
from fhejax.ckks import BootstrappingParameters
from fhejax.ckks.bootstrapping import BootstrappingOptions
from fhejax.program.circuit.nodes import SteppedSum

SIZES, BATCH = (4, 8, 2), 32


@pytest.fixture(scope="module")
def program():
    """Of two blocks of samples; what it carries is bootstrapped once a step."""
    options = BootstrappingOptions(
        hamming_weight=4, double_angles=1, coefficients_to_slots=1, slots_to_coefficients=1
    )
    parameters = BootstrappingParameters.for_levels(
        10, degree=256, slots=128, insecure=True, scale_bits=40, options=options
    )
    described = arguments_of(SIZES, BATCH, width=1.0)
    return fhe.compile(
        step,
        *described,
        carry=(0, 1),
        packing="tiles",
        insecure_log_degree=8,
        bootstrapping=parameters,
        sample=tuple(jax.tree.leaves(start(described))),
        margin=8,
        precision_bits=5,
        device="cpu",
    )


def linear_step(weights, x, y):
    """Gradient descent on the mean square error, its gradient written out."""
    return weights - 0.5 * (x.T @ (x @ weights - y)) / len(x)


def test_one_layer_by_a_saved_server_and_client(tmp_path):
    """Data is uploaded in as many diagonals as there are inputs, for each of two blocks of samples."""
    shapes = (4, 2), (BATCH, 4), (BATCH, 2)
    described = [fhe.Encrypted(shapes[0], batch_axis=None), *map(fhe.Encrypted, shapes[1:])]
    program = fhe.compile(
        linear_step, *described, packing="tiles", insecure_log_degree=6, device="cpu", bootstrapping=False
    )
    assert any(isinstance(node, SteppedSum) for node in program.source.graph.nodes)
    program.save_server(tmp_path / "server")
    program.save_client(tmp_path / "client")
    server = fhe.load_server(tmp_path / "server", allow_insecure=True)
    client = fhe.load_client(tmp_path / "client", allow_insecure=True)
    generator = np.random.default_rng(0)
    values = [generator.uniform(-1, 1, shape).astype(np.float32) for shape in shapes]
    secret, keys = client.keygen()
    arguments = client.encrypt(secret, *values)
    assert [len(argument.data[0]) for argument in arguments] == [1, 4 * 2, 2]
    for argument, value in zip(arguments, values, strict=True):
        np.testing.assert_allclose(client.decrypt(secret, argument), value, atol=4e-3)  # eight deviations
    found, wanted = client.decrypt(secret, server(keys, *arguments)), program.clear(*values)
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 3 * program.plan.predicted_errors[0]


def start(described):
    """Weights, no momenta, data and labels."""
    params, momenta, x, y = values_of(described)
    return jax.tree.map(lambda a: a / 2, params), jax.tree.map(np.zeros_like, momenta), x, y


def wide(values):
    """The values in float64, in which the function is computed to more digits than are encrypted."""
    return jax.tree.map(lambda a: np.asarray(a, np.float64), values)


def test_blocks_of_samples_lie_by_diagonals(program):
    assert any(isinstance(node, SteppedSum) for node in program.source.graph.nodes)
    assert "58 key switches beside bootstraps" in program.report()
    assert program.plan.bootstraps == 1


@pytest.mark.nightly
def test_steps_that_go_on(program, tmp_path):
    """By a server and a client that were saved: three steps, within what was predicted before any key."""
    program.save_server(tmp_path / "server")
    program.save_client(tmp_path / "client")
    server = fhe.load_server(tmp_path / "server", allow_insecure=True)
    client = fhe.load_client(tmp_path / "client", allow_insecure=True)
    described = arguments_of(SIZES, BATCH, width=1.0)
    params, momenta, *_ = wide(start(described))
    batches = [values_of(described, seed=number)[2:] for number in range(3)]
    given = [start(described)[:2]] + [jax.tree.map(lambda _: None, (params, momenta))] * 2
    dry = program.dry_run([(*pair, *batch) for pair, batch in zip(given, batches, strict=True)])
    secret, keys = client.keygen()
    state = None
    for number, (pair, batch) in enumerate(zip(given, batches, strict=True)):
        params_given, momenta_given, x, y = client.encrypt(secret, *pair, *batch)
        state = (params_given, momenta_given) if number == 0 else state
        state = server(keys, *state, x, y)
        with jax.enable_x64(True):
            params, momenta = jax.tree.map(np.asarray, step(*wide((params, momenta, *batch))))
        found, wanted = client.decrypt(secret, state), (params, momenta)
        pairs = zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True)
        for (one, other), error in zip(pairs, dry[number].predicted_errors, strict=True):
            assert np.sqrt(np.mean((one - other) ** 2)) < 2.5 * error
