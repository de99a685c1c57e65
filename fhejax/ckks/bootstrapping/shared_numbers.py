"""Numbers that all slots share, many in one bootstrap.

A ciphertext with one number v in every slot holds the polynomial v alone. So the numbers of p ciphertexts
are put side by side, as the coefficients of the powers of Y = X^(N / p), which costs nothing, and come apart
again by sums with automorphisms that change the sign of every other power: the expansion of Angel, Chen,
Laine and Setty, "PIR with compressed queries and amortized query processing" (2018), section 3.3.

    even = c + c(-Y)               is 2 (c_0 + c_2 Y^2 + ...)
    odd = (c - c(-Y)) Y^-1         is 2 (c_1 + c_3 Y^2 + ...)

Y -> -Y is the rotation by p / 4 slots, and conjugation where p = 2 and Y = i. It takes p - 1 key switches for
p numbers, and no level.
"""

import functools

from fhejax.ckks.arithmetic import add, subtract
from fhejax.ckks.bootstrapping.bootstrap_circuit import BootstrappingKeys, bootstrap
from fhejax.ckks.monomials import multiply_by_monomial
from fhejax.ckks.operation import Keys, Value
from fhejax.ckks.rotation import conjugate, rotate

MOST_SHARED = 16  # the error grows with the number, as the numbers must shrink by it


def shared_count(count: int) -> int:
    """The power of two of coefficients among which up to `MOST_SHARED` numbers lie."""
    return 1 << (count - 1).bit_length()


def shared_rotations(count: int) -> tuple[int, ...]:
    """The slot distances, at the output level, that `bootstrap_shared` rotates by for so many numbers."""
    places = shared_count(min(count, MOST_SHARED))
    return tuple(1 << bit for bit in range(places.bit_length() - 2))


def shared_switches(count: int) -> int:
    """The key switches by which so many numbers that went in one bootstrap come apart."""
    return _switches(shared_count(count), count)


def _switches(places: int, count: int) -> int:
    if places == 1:
        return 0
    odd = _switches(places // 2, count // 2) if count > 1 else 0
    return 1 + _switches(places // 2, (count + 1) // 2) + odd


def bootstrap_shared(keys: BootstrappingKeys, ciphertexts: list[Value]) -> list[Value]:
    """The same numbers at `output_level`, of that level's scale times `shared_count` of their number.

    Each ciphertext holds one real number, the same in every slot, of magnitude at most 1 / shared_count: what
    slots have beside that is added to the others' numbers.

    Args:
        keys: as for `bootstrap`, with rotations by `shared_rotations` and conjugation at the output level.
        ciphertexts: 1 to `MOST_SHARED`, data [2, limb, N], all of one level and scale as for `bootstrap`.

    Raises:
        ValueError: no ciphertext, more than `MOST_SHARED` or than coefficients that the parameters'
            slots keep, or as `bootstrap`.
    """
    if not 1 <= len(ciphertexts) <= MOST_SHARED:
        raise ValueError(
            f"{len(ciphertexts)} shared numbers were to be bootstrapped at once; give 1 to {MOST_SHARED}."
        )
    places = shared_count(len(ciphertexts))
    slots = keys.circuit.parameters.slots
    if places > 2 * slots:
        raise ValueError(
            f"{len(ciphertexts)} shared numbers were to be bootstrapped at once by parameters of {slots} "
            f"slots, which keep {2 * slots} coefficients; give fewer, or make parameters of {places // 2} or "
            f"more slots."
        )
    spacing = ciphertexts[0].params.ring.degree // places
    moved = (multiply_by_monomial(x, i * spacing) for i, x in enumerate(ciphertexts))
    found = bootstrap(keys, functools.reduce(add, moved))
    apart = _taken_apart(keys.evaluation, found, places, spacing, len(ciphertexts))
    return [part.replace(scale=part.scale * places) for part in apart]


def _taken_apart(keys: Keys, x: Value, places: int, spacing: int, count: int) -> list[Value]:
    """The first `count` coefficients of powers of Y = X^spacing, times `places`, each alone.

    Args:
        keys: as for `bootstrap_shared`.
        x: a polynomial in Y with `places` coefficients.
        places: a power of two.
        spacing: the power of X that Y is.
        count: coefficients that are not zero.
    """
    if places == 1:
        return [x]
    turned = rotate(keys, x, places // 4) if places > 2 else conjugate(keys, x)
    even = _taken_apart(keys, add(x, turned), places // 2, 2 * spacing, (count + 1) // 2)
    if count == 1:
        return even
    odd = multiply_by_monomial(subtract(x, turned), -spacing)
    odds = _taken_apart(keys, odd, places // 2, 2 * spacing, count // 2)
    return [(even, odds)[i % 2][i // 2] for i in range(count)]
