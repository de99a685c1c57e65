"""Plans for a device that need not be at hand: other times, and the same results."""

import dataclasses

import numpy as np
import pytest
from circuits import LOG_DEGREE, compiled, data, linear_square_linear, rows
from flax import nnx

import fhejax
from fhejax.ring.platform import DEVICES, TWO_CORES, current_device


@pytest.mark.parametrize("name", DEVICES)
def test_the_report_names_the_device_and_its_time(name):
    program = compiled(linear_square_linear, rows(), device=name)
    assert program.plan.device is DEVICES[name]
    seconds = program.plan.predicted_seconds
    assert f"{seconds:.3g} s on {DEVICES[name].title}, " in program.report()
    # Nothing is as fast as the kernels that it launches.
    tiles = DEVICES[name].launch * DEVICES[name].costs.tile_launches
    assert seconds > max(tiles, 0.0)


def test_by_default_the_device_is_the_current_one():
    program = compiled(linear_square_linear, rows())
    assert program.plan.device == current_device()


def test_a_large_program_takes_less_time_on_a_gpu():
    described = fhejax.Encrypted((4096, 64))
    weights = np.linspace(-1, 1, 64 * 32).reshape(64, 32).astype(np.float32)
    seconds = [
        fhejax.compile(lambda x: (x @ weights) ** 2, described, device=device).plan.predicted_seconds
        for device in (TWO_CORES, "rtx5090", "h200")
    ]
    assert seconds[0] > 3 * seconds[1]
    assert seconds[1] > seconds[2]


def test_cryptonets_on_an_h200_takes_about_what_was_measured():
    """19.7 ms a batch of 8,192 images, nearly all of it for launching 8,342 kernels, a few a tile."""
    network = fhejax.nn.inference_view(fhejax.nn.CryptoNets(rngs=nnx.Rngs(0)))
    described = fhejax.Encrypted((8192, 28, 28, 1), range=(0, 1))
    row = DEVICES["h200"]
    small = dataclasses.replace(row.blocks, matrix_tile=128)
    by_tiles = dataclasses.replace(row, matrix_limbs="one", blocks=small)
    measured, now = (
        fhejax.compile(network, described, device=device).plan.predicted_seconds for device in (by_tiles, row)
    )
    assert 19.7e-3 / 1.4 < measured < 19.7e-3 * 1.4
    assert now < measured / 2  # all limbs in one product


def test_a_plan_for_another_device_runs_on_this_one():
    program = compiled(linear_square_linear, rows(), device="h200")
    secret, keys = program.keygen()
    x = data(12, 4)
    found = program.decrypt(secret, program(keys, program.encrypt(secret, x)))
    np.testing.assert_allclose(found, linear_square_linear(x), atol=0.02)


def test_a_device_of_ones_own():
    rates = (("float64", 1e9), ("int8", 1e9))
    slow = dataclasses.replace(TWO_CORES, title="an old laptop", multiply_adds=rates)
    program = compiled(linear_square_linear, rows(), device=slow)
    assert "s on an old laptop" in program.report()
    faster = compiled(linear_square_linear, rows(), device=TWO_CORES)
    assert program.plan.predicted_seconds > faster.plan.predicted_seconds


def test_an_unknown_device_is_refused_before_anything_is_traced():
    def never(x):
        raise AssertionError("traced")

    with pytest.raises(ValueError, match="no device is known by the name 'tpu'"):
        fhejax.compile(never, rows(), device="tpu", insecure_log_degree=LOG_DEGREE)
