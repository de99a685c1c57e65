"""One sample at a time: networks encrypted on small rings, against JAX, fixed point and predictions."""

import jax.numpy as jnp
import numpy as np
import pytest
from small_networks import convolved, weights
from small_networks import pool as pooled

import fhejax
from fhejax.program.circuit.nodes.in_slots.slot_matrix import SlotMatrix

LOG_DEGREE = 9


def network(x):
    """A strided convolution, a square, pooling, and a dense layer."""
    x = jnp.square(convolved(x, weights(3, 3, 1, 4), 2, ((1, 0), (1, 0))) + 0.25)
    return pooled(x).reshape(x.shape[0], -1) @ weights(16, 10, seed=1) + np.full((1, 10), 0.5, np.float32)


def residual(x):
    """A residual block with an activation for each channel, and global pooling."""
    a, b = np.float32([[[[[0.5, 0.75, 1.0, 0.25]]]], [[[[0.5, -0.25, 0.0, 1.0]]]]])
    x = convolved(x, weights(3, 3, 1, 4))
    x = a * x * x + b * x
    y = convolved(x, weights(3, 3, 4, 4, seed=1)) + x
    y = a * y * y + b * y
    return y.mean((1, 2)) @ weights(4, 3, seed=2)


def dense(x):
    """Layers without an image, whose results meet each other."""
    y = x @ weights(12, 7)
    return jnp.sum(jnp.square(y) * (x @ weights(12, 7, seed=1) + 0.5), -1)


def in_any_order(x):
    """Entries moved, repeated, padded and joined before they are multiplied."""
    turned = jnp.pad(x[:, ::-1, 1:], ((0, 0), (0, 0), (1, 0)))
    return jnp.concatenate([turned * x, x[:, :1] + turned[:, 1:]], 1)[:, :, ::2]


PROGRAMS = {
    network: (1, 8, 8, 1),
    residual: (1, 4, 4, 1),
    dense: (1, 12),
    in_any_order: (1, 2, 4),
}


def compiled(function, shape, **options):
    options = {"packing": "multiplexed", "insecure_log_degree": LOG_DEGREE, "device": "cpu"} | options
    return fhejax.compile(function, fhejax.Encrypted(shape), bootstrapping=False, **options)


def image(shape, seed=3):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


# The others are of the night: each compiles its own kernels for ten seconds. `network` is encrypted below for
# its noise, and a residual block in test_resnet.
QUICK = (in_any_order,)


@pytest.mark.parametrize(
    "function",
    [pytest.param(f, marks=() if f in QUICK else pytest.mark.nightly, id=f.__name__) for f in PROGRAMS],
)
def test_a_network_of_one_sample(function):
    shape = PROGRAMS[function]
    program = compiled(function, shape, precision_bits=8)
    x = image(shape)
    wanted = np.asarray(function(x))
    np.testing.assert_allclose(program.clear(x), wanted, atol=1e-5)
    fixed = program.simulate(x)
    secret, keys = program.keygen()
    found = program.decrypt(secret, program(keys, program.encrypt(secret, x)))
    assert found.shape == wanted.shape
    size = np.sqrt(np.mean(wanted**2))
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 2**-6 * size
    assert np.sqrt(np.mean((fixed - wanted) ** 2)) < 2**-6 * size


def test_noise_is_as_predicted():
    program = compiled(network, (1, 8, 8, 1))
    x = image((1, 8, 8, 1))
    fixed, errors = program.simulate(x), []
    for _ in range(6):  # in a ring as small as this, noise depends on the secret by half a bit
        secret, keys = program.keygen()
        for _ in range(3):
            errors.append(program.decrypt(secret, program(keys, program.encrypt(secret, x))) - fixed)
    found = np.sqrt(np.mean(np.square(errors)))
    assert abs(np.log2(found / program.plan.predicted_noise[0])) < 0.5


def test_samples_of_a_batch_lie_in_blocks():
    program = compiled(network, (3, 8, 8, 1), precision_bits=8)
    assert program.plan.blocks == 3
    x = image((2, 8, 8, 1))
    secret, keys = program.keygen()
    encrypted = program.encrypt(secret, x)
    assert encrypted.data.shape[:2] == (3, 1) and encrypted.layout.shape == (8, 8, 1)
    found = program.decrypt(secret, program(keys, encrypted))
    np.testing.assert_allclose(found, network(x), atol=2e-2)
    np.testing.assert_allclose(program.decrypt(secret, encrypted), x, atol=1e-4)


def test_verification_sees_every_layer():
    program = compiled(network, (1, 8, 8, 1))
    layers = program.verify(image((1, 8, 8, 1))).layers
    assert [layer.operation for layer in layers][-1] == "slot_transform"
    assert min(layer.bits for layer in layers) > 6


def test_keys_are_those_of_the_rotations():
    program = compiled(network, (1, 8, 8, 1))
    _, keys = program.keygen()
    assert len(keys.rotations) == len(program.plan.rotations)
    report = program.report()
    assert ", multiplexed, " in report and " diagonals " in report
    assert program.plan.manifest.bytes(program.params).wire == keys.wire_bytes


@pytest.mark.parametrize("result, source", [(64, 64), (16, 64), (64, 16)])
def test_diagonals_are_the_matrix(result, source):
    from scipy.sparse import csr_array

    generator = np.random.default_rng(0)
    held = generator.random((result, source)) < 0.3
    matrix = np.where(held, generator.normal(size=(result, source)), 0.0)
    x = generator.normal(size=(source, 2))
    slots = SlotMatrix(csr_array(matrix))
    diagonals = slots.diagonals
    assert len(diagonals.steps) <= min(result, source)
    np.testing.assert_allclose(diagonals.as_matrix(diagonals.vectors) @ x, matrix @ x, atol=1e-5)
    coarse = slots.rounded(2.0**8) @ x - matrix @ x
    assert 0 < np.abs(coarse).max() < 2**-8 * 64 * 4


def test_what_this_packing_cannot_do_is_said():
    with pytest.raises(fhejax.NotPolynomialError, match="a sum over the samples of the batch"):
        compiled(lambda x: x - x.mean(0, keepdims=True), (4, 3))
    with pytest.raises(ValueError, match="batch_axis=None"):
        argument = fhejax.Encrypted((3,), batch_axis=None)
        fhejax.compile(jnp.square, argument, packing="multiplexed", insecure_log_degree=LOG_DEGREE)
    with pytest.raises(ValueError, match="is plain"):
        arguments = fhejax.Encrypted((1, 3)), fhejax.Plain((1, 3))
        fhejax.compile(jnp.multiply, *arguments, packing="multiplexed", insecure_log_degree=LOG_DEGREE)
    program = compiled(dense, (1, 12))
    with pytest.raises(ValueError, match="an array of shape"):
        program.encrypt(program.keygen()[0], image((1, 13)))


def test_an_array_of_another_packing_is_refused():
    mine, other = (compiled(jnp.square, (1, 4, 4, 1), packing=p) for p in ("multiplexed", "sample-per-slot"))
    _, keys = mine.keygen()
    theirs = other.encrypt(other.keygen()[0], image((1, 4, 4, 1)))
    with pytest.raises(ValueError):
        mine(keys, theirs)
