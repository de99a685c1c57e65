"""64-bit kernels leave the user's configuration, types and caches alone."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from reference import primes_for, random_residues

from fhejax.ring import Ring, ntt
from fhejax.ring.wide import wide

ROOT = Path(__file__).resolve().parents[2]


def run(script: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if folder := os.environ.get("FHEJAX_TEST_CACHE"):
        environment["JAX_COMPILATION_CACHE_DIR"] = folder
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_changes_no_setting():
    script = """
import jax
before = dict(jax.config.values)
import fhejax
assert dict(jax.config.values) == before
print("unchanged")
"""
    assert run(script) == "unchanged\n"


ENCRYPTED_PRODUCT = """
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_enable_x64", {x64})
jax.config.update("jax_numpy_dtype_promotion", "{promotion}")
from fhejax import ckks
params = ckks.insecure_parameters(16, 1)
keys = jax.random.split(ckks.random_key(), 3)
secret = ckks.secret_key(keys[0], params)
evaluation = ckks.evaluation_keys(keys[1], secret, relinearise=True)
x = np.linspace(-1, 1, 16)
c = ckks.encrypt(keys[2], secret, ckks.encode(params, x))
d = ckks.decode(ckks.decrypt(secret, ckks.multiply(evaluation, c, c)))
assert c.data.dtype == jnp.uint32 and d.dtype == np.float64, (c.data.dtype, d.dtype)
assert abs(np.asarray(d) - x * x).max() < 1e-3
assert jnp.sin(jnp.arange(3) / 2).dtype == ({default})
print("right")
"""


def test_the_scheme_works_with_64_bit_types_turned_on():
    script = ENCRYPTED_PRODUCT.format(x64=True, promotion="standard", default="jnp.float64")
    assert run(script) == "right\n"


def test_the_scheme_works_with_32_bit_types_and_strict_promotion():
    script = ENCRYPTED_PRODUCT.format(x64=False, promotion="strict", default="jnp.float32")
    assert run(script) == "right\n"


@jax.jit
@wide
def shift_up_and_down(x: jax.Array) -> jax.Array:
    return (x.astype(jnp.uint64) << np.uint64(40) >> np.uint64(40)).astype(jnp.uint32)


def test_a_wide_kernel_is_wide_each_time_it_is_called():
    """A second call finds the compiled code: were the scope outside, it would truncate."""
    x = jnp.array([2**20, 2**24 - 1, 5], jnp.uint32)
    for _ in range(2):
        assert shift_up_and_down(x).tolist() == x.tolist()


def test_functions_beside_the_kernels_stay_in_32_bits():
    ring = Ring(16)
    moduli = primes_for(ring, 1)
    x = jnp.asarray(random_residues((16,), moduli))

    @jax.jit
    def both(residues: jax.Array, numbers: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        before = jnp.sin(numbers) + jnp.ones(3)
        return ntt(residues, ring, moduli), before, jnp.arange(3)

    values, numbers, integers = both(x, jnp.linspace(0.0, 1.0, 3))
    assert (values == ntt(x, ring, moduli)).all()
    assert (values.dtype, numbers.dtype, integers.dtype) == (jnp.uint32, jnp.float32, jnp.int32)
    assert not jax.config.jax_enable_x64
    assert jnp.ones(2).dtype == jnp.float32
