"""The transform's kernels: the butterflies' bits, chosen where they work, and lowered for a GPU without one."""

import dataclasses
import functools
import math
import subprocess
import sys
import warnings

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies
from jax import export
from reference import primes_for, random_residues

from fhejax.ring import Ring, inverse_ntt, ntt, twiddles
from fhejax.ring.platform import DEVICES
from fhejax.ring.transform import METHODS, chosen_method
from fhejax.ring.transform import ntt as faces
from fhejax.ring.transform.pallas import backends, kernels, tables, transform, trial
from fhejax.ring.wide import wide

BOTH = [False, True]
H200 = DEVICES["h200"]


def by_kernels(direction, x, constants, ring):
    return compiled(direction, ring.degree)(x, constants)


@functools.cache
def compiled(direction, degree):
    """One executable for both rings, which differ in the constants alone."""
    run = getattr(kernels, direction)
    return jax.jit(wide(lambda x, constants: run(x, constants, Ring(degree), backends.interpreter())))


@pytest.fixture
def interpreted(monkeypatch):
    """The functions of the method, with the kernels run by Pallas' interpreter."""
    monkeypatch.setattr(transform, "_by_platform", by_kernels)
    return {"forward": transform.forward.__wrapped__, "inverse": transform.inverse.__wrapped__}


def extremes(x, moduli):
    """The same array with its last polynomial all q - 1."""
    x = x.reshape(-1, *x.shape[-2:]).copy()
    x[-1:] = np.array(moduli, np.uint32)[:, None] - 1
    return x


@pytest.mark.parametrize("bits", range(12, 18))
def test_kernels_give_the_butterflies_bits(interpreted, bits):
    for real in BOTH:
        ring = Ring(2**bits, real)
        moduli = primes_for(ring, 2)
        constants = tables(ring, moduli)
        x = jnp.asarray(extremes(random_residues((2, ring.degree), moduli), moduli))
        values = ntt(x, ring, moduli, method="butterflies")
        assert (interpreted["forward"](x, constants, ring) == values).all()
        assert (interpreted["inverse"](values, constants, ring) == x).all()
        assert (
            interpreted["inverse"](x, constants, ring) == inverse_ntt(x, ring, moduli, method="butterflies")
        ).all()


@hypothesis.settings(max_examples=8, deadline=None, derandomize=True)
@hypothesis.given(
    strategies.builds(Ring, strategies.sampled_from([16, 32, 64, 256]), strategies.booleans()),
    strategies.lists(strategies.integers(0, 3), max_size=3).map(tuple),
    strategies.integers(1, 3),
)
def test_every_number_of_limbs_and_batch_axes(ring, lead, limbs):
    moduli = primes_for(ring, limbs)
    several = random_residues((math.prod(lead) + 1, ring.degree), moduli)[1:]
    x = jnp.asarray(several.reshape(*lead, limbs, ring.degree))
    values = ntt(x, ring, moduli, method="butterflies")
    assert (ntt(x, ring, moduli, method="pallas") == values).all()
    assert (inverse_ntt(values, ring, moduli, method="pallas") == x).all()
    if x.size:
        constants, flat = tables(ring, moduli), values.reshape(-1, limbs, ring.degree)
        if not ring.conjugate_invariant:
            found = by_kernels("forward", x.reshape(flat.shape), constants, ring)
            assert (found == flat).all()
            assert (by_kernels("inverse", flat, constants, ring) == x.reshape(flat.shape)).all()


def test_under_jit_and_vmap_over_residues():
    ring = Ring(64)
    moduli = primes_for(ring, 3)
    constants = tables(ring, moduli)
    x = jnp.asarray(random_residues((2, 3, 1, ring.degree), moduli))
    for direction, method in (("forward", ntt), ("inverse", inverse_ntt)):
        run = functools.partial(by_kernels, direction, constants=constants, ring=ring)
        expected = method(x, ring, moduli, method="butterflies")
        assert (jax.vmap(jax.vmap(run))(x) == expected).all()
        assert (jax.jit(jax.vmap(jax.vmap(run), 1, 1))(x) == expected).all()
        assert (jax.jit(lambda x, run=run: run(run(x)))(x[0]) == method(expected[0], ring, moduli)).all()


def test_constants_are_small():
    ring = Ring(2**16)
    moduli = primes_for(ring, 1)
    for direction in (tables(ring, moduli).forward, tables(ring, moduli).inverse):
        assert sum(leaf.nbytes for leaf in jax.tree.leaves(direction)) < 71_000


# Chosen at run time.


@pytest.fixture
def card(monkeypatch):
    """A device of its own for each test, so that it is tried anew."""
    device = dataclasses.replace(H200, title="a card of tests")
    monkeypatch.setattr(faces, "current_device", lambda: device)
    monkeypatch.setattr(transform, "current_device", lambda: device)
    yield device
    trial.working_backend.cache_clear()


def wrong_half(x, y):
    return jnp.zeros(jnp.broadcast_shapes(x.shape, y.shape), jnp.uint32)


def broken():
    raise RuntimeError("no such\ninstruction")


WRONG = dataclasses.replace(backends.interpreter(), upper_half=wrong_half)


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        ({"Broken": broken}, r"by Broken RuntimeError was raised \(no such instruction\)\. XLA's"),
        ({"Wrong": lambda: WRONG}, r"by Wrong the inverse gave wrong numbers\. XLA's"),
        ({"Broken": broken, "Wrong": lambda: WRONG}, r"instruction\); by Wrong the inverse gave"),
    ],
    ids=["raises", "wrong", "both"],
)
def test_a_card_without_working_kernels_takes_xla_and_warns_once(monkeypatch, card, made, problem):
    monkeypatch.setattr(backends, "BACKENDS", made)
    ring = Ring(2**12)
    with pytest.warns(RuntimeWarning, match=r"tried on a card of tests and are not used: " + problem) as told:
        assert chosen_method(ring) == "direct sums"
    assert len(told) == 1
    assert str(told[0].message).endswith(".")
    with warnings.catch_warnings(action="error"):
        assert chosen_method(ring) == chosen_method(Ring(2**13, True)) == "direct sums"
        moduli = primes_for(ring, 4)
        assert twiddles(ring, moduli).method == "direct sums"
        x = jnp.asarray(random_residues((ring.degree,), moduli))
        assert (inverse_ntt(ntt(x, ring, moduli), ring, moduli) == x).all()
        # Asked for by name it does not fail either.
        assert (ntt(x, ring, moduli, method="pallas") == ntt(x, ring, moduli)).all()


def test_a_card_without_pallas_takes_xla(monkeypatch, card):
    monkeypatch.setitem(sys.modules, "fhejax.ring.transform.pallas.backends", None)
    with pytest.warns(RuntimeWarning, match="this JAX has no Pallas"):
        assert chosen_method(Ring(2**12)) == "direct sums"


def test_a_card_with_working_kernels_takes_them(monkeypatch, card):
    monkeypatch.setattr(backends, "BACKENDS", {"Broken": broken, "the interpreter": backends.interpreter})
    assert chosen_method(Ring(2**11)) == "direct sums"  # too small, and so nothing is tried
    assert chosen_method(Ring(2**12)) == "pallas"
    assert trial.working_backend(card) == "the interpreter"


def test_the_trial_can_begin_while_something_is_traced(monkeypatch, card):
    monkeypatch.setattr(backends, "BACKENDS", {"Broken": broken})
    ring = Ring(2**12)
    moduli = primes_for(ring, 1)
    with pytest.warns(RuntimeWarning, match="by Broken"):
        jax.make_jaxpr(lambda x: ntt(x, ring, moduli))(jnp.zeros((1, 2**12), jnp.uint32))


def test_a_cpu_chooses_butterflies_and_never_imports_pallas():
    code = """
import sys
import jax
jax.config.update("jax_platforms", "cpu")
import jax.numpy as jnp
import fhejax, fhejax.ckks
from fhejax.ring import Ring, ntt, ntt_primes
from fhejax.ring.transform import chosen_method
ring = Ring(16)
moduli = ntt_primes(30.0, 32, 1)
assert chosen_method(Ring(2**16)) == "butterflies"
x = jnp.ones((1, 16), jnp.uint32)
assert (ntt(x, ring, moduli, method="pallas") == ntt(x, ring, moduli)).all()
fhejax.compile(lambda x: x * x, fhejax.Encrypted((64, 1), range=(-1, 1)), device="h200")
assert not [name for name in sys.modules if name.startswith("jax.experimental.pallas")]
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"JAX_PLATFORMS": "cpu", "PATH": ""})


# Lowered for a GPU, on a machine without one.

triton = pytest.mark.skipif(
    not hasattr(backends, "BACKENDS"), reason="this JAX lacks Pallas' Triton backend"
)


@triton
@pytest.mark.parametrize("ring", [Ring(2**12), Ring(2**16, True), Ring(2**17)], ids=str)
@pytest.mark.parametrize("transformed", [ntt, inverse_ntt])
def test_both_directions_lower_to_two_kernels(monkeypatch, ring, transformed):
    monkeypatch.setattr(transform, "current_device", lambda: H200)
    monkeypatch.setattr(transform, "working_backend", lambda device: "Triton")
    moduli = primes_for(ring, 6)  # of no other test, so that it is traced anew
    constants = twiddles(ring, moduli, method="pallas")
    traced = jax.jit(lambda x, t: transformed(x, t, moduli)).trace(
        jax.ShapeDtypeStruct((2, 6, ring.degree), jnp.uint32), constants
    )
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("triton_kernel_call") == 2
    assert "triton" not in traced.lower(lowering_platforms=("cpu",)).as_text()


@triton
def test_what_a_gpu_exports_runs_on_a_cpu(monkeypatch):
    monkeypatch.setattr(transform, "current_device", lambda: H200)
    monkeypatch.setattr(transform, "working_backend", lambda device: "Triton")
    ring = Ring(2**12)
    moduli = primes_for(ring, 7)
    constants = twiddles(ring, moduli, method="pallas")
    function = jax.jit(lambda x, tables: METHODS["pallas"].forward(x, tables, ring))
    x = jnp.asarray(random_residues((ring.degree,), moduli))
    exported = export.export(function, platforms=("cuda", "cpu"))(x, constants.tables)
    assert exported.platforms == ("cuda", "cpu")
    assert "triton" in exported.mlir_module()
    found = exported.call(x, constants.tables)
    assert (found == ntt(x, ring, moduli, method="butterflies")).all()
