"""What both sides of the paired comparison of bootstraps share: the peer's options, message, and measure.

Needs Python 3.10 and NumPy alone, since a peer's script runs in that peer's own environment.

Both sides bootstrap complex numbers in all N / 2 slots of the standard ring, encrypted at the lowest level
that can be bootstrapped. Levels left are counted alike: the multiplications that fit between one bootstrap
and the next. Where a bootstrap begins with slots-to-coefficients, the levels which that takes are not among
them.
"""

import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_LEAST_BITS = 8.0


@dataclass(frozen=True)
class PeerOptions:
    """OpenFHE's parameters beside the ring.

    Attributes:
        levels_left: multiplications between a bootstrap and the next.
        level_budget: levels of coefficients-to-slots and of slots-to-coefficients.
        digits: of the key switch: more of them leave P fewer primes and Q more, but take time and memory.
        scale_bits: of the scale and of each level.
        first_bits: of the modulus at level 0.
        slots_first: slots-to-coefficients goes first, at the lowest levels, as ours does.
    """

    levels_left: int = 5
    level_budget: tuple[int, int] = (3, 3)
    digits: int = 4
    scale_bits: int = 59
    first_bits: int = 60
    slots_first: bool = True


@dataclass(frozen=True)
class Bootstrapper:
    """One library, ready to bootstrap.

    Attributes:
        bootstrap: bootstraps the same ciphertext again and returns the result when it is there.
        values: result of a bootstrap -> complex numbers [slots].
        expected: what `values` is to give.
        description: parameters and versions, plain JSON.
    """

    bootstrap: Callable[[], Any]
    values: Callable[[Any], np.ndarray]
    expected: np.ndarray
    description: dict[str, Any] = field(default_factory=dict)


def message(slots: int) -> np.ndarray:
    """Complex numbers [slots] with both parts uniform in (-1, 1)."""
    parts = np.random.default_rng(0).uniform(-1, 1, (2, slots))
    return parts[0] + 1j * parts[1]


def error_bits(found: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """-log2 of the root mean square error and of the worst, over real and imaginary parts.

    Raises:
        AssertionError: where the numbers are plainly wrong, or as many as they are not expected.
    """
    if found.shape != expected.shape:
        raise AssertionError(f"values of shape {found.shape} were found where {expected.shape} belong.")
    difference = found - expected
    error = np.abs(np.stack([difference.real, difference.imag]))
    mean = -math.log2(max(math.sqrt(np.mean(error**2)), 2.0**-60))
    if not mean >= _LEAST_BITS:
        raise AssertionError(f"a bootstrap is wrong: {mean:.1f} bits of precision; its time says nothing.")
    return {"mean": mean, "worst": -math.log2(max(float(error.max()), 2.0**-60))}


def peak_bytes() -> int:
    """The most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measured(side: Bootstrapper) -> dict[str, Any]:
    """One bootstrap: its seconds, its bits of precision, and the peak of memory so far."""
    start = time.perf_counter()
    result = side.bootstrap()
    seconds = time.perf_counter() - start
    bits = error_bits(side.values(result), side.expected)
    return {"seconds": seconds, "precision_bits": bits, "peak_bytes": peak_bytes()}


def answers(prepare: Callable[[int, PeerOptions], Bootstrapper]) -> Callable[[dict[str, Any]], Any]:
    """What a peer's script answers to each request.

    {"degree": N, "prepare": options} -> {"description"}; {"bootstrap": true} -> what `measured` returns.
    """
    prepared: list[Bootstrapper] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if "prepare" in request:
            prepared.clear()  # the memory of the last one first
            prepared.append(prepare(request["degree"], PeerOptions(**request["prepare"])))
            return {"description": prepared[0].description}
        if not prepared:
            raise ValueError(f"{request} came before a ring was prepared.")
        return measured(prepared[0])

    return answer
