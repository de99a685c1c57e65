"""Every operation equals its model in Python integers: plain, jitted and vmapped, at several levels.

Ciphertexts are random residues with the edges 0, 1, q - 2 and q - 1 among them, of no message at all: the
algebra holds for any.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import exact
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import random_residues

from fhejax import ckks
from fhejax.ckks import Ciphertext, EvaluationKeys, Parameters
from fhejax.ring import inverse_ntt

DEGREE = 16
KINDS = {
    "real, one prime": {"real": True, "digit_size": 2},
    "complex, one prime": {"real": False, "digit_size": 1},
    "real, rational": {"real": True, "rational": True, "scale_bits": 40},
    "complex, two primes": {"real": False, "scale_bits": 52},
}
FACTOR = -123456789012345678901234567890


@dataclasses.dataclass(frozen=True)
class Setting:
    """Parameters with keys; `keys` were made for a level above those of the ciphertexts."""

    params: Parameters
    keys: EvaluationKeys

    def ciphertext(self, level: int, components: int, seed: int) -> Ciphertext:
        moduli = self.params.level_moduli(level)
        data = jnp.asarray(random_residues((components, DEGREE), moduli, seed))
        return Ciphertext(data, self.keys.key_id, self.params, level, self.params.scales[level], "evaluation")


@functools.cache
def setting(kind: str) -> Setting:
    params = ckks.insecure_parameters(DEGREE, 4, **KINDS[kind])
    secret = ckks.secret_key(ckks.random_key(), params)
    conjugate = not params.ring.conjugate_invariant
    options = {"relinearise": True, "rotations": (3,), "conjugate": conjugate}
    return Setting(params, ckks.evaluation_keys(ckks.random_key(), secret, **options))


@dataclasses.dataclass(frozen=True)
class Case:
    """operation(keys, *ciphertexts); model(setting, level, *components); the level it ends at."""

    operation: Callable
    model: Callable
    inputs: tuple[int, ...] = (2,)
    drops: int = 0


def _modulus(s: Setting, level: int) -> int:
    return math.prod(s.params.level_moduli(level))


def _rotated(s: Setting, level: int, x, exponent: int):
    return exact.rotate(x, s.keys.rotations[exponent], s.params, level, exponent)


def _divided(s: Setting, level: int, x, drops: int):
    return exact.divide(x, s.params.level_moduli(level), s.params.level_moduli(level - drops))


def _relinearised(s: Setting, level: int, x, drops: int):
    return exact.relinearise(x, s.keys.relinearisation, s.params, level, level - drops)


def _exponent(s: Setting, steps: int) -> int:
    return pow(5, steps, s.params.ring.root_order)


CASES = {
    "add": Case(lambda k, x, y: ckks.add(x, y), lambda s, n, x, y: exact.add(x, y), (2, 2)),
    "subtract": Case(lambda k, x, y: ckks.subtract(x, y), lambda s, n, x, y: exact.add(x, y, -1), (2, 3)),
    "negate": Case(lambda k, x: ckks.negate(x), lambda s, n, x: exact.scale(x, -1), (3,)),
    "multiply_integer": Case(
        lambda k, x: ckks.evaluation.multiply_integer(x, FACTOR), lambda s, n, x: exact.scale(x, FACTOR)
    ),
    "tensor": Case(
        lambda k, x, y: ckks.evaluation.tensor(x, y),
        lambda s, n, x, y: exact.tensor(x, y, s.params, _modulus(s, n)),
        (2, 2),
    ),
    "square_tensor": Case(
        lambda k, x: ckks.evaluation.square_tensor(x),
        lambda s, n, x: exact.tensor(x, x, s.params, _modulus(s, n)),
    ),
    "rescale": Case(lambda k, x: ckks.rescale(x), lambda s, n, x: _divided(s, n, x, 1), inputs=(2,), drops=1),
    "rescale twice at once": Case(
        lambda k, x: ckks.rescale(x, x.level - 2), lambda s, n, x: _divided(s, n, x, 2), (3,), 2
    ),
    "relinearise": Case(lambda k, x: ckks.relinearise(k, x), lambda s, n, x: _relinearised(s, n, x, 0), (3,)),
    "relinearise and rescale": Case(
        lambda k, x: ckks.relinearise(k, x, target_level=x.level - 1),
        lambda s, n, x: _relinearised(s, n, x, 1),
        (3,),
        1,
    ),
    "rotate": Case(lambda k, x: ckks.rotate(k, x, 3), lambda s, n, x: _rotated(s, n, x, _exponent(s, 3))),
    "rotate_hoisted": Case(
        lambda k, x: ckks.rotate_hoisted(k, x, (0, 3))[1], lambda s, n, x: _rotated(s, n, x, _exponent(s, 3))
    ),
    "conjugate": Case(
        lambda k, x: ckks.conjugate(k, x), lambda s, n, x: _rotated(s, n, x, s.params.ring.root_order - 1)
    ),
    "multiply_by_imaginary_unit": Case(
        lambda k, x: ckks.evaluation.multiply_by_imaginary_unit(x),
        lambda s, n, x: exact.imaginary(x, s.params),
    ),
}
COMPLEX_ONLY = {"conjugate", "multiply_by_imaginary_unit"}


def check(s: Setting, case: Case, result: Ciphertext, level: int, inputs: list[Ciphertext]) -> None:
    moduli = s.params.level_moduli(level)
    models = [exact.integers(x.data, s.params, moduli) for x in inputs]
    target = s.params.level_moduli(level - case.drops)
    expected = exact.residues(case.model(s, level, *models), target)
    assert result.level == level - case.drops
    assert (np.asarray(inverse_ntt(result.data, s.params.ring, target)) == expected).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_operation_equals_its_model(name, kind):
    s, case = setting(kind), CASES[name]
    if name in COMPLEX_ONLY and s.params.ring.conjugate_invariant:
        with pytest.raises(ValueError, match="real"):
            case.operation(s.keys, s.ciphertext(2, 2, 0))
        return
    level = 2 + len(name + kind) % 3
    inputs = [s.ciphertext(level, components, seed) for seed, components in enumerate(case.inputs)]
    check(s, case, case.operation(s.keys, *inputs), level, inputs)


@pytest.mark.parametrize("name", sorted(set(CASES) - COMPLEX_ONLY))
def test_jitted_and_vmapped_operations_equal_it_too(name):
    s, case = setting("real, one prime"), CASES[name]
    level = 3
    batch = [
        [s.ciphertext(level, components, 10 * item + seed) for seed, components in enumerate(case.inputs)]
        for item in range(2)
    ]
    for inputs in batch:
        check(s, case, jax.jit(case.operation)(s.keys, *inputs), level, inputs)

    def on_data(*data):
        ciphertexts = [x.replace(data=d) for x, d in zip(batch[0], data, strict=True)]
        return case.operation(s.keys, *ciphertexts).data

    stacked = [jnp.stack([item[i].data for item in batch]) for i in range(len(case.inputs))]
    for data, inputs in zip(jax.vmap(on_data)(*stacked), batch, strict=True):
        result = inputs[0].replace(data=data, level=level - case.drops)
        check(s, case, result, level, inputs)


def test_plaintexts_multiply_and_add_exactly():
    """An encoded vector is a component of its own, cut to the ciphertext's level."""
    s = setting("complex, one prime")
    x, level = s.ciphertext(2, 2, 5), 2
    values = np.random.default_rng(0).uniform(-1, 1, s.params.slots)
    plaintext = ckks.encode(s.params, values, level=4, scale=x.scale)
    moduli = s.params.level_moduli(level)
    plain = exact.integers(plaintext.data[None, : len(moduli)], s.params, moduli)
    model = exact.integers(x.data, s.params, moduli)
    product = ckks.multiply_plain(x, plaintext)
    expected = exact.tensor(model, plain, s.params, math.prod(moduli))[:2]
    found = inverse_ntt(product.data, s.params.ring, moduli)
    assert (np.asarray(found) == exact.residues(expected, moduli)).all()
    total = inverse_ntt(ckks.add(x, plaintext).data, s.params.ring, moduli)
    assert (np.asarray(total) == exact.residues(exact.add(model, plain), moduli)).all()


def test_dropping_a_level_keeps_the_residues_and_rational_levels_divide():
    s = setting("real, one prime")
    x = s.ciphertext(4, 2, 1)
    assert (ckks.drop_level(x, 1).data == x.data[:, :2]).all()
    s = setting("real, rational")
    x = s.ciphertext(4, 2, 1)
    factor = round(s.params.rescale_factor(4, 3))
    source, target = (s.params.level_moduli(n) for n in (4, 3))
    expected = exact.divide(exact.scale(exact.integers(x.data, s.params, source), factor), source, target)
    found = inverse_ntt(ckks.drop_level(x, 3).data, s.params.ring, target)
    assert (np.asarray(found) == exact.residues(expected, target)).all()
