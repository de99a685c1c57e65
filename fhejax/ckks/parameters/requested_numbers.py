"""Numbers that a caller asks for: refused by one sentence where they are of no use, before anything runs."""

import math
import numbers


def whole_number(name: str, value: int, lowest: int, highest: int) -> int:
    """A whole number in a range, as a Python integer.

    Args:
        name: of the argument, for the sentence.
        value: what was asked for; a boolean or a float is no whole number here.
        lowest: the smallest that is of use.
        highest: the largest that is of use.

    Raises:
        ValueError: anything else.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or not lowest <= value <= highest:
        raise ValueError(
            f"{name}={value!r} was asked for; {name} is a whole number from {lowest} to {highest}: give one."
        )
    return int(value)


def real_number(name: str, value: float, lowest: float, highest: float) -> float:
    """A finite number in a range, as a Python float.

    Args and errors as `whole_number`; whole numbers are real ones, booleans are not.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not math.isfinite(value) or not lowest <= value <= highest:
        raise ValueError(
            f"{name}={value!r} was asked for; {name} is a finite number from {lowest:g} to {highest:g}: give "
            f"one."
        )
    return float(value)


def power_of_two(name: str, value: int, lowest: int, highest: int) -> int:
    """A power of two in a range; args and errors as `whole_number`."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or not lowest <= value <= highest or value & (value - 1):
        raise ValueError(
            f"{name}={value!r} was asked for; {name} is a power of two from {lowest} to {highest}: give one."
        )
    return int(value)


def flag(name: str, value: bool) -> bool:
    """True or False and nothing that merely counts as such.

    Raises:
        ValueError: anything else.
    """
    if value is not True and value is not False:
        raise ValueError(f"{name}={value!r} was given; it is True or False: give one of the two.")
    return value
