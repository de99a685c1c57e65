"""Numbers that a caller asks for: refused by one sentence where they are of no use, before anything runs."""

import numbers
from typing import Any, TypeVar

Kind = TypeVar("Kind")
_SHOWN = 60  # letters


def shown(value: Any) -> str:
    """What a caller gave, in a few letters, whatever it is."""
    try:
        text = repr(value)
    except ValueError:  # of an integer with thousands of digits
        return f"{type(value).__name__} that is too long to print"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def whole_number(name: str, value: Any, lowest: int, highest: int) -> int:
    """A whole number in a range, as a Python integer.

    Args:
        name: of the argument, for the sentence.
        value: what was asked for; a boolean or a float is no whole number here.
        lowest: the smallest that is of use.
        highest: the largest that is of use.

    Raises:
        ValueError: anything else.
    """
    if not is_whole(value) or not lowest <= value <= highest:
        raise _refusal(name, value, f"a whole number from {lowest} to {highest}")
    return int(value)


def real_number(name: str, value: float, lowest: float, highest: float) -> float:
    """A finite number in a range, as a Python float.

    Args and errors as `whole_number`; whole numbers are real ones, booleans are not.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not lowest <= value <= highest:  # as NaN is not
        raise _refusal(name, value, f"a finite number from {lowest:g} to {highest:g}")
    return float(value)


def power_of_two(name: str, value: Any, lowest: int, highest: int) -> int:
    """A power of two in a range; args and errors as `whole_number`."""
    if not is_whole(value) or not lowest <= value <= highest or value & (value - 1):
        raise _refusal(name, value, f"a power of two from {lowest} to {highest}")
    return int(value)


def flag(name: str, value: bool) -> bool:
    """True or False, and nothing that merely counts as such.

    Raises:
        ValueError: anything else.
    """
    if value is not True and value is not False:
        raise ValueError(f"{name}={shown(value)} was given; it is True or False: give one of the two.")
    return value


def is_whole(value: Any) -> bool:
    """Whether a value is an integer, of Python or of NumPy, and no boolean."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def instance(name: str, value: Any, kind: type[Kind]) -> Kind:
    """A value of a class of options, such as `ParameterOptions`.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(value, kind):
        raise TypeError(
            f"{name}={shown(value)} was given; it is a {kind.__name__}: give {kind.__name__}(...) with "
            f"what is to be other than the default."
        )
    return value


def set_fields(options: object, **values: Any) -> None:
    """Set fields of frozen options while they are made: to the Python numbers that were meant."""
    for name, value in values.items():
        object.__setattr__(options, name, value)


def _refusal(name: str, value: Any, needed: str) -> ValueError:
    return ValueError(f"{name}={shown(value)} was asked for; {name} is {needed}: give one.")
