"""Slot distances as sums of powers of two: few rotation keys serve every distance."""

from fhejax.ckks.parameters.parameters import Parameters


def signed_powers_of_two(params: Parameters, steps: int) -> list[int]:
    """The fewest distances +-2^k that add up to `steps` modulo the slots (non-adjacent form)."""
    steps %= params.slots
    steps = steps - params.slots if steps > params.slots // 2 else steps
    powers, bit = [], 1
    while steps:
        if steps & 1:
            digit = 2 - (steps & 3)
            powers.append(digit * bit)
            steps -= digit
        steps, bit = steps >> 1, bit << 1
    return powers
