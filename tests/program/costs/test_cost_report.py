"""`program.report(device=...)`: layers with names, and totals that are their sums."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fhejax
from fhejax.program.costs import MACHINES, chosen_machine, program_cost
from fhejax.program.costs.fitted import fitted_seconds

WEIGHTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)


@functools.cache
def program(samples=40):
    def function(x):
        with jax.named_scope("first"):
            h = jnp.square(x @ WEIGHTS)
        with jax.named_scope("second"):
            return jnp.square(h) @ WEIGHTS.T

    described = fhejax.Encrypted((samples, 4))
    return fhejax.compile(function, described, insecure_log_degree=5, precision_bits=6)


@pytest.mark.parametrize("name", MACHINES)
def test_every_machine_has_a_report(name):
    text = program().report(device=name)
    for start in ("machine ", "limbs ", "operations ", "bytes ", "time ", "calibration ", "layers"):
        assert f"\n{start}" in f"\n{text}"
    assert MACHINES[name].title in text
    assert "first: dot_general (test_cost_report.py:" in text
    assert max(map(len, text.splitlines())) < 250


def test_totals_are_sums_of_layers():
    cost = program_cost(program().plan, "ark")
    assert cost.lower == pytest.approx(sum(c.band.lower for c in cost.layers))
    assert cost.upper >= cost.lower > 0
    assert cost.counts.tensors == sum(c.layer.counts.tensors for c in cost.layers) > 0
    numbers = [number for c in cost.layers for number in c.layer.steps]
    assert numbers == list(range(1, len(program().plan.steps)))


def test_blocks_multiply_what_is_done():
    plan = program().plan
    twice = dataclasses.replace(plan, blocks=2 * plan.blocks)
    assert program_cost(twice, "sharp").counts == 2 * program_cost(plan, "sharp").counts


def test_layers_have_the_names_of_scopes():
    labels = [c.layer.label for c in program_cost(program().plan, "h200").layers]
    assert any(label.startswith("first: ") for label in labels)
    assert any(label.startswith("second: ") for label in labels)


def test_the_plain_report_is_as_before():
    text = program().report()
    assert text.startswith("ring ")
    assert "calibration" not in text


@pytest.mark.parametrize(("name", "device"), [("2 cores", "cpu"), ("h200", "h200"), ("rtx 5090", "rtx5090")])
def test_the_fitted_time_is_the_planners(name, device):
    described = fhejax.Encrypted((40, 4))
    options = {"insecure_log_degree": 5, "precision_bits": 6, "device": device}
    plan = fhejax.compile(lambda x: jnp.square(x @ WEIGHTS) @ WEIGHTS.T, described, **options).plan
    assert fitted_seconds(plan, chosen_machine(name)) == pytest.approx(plan.predicted_seconds, rel=1e-6)
    assert fitted_seconds(plan, chosen_machine("ark")) is None


def test_an_unknown_machine_is_refused():
    with pytest.raises(ValueError, match="'abacus'"):
        program().report(device="abacus")
