"""Manifests: exactly the keys a circuit needs, weighed by formula, and enough to run it."""

import pickle

import jax
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks.keys import KeyManifest
from fhejax.ckks.keys.generation import conjugation_exponent, rotation_exponent
from fhejax.ckks.linear_transform import apply_linear_transform, linear_transform

REAL, COMPLEX = ckks.insecure_parameters(64, 4), ckks.insecure_parameters(64, 4, real=False)
RATIONAL = ckks.insecure_parameters(64, 4, 35, rational=True)


def shadow(params: ckks.Parameters, level: int | None = None) -> ckks.NoiseEstimate:
    return ckks.estimate(params, np.linspace(-0.5, 0.5, params.slots), level=level)


def run(circuit, manifest: KeyManifest, params: ckks.Parameters, *, compose: bool = False):
    """(what the circuit makes of ciphertexts under exactly these keys, of estimates, the keys)."""
    first, second, third = jax.random.split(ckks.random_key(), 3)
    secret = ckks.secret_key(first, params)
    keys = ckks.keys.evaluation_keys_for(second, secret, manifest, compose=compose)
    x = shadow(params)
    ciphertext = ckks.encrypt(third, secret, ckks.encode(params, x.values))
    found = ckks.decode(ckks.decrypt(secret, circuit(keys, ciphertext)))
    return np.asarray(found), circuit(None, x).values, keys


def polynomial(keys, x):
    """Relinearisation at levels 4 and 3, rotations at 4 and 2."""
    y = ckks.square(keys, ckks.add(x, ckks.rotate(keys, x, 3)))
    z = ckks.multiply(keys, y, y)
    return ckks.add(ckks.rotate(keys, z, -5), ckks.rotate(keys, z, 0))


def test_a_circuit_names_its_keys():
    manifest = ckks.keys.required_keys(polynomial, shadow(REAL))
    assert manifest == KeyManifest(True, (3, -5), level={"relinearise": 4, 3: 4, -5: 2})
    lower = ckks.keys.required_keys(polynomial, shadow(REAL, 3))
    assert lower.levels == {"relinearise": 3, 3: 3, -5: 1}
    assert manifest | lower == manifest


def test_every_operation_that_takes_a_key_is_noted():
    def circuit(keys, x):
        first, second, third = ckks.rotate_hoisted(keys, x, [0, 2, 7])
        total = ckks.inner_sum(keys, ckks.add(first, ckks.add(second, third)), 4)
        real = ckks.evaluation.real_part(keys, total)
        return ckks.relinearise(keys, ckks.evaluation.square_tensor(real), target_level=2)

    manifest = ckks.keys.required_keys(circuit, shadow(COMPLEX))
    assert manifest == KeyManifest(True, (1, 2, 7), True, level=4)
    assert ckks.keys.required_keys(lambda keys, x: ckks.negate(x), shadow(REAL)) == KeyManifest()


def test_the_highest_level_of_each_key_counts():
    def circuit(keys, x):
        low = ckks.rotate(keys, ckks.drop_level(x, 1), 2)
        return ckks.add(low, ckks.rotate(keys, ckks.drop_level(x, 3), 2))

    assert ckks.keys.required_keys(circuit, shadow(REAL)).levels == {2: 3}


def test_linear_transforms_and_polynomials_are_noted():
    diagonals = {step: np.ones(REAL.slots) for step in (0, 1, 9)}
    transform = linear_transform(REAL, diagonals, level=3)

    def circuit(keys, x):
        y = apply_linear_transform(keys, x, transform)
        return ckks.evaluate_polynomial(keys, y, [0.0, 0.5, 0.0, 1.0])

    manifest = ckks.keys.required_keys(circuit, shadow(REAL))
    assert set(transform.rotations) == {step % REAL.slots for step in manifest.rotations}
    assert all(manifest.levels[step] == 3 for step in manifest.rotations)
    assert manifest.relinearise
    assert manifest.levels["relinearise"] == 2


@pytest.mark.parametrize(
    "params", [REAL, pytest.param(RATIONAL, marks=pytest.mark.nightly)], ids=["real", "rational"]
)
def test_exactly_these_keys_run_the_circuit(params):
    manifest = ckks.keys.required_keys(polynomial, shadow(params))
    found, expected, keys = run(polynomial, manifest, params)
    assert abs(found - expected).max() < 1e-2
    assert keys.relinearisation.level == 4
    levels = {exponent: key.level for exponent, key in keys.rotations.items()}
    assert levels == {rotation_exponent(params, 3): 4, rotation_exponent(params, -5): 2}


def test_one_level_less_does_not():
    manifest = KeyManifest(True, (3, -5), level={"relinearise": 4, 3: 4, -5: 1})
    with pytest.raises(ValueError, match="at level 2 needs its key"):
        run(polynomial, manifest, REAL)


@pytest.mark.parametrize(
    "params",
    [REAL, *(pytest.param(params, marks=pytest.mark.nightly) for params in (COMPLEX, RATIONAL))],
    ids=["real", "complex", "rational"],
)
def test_bytes_are_those_of_the_keys(params):
    conjugate = not params.ring.conjugate_invariant
    uses = {"relinearise": 4, 1: 3, -1: 2, 5: 0} | ({"conjugate": 1} if conjugate else {})
    manifest = KeyManifest.of(uses)
    secret = ckks.secret_key(ckks.random_key(), params)
    keys = ckks.keys.evaluation_keys_for(ckks.random_key(), secret, manifest)
    switching = [keys.relinearisation, *keys.rotations.values()]
    assert len(switching) == len(uses)
    assert manifest.bytes(params).wire == keys.wire_bytes
    assert manifest.bytes(params).memory == sum(key.data.nbytes + key.seed.nbytes for key in switching)
    if conjugate:
        assert keys.rotations[conjugation_exponent(params)].level == 1


def test_composition_takes_fewer_keys_and_gives_the_same():
    """Nine distances of three powers of two, forwards and backwards."""
    steps = (3, 5, 6, 7, 9, 10, 11, 12, 13)

    def circuit(keys, x):
        total = x
        for step in steps:
            total = ckks.add(total, ckks.rotate(keys, x, step))
        return total

    manifest = ckks.keys.required_keys(circuit, shadow(REAL))
    assert manifest.rotations == steps
    composed = manifest.composed(REAL)
    assert set(composed.rotations) == {1, -1, -2, 2, 4, -4, 8, 16}
    assert composed.bytes(REAL).memory < manifest.bytes(REAL).memory
    found, expected, keys = run(circuit, manifest, REAL, compose=True)
    assert abs(found - expected).max() < 1e-2
    assert len(keys.rotations) == 8
    assert set(keys.rotations) == {rotation_exponent(REAL, step) for step in composed.rotations}


def test_composition_is_left_alone_where_it_takes_more():
    few = KeyManifest(True, (3, 21), level=4)
    assert few.composed(REAL) is few
    assert len(run(lambda keys, x: ckks.rotate(keys, x, 21), few, REAL, compose=True)[2].rotations) == 2


@pytest.mark.nightly
def test_composed_keys_have_the_level_of_the_highest_use():
    levels = {3: 4, 5: 4, 6: 4, 7: 2, 9: 4, 10: 4, 14: 2, 15: 1, 17: 2, 18: 2}
    manifest = KeyManifest.of(levels)
    assert manifest.composed(REAL).levels == {-1: 4, 1: 4, -2: 4, 2: 4, 4: 4, 8: 4, 16: 2}
    secret = ckks.secret_key(ckks.random_key(), REAL)
    keys = ckks.keys.evaluation_keys_for(ckks.random_key(), secret, manifest, compose=True)
    values = np.linspace(-0.5, 0.5, REAL.slots)
    for step, level in levels.items():
        ciphertext = ckks.encrypt(ckks.random_key(), secret, ckks.encode(REAL, values, level=level))
        found = ckks.decode(ckks.decrypt(secret, ckks.rotate(keys, ciphertext, step)))
        assert abs(np.asarray(found) - np.roll(values, -step)).max() < 1e-2


def test_union_is_of_both():
    first = KeyManifest(True, (1, 2), level=3)
    second = KeyManifest(rotations=(2, 5), conjugate=True, level={2: 4, 5: 1, "conjugate": 0})
    both = first | second
    assert both.levels == {"relinearise": 3, 1: 3, 2: 4, 5: 1, "conjugate": 0}
    assert both == second | first
    assert hash(both) == hash(second | first)
    assert both | both == both | KeyManifest() == both
    assert first | first == first


def test_equal_hashable_frozen_and_copied():
    first = KeyManifest(True, [2, 1, 1, 0], level={"relinearise": 2, 1: 2, 2: 2})
    assert first == KeyManifest(True, (1, 2), level=2)
    assert hash(first) == hash(KeyManifest(True, (1, 2), level=2))
    assert first.level == 2
    different = KeyManifest(True, (1, 2), level={"relinearise": 2, 1: 1, 2: 2})
    assert different != first
    assert pickle.loads(pickle.dumps(different)) == different
    with pytest.raises(AttributeError):
        first.level = 3
    with pytest.raises(TypeError):
        different.level[1] = 3


def test_the_same_distance_twice_is_one_key():
    manifest = KeyManifest(rotations=(-1, 63, 64, 128), level={-1: 1, 63: 3, 64: 4, 128: 0})
    assert manifest.exponents(REAL) == {rotation_exponent(REAL, -1): 3}
    keys = ckks.keys.evaluation_keys_for(
        ckks.random_key(), ckks.secret_key(ckks.random_key(), REAL), manifest
    )
    assert [key.level for key in keys.rotations.values()] == [3]


def test_it_prints_keys_levels_and_bytes():
    manifest = KeyManifest(True, (-3, 4), level={"relinearise": 4, -3: 2, 4: 2})
    text = "KeyManifest(relinearisation up to level 4; rotations by -3, 4 up to level 2)"
    assert repr(manifest) == text
    wire, memory = manifest.bytes(REAL)
    expected = f"{text}: {wire / 1e6:.2f} MB on the wire, {memory / 1e6:.2f} MB in memory"
    assert manifest.describe(REAL) == expected
    assert repr(KeyManifest()) == "KeyManifest(no keys)"
    assert repr(KeyManifest(conjugate=True, level=1)) == "KeyManifest(conjugation up to level 1)"


def test_what_cannot_be_is_refused():
    secret = ckks.secret_key(ckks.random_key(), REAL)
    with pytest.raises(ValueError, match=r"rotations by 1, 2 was given the levels \{1: 3\}"):
        KeyManifest(rotations=(1, 2), level={1: 3})
    with pytest.raises(ValueError, match="relinearisation was given the levels"):
        KeyManifest(True, level={"relinearise": 1, 4: 2})
    with pytest.raises(ValueError, match="0 or more"):
        KeyManifest(True, level=-1)
    with pytest.raises(TypeError):
        KeyManifest(rotations=(1.5,))
    with pytest.raises(ValueError, match="level 5 was asked for"):
        ckks.keys.evaluation_keys_for(ckks.random_key(), secret, KeyManifest(True, level=5))
    with pytest.raises(ValueError, match="conjugate-invariant ring"):
        KeyManifest(conjugate=True).bytes(REAL)
    with pytest.raises(ValueError, match="made without key switching"):
        KeyManifest(True).bytes(ckks.insecure_parameters(64, 1, key_switching=False))
    with pytest.raises(ValueError, match="cryptographic random key"):
        ckks.keys.generate_evaluation_keys(jax.random.key(0), secret, KeyManifest(True))
    with pytest.raises(ValueError, match="no estimate"):
        ckks.keys.required_keys(lambda keys: None)


def test_no_keys_at_all():
    secret = ckks.secret_key(ckks.random_key(), REAL)
    keys = ckks.keys.evaluation_keys_for(ckks.random_key(), secret, KeyManifest())
    assert keys.relinearisation is None
    assert keys.rotations == {}
    assert KeyManifest().bytes(REAL) == (0, 0)
