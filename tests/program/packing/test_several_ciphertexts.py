"""One sample in several ciphertexts: layers on small rings, against JAX, fixed point and predictions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csr_array

import fhejax
from fhejax.program.circuit.nodes import BlockTransform, Input
from fhejax.program.circuit.nodes.in_slots.block_matrix import SparseBlocks
from fhejax.program.circuit.nodes.in_slots.window_blocks import WindowBlocks
from fhejax.program.circuit.nodes.in_slots.window_vectors import window_vectors
from fhejax.program.packing.multiplexed import to_circuit


def weights(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) / np.sqrt(np.prod(shape[:-1]))


def convolved(x, kernel, stride=1):
    around = ((kernel.shape[0] // 2,) * 2,) * 2
    order = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride,) * 2, around, dimension_numbers=order)


def pooled(x, size, stride):
    around = ((0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)) if size % 2 else "VALID"
    windows = (1, size, size, 1), (1, stride, stride, 1)
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, *windows, around) / size**2


def convolution(x):
    return convolved(jnp.square(convolved(x, weights(3, 3, x.shape[-1], 5))), weights(3, 3, 5, 3, seed=1))


def strided(x):
    return jnp.square(convolved(x, weights(3, 3, x.shape[-1], 6), 2))


def strided_twice(x):
    return convolved(strided(x), weights(3, 3, 6, 10, seed=1), 2)


def narrowed(x):
    """A shortcut of 1x1 that leaves one ciphertext of several."""
    return convolved(jnp.square(x), weights(1, 1, x.shape[-1], 2), 2)


def mean(x):
    y = jnp.square(convolved(x, weights(3, 3, x.shape[-1], 7)))
    return y.mean((1, 2)) @ weights(7, 4, seed=1) + np.float32(0.5)


def stem(x):
    """What a network of ImageNet begins with."""
    y = jnp.square(convolved(x, weights(7, 7, x.shape[-1], 8), 2) + np.float32(0.25))
    return convolved(pooled(y, 3, 2), weights(3, 3, 8, 4, seed=1))


def residual(x):
    """A block whose shortcut is a strided convolution, and one whose shortcut is what it reads."""
    x = jnp.square(convolved(x, weights(3, 3, x.shape[-1], 6), seed_stride(x)))
    y = jnp.square(convolved(x, weights(3, 3, 6, 9, seed=1), 2))
    x = convolved(y, weights(3, 3, 9, 9, seed=2)) + convolved(x, weights(1, 1, 6, 9, seed=3), 2)
    return x + y


def seed_stride(x):
    return 1 if x.shape[1] < 14 else 2


def dense(x):
    y = x.reshape(x.shape[0], -1)
    return jnp.square(y @ weights(y.shape[1], 70, seed=1)) @ weights(70, 3, seed=2)


def products(x):
    """Entries moved and joined, and multiplied with each other."""
    y = jnp.concatenate([x[:, ::-1], jnp.square(x[:, :2])], 1)[:, 1:]
    return y * convolved(y, weights(3, 3, x.shape[-1], x.shape[-1]))


# function, shape of a sample, log2 of the slots, ciphertexts of the argument
CASES = {
    "one plane a ciphertext": (convolution, (8, 8, 3), 6, 3),
    "planes of no power of two": (convolution, (7, 5, 3), 6, 3),
    "two planes a ciphertext": (convolution, (8, 8, 4), 7, 2),
    "a plane in two ciphertexts": (convolution, (16, 8, 1), 6, 2),
    "a plane in four ciphertexts": (convolution, (16, 16, 1), 6, 4),
    "seven ciphertexts": (narrowed, (8, 8, 7), 6, 7),
    "a stride": (strided, (12, 10, 2), 7, 4),
    "two strides": (strided_twice, (12, 12, 1), 6, 4),
    "the mean of all": (mean, (8, 8, 2), 6, 2),
    "a stem": (stem, (16, 16, 3), 7, 6),
    "residual blocks": (residual, (8, 8, 3), 7, 2),
    "residual blocks of an odd image": (residual, (14, 14, 3), 7, 6),
    "dense": (dense, (9, 11, 2), 6, 4),
    "products": (products, (6, 7, 2), 6, 2),
}


def compiled(function, shape, slots, **options):
    options = {"packing": "multiplexed", "insecure_log_degree": slots, "device": "cpu"} | options
    options = {"bootstrapping": False} | options
    return fhejax.compile(function, fhejax.Encrypted((1, *shape)), **options)


def image(shape, seed=3):
    return np.random.default_rng(seed).uniform(-1, 1, (1, *shape)).astype(np.float32)


def size(values):
    return np.sqrt(np.mean(np.square(values)))


def encrypted_call(program, x):
    secret, keys = program.keygen()
    return program.decrypt(secret, program(keys, program.encrypt(secret, x)))


@pytest.fixture(params=["listed", "windows"])
def kind(request, monkeypatch):
    if request.param == "windows":
        monkeypatch.setattr(to_circuit, "_MOST_LISTED", 0)
    return request.param


@pytest.mark.parametrize("case", CASES)
def test_a_function_in_the_clear_and_in_fixed_point(case, kind):
    function, shape, slots, count = CASES[case]
    program = compiled(function, shape, slots, precision_bits=8)
    nodes = program.source.graph.nodes
    (taken,) = [node.size for node in nodes if isinstance(node, Input)]
    assert taken == count or (kind == "windows" and taken > count)  # windows want planes
    assert any(isinstance(node, BlockTransform) for node in nodes)
    x = image(shape)
    wanted = np.asarray(function(x))
    np.testing.assert_allclose(program.clear(x), wanted, atol=1e-5)
    assert size(program.simulate(x) - wanted) < 2**-6 * size(wanted)


@pytest.mark.parametrize(
    ("case", "listed"),
    [
        pytest.param("a plane in two ciphertexts", 0, marks=pytest.mark.nightly),
        pytest.param("residual blocks of an odd image", 0, marks=pytest.mark.nightly),
        pytest.param("a plane in four ciphertexts", 2**22, marks=pytest.mark.nightly),
    ],
)
def test_noise_is_as_predicted(case, listed, monkeypatch):
    monkeypatch.setattr(to_circuit, "_MOST_LISTED", listed)
    function, shape, slots, _ = CASES[case]
    program = compiled(function, shape, slots, precision_bits=8)
    x = image(shape)
    fixed, errors = program.simulate(x), []
    for _ in range(4):  # in a ring as small as this, noise depends on the secret
        errors.append(encrypted_call(program, x) - fixed)
    assert abs(np.log2(size(errors) / program.plan.predicted_noise[0])) < 0.7
    assert size(fixed + errors[0] - np.asarray(function(x))) < 2**-7 * size(function(x))


@pytest.mark.parametrize("case", CASES)
def test_windows_are_the_listed_coefficients(case, monkeypatch):
    function, shape, slots, _ = CASES[case]
    monkeypatch.setattr(to_circuit, "_MOST_LISTED", 0)
    nodes = compiled(function, shape, slots, precision_bits=4).source.graph.nodes
    maps = [matrix for node in nodes if isinstance(node, BlockTransform) for matrix in node.matrices]
    found = [matrix for matrix in maps if isinstance(matrix, WindowBlocks)]
    generator = np.random.default_rng(0)
    for matrix in found:
        listed = SparseBlocks(matrix.periods, matrix.counts, as_listed(matrix))
        assert {b: d.tolist() for b, d in matrix.distances.items()} == {
            b: d.tolist() for b, d in listed.distances.items()
        }
        for block, distances in matrix.distances.items():
            whole = [m.vectors(block, 0, len(distances)) for m in (matrix, listed)]
            np.testing.assert_allclose(*whole, atol=1e-7)
        values = generator.normal(size=(matrix.counts[1] * matrix.periods[1], 2))
        rows = generator.normal(size=(matrix.counts[0] * matrix.periods[0], 2))
        known = values.min(1), values.max(1)
        np.testing.assert_allclose(matrix.times(values), listed.times(values), atol=1e-9)
        np.testing.assert_allclose(matrix.transposed_times(rows), listed.transposed_times(rows), atol=1e-9)
        np.testing.assert_allclose(matrix.interval(known), listed.interval(known), atol=1e-9)
        np.testing.assert_allclose(matrix.row_norms(), listed.row_norms(), atol=1e-9)
        rounded = [m.rounded_times(values, 2.0**17) for m in (matrix, listed)]
        np.testing.assert_allclose(*rounded, atol=1e-5)
        constants, (rows,), first = matrix.constants(2**slots), listed.constants(2**slots), 0
        for result, _, steps in matrix.block_steps(2**slots):
            made = window_vectors(constants, first, steps, result)
            np.testing.assert_allclose(made, rows[first : first + len(steps)], atol=1e-7)
            first += len(steps)


def as_listed(matrix):
    """The coefficients of windows one by one."""
    identity = np.eye(matrix.counts[1] * matrix.periods[1])
    return csr_array(matrix.times(identity))


@pytest.mark.filterwarnings("ignore:.*insecure")
def test_a_server_reads_the_maps_from_a_file(kind, tmp_path):
    function, shape, slots, _ = CASES["a stride"]
    program = compiled(function, shape, slots, precision_bits=8)
    program.save_server(tmp_path / "server.fhe")
    server = fhejax.load_server(tmp_path / "server.fhe", allow_insecure=True)
    assert server.plan == program.plan
    for found, wanted in zip(server.leaves, program.leaves, strict=True):
        np.testing.assert_array_equal(found, wanted)
