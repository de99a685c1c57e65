"""Warnings that name the caller's line, however deep in the library they are found."""

import os
import sys
import warnings
from pathlib import Path

_LIBRARY = str(Path(__file__).parents[1]) + os.sep


def warn_caller(finding: str | None, category: type[Warning]) -> None:
    """Warn at the line outside of this library that led here, if there is something to be said."""
    if not finding:
        return
    level, frame = 1, sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith(_LIBRARY):
        level, frame = level + 1, frame.f_back
    warnings.warn(finding, category, stacklevel=level)
