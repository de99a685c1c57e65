"""The counts of steps are those of what is really done: kernels counted in the jaxpr of a call."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernel_counts import counted, marked

import fhejax
from fhejax.ckks import BootstrappingParameters
from fhejax.ckks.bootstrapping import BootstrappingOptions
from fhejax.ckks.counts import NOTHING, limb_table
from fhejax.program.circuit.step_files import KINDS
from fhejax.program.costs.layers import step_counts

LOG_DEGREE = 6


def small(function, *arguments, **options):
    return fhejax.compile(function, *arguments, insecure_log_degree=LOG_DEGREE, **options)


def convolutional():
    """A map of slots by many diagonals, a square, a map with folds, in one ciphertext."""
    generator = np.random.default_rng(0)
    kernel = generator.normal(0, 0.5, (3, 3, 2, 2)).astype(np.float32)
    dense = generator.normal(0, 0.3, (32, 3)).astype(np.float32)
    order = ("NHWC", "HWIO", "NHWC")

    def predict(x):
        h = jax.lax.conv_general_dilated(x, kernel, (1, 1), ((1, 1),) * 2, dimension_numbers=order)
        return jnp.square(jnp.square(h) + x).reshape(1, -1) @ dense

    return small(predict, fhejax.Encrypted((1, 4, 4, 2)), packing="multiplexed", precision_bits=6)


def of_several_ciphertexts():
    """Maps between values of four ciphertexts and of two."""
    kernel = np.random.default_rng(0).normal(0, 0.3, (3, 3, 2, 2)).astype(np.float32)
    order = ("NHWC", "HWIO", "NHWC")

    def predict(x):
        h = jax.lax.conv_general_dilated(x, kernel, (1, 1), ((1, 1),) * 2, dimension_numbers=order)
        return jnp.square(h).reshape(1, -1) @ np.full((256, 3), 0.05, np.float32)

    return small(predict, fhejax.Encrypted((1, 16, 8, 2)), packing="multiplexed", precision_bits=6)


def in_planes():
    """Taps with masks, of two values with one rotated, a sum by rotations, a matrix product."""
    kernel = np.random.default_rng(0).normal(0, 0.3, (3, 3, 2, 3)).astype(np.float32)
    order = ("NHWC", "HWIO", "NHWC")

    def predict(x):
        h = jax.lax.conv_general_dilated(x, kernel, (1, 1), ((1, 1),) * 2, dimension_numbers=order)
        return jnp.square(h).mean((1, 2)) @ np.full((3, 2), 0.5, np.float32)

    return small(predict, fhejax.Encrypted((4, 4, 4, 2)), packing="planes", precision_bits=5)


def batched():
    """Linear layers, products of two values, a square of its own, and a sum over the batch by rotations."""
    weights = np.random.default_rng(1).normal(0, 0.5, (4, 3)).astype(np.float32)

    def function(x, y):
        h = x @ weights
        return (h * h[:, ::-1] + y * y * h).sum(0), jnp.square(y)

    arguments = fhejax.Encrypted((32, 4)), fhejax.Encrypted((32, 3))
    return small(function, *arguments, precision_bits=6)


def deep_batched():
    """Powers in a row, which are relinearised and rescaled, alone in their ciphertexts."""
    return small(lambda x: x**8 + 0.5 * x**3, fhejax.Encrypted((32, 2)), precision_bits=6)


def carried():
    """A step in tiles whose weights go on: masks, sums by rotations, real parts, a bootstrap, drops."""
    chosen = BootstrappingOptions(
        hamming_weight=4, double_angles=1, coefficients_to_slots=1, slots_to_coefficients=1
    )
    parameters = BootstrappingParameters.for_levels(
        6, degree=128, slots=64, insecure=True, scale_bits=40, options=chosen
    )
    weights = fhejax.Encrypted((3, 2), batch_axis=None)
    x, y = fhejax.Encrypted((8, 3)), fhejax.Encrypted((8, 2))

    def step(state, x, y):
        w, momentum = state
        momentum = 0.5 * momentum + (x.T @ (x @ w - y)) / 8
        return ((w - 0.25 * momentum, momentum),)

    third = np.full((3, 2), 0.3, np.float32)
    sample = (third, third, np.ones((8, 3), np.float32), np.ones((8, 2), np.float32))
    options = {"packing": "tiles", "insecure_log_degree": 7, "bootstrapping": parameters, "sample": sample}
    return fhejax.compile(step, (weights, weights), x, y, carry=0, margin=8, precision_bits=5, **options)


def by_diagonals():
    """A step in tiles with samples on top: rotations at once and by giant steps, sums of products."""
    weights = fhejax.Encrypted((4, 2), batch_axis=None)
    x, y = fhejax.Encrypted((32, 4)), fhejax.Encrypted((32, 2))
    options = {"packing": "tiles", "insecure_log_degree": 6, "bootstrapping": False, "device": "cpu"}
    return fhejax.compile(lambda w, x, y: w - 0.5 * (x.T @ (x @ w - y)) / 32, weights, x, y, **options)


def predicted(plan):
    table = limb_table(plan.params)
    return sum((step_counts(plan, number, table) for number in range(len(plan.steps))), NOTHING)


def traced(program):
    """What a call of a program does, counted; of keys and ciphertexts no more than shapes is made."""
    interface = program.source.interface
    zeros = jax.tree.unflatten(interface.inputs, [np.zeros(a.shape, np.float32) for a in interface.encrypted])

    def made(random):
        first, second = jax.random.split(random)
        secret, keys = program.keygen(random=first)
        given = program.encrypt(secret, *zeros, random=second)
        return keys, tuple(given) if len(zeros) > 1 else (given,)

    keys, held = jax.eval_shape(made, fhejax.ckks.random_key())
    with marked():
        return counted(jax.make_jaxpr(lambda keys, held: program(keys, *held))(keys, held).jaxpr)


NIGHTLY = [pytest.param(make, marks=pytest.mark.nightly) for make in (carried, convolutional, deep_batched)]


@pytest.mark.parametrize("make", [batched, by_diagonals, *NIGHTLY])
def test_counts_are_what_a_call_does(make):
    program = make()
    found, counts = traced(program), predicted(program.plan)
    assert found["transforms"] == counts.transforms > 0
    assert found["conversions"] == counts.conversions
    assert found["permuted"] == counts.permuted
    assert found["tensors"] == counts.tensors
    # Masks multiply without such sums, and those of a bootstrap's polynomial are counted as other products.
    if make not in (by_diagonals, carried):
        assert found["sums"] == counts.key_products + 2 * counts.plaintext_limbs


def test_counts_of_several_ciphertexts_are_what_a_call_does():
    """Their diagonals are encoded in every call, a few more at a time than there are."""
    program = of_several_ciphertexts()
    found, counts = traced(program), predicted(program.plan)
    assert found["conversions"] == counts.conversions > 0
    assert found["permuted"] == counts.permuted
    encoded = found["transforms"] - counts.transforms
    assert counts.plaintext_limbs <= encoded <= 1.5 * counts.plaintext_limbs


def test_counts_of_planes_are_what_a_call_does():
    """Their masks are encoded in every call."""
    program = in_planes()
    found, counts = traced(program), predicted(program.plan)
    assert found["transforms"] - counts.transforms == counts.plaintext_limbs > 0
    assert found["conversions"] == counts.conversions
    assert found["permuted"] == counts.permuted
    assert found["sums"] == counts.key_products


def test_every_step_says_what_it_counts_but_those_that_only_add_and_move():
    silent = {kind.operation for kind in KINDS if "counts" not in vars(kind)}
    assert silent == {"ciphertext_of", "gather", "input", "shift", "slot_shift"}
