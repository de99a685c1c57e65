"""Two real ciphertexts in one bootstrap, and one ciphertext in several for precision."""

from fhejax.ckks.arithmetic import add, subtract
from fhejax.ckks.bootstrapping.bootstrap_circuit import (
    BootstrappingKeys,
    at_input_level,
    bootstrap,
    joined,
    real_part_of,
    refresh,
    separated,
)
from fhejax.ckks.operation import Value
from fhejax.ckks.rotation import multiply_by_imaginary_unit
from fhejax.ckks.scalars import multiply_integer


def bootstrap_pair(keys: BootstrappingKeys, x: Value, y: Value) -> tuple[Value, Value]:
    """Both of two ciphertexts of real numbers in (-1, 1), for the price of one bootstrap.

    x + i y is bootstrapped, whose real and imaginary parts are apart inside anyway: no key and no level
    more. What the numbers have of an imaginary part goes into the other ciphertext.

    Args, levels and errors as `bootstrap`.
    """
    x, y = at_input_level(keys, x), at_input_level(keys, y)
    return separated(keys, refresh(keys, add(x, multiply_by_imaginary_unit(y))))


def bootstrap_real(keys: BootstrappingKeys, ciphertext: Value) -> Value:
    """A bootstrap of real numbers: as `bootstrap`, without what noise put into the imaginary parts.

    Args, levels and errors as `bootstrap`.
    """
    return real_part_of(keys, refresh(keys, at_input_level(keys, ciphertext)))


def bootstrap_iteratively(
    keys: BootstrappingKeys, ciphertext: Value, *, iterations: int = 2, gain_bits: int = 12
) -> Value:
    """Bootstrapped more precisely: each iteration bootstraps what the one before left, times 2^gain_bits.

    Bae, Cheon, Cho, Kim and Kim, "META-BTS: bootstrapping precision beyond the limit" (CCS 2022). The error
    of a bootstrap falls by 2^gain_bits in each iteration after the first, down to the noise that the
    ciphertext holds and that its level's scale allows: with scales of 40 bits little is left to gain at
    N = 2^16, with 50 or more there is.

    Args:
        keys: as for `bootstrap`.
        ciphertext: as for `bootstrap`.
        iterations: bootstraps in all, 1 or more.
        gain_bits: such that 2^-gain_bits is above the error of a bootstrap by a factor of 2 or more.

    Raises:
        ValueError: fewer than one iteration, a gain below one bit, or as `bootstrap`.
    """
    if iterations < 1 or gain_bits < 1:
        raise ValueError(
            f"{iterations} iterations that gain {gain_bits} bits each were asked for; both are 1 or more."
        )
    lowered = at_input_level(keys, ciphertext)
    found = bootstrap(keys, lowered)
    for iteration in range(1, iterations):
        gain = gain_bits * iteration
        left = multiply_integer(subtract(lowered, found), 2**gain)
        found = add(found, joined(keys, refresh(keys, left, gain)))
    return found
