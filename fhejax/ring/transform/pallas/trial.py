"""A trial of the kernels on the device at hand: they are used where they give the bits of XLA's methods."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring.platform import Device
from fhejax.ring.primes import ntt_primes
from fhejax.ring.ring import Ring
from fhejax.ring.transform import direct_sums
from fhejax.ring.transform.pallas import backends
from fhejax.ring.transform.pallas.roots import Tables, tables
from fhejax.ring.wide import kernel, wide

SMALLEST_DEGREE = 2**12  # of the kernels: below it their tiles are too thin


@functools.cache
def working_backend(device: Device) -> str | None:
    """The name of the first of Pallas' backends whose kernels are right on this device, tried once a process.

    None, with one warning, where there is none: whatever a backend raises or computes, nothing else fails.
    """
    problems = []
    for name in backends.BACKENDS:
        problem = backends.problem_of(functools.partial(_problem, name))
        if problem is None:
            return name
        problems.append(f"by {name} {problem}")
    warnings.warn(
        f"The kernels of the number-theoretic transform were tried on {device} and are not used: "
        f"{'; '.join(problems)}. XLA's methods take their place; results are the same, and a key switch "
        f"takes several times as long. Another version of JAX or of its CUDA plugin may run the kernels.",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


def _problem(name: str) -> str | None:
    """What a backend did wrong with a small transform and its inverse, as the end of a sentence; or None."""
    ring = Ring(SMALLEST_DEGREE)
    moduli = ntt_primes(30.0, ring.root_order, 2)
    highest = np.array(moduli, np.uint32)[:, None] - np.uint32(1)
    counted = np.arange(2 * ring.degree, dtype=np.uint32).reshape(2, -1) * np.uint32(2654435761) % highest
    x = np.stack([counted, np.broadcast_to(highest, counted.shape)])
    right = direct_sums.forward(jnp.asarray(x), direct_sums.tables(ring, moduli), ring)
    constants = tables(ring, moduli)
    found = _run(right, constants, ring, "inverse", name)
    if not np.array_equal(np.asarray(found), x):
        return "the inverse gave wrong numbers"
    found = _run(jnp.asarray(x), constants, ring, "forward", name)
    return None if np.array_equal(np.asarray(found), np.asarray(right)) else "it gave wrong numbers"


@functools.partial(kernel, static_argnames=("ring", "direction", "name"))
@wide
def _run(x: jax.Array, constants: Tables, ring: Ring, direction: str, name: str) -> jax.Array:
    from fhejax.ring.transform.pallas import kernels

    return getattr(kernels, direction)(x, constants, ring, backends.BACKENDS[name]())
