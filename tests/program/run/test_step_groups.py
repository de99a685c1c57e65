"""Programs where each launch takes time, as on a GPU: several steps in one executable, with the same bits."""

import dataclasses

import jax
import numpy as np
import pytest
from executables import executables

import fhejax
from fhejax.ckks import arithmetic, operation, rotation
from fhejax.ckks.linear_transform import rotated_combinations
from fhejax.program.circuit.nodes import slot_sum
from fhejax.program.circuit.steps import call
from fhejax.program.run import blocks, execution
from fhejax.program.run.step_groups import step_groups
from fhejax.ring.platform import DEVICES

H200 = DEVICES["h200"]


def in_samples():
    """The variance of each feature: two sums over the batch, by rotations."""

    def variance(x):
        mean = x.mean(0)
        return (x * x).mean(0) - mean * mean

    return fhejax.compile(variance, fhejax.Encrypted((8, 3)), insecure_log_degree=4, device="cpu")


def in_tiles():
    """A step of gradient descent."""
    described = (fhejax.Encrypted((3, 2), batch_axis=None), *map(fhejax.Encrypted, ((6, 3), (6, 2))))
    options = {"packing": "tiles", "insecure_log_degree": 6, "device": "cpu", "bootstrapping": False}
    return fhejax.compile(lambda w, x, y: w - 0.5 * (x.T @ (x @ w - y)) / len(x), *described, **options)


def in_planes():
    """Taps with masks, a square, and a sum of positions by rotations."""
    kernel = np.random.default_rng(0).normal(0, 0.3, (3, 3, 2, 3)).astype(np.float32)
    order = ("NHWC", "HWIO", "NHWC")

    def predict(x):
        h = jax.lax.conv_general_dilated(x, kernel, (1, 1), ((1, 1),) * 2, dimension_numbers=order)
        return jax.numpy.square(h).mean((1, 2))

    options = {"packing": "planes", "insecure_log_degree": 6, "device": "cpu", "precision_bits": 5}
    return fhejax.compile(predict, fhejax.Encrypted((4, 4, 4, 2)), **options)


def forced(monkeypatch, **changes):
    row = dataclasses.replace(H200, blocks=dataclasses.replace(H200.blocks, **changes))
    modules = (arithmetic, operation, rotation, rotated_combinations, slot_sum, call, blocks, execution)
    for module in modules:
        monkeypatch.setattr(module, "current_device", lambda: row)
    return row


def given(program):
    """Keys and encrypted arguments."""
    secret, keys = program.keygen()
    interface, generator = program.source.interface, np.random.default_rng(0)
    values = [generator.uniform(-0.9, 0.9, a.shape).astype(np.float32) for a in interface.encrypted]
    sent = program.encrypt(secret, *jax.tree.unflatten(interface.inputs, values))
    return keys, tuple(sent) if isinstance(sent, tuple) else (sent,)


def agree(found, right):
    assert jax.tree.structure(found) == jax.tree.structure(right)
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(right), strict=True)
    assert all((one == other).all() for one, other in pairs)


@pytest.mark.parametrize("make", [in_samples, in_tiles, pytest.param(in_planes, marks=pytest.mark.nightly)])
def test_a_program_is_few_executables_with_the_bits_of_a_cpu(monkeypatch, make):
    program = make()
    keys, sent = given(program)
    right = program(keys, *sent)
    forced(monkeypatch)
    with executables() as made:
        found = program(keys, *sent)
    assert 1 <= made[0] <= 2  # all steps, and the masks of planes
    agree(found, right)


def test_groups_are_bounded(monkeypatch):
    """Loops over ciphertexts, and groups of four key switches; told step by step, a step each."""
    program = in_samples()
    keys, sent = given(program)
    right = program(keys, *sent)
    row = forced(monkeypatch, grouped_switches=4, switched=2)
    steps, outputs = program.plan.steps, tuple(program.plan.outputs)
    groups = step_groups(steps, outputs, row, True)
    assert [number for group in groups for number in group.numbers] == list(range(len(steps)))
    calls = [sum(steps[number].switch_calls(2) for number in group.numbers) for group in groups]
    assert max(calls) == 4
    assert len([count for count in calls if count]) == 2
    agree(program(keys, *sent), right)
    told = []
    agree(program(keys, *sent, progress=lambda done, total: told.append((done, total))), right)
    assert told == [(number + 1, len(steps)) for number in range(len(steps))]
    forced(monkeypatch, largest_step=2)
    agree(program(keys, *sent), right)


def test_equal_groups_are_equal_wherever_they_stand():
    program = fhejax.compile(lambda x: x**8, fhejax.Encrypted((4, 2)), insecure_log_degree=5, device="cpu")
    row = dataclasses.replace(H200, blocks=dataclasses.replace(H200.blocks, grouped_switches=1))
    groups = step_groups(program.plan.steps, tuple(program.plan.outputs), row, True)
    found = [[type(step).__name__ for step in group.steps] for group in groups if group.steps]
    assert sum("RelinearisationStep" in names for names in found) >= 2
    assert all(step.label == "" and step.node == -1 for group in groups for step in group.steps)
    for group in groups:
        assert all(max(step.sources) < len(group.reads) + len(group.steps) for step in group.steps)
