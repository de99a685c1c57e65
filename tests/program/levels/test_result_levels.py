"""Results travel at the lowest level that holds them, and are what they were."""

import numpy as np
import pytest
from circuits import SAMPLES, compiled, data, in_one_ring, relative_bits, rows

import fhejax
from fhejax.program.circuit.steps.drop import DropStep
from fhejax.ring import modulus_bits


def several(x):
    return x, 8 * x, x**2 + 1, x**8


@pytest.fixture(scope="module")
def program():
    return in_one_ring(several, rows())


def test_results_hold_no_limb_in_vain(program):
    plan, params = program.plan, program.params
    for register, largest in zip(plan.outputs, (1.0, 1.0, 1.0, 1.0), strict=True):
        step = plan.steps[register]
        needed = step.scale.bits + np.log2(largest) + 1
        assert modulus_bits(params.level_moduli(step.level)) >= needed
        if step.level:
            assert modulus_bits(params.level_moduli(step.level - 1)) < needed + 0.3
    assert plan.steps[plan.outputs[0]].level < plan.top_level
    assert plan.outputs[0] == plan.outputs[1]  # views of one node, cut once
    assert any(isinstance(step, DropStep) for step in plan.steps)


def test_values_stay(program):
    x = data(SAMPLES, 4)
    secret, keys = program.keygen()
    found = program.decrypt(secret, program(keys, program.encrypt(secret, x)))
    for got, wanted in zip(found, several(x), strict=True):
        assert relative_bits(got, wanted) > 9
    assert program.verify(x).bits > 9


def test_a_margin_leaves_room_for_larger_values():
    """What was seen on a sample is no bound, so nothing is cut."""
    x = data(SAMPLES, 4)
    program = compiled(several, rows(), sample=x, margin=4)
    assert program.plan.steps[program.plan.outputs[0]].level == program.plan.top_level


def test_plain_arguments_are_cut_too():
    def function(x, w):
        return x @ w, (x @ w) ** 4

    program = in_one_ring(function, rows(), fhejax.Plain((4, 2)))
    secret, keys = program.keygen()
    x, w = data(SAMPLES, 4), data(4, 2)
    result = program(keys, program.encrypt(secret, x), w)
    assert result[0].level < program.plan.top_level
    for got, wanted in zip(program.decrypt(secret, result), function(x, w), strict=True):
        assert relative_bits(got, wanted) > 8
