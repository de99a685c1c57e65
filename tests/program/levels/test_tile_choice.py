"""Tiles are chosen under the memory that is allowed, and only where they are needed."""

import math

import jax.numpy as jnp
import pytest
from small_networks import convolutional

import fhejax
from fhejax.program.levels.tile_choice import predicted_memory

ARGUMENT = fhejax.Encrypted((16, 8, 8, 3), range=(-1, 1))
OPTIONS = {"insecure_log_degree": 4, "device": "cpu"}


def test_small_programs_have_no_tiles():
    program = fhejax.compile(convolutional, ARGUMENT, **OPTIONS)
    assert program.plan.tiles == () and program.plan.peak_bytes > 0
    assert "for the widest step of a block" in program.report() and "tiles" not in program.report()


def test_less_memory_takes_tiles():
    whole = fhejax.compile(convolutional, ARGUMENT, **OPTIONS)
    allowed = predicted_memory(whole.plan) - 1
    program = fhejax.compile(convolutional, ARGUMENT, memory=allowed, **OPTIONS)
    assert len(program.plan.tiles) == len(program.plan.steps) and max(program.plan.tiles) > 1
    assert program.plan.tiles[-1] == 1  # the dense layer reads everything
    assert predicted_memory(program.plan) <= allowed
    assert "depth first" in program.report()
    assert program.plan != whole.plan


def test_too_little_memory_is_refused_with_what_is_needed():
    whole = fhejax.compile(convolutional, ARGUMENT, **OPTIONS)
    with pytest.raises(ValueError, match="were allowed, and a call takes"):
        fhejax.compile(convolutional, ARGUMENT, memory=predicted_memory(whole.plan) / 2, **OPTIONS)


@pytest.mark.parametrize("memory", [0, -1.0, math.inf, math.nan])
def test_no_amount_of_memory(memory):
    with pytest.raises(ValueError, match="finite and above 0"):
        fhejax.compile(convolutional, ARGUMENT, memory=memory, **OPTIONS)


def test_programs_whose_samples_meet_are_never_cut():
    argument = fhejax.Encrypted((16, 8), range=(-1, 1))
    program = fhejax.compile(lambda x: jnp.sum(jnp.square(x), 0), argument, memory=1.0, **OPTIONS)
    assert program.plan.tiles == ()
