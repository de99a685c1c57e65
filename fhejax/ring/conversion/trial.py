"""A trial of the kernel on the device at hand, which is used where it gives the bits of whole arrays."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring.conversion.constants import conversion
from fhejax.ring.platform import Device
from fhejax.ring.primes import ntt_primes
from fhejax.ring.transform.pallas import backends, working_backend
from fhejax.ring.wide import kernel, wide

_DEGREE = 2**12


@functools.cache
def conversion_backend(device: Device) -> str | None:
    """The backend whose kernel converts on this device as Python's integers do; None for XLA's arrays.

    It is the one that transforms; where the row does not name the kernel, or there is none, nothing is tried.
    One warning says what went wrong.
    """
    name = working_backend(device) if device.conversion_method == "pallas" else None
    if name is None:
        return None
    problem = backends.problem_of(functools.partial(_problem, name))
    if problem is None:
        return name
    warnings.warn(
        f"The kernel of base conversion was tried on {device} and is not used: by {name} {problem}. XLA's "
        f"takes its place; results are the same, and key switches take longer.",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


def _problem(name: str) -> str | None:
    """What the kernel did wrong with small numbers of both signs, as the end of a sentence; or None."""
    primes = ntt_primes(30.0, 2 * _DEGREE, 20)
    source, target = primes[:17], primes[17:]  # more terms than one sum holds
    values = np.arange(_DEGREE, dtype=np.int64) * 7919 - 7919 * _DEGREE // 2
    x = np.stack([values % q for q in source]).astype(np.uint32)[None]
    right = np.stack([values % p for p in target]).astype(np.uint32)[None]
    found = np.asarray(_run(jnp.asarray(x), source, target, name))
    return None if np.array_equal(found, right) else "it gave wrong numbers"


@functools.partial(kernel, static_argnames=("source", "target", "name"))
@wide
def _run(x: jax.Array, source: tuple[int, ...], target: tuple[int, ...], name: str) -> jax.Array:
    from fhejax.ring.conversion.kernel import converted

    return converted(x, conversion(source, target), backends.BACKENDS[name]())
