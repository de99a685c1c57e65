"""What both sides of the paired comparison share: parameter sets, inputs, timing, and the loop of a peer.

Needs Python 3.10 and NumPy alone, since a peer's script runs in that peer's own environment.

The sets are those most favourable to OpenFHE at each degree, all inside the 128-bit limits of the 2024
security guideline (214, 430 and 868 bits of QP). Its words have 64 bits, so each level takes one
prime, as large as leaves P its fewest primes (its digits grow by up to 5 bits before they are
rounded up to primes of 60 bits), and the number of digits is the fastest that fits:

- 2^13: depth 2 at 50 bits; 3 digits and 1 prime in P, since 2 digits need 273 bits.
- 2^14: depth 4 at 55 bits; 3 digits and 2 primes in P. 2 digits fit only below 50 bits: 10% faster at the
  price of 6 bits of precision. 5 digits are slower.
- 2^15: depth 9 at 56 bits; 2 digits and 5 primes in P, 13% faster than 3 digits at 58 bits and more precise
  after a product, because FIXEDMANUAL takes every prime for 2^scale.

Ours has the same levels, scale and first modulus, made of primes below 2^30, and digits of the size
that is fastest within the same limits.
"""

import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebval

STEPS = tuple(range(1, 9))
SIGMOID_INTERVAL = (-8.0, 8.0)
# The seven that the geometric mean is over.
COUNTED = ("encrypt", "decrypt", "add", "multiply plain", "multiply", "rotate", "rotate 8, hoisted")
OPERATIONS = ("encode", "encode and encrypt", *COUNTED[:2], "decrypt, last level", *COUNTED[2:], "sigmoid")
_LEAST_BITS = 12.0


@dataclass(frozen=True)
class Setting:
    """One parameter set, for every library.

    Attributes:
        degree: N of the standard ring, with N/2 slots.
        depth: levels that can be spent.
        scale_bits: of the scale and of each level.
        first_bits: of the modulus at level 0.
        digits: of OpenFHE's key switch.
        digit_size: our primes in one digit of the key switch.
        sigmoid: whether the sigmoid is evaluated too.
        insecure: whether the modulus may be larger than 128-bit security allows, in tests.
    """

    degree: int
    depth: int
    scale_bits: int
    first_bits: int
    digits: int
    digit_size: int
    sigmoid: bool = False
    insecure: bool = False

    @property
    def slots(self) -> int:
        """Numbers in one ciphertext."""
        return self.degree // 2


SETTINGS = {
    13: Setting(1 << 13, 2, 50, 53, digits=3, digit_size=2),
    14: Setting(1 << 14, 4, 55, 60, digits=3, digit_size=5),
    15: Setting(1 << 15, 9, 56, 60, digits=2, digit_size=10, sigmoid=True),
}


@dataclass(frozen=True)
class Side:
    """One library under one setting.

    Attributes:
        calls: operation -> a call that does it once and returns its result when it is there.
        values: result of an operation -> real numbers [..., slot].
        expected: operation -> what `values` is to give, in float64.
        description: parameters and versions, plain JSON.
    """

    calls: Mapping[str, Callable[[], Any]]
    values: Callable[[str, Any], np.ndarray]
    expected: Mapping[str, np.ndarray]
    description: dict[str, Any] = field(default_factory=dict)


def inputs(slots: int) -> tuple[np.ndarray, np.ndarray]:
    """The two vectors of every operation, uniform in (-1, 1)."""
    random = np.random.default_rng(0)
    return random.uniform(-1, 1, slots), random.uniform(-1, 1, slots)


def sigmoid_input(slots: int) -> np.ndarray:
    """What the sigmoid is taken of, uniform in its interval."""
    return np.random.default_rng(1).uniform(*SIGMOID_INTERVAL, slots)


def sigmoid(t: float) -> float:
    """1 / (1 + exp(-t))."""
    return 1 / (1 + math.exp(-t))


def sigmoid_values(coefficients: Sequence[float], slots: int) -> tuple[np.ndarray, float]:
    """A side's own Chebyshev series at `sigmoid_input`, and its largest distance to the sigmoid there."""
    x, (low, high) = sigmoid_input(slots), SIGMOID_INTERVAL
    found = chebval((2 * x - low - high) / (high - low), coefficients)
    return found, float(np.abs(found - 1 / (1 + np.exp(-x))).max())


def expected_values(slots: int) -> dict[str, np.ndarray]:
    """What each operation gives in float64, but for the sigmoid, whose polynomial is each side's own."""
    x, y = inputs(slots)
    same = ("encode", "encode and encrypt", "encrypt", "decrypt", "decrypt, last level")
    rolled = np.stack([np.roll(x, -step) for step in STEPS])
    return dict.fromkeys(same, x) | {
        "add": x + y,
        "multiply plain": x * y,
        "multiply": x * y,
        "rotate": rolled[0],
        "rotate 8, hoisted": rolled,
    }


def bits_of_precision(found: np.ndarray, expected: np.ndarray) -> float:
    """-log2 of the root mean square error, over all slots."""
    if found.shape != expected.shape:
        raise AssertionError(f"values of shape {found.shape} were found where {expected.shape} belong.")
    return -math.log2(max(math.sqrt(np.mean((found - expected) ** 2)), 2.0**-60))


def check(side: Side) -> dict[str, float]:
    """Do every operation once: its bits of precision. AssertionError where one is plainly wrong."""
    bits = {
        name: bits_of_precision(side.values(name, call()), side.expected[name])
        for name, call in side.calls.items()
    }
    wrong = {name: round(value, 1) for name, value in bits.items() if not value >= _LEAST_BITS}
    if wrong:
        raise AssertionError(f"results are wrong, in bits of precision: {wrong}; nothing was timed.")
    return bits


def time_calls(call: Callable[[], Any], seconds: float) -> float:
    """Median seconds of a call, among as many as fill `seconds`, at least one.

    One more goes before them, untimed: the other side's turn has emptied the caches.
    """
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def serve(prepare: Callable[[Setting], Side]) -> None:
    """Answer requests until standard input ends.

    {"prepare": setting} -> {"description", "operations"}; {"check": true} -> {"bits"}; {"time": operation,
    "seconds": s} -> {"seconds"}.
    """
    prepared: list[Side] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if "prepare" in request:
            prepared.clear()  # the memory of the last one first
            prepared.append(prepare(Setting(**request["prepare"])))
        return _answer(request, prepared[0] if prepared else None)

    answer_lines(answer)


def answer_lines(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer requests, one JSON object a line, until standard input ends.

    What the library itself prints goes to standard error.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


def _answer(request: dict[str, Any], side: Side | None) -> dict[str, Any]:
    if side is None:
        raise ValueError(f"{request} came before a setting was prepared.")
    if "prepare" in request:
        return {"description": side.description, "operations": list(side.calls)}
    if "check" in request:
        return {"bits": check(side)}
    return {"seconds": time_calls(side.calls[request["time"]], request["seconds"])}
