"""Linear transforms: against NumPy, against rotations one by one, within their predicted noise."""

import dataclasses
import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from schemes import Scheme

from fhejax import ckks
from fhejax.ckks.keys.switching import extended_moduli
from fhejax.ckks.linear_transform import (
    LinearTransform,
    apply_linear_transform,
    apply_linear_transforms,
    double_hoisting,
    extended_steps,
    linear_transform,
)
from fhejax.ckks.linear_transform.rotation_plan import Costs, rotation_costs, split_distances
from fhejax.ring import inverse_ntt

DEGREE, DEPTH = 64, 2
transform_module = importlib.import_module("fhejax.ckks.linear_transform.transform")
noise_module = importlib.import_module("fhejax.ckks.linear_transform.transform_noise")
SETTINGS = {
    "real, one prime": lambda: ckks.insecure_parameters(DEGREE, DEPTH),
    "real, rational": lambda: ckks.insecure_parameters(DEGREE, 1, 40, rational=True),
    "complex, two primes": lambda: ckks.insecure_parameters(DEGREE, 1, 52, real=False),
}
SETS = {
    "band": range(-3, 4),
    "one": [5],
    "diagonal": [0],
    "stride": [0, 16, 32, 48],
    "stride from 1": [1, 17, 33, 49],
    "negative": [-1, -2, -9],
    "sparse": [3, 11, 30, 41],
}


def make_scheme(params: ckks.Parameters) -> Scheme:
    """With one rotation key and no public key."""
    secret = ckks.secret_key(ckks.random_key(), params)
    keys = ckks.evaluation_keys(ckks.random_key(), secret, rotations=(1,))
    return Scheme(params, secret, None, keys)


@functools.cache
def setting(name: str = "real, one prime") -> Scheme:
    return make_scheme(SETTINGS[name]())


def keys_for(scheme: Scheme, *transforms: LinearTransform) -> ckks.EvaluationKeys:
    """Exactly the keys that the transforms name."""
    rotations = {r for transform in transforms for r in transform.rotations}
    return ckks.evaluation_keys(ckks.random_key(), scheme.secret, rotations=rotations)


def diagonals(scheme: Scheme, distances, seed: int = 0) -> dict[int, np.ndarray]:
    return {d: scheme.numbers(seed=seed + i) for i, d in enumerate(distances)}


def product(given: dict[int, np.ndarray], x: np.ndarray) -> np.ndarray:
    return sum(diagonal * np.roll(x, -d, -1) for d, diagonal in given.items())


def matrix(scheme: Scheme) -> np.ndarray:
    return scheme.numbers(scheme.params.slots) / np.sqrt(scheme.params.slots)


# Where a test takes long, the other settings are for the night.
FIRST_QUICK = [
    pytest.param(name, marks=pytest.mark.nightly if number else ()) for number, name in enumerate(SETTINGS)
]


@pytest.mark.parametrize("name", FIRST_QUICK)
def test_a_dense_matrix_within_its_predicted_noise(name):
    scheme = setting(name)
    params, rows, x = scheme.params, matrix(scheme), scheme.numbers(2, seed=7)
    transform = linear_transform(params, rows)
    result = apply_linear_transform(keys_for(scheme, transform), scheme.encrypt(x), transform)
    predicted = apply_linear_transform(None, ckks.estimate(params, x), transform)
    assert (result.level, result.scale) == (params.depth - 1, params.scales[params.depth - 1])
    assert (predicted.level, predicted.scale, predicted.batch) == (result.level, result.scale, result.batch)
    error = scheme.decrypt(result) - x @ rows.T
    found = -np.log2(np.sqrt(np.mean(np.abs(error) ** 2) / (1 + np.iscomplexobj(x))))
    assert abs(found - predicted.precision_bits) < 0.5
    assert abs(error).max() < 6 * predicted.deviation.max()


@pytest.mark.parametrize("name", SETS)
def test_sets_of_diagonals(name, monkeypatch):
    """With exactly the keys named, and as many key switches as planned."""
    scheme = setting()
    given = diagonals(scheme, SETS[name])
    transform = linear_transform(scheme.params, given)
    keys = keys_for(scheme, transform)
    assert len(keys.rotations) == len(transform.rotations) == sum(transform.key_switches)
    counted = []

    def rotate_pair(*arguments):
        counted.append(len(arguments) == 5)
        return double_hoisting.rotate_pair(*arguments)

    monkeypatch.setattr(extended_steps, "rotate_pair", rotate_pair)
    x = scheme.numbers(2, seed=9)
    result = apply_linear_transform(keys, scheme.encrypt(x), transform)
    assert (counted.count(False), counted.count(True)) == transform.key_switches
    assert abs(scheme.decrypt(result) - product(given, x)).max() < 2**-12


def test_it_is_the_sum_of_rotations_times_plaintexts():
    scheme = setting()
    given = diagonals(scheme, range(6))
    transform = linear_transform(scheme.params, given, baby_steps=2)
    assert (len(transform.babies), len(transform.giants)) == (2, 3)
    keys = ckks.evaluation_keys(ckks.random_key(), scheme.secret, rotations=range(1, 6))
    x = scheme.encrypt(scheme.numbers(2, seed=9))
    terms = [
        ckks.multiply_plain(ckks.rotate(keys, x, d), ckks.encode(x.params, v, scale=transform.scale))
        for d, v in given.items()
    ]
    naive = ckks.rescale(functools.reduce(ckks.add, terms))
    result = apply_linear_transform(keys, x, transform)
    assert (naive.level, naive.scale) == (result.level, result.scale)
    assert abs(scheme.decrypt(result) - scheme.decrypt(naive)).max() < 2**-12


def test_batches_jit_and_vmap_give_the_same_bits():
    scheme = setting()
    transform = linear_transform(scheme.params, diagonals(scheme, range(4)), baby_steps=2)
    keys, x = keys_for(scheme, transform), scheme.encrypt(scheme.numbers(2, seed=9))
    result = apply_linear_transform(keys, x, transform)
    assert result.batch == (2,)

    def on_data(data: jax.Array, transform: LinearTransform) -> jax.Array:
        return apply_linear_transform(keys, x.replace(data=data), transform).data

    single = jax.jit(jax.vmap(on_data, in_axes=(0, None)))
    np.testing.assert_array_equal(single(x.data, transform), result.data)


def test_levels_and_scales():
    """Higher ciphertexts come down; without a rescale, and at level 0, scales multiply."""
    scheme = setting()
    params, given = scheme.params, diagonals(scheme, [0, 1])
    x = scheme.numbers(2, seed=9)
    low = linear_transform(params, given, level=1)
    keys, ciphertext, estimate = scheme.keys, scheme.encrypt(x), ckks.estimate(params, x)
    result = apply_linear_transform(keys, ciphertext, low)
    assert (result.level, result.scale) == (0, params.scales[0])
    assert abs(scheme.decrypt(result) - product(given, x)).max() < 2**-12
    pending = apply_linear_transform(keys, ciphertext, low, rescale=False)
    assert (pending.level, pending.scale) == (1, params.scales[1] * low.scale)
    assert abs(scheme.decrypt(pending) - product(given, x)).max() < 2**-12
    assert apply_linear_transform(None, estimate, low).scale == params.scales[0]
    rough = linear_transform(params, given, level=0, scale=ckks.parameters.Scale.of(2**14))
    last = apply_linear_transform(None, ckks.drop_level(estimate, 0), rough, rescale=False)
    assert (last.level, last.scale) == (0, estimate.scale * 2**14)
    np.testing.assert_allclose(last.values, product(given, x), atol=2**-9)


def test_diagonals_may_be_traced():
    scheme = setting()
    given = {d: jnp.asarray(v, jnp.float32) for d, v in diagonals(scheme, [-1, 2]).items()}
    made = jax.jit(lambda given: linear_transform(scheme.params, given))(given)
    direct = linear_transform(scheme.params, given)
    assert made.steps == direct.steps
    x = scheme.numbers(2, seed=9)
    result = apply_linear_transform(keys_for(scheme, made), scheme.encrypt(x), made)
    assert abs(scheme.decrypt(result) - product(jax.tree.map(np.asarray, given), x)).max() < 2**-12


def test_diagonals_of_a_matrix_and_equal_distances():
    """Zero diagonals are left out; distances that are equal modulo the slots add up."""
    scheme = setting()
    params, slots = scheme.params, scheme.params.slots
    rows = np.eye(slots) + 2 * np.eye(slots, k=1) + 3 * np.eye(slots, k=1 - slots)
    band = linear_transform(params, rows)
    named = linear_transform(params, {0: np.ones(slots), 1: np.ones(slots), 1 - slots: np.ones(slots)})
    assert band.steps == named.steps == ((0, 0), (0, 1))
    assert len(linear_transform(params, {4: np.ones(slots), 5: np.zeros(slots)}).steps) == 1


def test_diagonals_are_encoded_over_every_prime():
    """The residues modulo Q and P are those of the same small polynomial."""
    params = setting().params
    transform = linear_transform(params, {0: setting().numbers()})
    everything = extended_moduli(params, DEPTH)
    residues = np.asarray(inverse_ntt(transform.diagonals, params.ring, everything))[0].astype(np.int64)
    column = np.array(everything)[:, None]
    small = np.where(residues > column // 2, residues - column, residues)
    assert 2**18 < abs(small).max() < 2**26
    np.testing.assert_array_equal(small, np.broadcast_to(small[:1], small.shape))


def test_sums_of_many_of_the_largest_products_do_not_overflow():
    params = setting().params
    moduli = extended_moduli(params, DEPTH)
    highest = np.array(moduli, np.uint32)[:, None] - 1
    pair = jnp.asarray(np.broadcast_to(highest, (2, len(moduli), 8)))
    weights = jnp.asarray(np.broadcast_to(highest, (50, len(moduli), 8)))
    total = double_hoisting.sum_of_products((pair,) * 47, weights, np.int32(3), params, DEPTH)
    assert (np.asarray(total) == 47).all()


def test_plans():
    slots, costs = 1024, Costs(1.0, 6.0)
    generator = np.random.default_rng(0)
    sets = [range(64), range(-31, 32), [d - 3 for d in range(0, 512, 8)], [1, 2, 3], [511, 512, 513], [0]]
    sets += [generator.choice(slots, size, replace=False).tolist() for size in (2, 9, 60)]
    for distances in sets:
        for count in (None, 1, 4):
            split = split_distances(distances, slots, costs, count)
            assert set(split) == {d % slots for d in distances}
            assert all((giant + baby) % slots == d for d, (giant, baby) in split.items())
            babies, giants = {b for _, b in split.values()}, {g for g, _ in split.values()}
            assert 0 in giants
            assert count is None or len(babies) <= count
    switches = {
        "dense": range(64),
        "strided": range(0, 1024, 16),
        "band": range(-31, 33),
        "moved": range(501, 565),
    }
    for distances in switches.values():
        split = split_distances(distances, slots, costs).values()
        rotations = {g for g, _ in split} - {0}, {b for _, b in split} - {0}
        assert len(rotations[0]) == 3
        assert len(rotations[1]) in (15, 16)
    assert {g for g, _ in split_distances(range(-3, 4), slots, costs).values()} == {0}
    found = rotation_costs(setting().params, DEPTH)
    assert 2 < found.giant / found.baby < 12


def test_a_transform_says_what_it_is():
    scheme = setting()
    transform = linear_transform(scheme.params, diagonals(scheme, range(6)), baby_steps=3)
    assert "6 diagonals by 3 baby steps and 2 giant steps" in repr(transform)
    assert transform.rotations == (1, 2, 3)
    assert len(jax.tree.leaves(transform)) == 1


def test_a_manifest_of_keys_names_its_rotations():
    scheme = setting()
    transform = linear_transform(scheme.params, diagonals(scheme, range(6)), level=1, baby_steps=3)
    estimate = ckks.estimate(scheme.params, scheme.numbers())
    manifest = ckks.keys.required_keys(lambda keys, x: apply_linear_transform(keys, x, transform), estimate)
    assert (manifest.rotations, manifest.level) == (transform.rotations, 1)


def test_missing_keys_are_all_named():
    scheme = setting()
    transform = linear_transform(scheme.params, diagonals(scheme, [0, 1, 2, -5]))
    missing = ", ".join(str(r) for r in transform.rotations if r != 1)
    with pytest.raises(ValueError, match=f"2 more rotations, by {missing}; .* have rotation by 1. Make them"):
        apply_linear_transform(scheme.keys, scheme.encrypt(scheme.numbers(2)), transform)
    made = keys_for(scheme, transform)
    cut = {e: dataclasses.replace(key, level=1) for e, key in made.rotations.items()}
    low = dataclasses.replace(made, rotations=cut)
    with pytest.raises(ValueError, match=r"3 more rotations.*up to level 1.*level=2"):
        apply_linear_transform(low, scheme.encrypt(scheme.numbers(2)), transform)
    none = ckks.evaluation_keys(ckks.random_key(), scheme.secret)
    with pytest.raises(ValueError, match="these evaluation keys have no rotation keys"):
        apply_linear_transform(none, scheme.encrypt(scheme.numbers(2)), transform)


def test_what_it_refuses_to_make():
    params = setting().params
    ones = np.ones(params.slots)
    cases = [
        ({0: ones[1:]}, {}, r"distance 0 has shape \(63,\); it needs \[64\]"),
        (np.ones((3, 3)), {}, r"shape \(3, 3\).* needs \[64, 64\]"),
        ({1: ones * np.nan}, {}, "distance 1 holds NaN"),
        ({}, {}, "without a diagonal other than zero"),
        ({0: ones * 0}, {}, "without a diagonal other than zero"),
        ({0: ones * 1j}, {}, "slots are real"),
        ({0: ones}, {"level": 0}, "leaves no level to rescale to"),
        ({0: ones}, {"level": 9}, "levels 0 to 2"),
        ({0: ones}, {"baby_steps": 0}, "it is 1 or more"),
        ({0: ones * 1e40}, {}, "encode at a smaller scale"),
        ({0: ones * 1e-12, 1: ones * -1e-12}, {}, "all round to zero at scale"),
        ({0: ones, 1: ones}, {"split": {0: (0, 0)}}, "a split without distance 1"),
        ({3: ones}, {"split": {3: (1, 1)}}, "giant \\+ baby = distance"),
    ]
    for given, options, message in cases:
        with pytest.raises(ValueError, match=message):
            linear_transform(params, given, **options)
    with pytest.raises(TypeError, match="a distance is an integer"):
        linear_transform(params, {0.5: ones})
    masked = np.ma.masked_array(ones, mask=ones > 0)
    for wrong in (
        None,
        "identity",
        {0: None},
        {0: ones.astype(object)},
        {0: masked},
        [["1"]],
        3 * [[1.0], []],
    ):
        with pytest.raises(TypeError, match=r"(diagonal at distance 0|linear transform) was given"):
            linear_transform(params, wrong)
    plain = ckks.insecure_parameters(DEGREE, DEPTH, key_switching=False)
    with pytest.raises(ValueError, match="made without key switching"):
        linear_transform(plain, {0: ones})


def test_a_diagonal_that_rounds_to_zero_among_others_adds_nothing():
    """As the rounding errors of a Fourier transform's matrix do."""
    scheme = setting()
    ones = np.ones(scheme.params.slots)
    tiny, without = (linear_transform(scheme.params, d) for d in ({0: ones, 1: 1e-12 * ones}, {0: ones}))
    assert not np.asarray(tiny.diagonals[1]).any()
    assert (tiny.diagonals[0] == without.diagonals[0]).all()


def test_what_it_refuses_to_apply():
    scheme, other = setting(), setting("complex, two primes")
    params = scheme.params
    transform = linear_transform(params, {0: np.ones(params.slots)})
    x = scheme.encrypt(scheme.numbers(2))
    with pytest.raises(ValueError, match="3 components was asked for"):
        apply_linear_transform(scheme.keys, x.replace(data=x.data[:, :1].repeat(3, 1)), transform)
    with pytest.raises(ValueError, match="made for level 2 met a ciphertext at level 1"):
        apply_linear_transform(scheme.keys, ckks.drop_level(x, 1), transform)
    with pytest.raises(ValueError, match="different parameters"):
        apply_linear_transform(other.keys, other.encrypt(other.numbers(2)), transform)
    with pytest.raises(ValueError, match="different secret keys"):
        apply_linear_transform(make_scheme(params).keys, x, transform)
    lowest = linear_transform(params, {0: np.ones(params.slots)}, level=0, scale=ckks.parameters.Scale.of(2))
    with pytest.raises(ValueError, match="no level is left"):
        apply_linear_transform(scheme.keys, ckks.drop_level(x, 0), lowest)


@pytest.mark.parametrize("name", FIRST_QUICK)
def test_diagonals_held_as_numbers_give_the_same_results(name):
    """Encoded as they are used, and summed one after the other."""
    scheme = setting(name)
    given = diagonals(scheme, range(9))
    held, made = (linear_transform(scheme.params, given, baby_steps=3, transformed=t) for t in (False, True))
    assert (held.is_transformed, made.is_transformed) == (False, True)
    assert held.diagonals.shape == (9, 1 + np.iscomplexobj(given[0]), 3, scheme.params.slots)
    keys, x = keys_for(scheme, held), scheme.encrypt(scheme.numbers(2, seed=9))
    results = [apply_linear_transform(keys, x, transform) for transform in (held, made)]
    if held.scale.bits < 45:  # beyond, float64 may round a coefficient otherwise in another kernel
        np.testing.assert_array_equal(results[0].data, results[1].data)
    first, second = (scheme.decrypt(result) for result in results)
    assert abs(first - second).max() < 2.0 ** (8 - held.scale.bits)
    jitted = jax.jit(lambda x, t: apply_linear_transform(keys, x, t))(x, held)
    assert abs(scheme.decrypt(jitted) - first).max() < 2.0 ** (8 - held.scale.bits)


def test_diagonals_that_repeat_themselves_are_held_once():
    scheme = setting()
    slots = scheme.params.slots
    given = {d: np.tile(scheme.numbers(seed=d)[: slots // 8], 8) for d in range(3)}
    transform = linear_transform(scheme.params, given, transformed=False)
    assert transform.diagonals.shape == (3, 1, 3, slots // 8)
    x = scheme.numbers(2, seed=9)
    keys = keys_for(scheme, transform)
    result = apply_linear_transform(keys, scheme.encrypt(x), transform)
    assert abs(scheme.decrypt(result) - product(given, x)).max() < 2**-12
    constant = linear_transform(scheme.params, {1: np.full(slots, 0.5)}, transformed=False)
    assert constant.diagonals.shape == (1, 1, 1, 1)


def test_large_transforms_are_held_as_numbers(monkeypatch):
    scheme = setting()
    given = diagonals(scheme, range(4))
    assert linear_transform(scheme.params, given).is_transformed
    monkeypatch.setattr(transform_module, "_TRANSFORMED_BYTES", 1000)
    assert not linear_transform(scheme.params, given).is_transformed
    with pytest.raises(ValueError, match="traced ones are held as residues"):
        jax.jit(lambda d: linear_transform(scheme.params, {0: d}, transformed=False))(
            jnp.ones(64, jnp.float32)
        )


@pytest.mark.parametrize("transformed", [True, False])
def test_a_matrix_of_transforms_shares_baby_steps(transformed, monkeypatch):
    """Hoisted steps once for each of three ciphertexts, giant steps for each of two results."""
    scheme = setting()
    options = {"baby_steps": 3, "transformed": transformed}
    given = [[diagonals(scheme, range(9), seed=10 * o + i) for i in range(3)] for o in range(2)]
    rows = [[linear_transform(scheme.params, d, **options) for d in row] for row in given]
    rows[1][2] = None
    keys = keys_for(scheme, rows[0][0])
    counted = []

    def rotate_pair(*arguments):
        counted.append(len(arguments))
        return double_hoisting.rotate_pair(*arguments)

    monkeypatch.setattr(extended_steps, "rotate_pair", rotate_pair)
    x = [scheme.numbers(2, seed=90 + i) for i in range(3)]
    results = apply_linear_transforms(keys, [scheme.encrypt(each) for each in x], rows)
    predicted = apply_linear_transforms(None, [ckks.estimate(scheme.params, each) for each in x], rows)
    assert (counted.count(4), counted.count(5)) == (3 * 2, 2 * 2)
    for o, (result, estimate) in enumerate(zip(results, predicted, strict=True)):
        expected = sum(product(d, v) for d, v, t in zip(given[o], x, rows[o], strict=True) if t is not None)
        np.testing.assert_allclose(estimate.values, expected, atol=1e-5)
        error = scheme.decrypt(result) - expected
        assert abs(-np.log2(np.sqrt(np.mean(error**2))) - estimate.precision_bits) < 0.5


@pytest.mark.parametrize("transformed", [True, False])
@pytest.mark.parametrize("name", SETTINGS)
def test_norms_of_rows_predict_what_following_every_source_does(name, transformed, monkeypatch):
    scheme = setting(name)
    params, x = scheme.params, scheme.numbers(2, seed=7)
    transform = linear_transform(params, matrix(scheme), transformed=transformed)
    estimates = []
    for followed in (10**6, 0):
        monkeypatch.setattr(noise_module, "_FOLLOWED", followed)
        estimates.append(apply_linear_transform(None, ckks.estimate(params, x), transform))
    exact, quick = estimates
    np.testing.assert_allclose(quick.values, exact.values, atol=1e-5)
    assert abs(exact.precision_bits - quick.precision_bits) < 0.02
    np.testing.assert_allclose(quick.deviation, exact.deviation, rtol=0.1)


def test_rows_of_transforms_that_do_not_fit():
    scheme = setting()
    params, x = scheme.params, ckks.estimate(scheme.params, scheme.numbers())
    one = linear_transform(params, {0: np.ones(params.slots)})
    low = linear_transform(params, {0: np.ones(params.slots)}, level=1)
    pair = ckks.estimate(params, scheme.numbers(2))
    cases = [
        ([x], [[one, one]], r"rows of \[2\] were to be applied to 1 ciphertexts"),
        ([x, x], [[one, one], [None, None]], "at least one transform"),
        ([x], [], "at least one transform"),
        ([x, x], [[one, low]], "level 1 and scale .*level 2 and scale"),
        ([x, pair], [[one, one]], r"batches \(\) and \(2,\)"),
    ]
    for operands, rows, message in cases:
        with pytest.raises(ValueError, match=message):
            apply_linear_transforms(None, operands, rows)
