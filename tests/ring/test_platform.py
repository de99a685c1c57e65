"""The rows of the machines: complete, true to what was measured, and the only place that asks for one."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest

import fhejax
from fhejax.ring import matrix_product, modular_matrix_product, platform, transform
from fhejax.ring.platform import DEVICES, TWO_CORES, Device, chosen_device, current_device, device_like

PACKAGE = pathlib.Path(fhejax.__file__).parent
GPUS = [name for name in DEVICES if name != "cpu"]


@pytest.mark.parametrize("name", DEVICES)
def test_rows_are_complete(name):
    device = DEVICES[name]
    assert device.name == name
    assert device.kind == ("cpu" if name == "cpu" else "gpu")
    assert device.transform_method in transform.METHODS
    assert device.matrix_method in matrix_product.METHODS
    assert {method for method, _ in device.multiply_adds} == set(matrix_product.METHODS)
    assert device.memory > 1e9
    assert device.bandwidth > 1e9
    for part in (device.blocks, device.costs):
        numbers = dataclasses.asdict(part)
        launches = {key for key in numbers if key.endswith("launches")}
        assert all(numbers[key] > 0 for key in numbers.keys() - launches)
        assert all((numbers[key] > 0) == (device.launch > 0) for key in launches)
    sizes = device.blocks
    for size in (sizes.matrix_tile, sizes.matrix_room, sizes.keystream_blocks):
        assert size & (size - 1) == 0
    assert hash(device) == hash(dataclasses.replace(device))


@pytest.mark.parametrize("name", GPUS)
def test_every_gpu_is_faster_than_two_cores_and_slower_than_its_bandwidth(name):
    device = DEVICES[name]
    assert device.multiply_add() < TWO_CORES.multiply_add()
    for cost in ("entry", "product", "transform", "stage", "multiplied", "bootstrap_stage"):
        assert getattr(device.costs, cost) < getattr(TWO_CORES.costs, cost) / 20
    once = 8 / device.bandwidth * 1e9  # nanoseconds for a residue read and written
    assert device.costs.transform > once
    assert device.costs.entry >= once


def test_what_was_measured_on_an_h200():
    """48 limbs of N = 2^16 in 180 us, copying at 4.1 TB/s, a bootstrap of 13 levels in 87 to 94 ms."""
    device = DEVICES["h200"]
    assert 48 * 2**16 * 16 * device.costs.stage == pytest.approx(180e3, rel=0.02)
    assert device.bandwidth == pytest.approx(4.1e12)
    found = fhejax.ckks.BootstrappingParameters.for_levels(13).predicted_seconds("h200")
    assert 0.087 < found < 0.094


def test_predicted_bootstraps_follow_the_device():
    parameters = fhejax.ckks.BootstrappingParameters.for_levels(
        3, degree=1 << 10, insecure=True, failure_bits=20
    )
    seconds = {name: parameters.predicted_seconds(name) for name in DEVICES}
    assert seconds["h200"] < seconds["h100"] < seconds["a100"] < seconds["rtx5090"]
    assert parameters.predicted_seconds(TWO_CORES) == seconds["cpu"]
    launches = DEVICES["h200"].costs.bootstrap_launches * DEVICES["h200"].launch
    assert seconds["h200"] > launches
    assert f"about {seconds['cpu']:.2g} s on two cores" in repr(parameters)


@pytest.mark.parametrize(
    ("backend", "model", "row"),
    [
        ("cpu", "cpu", "cpu"),
        ("gpu", "NVIDIA H100 80GB HBM3", "h100"),
        ("gpu", "NVIDIA H200", "h200"),
        ("gpu", "NVIDIA A100-SXM4-80GB", "a100"),
        ("gpu", "NVIDIA GeForce RTX 5090", "rtx5090"),
    ],
)
def test_known_models_have_their_row(backend, model, row):
    assert device_like(backend, model) is DEVICES[row]


@pytest.mark.parametrize(
    ("backend", "model", "row"),
    [
        ("gpu", "NVIDIA B200", "h200"),
        ("gpu", "AMD Instinct MI300X", "h200"),
        ("tpu", "TPU v6 lite", "h200"),
        ("gpu", "NVIDIA GeForce RTX 4090", "rtx5090"),
        ("cuda", "", "h200"),
    ],
)
def test_unknown_models_count_as_the_nearest_row_and_say_so(backend, model, row):
    device = device_like(backend, model)
    assert dataclasses.replace(device, title=DEVICES[row].title) == DEVICES[row]
    assert device.title == f"{model or backend}, of unknown speed, counted as {DEVICES[row].title}"


def test_the_current_device_is_that_of_jax(monkeypatch):
    assert current_device().kind == ("cpu" if jax.default_backend() == "cpu" else "gpu")
    assert chosen_device(None) == current_device()
    monkeypatch.setattr(platform, "current_device", lambda: DEVICES["a100"])
    assert platform.accelerator() == chosen_device(None) == DEVICES["a100"]
    monkeypatch.setattr(platform, "current_device", lambda: TWO_CORES)
    assert platform.accelerator() == DEVICES["h200"]


def test_devices_are_chosen_by_name_or_given():
    assert chosen_device("h200") is chosen_device("H200") is DEVICES["h200"]
    own = dataclasses.replace(DEVICES["h200"], title="a borrowed H200")
    assert chosen_device(own) is own
    with pytest.raises(ValueError, match=r"by the name 'b200'.*cpu, h100, h200, a100, rtx5090"):
        chosen_device("b200")
    for wrong in (1, jax.local_devices()[0], ["h200"]):
        with pytest.raises(TypeError, match=r"give the name of one \(cpu, h100"):
            chosen_device(wrong)


def test_a_device_is_shown_in_a_few_words():
    assert repr(DEVICES["h200"]) == "Device(h200: an NVIDIA H200)"
    assert f"{TWO_CORES}" == "two cores"
    assert fhejax.Device is Device


def test_kernels_take_their_sizes_from_the_row(monkeypatch):
    """Another tile and another method are taken from the row, and give the same residues."""
    moduli = (998244353,)
    x = np.arange(3 * 64, dtype=np.uint32).reshape(3, 1, 1, 64)
    weights = np.array([[[1, -2, 3]]], np.int32)
    expected = np.asarray(modular_matrix_product(weights, x, moduli, 5))
    other = dataclasses.replace(
        TWO_CORES,
        matrix_method="int8",
        blocks=dataclasses.replace(TWO_CORES.blocks, matrix_tile=16, matrix_room=2**12),
    )
    monkeypatch.setattr(matrix_product, "current_device", lambda: other)
    assert matrix_product.product_method() == "int8"
    assert matrix_product._tile(None, 64, 3) == 16
    found = modular_matrix_product(weights, x, moduli, 6)  # another bound, so that it is compiled anew
    np.testing.assert_array_equal(np.asarray(found), expected)


def test_no_other_module_asks_which_machine_this_is():
    asking = ("default_backend", "device_kind", "local_devices", "jax.devices", "get_backend")
    found = {
        f"{path.relative_to(PACKAGE)}: {word}"
        for path in PACKAGE.rglob("*.py")
        for word in asking
        if word in path.read_text() and path != pathlib.Path(platform.__file__)
    }
    assert not found
