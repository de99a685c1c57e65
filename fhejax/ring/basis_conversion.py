"""Moving residues from one set of primes to another, and division by some of the primes."""

import functools
import itertools
import math
import operator

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular
from fhejax.ring.conversion import conversion, conversion_backend, convert
from fhejax.ring.materialise import materialise
from fhejax.ring.modular import Array, Moduli, constants
from fhejax.ring.platform import current_device
from fhejax.ring.ring import Ring
from fhejax.ring.transform import Twiddles, inverse_ntt, ntt, twiddles
from fhejax.ring.transform.pallas import SMALLEST_DEGREE
from fhejax.ring.wide import kernel, wide


@functools.partial(kernel, static_argnames=("source", "target"))
@wide
def convert_basis(x: jax.Array, source: tuple[int, ...], target: tuple[int, ...]) -> jax.Array:
    """The centred representative of x modulo prod(source), reduced modulo each target prime.

    Args:
        x: coefficients, uint32 [..., source limb, N], below their primes.

    Returns:
        uint32 [..., target limb, N]. With Q = prod(source) and y_i = x_i (Q/q_i)^-1 mod q_i, the
        value is sum of y_i Q/q_i - e Q where e rounds sum of y_i / q_i (Halevi, Polyakov and Shoup
        2019, section 2.2): exact unless x lies within 2^-45 Q of Q/2, and off by one Q there.
    """
    device = current_device()
    fits = len(target) > 1 and x.shape[-1] >= SMALLEST_DEGREE
    backend = conversion_backend(device) if fits and device.kind != "cpu" else None
    if backend is None:
        return converted_on_arrays(x, source, target)
    return convert(x, source, target, backend=backend, on_arrays=converted_on_arrays)


def converted_on_arrays(x: jax.Array, source: tuple[int, ...], target: tuple[int, ...]) -> jax.Array:
    """What `convert_basis` finds, by XLA on whole arrays; for wide callers."""
    by = conversion(source, target)
    return converted_by(x, by.inverses, by.reciprocals, by.weights, constants(target))


def converted_by(
    x: jax.Array, inverses: Array, reciprocals: Array, weights: Array, target: Moduli
) -> jax.Array:
    """The same by the constants of a `Conversion`, which may be arguments of a kernel; for wide callers."""
    inverse, quotient, modulus = (row[:, None] for row in inverses)
    scaled = modular.multiply_constant(x, inverse, quotient, modulus)
    scaled, overflow = materialise((scaled, _overflow(scaled, reciprocals)))
    columns = weights.T[..., None]
    parts = ((scaled[..., i : i + 1, :], column) for i, column in enumerate(columns[:-1]))
    return modular.multiply_and_sum(itertools.chain([(overflow, columns[-1])], parts), target)


def _overflow(scaled: jax.Array, reciprocals: Array) -> jax.Array:
    """The number of times that Q fits the sum of y_i Q/q_i, rounded, from all 1/q_i: uint32 [..., 1, N].

    Terms are added one by one: XLA on a CPU does not vectorise a sum over the limb axis.
    """
    shares = (scaled[..., i, :].astype(jnp.float64) * share for i, share in enumerate(reciprocals))
    return jnp.round(functools.reduce(operator.add, shares)).astype(jnp.uint32)[..., None, :]


def _multiply_limbs(x: jax.Array, moduli: tuple[int, ...], factors: list[int]) -> jax.Array:
    """The product of x and one constant a limb."""
    value = np.array(factors, np.uint32)[:, None]
    quotients = [modular.quotient(f, q) for f, q in zip(factors, moduli, strict=True)]
    return modular.multiply_constant(
        x, value, np.array(quotients, np.uint32)[:, None], constants(moduli).value
    )


@functools.partial(kernel, static_argnames=("moduli", "factors"))
@wide
def multiply_integers(x: jax.Array, moduli: tuple[int, ...], factors: tuple[int, ...]) -> jax.Array:
    """The product of x and one integer a limb, given as residues; uint32 [..., limb, N], either domain."""
    return _multiply_limbs(x, moduli, list(factors))


def divide_by_moduli(
    x: jax.Array, ring: Ring | Twiddles, source: tuple[int, ...], target: tuple[int, ...]
) -> jax.Array:
    """Multiply by A / D and round: rescaling, and the ModDown of key switching.

    D is the product of the primes of `source` that are not in `target`, A that of the primes of
    `target` that are not in `source` (1 but in rational rescaling).

    Args:
        x: values in evaluation order, uint32 [..., source limb, N].
        ring: as for `ntt`.
        source: primes of the limbs of x.
        target: primes of the limbs of the result.

    Returns:
        uint32 [..., target limb, N]: (A x - [A x]_D) / D with [A x]_D centred, so that the rounding
        error is uniform in [-1/2, 1/2] for each coefficient (variance 1/12). A x is 0 modulo A.
    """
    found = ring if isinstance(ring, Twiddles) else twiddles(ring, tuple(dict.fromkeys(source + target)))
    return _divide(x, found, source, target)


@functools.partial(kernel, static_argnames=("source", "target"))
@wide
def _divide(x: jax.Array, ring: Twiddles, source: tuple[int, ...], target: tuple[int, ...]) -> jax.Array:
    dropped = tuple(q for q in source if q not in target)
    added = math.prod(q for q in target if q not in source)
    divisor = math.prod(dropped)
    tail = inverse_ntt(take_limbs(x, source, dropped), ring, dropped)
    if added > 1:
        tail = _multiply_limbs(tail, dropped, [added % q for q in dropped])
    remainder = ntt(materialise(convert_basis(tail, dropped, target)), ring, target)
    inverses = [pow(divisor, -1, q) for q in target]
    if added == 1:
        difference = modular.subtract(take_limbs(x, source, target), remainder, constants(target).value)
        return _multiply_limbs(difference, target, inverses)
    quotient = _multiply_limbs(remainder, target, inverses)
    kept = tuple(q for q in target if q in source)
    factors = [added * pow(divisor, -1, q) % q for q in kept]
    head = _multiply_limbs(take_limbs(x, source, kept), kept, factors)
    return modular.subtract(_spread_limbs(head, kept, target), quotient, constants(target).value)


def take_limbs(x: jax.Array, source: tuple[int, ...], wanted: tuple[int, ...]) -> jax.Array:
    """The limbs of some primes, [..., source limb, N] to [..., wanted limb, N], by slices."""
    if not wanted:
        return x[..., :0, :]
    parts, start = [], 0
    positions = [source.index(q) for q in wanted]
    for i in range(1, len(positions) + 1):
        if i == len(positions) or positions[i] != positions[i - 1] + 1:
            parts.append(x[..., positions[start] : positions[i - 1] + 1, :])
            start = i
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts, -2)


def _spread_limbs(x: jax.Array, source: tuple[int, ...], target: tuple[int, ...]) -> jax.Array:
    """The limbs of `source`, one run within `target`, and zeros for the other primes of `target`."""
    before = target.index(source[0]) if source else 0
    after = len(target) - before - len(source)
    return jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(before, after), (0, 0)])
