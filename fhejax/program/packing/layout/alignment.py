"""What stands in the way where a rearrangement is not free: no layout says where its result lies."""


class NotAlignedError(ValueError):
    """The result of a rearrangement has no layout over the ciphertexts as they are: they must be repacked."""


def axis_of(axis: int, shape: tuple[int, ...]) -> int:
    """The axis counted from the front.

    Raises:
        ValueError: an axis that an array of this shape does not have.
    """
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"axis {axis} of an array of shape {shape} was asked for; it has {len(shape)} axes.")
    return axis % len(shape)
