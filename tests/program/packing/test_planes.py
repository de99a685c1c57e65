"""A few images at once, a channel a ciphertext: networks on small rings, against JAX and predictions."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.sparse import csr_array
from small_networks import convolved, weights
from small_networks import pool as pooled

import fhejax
from fhejax import nn
from fhejax.program.circuit.nodes.in_slots.plane_map import PlaneMap
from fhejax.program.packing.planes.taps import folded, plane_map, steps_of_sum

LOG_DEGREE = 9


def network(x):
    """A strided convolution with zeros around, squares, means, a residual block, a dense layer of pixels."""
    x = pooled(jnp.square(convolved(x, weights(3, 3, 1, 4), 2, ((1, 0), (1, 0))) + 0.25))
    y = jnp.square(convolved(x, weights(3, 3, 4, 4, seed=2)) - 0.125)
    y = (y + x).reshape(x.shape[0], -1)
    return y @ weights(16, 10, seed=1) + np.full((1, 10), 0.5, np.float32)


def compiled(function, shape, **options):
    given = {"packing": "planes", "insecure_log_degree": LOG_DEGREE, "device": "cpu", "precision_bits": 7}
    return fhejax.compile(function, fhejax.Encrypted(shape), **given | options)


def images(shape, seed=3):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@functools.cache
def of_twelve():
    """A program of two blocks, of eight images of 8x8 each."""
    return compiled(network, (12, 8, 8, 1))


def root_mean_square(values):
    return float(np.sqrt(np.mean(np.square(values))))


def test_images_share_ciphertexts(tmp_path):
    """Encrypted, computed, decrypted, by halves that were files, of fewer images than there are places."""
    program, x = of_twelve(), images((11, 8, 8, 1))
    assert (program.plan.blocks, program.plan.together) == (2, 8)
    program.save_client(tmp_path / "client.fhe")
    program.save_server(tmp_path / "server.fhe")
    client, server = (
        load(tmp_path / f"{name}.fhe", allow_insecure=True)
        for load, name in ((fhejax.load_client, "client"), (fhejax.load_server, "server"))
    )
    secret, keys = client.keygen()
    encrypted = client.encrypt(secret, x)
    assert encrypted.data.shape[:2] == (2, 1)
    np.testing.assert_allclose(client.decrypt(secret, encrypted), x, atol=1e-4)
    result = server(keys, encrypted)
    found, wanted, fixed = client.decrypt(secret, result), np.asarray(network(x)), program.simulate(x)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(program.clear(x), wanted, atol=1e-5)
    assert root_mean_square(found - wanted) < 2**-6 * root_mean_square(wanted)
    assert abs(np.log2(root_mean_square(found - wanted) / program.plan.predicted_errors[0])) < 1
    assert root_mean_square(found - fixed) < 2**-1 * root_mean_square(found - wanted)


def test_noise_is_as_predicted_in_every_layer():
    """The fixed point knows what lies in the planes beside, so that what is left is noise."""
    program = of_twelve()
    layers = program.verify(images((8, 8, 8, 1))).layers
    noise = program.source.lowered.noise
    assert [layer.operation for layer in layers].count("plane_transform") >= 1
    (divided,) = (layer for layer in layers if layer.operation == "rescale")
    assert abs(np.log2(layers[0].encrypted_error / noise[0])) < 0.5
    assert abs(np.log2(divided.encrypted_error / noise[4])) < 0.5, "where the scale is least"
    for layer in layers:
        assert layer.encrypted_error < max(0.1 * layer.fixed_error, 1.5 * noise[4])


def test_the_report_counts_rotations():
    program = of_twelve()
    report = program.report()
    plan = program.plan
    assert ", planes, " in report and "a channel of up to 8 samples in each ciphertext" in report
    by_step = [(step.operation, step.size, step.rotations_done) for step in plan.steps if step.rotations_done]
    assert by_step[0] == ("plane_transform", 4, 8), "eight rotations of the one channel, shared by all maps"
    assert by_step[1] == ("rotated_sum", 4, 8), "two for the means of each channel"
    assert by_step[2] == ("plane_transform", 4, 32), "eight of each channel"
    keys = program.keygen()[1]
    assert len(keys.rotations) == len(plan.rotations)


@pytest.mark.parametrize("make", [nn.HCNN, nn.CryptoNets, nn.Digits], ids=lambda make: make.__name__)
def test_small_networks_have_a_plan(make):
    model = nn.inference_view(make(rngs=nnx.Rngs(0)))
    x = np.random.default_rng(0).uniform(0, 1, (2, *model.image_shape)).astype(np.float32)
    argument = fhejax.Encrypted(x.shape, range=(0, 1))
    options = {"insecure_log_degree": 11, "precision_bits": 6, "sample": x, "margin": 4.0}
    program = fhejax.compile(model, argument, packing="planes", **options)
    wanted = np.asarray(model(x))
    np.testing.assert_allclose(program.clear(x), wanted, atol=1e-4)
    assert root_mean_square(program.simulate(x) - wanted) < 2**-5 * root_mean_square(wanted)
    masked = sum(step.plaintext_products for step in program.plan.steps)
    assert not masked, "what lies around an image of 28 in 32 is zero already"


def test_residual_blocks_meet_in_planes():
    """Strides leave gaps, both arms lie in the same, and the mean over the image follows the dense layer."""
    model = nn.inference_view(nn.ResNet(8, width=2, classes=3, image_shape=(16, 16, 3), rngs=nnx.Rngs(0)))
    x = images((2, 16, 16, 3))
    program = compiled(model, x.shape, sample=x, margin=4.0, precision_bits=4)
    np.testing.assert_allclose(program.clear(x), model(x), atol=1e-4)
    last = [step for step in program.plan.steps if step.rotations_done][-1]
    assert (last.operation, last.size, last.rotations_done) == ("rotated_sum", 3, 12)
    rotated = sum(s.rotations_done for s in program.plan.steps if s.operation == "plane_transform")
    assert rotated == 8 * (3 + 2 + 2 + 2 + 4 + 4 + 8)


def test_the_library_compares_planes_where_images_are_few():
    program = compiled(lambda x: jnp.square(convolved(x, weights(3, 3, 1, 2))), (8, 8, 8, 1), packing="auto")
    assert "planes: " in program.report() and "sample per slot: " in program.report()
    seconds = {found.name: found.seconds for found in program.source.considered}
    assert set(seconds) == {"sample-per-slot", "planes"}
    assert program.source.packing == min(seconds, key=seconds.__getitem__)


REFUSED = {
    "plain": (jnp.multiply, (fhejax.Encrypted((4, 3)), fhejax.Plain((4, 3))), {}, "argument 1 is plain"),
    "shared": (jnp.square, (fhejax.Encrypted((3,), batch_axis=None),), {}, "batch_axis=None"),
    "too large": (jnp.square, (fhejax.Encrypted((2, 64, 64, 1)),), {}, "takes 4096 slots"),
    "memory": (
        lambda x: convolved(x, weights(3, 3, 1, 2)),
        (fhejax.Encrypted((2, 8, 8, 1)),),
        {"memory": 1e6},
        "its keys included",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_planes_cannot_do_is_said(name):
    function, arguments, options, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        fhejax.compile(function, *arguments, packing="planes", insecure_log_degree=LOG_DEGREE, **options)


def test_taps_are_the_matrix():
    """A map of two planes to three, of which some slots need a mask and others are read by nobody."""
    generator, period = np.random.default_rng(0), 16
    numbers, matrix = generator.normal(size=(3, 2, 2)), np.zeros((3, period, 2, period))
    for tap, distance in enumerate((-4, 0, 1)):
        for slot in range(4, period - 4):
            if tap or slot > 5:  # what is missing is made zero by a mask
                matrix[:, slot, :, slot + distance] += numbers[tap % 3 if tap < 2 else 0].reshape(-1, 2)[
                    np.arange(3) % 2
                ] * (1 + np.arange(3)[:, None])
    live = np.zeros((3, period), bool)
    live[:, 4:-4] = True
    flat = csr_array(matrix.reshape(3 * period, 2 * period))
    found = plane_map(flat, period, (3, 2), live.ravel(), np.zeros(2 * period, bool))
    assert found.distances == (-4, 0, 1) and found.masks is not None
    x = generator.normal(size=(2 * period, 5))
    np.testing.assert_allclose(found.times(x)[live.ravel()], (flat @ x)[live.ravel()], atol=1e-12)


def test_sums_come_after_the_matrix():
    generator = np.random.default_rng(0)
    base = generator.normal(size=(2, 3, 2))
    taps = PlaneMap(64, (0, 1, 8, 9, 32, 33, 40, 41), np.repeat(base, 4, 0), None)
    (found,), folds = folded([taps])
    assert found.distances == (0, 32) and sorted(folds) == [1, 8]
    assert steps_of_sum([0, 3, 6, 9]) == (3, 6) and steps_of_sum([0, 1, 2]) is None
