"""An encrypted argument of the function."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from fhejax.program.tensor.operation import Operation


@dataclasses.dataclass(frozen=True, eq=False)
class Argument(Operation):
    """The encrypted argument of a number; it has no sources, and its value comes with a call."""

    argument: int

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The argument's own value, given in place of a source's."""
        (value,) = values
        return np.asarray(value, np.float64)
