"""The search for parameters: why there are none."""

import jax.numpy as jnp
import numpy as np
import pytest

import fhejax
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.levels import parameter_search
from fhejax.program.levels.plan import TooDeepError


def compiled():
    return fhejax.compile(jnp.square, fhejax.Encrypted((8, 2)), insecure_log_degree=5, bootstrapping=False)


def test_a_want_of_primes_is_told_as_such(monkeypatch):
    def none(*arguments):
        raise ValueError("there are too few primes")

    monkeypatch.setattr(parameter_search, "make_parameters", none)
    with pytest.raises(TooDeepError, match="no such parameters: there are too few primes"):
        compiled()


def test_bits_that_real_primes_lack_are_added_to_the_lowest_modulus(monkeypatch):
    exact, counted = Lowered.missing_bits, []

    def missing(self, bounds, params, top):
        counted.append(params.level_moduli(0))
        return 3.0 if len(counted) == 1 else exact(self, bounds, params, top)

    monkeypatch.setattr(Lowered, "missing_bits", missing)
    compiled()
    first, second = (float(np.sum(np.log2(np.array(moduli, np.float64)))) for moduli in counted)
    assert second >= first + 2.9


def test_a_value_that_does_not_fit_is_counted_in_bits():
    program = compiled()
    source, params, top = program.source, program.params, program.plan.top_level
    bounds = [1.0] * len(source.graph.nodes)
    room = source.lowered.representable(params, top)
    assert source.lowered.missing_bits(bounds, params, top) == 0
    large = [8 * min(room.values())] * len(bounds)
    assert source.lowered.missing_bits(large, params, top) == pytest.approx(3.02)


@pytest.mark.parametrize(("batch", "largest"), [(3, 25.0), (4, 16.0)])
def test_a_margin_counts_slots_without_a_sample(batch, largest):
    """Zeros of the client's are further from 5 than the sample; a batch of four fills all slots."""
    argument, sample = fhejax.Encrypted((batch, 2), range=(0, 1)), np.ones((1, 2))
    program = fhejax.compile(
        lambda x: jnp.square(x - 5), argument, sample=sample, margin=1, insecure_log_degree=5
    )
    assert program.plan.largest_output == pytest.approx(largest)
