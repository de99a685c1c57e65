"""The counts of a bootstrap are those of what it does, stage by stage: kernels counted in its jaxpr."""

import functools

import jax
import numpy as np
import pytest
from kernel_counts import counted, marked

from fhejax import ckks
from fhejax.ckks.bootstrapping import (
    BootstrappingOptions,
    BootstrappingParameters,
    bootstrap_shared,
    bootstrapping_circuit,
    bootstrapping_keys,
    shared_rotations,
    shared_switches,
)
from fhejax.ckks.bootstrapping import bootstrap_circuit as stages
from fhejax.ckks.counts import bootstrapping as counts
from fhejax.ckks.counts import limb_table
from fhejax.ckks.counts.key_switching import rotation
from fhejax.ckks.keys.manifest import KeyManifest
from fhejax.ckks.parameters import Scale

FEW = {"hamming_weight": 4, "coefficients_to_slots": 2, "slots_to_coefficients": 1}


@functools.cache
def parameters_of(slots=32, **options):
    chosen = BootstrappingOptions(**FEW, **options)
    return BootstrappingParameters.for_levels(2, degree=64, slots=slots, insecure=True, options=chosen)


@functools.cache
def keys_of(parameters):
    """(keys, a ciphertext as it enters a bootstrap)."""
    params, level = parameters.params, parameters.input_level
    secret = ckks.secret_key(ckks.random_key(), params)
    levels = dict.fromkeys((*shared_rotations(8), "conjugate"), parameters.output_level)
    circuit = bootstrapping_circuit(parameters)
    keys = bootstrapping_keys(ckks.random_key(), secret, circuit, KeyManifest.of(levels))
    return keys, ckks.encrypt(ckks.random_key(), secret, ckks.encode(params, np.zeros(32), level=level))


def check(function, keys, x, expected):
    """Compare what a stage does with its counts; return the shapes of its result."""
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(keys, x)
    found = counted(closed.jaxpr)
    assert found["transforms"] == expected.transforms > 0
    assert found["conversions"] == expected.conversions
    assert found["permuted"] == expected.permuted
    assert found["tensors"] == expected.tensors
    # Sums of a polynomial's terms are such sums as well, and are counted as other products.
    assert expected.tensors or found["sums"] == expected.key_products + 2 * expected.plaintext_limbs
    return shapes


@pytest.mark.nightly
def test_every_stage():
    """With minimum keys and an arcsine; one without is part of a program that is counted elsewhere."""
    parameters = parameters_of(double_angles=1, minimum_keys=True, arcsine_degree=3)
    (keys, x), table = keys_of(parameters), limb_table(parameters.params)
    ratio = Scale.of(2.0**parameters.ratio_bits)
    with marked():
        x = check(stages.lower_to_coefficients, keys, x, counts.slots_to_coefficients(parameters, table))
        x = check(stages.raise_under_sparse_secret, keys, x, counts.modulus_raising(parameters, table))
        x = check(stages.spread_to_slots, keys, x, counts.coefficients_to_slots(parameters, table))
        reduction = counts.modular_reduction(parameters, table)
        x = check(lambda keys, x: stages.reduce_modulo_one(keys, x, ratio), keys, x, reduction)
        together = counts.last_division(parameters, table, 1)
        check(stages.joined, keys, x, together)
        check(stages.separated, keys, x, counts.last_division(parameters, table, 2))
    whole = counts.bootstrap(parameters, table)
    assert whole.transforms > reduction.transforms + together.transforms
    assert whole.bootstraps == 1


@pytest.mark.nightly
def test_shared_numbers_come_apart_by_whole_rotations():
    count, parameters = 5, parameters_of(double_angles=2, slots=8)
    (keys, x), table = keys_of(parameters), limb_table(parameters.params)
    apart = shared_switches(count) * rotation(table.switched(parameters.output_level))
    with marked():
        check(bootstrap_shared, keys, [x] * count, counts.bootstrap(parameters, table) + apart)


def test_numbers_come_apart_by_as_many_switches_as_there_are_others():
    assert [shared_switches(count) for count in (1, 2, 4, 8, 16)] == [0, 1, 3, 7, 15]
    assert [shared_switches(count) for count in (3, 5)] == [3, 7]
