"""How the cost of CKKS operations and the bytes of keys and ciphertexts grow.

    python -m benchmarks.ckks_growth [--repeats 9] [--save]

Multiplication (with relinearisation and rescaling) and rotation of one ciphertext: against the number of
limbs at N = 2^14, and against N from 2^12 to 2^16 at 12 limbs; one prime of 28 bits a level, three
digits of the key switch throughout. Each fit is seconds = c x^a by least squares on logarithms, with x the
limbs, or N log2 N: a = 1 is the cost promised. Bytes are compared with the formulas. The
parameters are not meant to be secure: only cost is measured.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import tyro

from benchmarks.machine import describe_machine, median_time, write_result
from fhejax import ckks

_PRIME_BITS, _DIGITS = 28, 3


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to measure.

    Attributes:
        limbs: multiples of 3, at 2^14.
        degrees: log2 of N, at 12 limbs.
        repeats: timed calls after the first, which compiles.
        save: write benchmarks/results/ckks_growth.json.
    """

    limbs: tuple[int, ...] = (3, 6, 12, 18, 24)
    degrees: tuple[int, ...] = (12, 13, 14, 15, 16)
    repeats: int = 9
    save: bool = False


@dataclasses.dataclass(frozen=True)
class Point:
    """One size: N, limbs, median seconds by operation, bytes found and by formula."""

    degree: int
    limbs: int
    seconds: dict[str, float]
    bytes_found: dict[str, int]
    bytes_expected: dict[str, int]


def parameters(degree: int, limbs: int) -> ckks.Parameters:
    """`limbs` primes of 28 bits, one a level, in three digits."""
    return ckks.insecure_parameters(
        degree,
        limbs - 1,
        _PRIME_BITS,
        real=False,
        base_bits=_PRIME_BITS,
        digit_size=math.ceil(limbs / _DIGITS),
    )


def formula_bytes(params: ckks.Parameters) -> dict[str, int]:
    """4 bytes a residue: a ciphertext has 2 limbs N of them, a switching key 2 digits (limbs + special) N.

    On the wire a key is its first half and a seed of 32 bytes.
    """
    limbs, special = len(params.moduli), len(params.special)
    digits = math.ceil(limbs / params.digit_size)
    key = 4 * 2 * digits * (limbs + special) * params.ring.degree
    return {
        "ciphertext": 4 * 2 * limbs * params.ring.degree,
        "switching key": key,
        "switching key on the wire": key // 2 + 32,
    }


def found_bytes(ciphertext: ckks.Ciphertext, key: ckks.keys.SwitchingKey) -> dict[str, int]:
    """The bytes of the arrays as they are."""
    return {
        "ciphertext": ciphertext.data.nbytes,
        "switching key": key.body.nbytes + key.mask.nbytes,
        "switching key on the wire": key.wire_bytes,
    }


def measure(degree: int, limbs: int, repeats: int) -> Point:
    """Check the product and the rotation, then time both."""
    params = parameters(degree, limbs)
    first, second, third = jax.random.split(ckks.random_key(), 3)
    secret = ckks.secret_key(first, params)
    rotations = (1,) if hasattr(ckks, "rotate") else ()
    keys = ckks.evaluation_keys(second, secret, relinearise=True, rotations=rotations)
    values = np.random.default_rng(0).uniform(-1, 1, params.slots)
    x = ckks.encrypt(third, secret, ckks.encode(params, values))
    calls = {"multiply": (lambda: ckks.multiply(keys, x, x), values**2)}
    if rotations:
        calls["rotate"] = (lambda: ckks.rotate(keys, x, 1), np.roll(values, -1))
    for name, (call, expected) in calls.items():
        error = np.abs(np.asarray(ckks.decode(ckks.decrypt(secret, call()))).real - expected).max()
        if not error < 2.0**-8:
            raise AssertionError(f"{name} is wrong by {error:.3g} at N = {degree}, {limbs} limbs.")
    seconds = {name: median_time(call, repeats)[1] for name, (call, _) in calls.items()}
    return Point(degree, limbs, seconds, found_bytes(x, keys.relinearisation), formula_bytes(params))


def fitted_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """a of seconds = c size^a, by least squares on logarithms.

    Raises:
        ValueError: fewer than two sizes.
    """
    if len(set(sizes)) < 2:
        raise ValueError(f"an exponent needs two different sizes at least; {len(set(sizes))} was given.")
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def exponents(points: Sequence[Point], size: Callable[[Point], float]) -> dict[str, float]:
    """The exponent of every operation against size(point)."""
    sizes = [size(point) for point in points]
    return {
        name: fitted_exponent(sizes, [point.seconds[name] for point in points]) for name in points[0].seconds
    }


def transform_size(point: Point) -> float:
    """N log2 N."""
    return point.degree * math.log2(point.degree)


def sweep(title: str, points: Sequence[Point], size: Callable[[Point], float]) -> dict[str, Any]:
    """Print one growth, and return it with its exponents."""
    fits = exponents(points, size) if len(points) > 1 else {}
    print(f"\n{title}")
    print(f"{'N':>8}{'limbs':>7}" + "".join(f"{name + ', ms':>15}" for name in points[0].seconds) + "  bytes")
    for point in points:
        cells = "".join(f"{seconds * 1e3:15.3f}" for seconds in point.seconds.values())
        right = "as the formula" if point.bytes_found == point.bytes_expected else "NOT as the formula"
        print(f"{point.degree:8}{point.limbs:7}{cells}  {right}")
    print("exponents: " + ", ".join(f"{name} {value:.2f}" for name, value in fits.items()))
    return {"points": [dataclasses.asdict(point) for point in points], "exponents": fits}


def main(arguments: Arguments) -> dict[str, Any]:
    """Measure, print and keep."""
    print(describe_machine())
    by_limbs = [measure(1 << 14, limbs, arguments.repeats) for limbs in arguments.limbs]
    by_degree = [measure(1 << log, 12, arguments.repeats) for log in arguments.degrees]
    results = {
        "limbs at N = 2^14": sweep("against limbs, N = 2^14", by_limbs, lambda point: point.limbs),
        "N log N at 12 limbs": sweep("against N log2 N, 12 limbs", by_degree, transform_size),
    }
    if arguments.save:
        write_result("ckks_growth", {"arguments": dataclasses.asdict(arguments), **results})
    return results


if __name__ == "__main__":
    main(tyro.cli(Arguments))
