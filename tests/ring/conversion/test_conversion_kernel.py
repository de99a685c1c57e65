"""Base conversion as a Pallas kernel, interpreted, against XLA and Python integers; and when it runs."""

import dataclasses
import importlib
import math
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import decompose, primes_for

from fhejax.ring import Ring, basis_conversion, convert_basis
from fhejax.ring.conversion import kernel, primitive, trial
from fhejax.ring.conversion.constants import conversion
from fhejax.ring.platform import DEVICES
from fhejax.ring.transform.pallas import backends
from fhejax.ring.wide import wide

DEGREE = 64
PRIMES = primes_for(Ring(DEGREE), 40)
SMALL = primes_for(Ring(DEGREE), 2, 20)
CASES = {
    "one limb": (PRIMES[:1], PRIMES[1:4]),
    "one small limb": (SMALL[:1], PRIMES[:2]),
    "down": (PRIMES[:5], SMALL),
    "up": (SMALL, PRIMES[:7]),
    "more than one sum holds": (PRIMES[:17], PRIMES[17:20]),
    "two folds": (PRIMES[:33], PRIMES[33:35]),
}


def interpreted(x, source, target, backend=None):
    run = wide(lambda x: kernel.converted(x, conversion(source, target), backends.interpreter()))
    return jax.jit(run)(jnp.asarray(x))


def edges(source):
    """Centred integers about zero and half the modulus, and a spread between."""
    half = math.prod(source) // 2
    margin = half >> 40
    found = [0, 1, -1, half - margin, margin - half, half // 2, -half // 3]
    generator = np.random.default_rng(len(source))
    return found + [int(generator.integers(-(2**62), 2**62)) * half >> 62 for _ in range(DEGREE - len(found))]


@pytest.mark.parametrize("case", CASES)
def test_the_kernel_has_the_bits_of_arrays_and_of_integers(case):
    source, target = CASES[case]
    values = edges(source)
    x = np.stack([decompose(values, source), np.repeat(np.array(source, np.uint32)[:, None] - 1, DEGREE, 1)])
    found = np.asarray(interpreted(x, source, target))
    assert found.dtype == np.uint32
    assert (found == np.asarray(convert_basis(jnp.asarray(x), source, target))).all()
    assert (found[0] == decompose(values, target)).all()


def test_any_residues_have_the_bits_of_arrays():
    """A million of them, in several programs a polynomial."""
    source, target = PRIMES[:4], PRIMES[4:7]
    generator = np.random.default_rng(0)
    x = np.stack([generator.integers(0, q, (4, 2**16)) for q in source], 1).astype(np.uint32)
    right = np.asarray(convert_basis(jnp.asarray(x), source, target))
    assert (np.asarray(interpreted(x, source, target)) == right).all()


@pytest.fixture
def card(monkeypatch):
    """A card whose kernels work, by the interpreter, in rings of any degree."""
    device = dataclasses.replace(DEVICES["h200"], title="a card of conversions")
    monkeypatch.setattr(backends, "BACKENDS", {"the interpreter": backends.interpreter})
    monkeypatch.setattr(trial, "working_backend", lambda device: "the interpreter")
    monkeypatch.setattr(basis_conversion, "current_device", lambda: device)
    monkeypatch.setattr(basis_conversion, "SMALLEST_DEGREE", 1)
    yield device
    trial.conversion_backend.cache_clear()


def test_it_is_chosen_where_it_passes_its_trial(card):
    assert trial.conversion_backend(card) == "the interpreter"
    arrays = dataclasses.replace(card, conversion_method="arrays")
    assert trial.conversion_backend(arrays) is None
    source, target = PRIMES[7:10], PRIMES[10:13]
    traced = jax.make_jaxpr(lambda x: convert_basis(x, source, target))(jnp.zeros((2, 3, DEGREE), "uint32"))
    assert "base_conversion" in str(traced)
    one = jax.make_jaxpr(lambda x: convert_basis(x, source, target[:1]))(jnp.zeros((2, 3, DEGREE), "uint32"))
    assert "base_conversion" not in str(one)


def test_leading_axes_vmap_and_no_polynomials(card):
    source, target = PRIMES[13:16], PRIMES[16:18]
    values = edges(source)
    x = jnp.asarray(np.broadcast_to(decompose(values, source), (2, 3, 3, DEGREE)))
    right = decompose(values, target)
    assert (np.asarray(convert_basis(x, source, target)) == right).all()
    mapped = jax.vmap(lambda x: convert_basis(x, source, target), 1, 1)
    assert (np.asarray(mapped(x)) == right).all()
    assert convert_basis(x[:0], source, target).shape == (0, 3, 2, DEGREE)


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (lambda *given: jnp.zeros((1, 3, 4096), jnp.uint32), "it gave wrong numbers"),
        (None, r"TypeError was raised"),
    ],
    ids=["wrong", "raises"],
)
def test_a_card_on_which_it_fails_converts_by_arrays_and_warns_once(card, monkeypatch, broken, problem):
    monkeypatch.setattr(kernel, "converted", broken)
    monkeypatch.setattr(trial, "_run", trial._run.__wrapped__)  # not what another test compiled
    with pytest.warns(
        RuntimeWarning, match=r"tried on a card of conversions and is not used.*" + problem
    ) as told:
        assert trial.conversion_backend(card) is None
    assert len(told) == 1
    assert trial.conversion_backend(card) is None


def test_a_cpu_never_imports_pallas_for_it():
    code = """
import sys
import jax.numpy as jnp
from fhejax.ring import convert_basis
assert (convert_basis(jnp.ones((1, 4096), jnp.uint32), (65537,), (786433, 114689)) == 1).all()
assert not [name for name in sys.modules if name.startswith("jax.experimental.pallas")]
"""
    environment = {"JAX_PLATFORMS": "cpu", "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def triton_is_missing():
    try:
        backends.BACKENDS["Triton"]()
        importlib.import_module("jaxlib.triton")
    except (ImportError, AttributeError):
        return True
    return False


@pytest.mark.skipif(triton_is_missing(), reason="This JAX lacks Pallas' Triton backend.")
@pytest.mark.skipif(
    jax.__version_info__ >= (0, 12), reason="Lowering without a card names one: see test_pallas."
)
def test_it_lowers_for_cuda_to_one_kernel_and_runs_on_a_cpu():
    source, target = PRIMES[:12], PRIMES[12:40]

    def run(x):
        given = {"backend": "Triton", "on_arrays": basis_conversion.converted_on_arrays}
        return primitive.convert(x, source, target, **given)

    function = jax.jit(wide(run))
    x = jnp.asarray(np.stack([decompose(edges(source), source)]))
    big = jax.ShapeDtypeStruct((2, 12, 2**16), jnp.uint32)
    text = function.trace(big).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("@__gpu$xla.gpu.triton") == 1
    assert "triton" not in function.trace(big).lower(lowering_platforms=("cpu",)).as_text()
    assert (function(x)[0] == decompose(edges(source), target)).all()
