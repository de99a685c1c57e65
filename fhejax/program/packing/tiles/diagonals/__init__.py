"""Tiles whose samples are on top, for large batches: matrices by diagonals along the samples."""

from fhejax.program.packing.tiles.diagonals.choice import Choice, choice_of
from fhejax.program.packing.tiles.diagonals.results import packed_results, sampled_result
from fhejax.program.packing.tiles.diagonals.values import Values

__all__ = ["Choice", "Values", "choice_of", "packed_results", "sampled_result"]
