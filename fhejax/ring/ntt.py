"""The number-theoretic transform of both rings, all limbs and batch axes at once, by the platform's method.

Every method gives the same bits: values at the powers `evaluation_exponents`, in one order.
"""

from collections.abc import Callable
from types import ModuleType

import jax
import jax.numpy as jnp

from fhejax.ring import ntt_butterflies, ntt_direct_sums
from fhejax.ring.ntt_tree import evaluation_exponents
from fhejax.ring.ring import Ring

__all__ = ["METHODS", "evaluation_exponents", "inverse_ntt", "ntt"]

METHODS: dict[str, ModuleType] = {"butterflies": ntt_butterflies, "direct sums": ntt_direct_sums}
# On a CPU both take as long alone; in larger programs XLA computes the terms of a sum again and again. For
# GPUs direct sums are chosen by counting trips to memory; `benchmarks.kernels` measures both.
_PLATFORMS = {"cpu": "butterflies"}
_DEFAULT = "direct sums"


def ntt(x: jax.Array, ring: Ring, moduli: tuple[int, ...], *, method: str | None = None) -> jax.Array:
    """Coefficients to values: uint32 [..., limb, N] below q, both ways, in evaluation order.

    Args:
        x: coefficients.
        ring: degree and kind.
        moduli: the primes of the limbs.
        method: "butterflies" or "direct sums"; by default what the platform does best.

    Raises:
        ValueError: another shape or dtype, or an unknown method.
    """
    _check(x, ring, moduli, "ntt")
    return _dispatch(x, ring, moduli, method, lambda module: module.forward)


def inverse_ntt(x: jax.Array, ring: Ring, moduli: tuple[int, ...], *, method: str | None = None) -> jax.Array:
    """Values in evaluation order to coefficients: uint32 [..., limb, N] below q, both ways.

    Arguments and errors as `ntt`.
    """
    _check(x, ring, moduli, "inverse_ntt")
    return _dispatch(x, ring, moduli, method, lambda module: module.inverse)


def _dispatch(
    x: jax.Array,
    ring: Ring,
    moduli: tuple[int, ...],
    method: str | None,
    direction: Callable[[ModuleType], Callable[..., jax.Array]],
) -> jax.Array:
    name = method or _PLATFORMS.get(jax.default_backend(), _DEFAULT)
    if name not in METHODS:
        raise ValueError(f"the transform was asked for by {name!r}; its methods are {', '.join(METHODS)}.")
    module = METHODS[name]
    return direction(module)(x, module.tables(ring, moduli), ring)


def _check(x: jax.Array, ring: Ring, moduli: tuple[int, ...], name: str) -> None:
    if x.dtype != jnp.uint32 or x.shape[-2:] != (len(moduli), ring.degree):
        raise ValueError(
            f"{name} was given {x.dtype}{list(x.shape)}; it needs uint32 residues whose last axes are "
            f"[limb, N] = [{len(moduli)}, {ring.degree}]."
        )
