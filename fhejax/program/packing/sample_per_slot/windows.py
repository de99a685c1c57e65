"""Windows over a view: which entries of its node, times what, meet in each."""

import dataclasses

from fhejax.program.circuit.views import View
from fhejax.program.tensor.windows import Windows, sliding_windows


def windowed(view: View, windows: Windows) -> tuple[View, tuple[int, ...]]:
    """The view of all windows, arrays [..., tap, position], and the positions' shape.

    Args:
        view: whose last axes (without the batch) the windows slide over.
        windows: how they slide.
    """
    entries, positions = sliding_windows(view.entries, -1, windows)
    multiplier, _ = sliding_windows(view.multiplier, 0.0, windows)
    offset, _ = sliding_windows(view.offset, 0.0, windows)
    return dataclasses.replace(view, entries=entries, multiplier=multiplier, offset=offset), positions
