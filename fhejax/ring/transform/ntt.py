"""The number-theoretic transform of both rings, all limbs and batch axes at once, by the device's method.

Every method gives the same bits: values at the powers `evaluation_exponents`, in one order.
"""

import dataclasses
import functools
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring.platform import current_device
from fhejax.ring.ring import Ring
from fhejax.ring.transform import butterflies, direct_sums, one_loop, pallas

METHODS: dict[str, ModuleType] = {
    "butterflies": butterflies,
    "direct sums": direct_sums,
    "one loop": one_loop,
    "pallas": pallas,
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class Twiddles:
    """The twiddles of all primes that a scheme uses: an argument of its kernels.

    Closed over, they would be copied into every executable: 1 MB for each prime at N = 2^16, a gigabyte for
    the kernels of a few levels. tables: arrays uint32 [limb, ...], in the order of `moduli`.
    """

    tables: Any
    ring: Ring = dataclasses.field(metadata={"static": True})
    moduli: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    method: str = dataclasses.field(metadata={"static": True})

    def rows(self, moduli: tuple[int, ...]) -> Any:
        """The tables of some of the primes: a slice where they follow each other, which costs nothing."""
        if moduli == self.moduli:
            return self.tables
        rows = [self.moduli.index(q) for q in moduli]
        start, stop = rows[0], rows[-1] + 1
        if rows == list(range(start, stop)):
            return jax.tree.map(lambda table: table[start:stop], self.tables)
        places = np.array(rows, np.int32)
        return jax.tree.map(lambda table: table.at[places].get(mode="promise_in_bounds"), self.tables)

    def run(self, start: jax.Array | np.integer, count: int, rest: tuple[int, ...]) -> Any:
        """The tables of `count` primes from a place that may be traced on, and of `rest` after them."""

        def rows(table: jax.Array, others: jax.Array) -> jax.Array:
            """The rows of one table."""
            return jnp.concatenate([jax.lax.dynamic_slice_in_dim(table, start, count), others])

        return jax.tree.map(rows, self.tables, self.rows(rest))

    def __repr__(self) -> str:
        return f"Twiddles({self.ring}, {len(self.moduli)} primes, by {self.method})"


def chosen_method(ring: Ring, within: Ring | None = None) -> str:
    """The best method of this ring on the current device.

    It is the fastest, the kernels only where they pass their trial; or for small rings, which serve tests,
    that which compiles soonest.

    Args:
        ring: degree and kind.
        within: the ring of the scheme, where `ring` is that of polynomials in a power of X: they are many,
            and what counts is how fast they are transformed.
    """
    if (ring if within is None else within).degree <= one_loop.LARGEST_DEGREE:
        return "one loop"
    device = current_device()
    if device.transform_method != "pallas":
        return device.transform_method
    fits = ring.degree >= pallas.SMALLEST_DEGREE
    return "pallas" if fits and pallas.working_backend(device) else device.spare_transform_method


def twiddles(ring: Ring, moduli: tuple[int, ...], *, method: str | None = None) -> Twiddles:
    """The twiddles of `moduli` on the default device, made once.

    Args:
        ring: degree and kind.
        moduli: primes that are 1 modulo the order of the ring's root of unity.
        method: a key of `METHODS`; by default `chosen_method`.

    Raises:
        ValueError: an unknown method.
    """
    name = method or chosen_method(ring)
    if name not in METHODS:
        raise ValueError(f"the transform was asked for by {name!r}; its methods are {', '.join(METHODS)}.")
    return _twiddles(ring, moduli, name)


@functools.cache
def _twiddles(ring: Ring, moduli: tuple[int, ...], method: str) -> Twiddles:
    return Twiddles(METHODS[method].tables(ring, moduli), ring, moduli, method)


def ntt(
    x: jax.Array, ring: Ring | Twiddles, moduli: tuple[int, ...], *, method: str | None = None
) -> jax.Array:
    """The transform of coefficients to values: uint32 [..., limb, N] below q, both ways, in evaluation order.

    Args:
        x: coefficients.
        ring: degree and kind; in a kernel its `Twiddles`, given to the kernel as an argument.
        moduli: the primes of the limbs; those of the transforms, or some of them.
        method: a key of `METHODS`; by default `chosen_method`.

    Raises:
        ValueError: another shape or dtype, or an unknown method.
    """
    found = _checked(x, ring, moduli, method, "ntt")
    return METHODS[found.method].forward(x, found.rows(moduli), found.ring)


def inverse_ntt(
    x: jax.Array, ring: Ring | Twiddles, moduli: tuple[int, ...], *, method: str | None = None
) -> jax.Array:
    """The transform of values in evaluation order to coefficients: uint32 [..., limb, N] below q, both ways.

    Arguments and errors as `ntt`.
    """
    found = _checked(x, ring, moduli, method, "inverse_ntt")
    return METHODS[found.method].inverse(x, found.rows(moduli), found.ring)


def inverse_ntt_by(x: jax.Array, twiddles: Twiddles, tables: Any) -> jax.Array:
    """`inverse_ntt` by the tables of primes that only a kernel's arguments tell: those of `Twiddles.run`."""
    return METHODS[twiddles.method].inverse(x, tables, twiddles.ring)


def _checked(
    x: jax.Array, ring: Ring | Twiddles, moduli: tuple[int, ...], method: str | None, name: str
) -> Twiddles:
    found = ring if isinstance(ring, Twiddles) else twiddles(ring, moduli, method=method)
    if x.dtype != jnp.uint32 or x.shape[-2:] != (len(moduli), found.ring.degree):
        raise ValueError(
            f"{name} was given {x.dtype}{list(x.shape)}; it needs uint32 residues whose last axes are "
            f"[limb, N] = [{len(moduli)}, {found.ring.degree}]."
        )
    return found
