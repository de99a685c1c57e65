"""The choice of an approximation: the cheapest for an error, or the best for a depth."""

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from fhejax.approx.boundedness import check_function
from fhejax.approx.checks import check_count, check_positive
from fhejax.approx.compositions.exponential import exponential
from fhejax.approx.compositions.maximum import maximum_of
from fhejax.approx.compositions.piecewise_linear import composite
from fhejax.approx.compositions.range_extension import extend
from fhejax.approx.compositions.reciprocal import reciprocal
from fhejax.approx.compositions.square_root import rsqrt, sqrt
from fhejax.approx.functions import Function, name_of, values
from fhejax.approx.intervals import Interval, Intervals, check_interval, check_intervals
from fhejax.approx.polynomials.certificate import certificate_of
from fhejax.approx.remez.minimax import minimax

LARGEST_DEPTH = 14
LARGEST_SINGLE_DEPTH = 7
KINKED = ("abs", "leaky_relu", "relu")
JUMPING = ("sign", "step")
# A level divides the error of composites for kinks by 2.3 on average.
KINK_GAIN = 4.0
SAME = 1.01
SAMPLES = 1025


class _Candidate(NamedTuple):
    """An approximation to try; a level more divides its family's error by `gain` at most, if known."""

    family: str
    depth: int
    build: Callable[[], Any]
    gain: float = 0.0


class _Iterated(NamedTuple):
    """A family of iterations: its builder from (interval, degree, count), levels a count, others."""

    build: Callable[..., Any]
    levels: int
    extra: int


ITERATED = MappingProxyType(
    {
        "exp": _Iterated(exponential, 1, 0),
        "reciprocal": _Iterated(reciprocal, 1, 1),
        "rsqrt": _Iterated(rsqrt, 2, 0),
        "sqrt": _Iterated(sqrt, 2, 1),
    }
)


def fit(
    function: str | Function,
    interval: Any,
    *,
    error: float | None = None,
    depth: int | None = None,
    max_depth: int = LARGEST_DEPTH,
) -> Any:
    """The approximation whose family, degrees and depth are chosen by what they cost.

    With `error`: the least depth at which some family is within that maximum error, and at this depth
    the fewest products of ciphertexts. With `depth`: the smallest error within that many levels.
    Degrees fill the depth that they pay for, 2^L - 1 and never less; the map of the interval to [-1, 1]
    is not counted. The families are `minimax` up to degree 127 for every function, folded intervals
    (`extend`) where these reach further, compositions for kinks and jumps at 0 given by name,
    squarings for "exp", iterations for "reciprocal", "rsqrt" and "sqrt", and `maximum` for "max".

    Args:
        function: a name, or an elementwise JAX function.
        interval: a pair (a, b), or several disjoint ones; for "max" that of each argument.
        error: the largest that is allowed, absolute.
        depth: the largest number of levels; exactly one of these two is given.
        max_depth: the depth up to which an error is looked for, at most 14.

    Returns:
        A `Polynomial`, `Composite`, `Reciprocal`, `SquareRoot` or `Maximum`, whose certificate says what
        was reached.

    Raises:
        ValueError: both or neither of `error` and `depth`; no depth up to `max_depth` that reaches the error,
            with the best that was found; otherwise as `minimax`.
        TypeError: as `minimax`.
    """
    if (error is None) == (depth is None):
        raise ValueError(
            "a fit is for an error or for a depth, but "
            f"{'both were' if error is not None else 'neither was'} given; pass error=1e-3 or depth=5."
        )
    limit = check_count(max_depth, "largest depth")
    allowed = math.inf if error is None else check_positive(error, "error")
    levels = None if depth is None else check_count(depth, "depth")
    if isinstance(function, str) and function == "max":
        start, stop = check_interval(interval)
        wanted = None if error is None else 2 * allowed
        differences = (start - stop, stop - start)
        absolute = fit("abs", differences, error=wanted, depth=levels, max_depth=limit)
        return maximum_of(absolute, (start, stop))
    if isinstance(function, str) and function == "softmax":
        raise ValueError(
            "a softmax is fitted for a number of entries; call approx.softmax(interval, size, error=...)."
        )
    intervals = check_intervals(interval)
    # Once, so that a function that no polynomial is near is refused before families are tried.
    check_function(function, intervals)
    candidates = sorted(_candidates(function, intervals), key=lambda candidate: candidate.depth)
    if levels is not None:
        return _best_of(candidates, levels)
    _check_resolved(function, intervals, allowed)
    return _cheapest(function, interval, candidates, allowed, limit)


def _check_resolved(function: str | Function, intervals: Intervals, error: float) -> None:
    points = np.concatenate([np.linspace(*piece, SAMPLES) for piece in intervals])
    rounding = float(np.finfo(np.float64).eps * np.max(np.abs(values(function, points))))
    if error < rounding / 2:
        raise ValueError(
            f"no approximation of {name_of(function)} on {intervals} is known to be within {error:.3g}: its "
            f"values are rounded by {rounding:.3g} in float64. Allow a larger error."
        )


def _cheapest(
    function: Any, interval: Any, candidates: list[_Candidate], error: float, max_depth: int
) -> Any:
    limit = min(max_depth, LARGEST_DEPTH)
    best, skipped = None, []
    affordable = (candidate for candidate in candidates if candidate.depth <= limit)
    for _, group in itertools.groupby(affordable, key=lambda candidate: candidate.depth):
        hopeful, hopeless = _partition(group, best, error, limit)
        # The deepest are what comes nearest.
        skipped = hopeless or skipped
        trials = _built(hopeful)
        enough = [trial for trial in trials if _error_of(trial) <= error]
        if enough:
            return min(enough, key=lambda trial: trial.multiplications)
        best = min([best, *trials] if best else trials, key=_error_of, default=None)
    if skipped:
        best = min([best, *_built(skipped)] if best else _built(skipped), key=_error_of, default=None)
    if best is None:
        raise ValueError(
            f"{name_of(function)} on {interval} is fitted by none of the families up to depth {limit}; "
            "call minimax, which says why, or narrow the interval."
        )
    raise ValueError(
        f"no approximation of {name_of(function)} on {interval} is within {error:.3g} at a depth of up to "
        f"{limit}: the best error found is {_error_of(best):.3g}, at depth {best.depth}. Allow a larger "
        "error or depth, or narrow the interval."
    )


def _partition(
    group: Iterable[_Candidate], best: Any, error: float, limit: int
) -> tuple[list[_Candidate], list[_Candidate]]:
    """The candidates that may lead to the error, and those too far from it at all depths."""
    hopeful, hopeless = [], []
    for candidate in group:
        levels = limit - best.depth if best else 0
        near = best is None or not candidate.gain or _error_of(best) <= error * candidate.gain**levels
        (hopeful if near else hopeless).append(candidate)
    return hopeful, hopeless


def _best_of(candidates: list[_Candidate], depth: int) -> Any:
    """The approximation of smallest error, every family tried at the largest depth that is affordable."""
    affordable = [candidate for candidate in candidates if candidate.depth <= depth]
    deepest = {candidate.family: candidate.depth for candidate in affordable}
    trials = _built(c for c in affordable if c.depth == deepest[c.family])
    alike = [trial for trial in trials if _error_of(trial) <= SAME * min(map(_error_of, trials))]
    return min(alike, key=lambda trial: (trial.depth, trial.multiplications))


def _error_of(approximation: Any) -> float:
    return certificate_of(approximation).error


def _built(candidates: Iterable[_Candidate]) -> list[Any]:
    trials = []
    for candidate in candidates:
        # A seed that does not converge or a kink elsewhere rules out a family, not the fit.
        with contextlib.suppress(ValueError):
            trials.append(candidate.build())
    return trials


def _candidates(function: str | Function, intervals: Intervals) -> Iterator[_Candidate]:
    for depth in range(LARGEST_SINGLE_DEPTH + 1):
        yield _candidate("minimax", depth, minimax, function, 2**depth - 1, intervals)
    name = function if isinstance(function, str) else ""
    if name in JUMPING:
        yield from _compositions(name, intervals, 0)
    elif name in KINKED:
        yield from _compositions(name, intervals, 1)
    elif name in ITERATED and len(intervals) == 1:
        yield from _iterated(name, intervals[0])
    elif len(intervals) == 1:
        yield from _folded(function, intervals[0])


def _candidate(family: str, depth: int, build: Callable[..., Any], *arguments: Any) -> _Candidate:
    return _Candidate(family, depth, functools.partial(build, *arguments))


def _compositions(name: str, intervals: Intervals, extra: int) -> Iterator[_Candidate]:
    """Compositions of two to four degrees 7, 15 or 31, in ascending order and as equal as they can be."""
    for count in (2, 3, 4):
        for depths in itertools.combinations_with_replacement((3, 4, 5), count):
            total = sum(depths) + extra
            if depths[-1] - depths[0] <= 1 and total <= LARGEST_DEPTH:
                degrees = tuple(2**depth - 1 for depth in depths)
                built = _candidate("composite", total, composite, name, degrees, intervals)
                yield built._replace(gain=KINK_GAIN if extra else 0.0)


def _folded(function: str | Function, interval: Interval) -> Iterator[_Candidate]:
    for stages, depth, gated in itertools.product((1, 2, 3, 4), (4, 5), (False, True)):
        total = 2 * stages + depth + int(gated)
        if LARGEST_SINGLE_DEPTH < total <= LARGEST_DEPTH:
            build = functools.partial(extend, stages=stages, gated=gated)
            yield _candidate("extend", total, build, function, 2**depth - 1, interval)


def _iterated(name: str, interval: Interval) -> Iterator[_Candidate]:
    family = ITERATED[name]
    for depth, count in itertools.product((1, 2, 3, 4), range(1, 9)):
        total = depth + family.levels * count + family.extra
        if total <= LARGEST_DEPTH:
            yield _candidate(name, total, family.build, interval, 2**depth - 1, count)
