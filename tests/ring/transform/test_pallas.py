"""The transform's kernels: the bits of butterflies, a choice that cannot fail, and lowering for a GPU."""

import dataclasses
import functools
import importlib
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


def interpreted(direction, x, ring, moduli):
    """The method's function of both rings, with the kernels run by Pallas' interpreter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transform, "_transform", by_kernels)
        return getattr(transform, direction).__wrapped__(x, tables(ring, moduli), ring)


@pytest.mark.parametrize(
    "bits", [12, *(pytest.param(bits, marks=pytest.mark.nightly) for bits in range(13, 18))]
)
def test_kernels_give_the_butterflies_bits(bits):
    for real in BOTH:
        ring = Ring(2**bits, real)
        moduli = primes_for(ring, 2)
        x = random_residues((2, ring.degree), moduli)
        x[1] = np.array(moduli, np.uint32)[:, None] - 1
        values = ntt(jnp.asarray(x), ring, moduli, method="butterflies")
        assert (interpreted("forward", jnp.asarray(x), ring, moduli) == values).all()
        assert (interpreted("inverse", values, ring, moduli) == x).all()


@pytest.mark.nightly
@hypothesis.settings(max_examples=6, deadline=None, derandomize=True)
@hypothesis.given(
    strategies.builds(Ring, strategies.sampled_from([16, 32, 64]), strategies.booleans()),
    strategies.lists(strategies.integers(1, 3), max_size=3).map(tuple),
    strategies.integers(1, 3),
)
def test_every_number_of_limbs_and_batch_axes(ring, lead, limbs):
    moduli = primes_for(ring, limbs)
    x = jnp.asarray(random_residues((*lead, ring.degree), moduli))
    values = ntt(x, ring, moduli, method="butterflies")
    assert (interpreted("forward", x, ring, moduli) == values).all()
    assert (interpreted("inverse", values, ring, moduli) == x).all()


def test_no_polynomials_are_none():
    ring = Ring(64, True)
    moduli = primes_for(ring, 2)
    for transformed in (ntt, inverse_ntt):
        assert transformed(jnp.zeros((0, 2, 64), jnp.uint32), ring, moduli, method="pallas").shape == (
            0,
            2,
            64,
        )


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
        assert (
            jax.jit(lambda x, run=run: run(run(x)))(x[0, 0]) == method(expected[0, 0], ring, moduli)
        ).all()


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
    monkeypatch.setattr(sys.modules["fhejax.ring.transform.ntt"], "current_device", lambda: device)
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
        ({"Broken": broken, "Wrong": lambda: WRONG}, r"by Broken .*instruction\); by Wrong the inverse gave"),
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
    monkeypatch.setitem(sys.modules, "jax.experimental.pallas", None)
    monkeypatch.delitem(sys.modules, "fhejax.ring.transform.pallas.kernels")
    monkeypatch.delattr("fhejax.ring.transform.pallas.kernels")
    with pytest.warns(RuntimeWarning, match="by Triton ModuleNotFoundError was raised"):
        assert chosen_method(Ring(2**12)) == "direct sums"


def test_a_card_with_working_kernels_takes_them(monkeypatch, card):
    monkeypatch.setattr(backends, "BACKENDS", {"Broken": broken, "the interpreter": backends.interpreter})
    assert chosen_method(Ring(2**11)) == "direct sums"  # too small, and so nothing is tried
    assert chosen_method(Ring(2**10), Ring(2**11)) == "direct sums"
    assert chosen_method(Ring(2**10)) == "one loop"
    assert chosen_method(Ring(2**12)) == "pallas"
    assert trial.working_backend(card) == "the interpreter"


def test_the_trial_can_begin_while_something_is_traced(monkeypatch, card):
    """What is known would be computed at once, and kernels would capture it, which Pallas refuses."""
    monkeypatch.setattr(backends, "BACKENDS", {"the interpreter": backends.interpreter})
    ring = Ring(2**12)
    moduli = primes_for(ring, 1)
    jax.make_jaxpr(lambda x: ntt(x, ring, moduli))(jnp.zeros((1, 2**12), jnp.uint32))
    assert trial.working_backend.cache_info().currsize == 1
    assert chosen_method(ring) == "pallas"


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
assert chosen_method(Ring(2**16)) == chosen_method(Ring(64), Ring(2**16)) == "butterflies"
x = jnp.ones((1, 16), jnp.uint32)
assert (ntt(x, ring, moduli, method="pallas") == ntt(x, ring, moduli)).all()
fhejax.compile(lambda x: x * x, fhejax.Encrypted((64, 1), range=(-1, 1)), device="h200")
assert not [name for name in sys.modules if name.startswith("jax.experimental.pallas")]
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"JAX_PLATFORMS": "cpu", "PATH": ""})


# Lowered for a GPU, on a machine without one.


def triton_is_missing():
    try:
        backends.BACKENDS["Triton"]()
        importlib.import_module("jaxlib.triton")
    except (ImportError, AttributeError):
        return True
    return False


triton = pytest.mark.skipif(triton_is_missing(), reason="This JAX lacks Pallas' Triton backend.")


@pytest.fixture
def no_card(monkeypatch):
    """Kernels as for a card that they work on. From JAX 0.12 on it has to be named where there is none."""
    monkeypatch.setattr(transform, "_backend", lambda ring: "Triton" if ring.degree >= 2**12 else None)
    if jax.__version_info__ < (0, 12):
        yield
        return
    named = jax.sharding.AbstractDevice(device_kind="NVIDIA H100 80GB HBM3", num_cores=132, platform="gpu")
    with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), (), abstract_device=named)):
        yield


def traced_anew(direction, ring, limbs):
    """A direction of the method, jitted, its constants, and residues."""
    moduli = primes_for(ring, limbs)
    function = getattr(transform, direction).__wrapped__
    x = jnp.asarray(random_residues((2, ring.degree), moduli))
    return jax.jit(lambda x, constants: function(x, constants, ring)), tables(ring, moduli), x


@triton
@pytest.mark.parametrize("ring", [Ring(2**12), Ring(2**16, True), Ring(2**17)], ids=str)
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_each_direction_lowers_to_two_kernels(no_card, direction, ring):
    function, constants, x = traced_anew(direction, ring, 2)
    traced = function.trace(x, constants)
    assert traced.lower(lowering_platforms=("cuda",)).as_text().count("@__gpu$xla.gpu.triton") == 2
    assert "triton" not in traced.lower(lowering_platforms=("cpu",)).as_text()


@triton
def test_more_polynomials_than_a_grid_has_and_more_bytes_than_32_bits_count_lower(no_card):
    ring = Ring(2**12)
    function, constants, _ = traced_anew("inverse", ring, 6)
    many = jax.ShapeDtypeStruct((70_000, 6, ring.degree), jnp.uint32)
    text = function.trace(many, constants).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("grid_x = 1680000 : i32, grid_y = 1 : i32, grid_z = 1 : i32") == 2


@triton
def test_what_is_lowered_or_exported_for_both_runs_on_a_cpu(no_card):
    """An export is to last longer than Triton's code, which JAX refuses in it, and so has whole arrays."""
    ring, both = Ring(2**12, True), ("cuda", "cpu")
    function, constants, x = traced_anew("forward", ring, 3)
    several = jax.jit(lambda x, constants: jax.vmap(function, (0, None))(x, constants))
    assert "triton" in several.trace(x, constants).lower(lowering_platforms=both).as_text()
    exported = export.export(function, platforms=both)(x, constants)
    assert "triton" not in exported.mlir_module()
    expected = ntt(x, ring, primes_for(ring, 3), method="butterflies")
    assert (exported.call(x, constants) == expected).all()
    assert (several(x, constants) == expected).all()


def test_small_rings_and_machines_without_a_card_have_no_kernels(card):
    assert transform._backend(Ring(2**11)) is None
    function, constants, x = traced_anew("forward", Ring(2**11), 1)
    assert "triton" not in function.trace(x, constants).lower(lowering_platforms=("cuda",)).as_text()


def test_batched_constants_are_transformed_one_by_one():
    ring = Ring(16)
    moduli = primes_for(ring, 3)
    x = jnp.asarray(random_residues((2, ring.degree), moduli))
    constants = twiddles(ring, moduli, method="pallas").tables
    run = functools.partial(METHODS["pallas"].forward, ring=ring)
    by_limb = jax.tree.map(lambda leaf: leaf[:, None], constants)
    found = jax.vmap(run, (1, 0), 1)(x[:, :, None], by_limb)
    assert (found[:, :, 0] == ntt(x, ring, moduli)).all()


@pytest.mark.nightly
def test_kernels_on_eight_devices_share_out_limbs_and_polynomials():
    code = """
import sys
sys.path.insert(0, "tests/ring")
import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from reference import primes_for, random_residues
from fhejax.ring import Ring, ntt
from fhejax.ring.transform.pallas import backends, kernels, tables
from fhejax.ring.wide import wide

ring = Ring(32)
moduli = primes_for(ring, 4)
x = jnp.asarray(random_residues((4, ring.degree), moduli))
mesh = jax.make_mesh((4, 2), ("polynomial", "limb"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
run = jax.jit(wide(lambda x, t: kernels.forward(x, t, ring, backends.interpreter())))
for axes in (("polynomial", "limb"), ("polynomial",), (None, "limb")):
    shared = jax.device_put(x, NamedSharding(mesh, PartitionSpec(*axes)))
    assert len(shared.sharding.device_set) == 8
    assert (run(shared, tables(ring, moduli)) == ntt(x, ring, moduli)).all()
"""
    flags = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    environment = {"JAX_PLATFORMS": "cpu", "PATH": "", "XLA_FLAGS": flags}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
