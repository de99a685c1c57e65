"""A digit of a mixed-radix number: one factor of the slots, of the ciphertexts, or of the two parts."""

import dataclasses
import math
import operator

Steps = tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class Digit:
    """What the values of one digit of a position mean for the index of the entry that lies there.

    A digit with neither steps nor `only` is a copy: the same entries lie at each of its values.

    Attributes:
        size: the values are 0 to size - 1.
        steps: (axis, step): the index on that axis grows by step for each value. At most one of an axis, in
            the order of axes, none of them zero.
        only: the one value at which anything lies, the others being empty; None where each may hold
            something. (A flag for "values above 0 are empty" would not do: after a slice `x[1::2]` it is 1,
            and sums that are right at different values share a ciphertext.)

    Raises:
        TypeError: what is no integer.
        ValueError: a size below 1, two steps on one axis, or a value that the digit does not have.
    """

    size: int
    steps: Steps = ()
    only: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", whole(self.size, "the size of a digit", 1))
        object.__setattr__(self, "steps", _checked_steps(self.steps))
        if self.only is None:
            return
        object.__setattr__(self, "only", whole(self.only, "the one value that a digit holds entries at", 0))
        if self.only >= self.size:
            raise ValueError(
                f"a digit of size {self.size} was to hold entries at value {self.only} only; its values are "
                f"0 to {self.size - 1}."
            )

    @property
    def is_copy(self) -> bool:
        """Whether the same entries lie at each value."""
        return not self.steps and self.only is None

    def step(self, axis: int) -> int:
        """The step on an axis, 0 where the digit does not move it."""
        return dict(self.steps).get(axis, 0)

    def split(self, low: int) -> tuple["Digit", "Digit"]:
        """Two digits in place of this one, the more significant first; the other has size `low`.

        Raises:
            ValueError: where `low` does not divide the size.
        """
        if self.size % low:
            raise ValueError(
                f"a digit of size {self.size} was to be split at {low}, which does not divide it."
            )
        only = (None, None) if self.only is None else divmod(self.only, low)
        raised = tuple((axis, step * low) for axis, step in self.steps)
        return Digit(self.size // low, raised, only[0]), Digit(low, self.steps, only[1])


def along(axis: int, size: int, step: int = 1) -> Digit:
    """The digit along one axis: its value v stands for index v * step."""
    return Digit(size, ((axis, step),))


def copies(size: int) -> Digit:
    """The digit at each of whose values the same entries lie."""
    return Digit(size)


def gap(size: int, only: int = 0) -> Digit:
    """The digit that leaves all positions empty but those of one value."""
    return Digit(size, (), only)


def product(digits: tuple[Digit, ...]) -> int:
    """How many positions the digits have."""
    return math.prod(digit.size for digit in digits)


def whole(value: object, what: str, least: int | None = None) -> int:
    """A Python integer, from one of NumPy too.

    Raises:
        TypeError: what is no integer; True and False are none.
        ValueError: an integer below `least`.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{what} was given as {value!r}; it is an integer.")
    number = operator.index(value)  # pyright: ignore[reportArgumentType]
    if least is not None and number < least:
        raise ValueError(f"{what} was given as {number}; it is at least {least}.")
    return number


def _checked_steps(given: object) -> Steps:
    if not isinstance(given, tuple | list) or any(
        not isinstance(pair, tuple | list) or len(pair) != 2 for pair in given
    ):
        raise TypeError(f"the steps of a digit were given as {given!r}; they are pairs (axis, step).")
    pairs = [
        (whole(axis, "the axis of a step", 0), whole(step, "the step on an axis")) for axis, step in given
    ]
    if len({axis for axis, _ in pairs}) < len(pairs):
        raise ValueError(f"a digit with the steps {given!r} has two on one axis; give their sum once.")
    return tuple(sorted((axis, step) for axis, step in pairs if step))
