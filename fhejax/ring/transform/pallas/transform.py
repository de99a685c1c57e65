"""The transform of both rings by the kernels where there are any, and on whole arrays elsewhere."""

import functools

import jax
import jax.numpy as jnp

from fhejax.ring import modular
from fhejax.ring.platform import current_device
from fhejax.ring.ring import Ring
from fhejax.ring.transform.pallas.primitive import transform
from fhejax.ring.transform.pallas.roots import Tables
from fhejax.ring.transform.pallas.trial import SMALLEST_DEGREE, working_backend
from fhejax.ring.transform.tree import add_mirrored
from fhejax.ring.wide import kernel, wide


@functools.partial(kernel, static_argnames="ring")
@wide
def forward(x: jax.Array, tables: Tables, ring: Ring) -> jax.Array:
    """The transform of coefficients to values, as `ntt`."""
    shape, x = x.shape, x.reshape(-1, *x.shape[-2:])
    if ring.conjugate_invariant:
        x = add_mirrored(x, *tables.mirror, tables.modulus[:, :1], sign=-1)
    return _transform("forward", x, tables, ring).reshape(shape)


@functools.partial(kernel, static_argnames="ring")
@wide
def inverse(x: jax.Array, tables: Tables, ring: Ring) -> jax.Array:
    """The transform of values to coefficients, as `inverse_ntt`."""
    shape, x = x.shape, x.reshape(-1, *x.shape[-2:])
    x = _transform("inverse", x, tables, ring)
    if ring.conjugate_invariant:  # the twist has scaled by 1 / 2N, where the first coefficient needs 1 / N
        q = tables.modulus[:, :1]
        others = add_mirrored(x, *tables.mirror, q, sign=1)[..., 1:]
        x = modular.fold(jnp.concatenate([x[..., :1] + x[..., :1], others], -1), q)
    return x.reshape(shape)


def _transform(direction: str, x: jax.Array, tables: Tables, ring: Ring) -> jax.Array:
    return transform(x, tables, direction=direction, ring=ring, backend=_backend(ring))


def _backend(ring: Ring) -> str | None:
    """The backend with which to lower for GPUs: one that works on this one, if this is one."""
    device = current_device()
    if device.kind == "cpu" or ring.degree < SMALLEST_DEGREE:
        return None
    return working_backend(device)
