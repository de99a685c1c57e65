"""Steps as data: plain JSON, and back."""

import json
from fractions import Fraction

import jax.numpy as jnp
import pytest
from circuits import compiled, linear_square_linear, rows

from fhejax import approx
from fhejax.ckks.parameters import Scale
from fhejax.program.circuit.nodes.combination import CombinationStep
from fhejax.program.circuit.step_files import from_json, to_json


def wide_network(x):
    y = approx.chebyshev("tanh", 5, (-1.0, 1.0))(x)
    return jnp.concatenate([y, x[:, ::-1] * (x + 0.5), linear_square_linear(x)], 1)


@pytest.fixture(scope="module")
def program():
    return compiled(wide_network, rows())


def test_round_trip(program):
    text = to_json(program.plan.steps)
    assert from_json(text) == program.plan.steps
    assert to_json(from_json(text)) == text


def test_every_kind_of_step_was_tried(program):
    kinds = {step.operation for step in program.plan.steps}
    assert {
        "input",
        "linear",
        "multiply",
        "combine",
        "concatenate",
        "gather",
        "relinearise",
    } <= kinds


def test_steps_are_plain_json(program):
    def check(value):
        if isinstance(value, list | dict):
            return all(map(check, value.values() if isinstance(value, dict) else value))
        return value is None or type(value) in (int, str, bool)

    steps = json.loads(to_json(program.plan.steps))
    assert len(steps) == len(program.plan.steps)
    assert all(check(value) for step in steps for value in step.values())


def test_scales_keep_every_bit():
    scale = Scale.of(Fraction(2**200, 3**50)) / 7
    (step,) = from_json(to_json((CombinationStep((0, 1), 1, 2, 3, scale, (scale, scale * 3)),)))
    assert step.scale == scale
    assert step.weight_scales == (scale, scale * 3)


def test_steps_are_in_order_and_consistent(program):
    steps = program.plan.steps
    for number, step in enumerate(steps):
        assert all(source < number for source in step.sources)
        assert all(steps[source].level >= step.level for source in step.sources)
        assert 0 <= step.level <= program.params.depth
        assert step.components in (2, 3)
        assert all(0 <= c < len(program.leaves) for c in step.constants)
    assert all(0 <= output < len(steps) for output in program.plan.outputs)
