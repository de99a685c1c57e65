"""A linear transform by double hoisting against the rotations and products it stands for.

    python -m benchmarks.linear_transform [--log-degree 14] [--diagonals 64]

Both multiply by the same matrix of dense neighbouring diagonals, under the same 128-bit parameters in the
standard ring, and are checked against NumPy first. They are then timed in turns; minima, since each does
the same work every time.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import tyro

from benchmarks.machine import describe_machine, write_result
from fhejax import ckks
from fhejax.ckks.linear_transform import LinearTransform, apply_linear_transform, linear_transform
from fhejax.ckks.parameters import make_parameters
from fhejax.ring import Ring


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Sizes.

    Attributes:
        log_degree: log2 of N.
        depth: levels.
        level_bits: of each level, and of the scale.
        diagonals: at distances 0, 1, 2, ...
        baby_steps: by default the cheapest number.
        repeats: turns of both ways.
        save: write benchmarks/results/linear_transform.json.
    """

    log_degree: int = 14
    depth: int = 8
    level_bits: float = 28.0
    diagonals: int = 64
    baby_steps: int | None = None
    repeats: int = 5
    save: bool = False


Diagonals = dict[int, np.ndarray]


def naive(
    keys: ckks.EvaluationKeys, x: ckks.Ciphertext, plaintexts: dict[int, ckks.Plaintext]
) -> ckks.Ciphertext:
    """The sum of rotations times plaintexts, rescaled once."""
    terms = (ckks.multiply_plain(ckks.rotate(keys, x, d), plain) for d, plain in plaintexts.items())
    return ckks.rescale(functools.reduce(ckks.add, terms))


def random_diagonals(params: ckks.Parameters, count: int) -> Diagonals:
    """Complex numbers that keep the result of the order of 1."""
    generator = np.random.default_rng(0)
    parts = generator.uniform(-1, 1, (2, count, params.slots)) / math.sqrt(count)
    return dict(enumerate(parts[0] + 1j * parts[1]))


def expected(diagonals: Diagonals, values: np.ndarray) -> np.ndarray:
    """The same product in NumPy."""
    return sum(diagonal * np.roll(values, -d) for d, diagonal in diagonals.items())


def bits(secret: ckks.SecretKey, result: ckks.Ciphertext, wanted: np.ndarray) -> float:
    """-log2 of the root mean square error."""
    error = np.asarray(ckks.decode(ckks.decrypt(secret, result))) - wanted
    return -math.log2(np.sqrt(np.mean(np.abs(error) ** 2)))


def seconds(call: Callable[[], Any]) -> float:
    """Until the result is there."""
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def timed(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """The least of `repeats` turns of each."""
    samples = [{name: seconds(call) for name, call in calls.items()} for _ in range(repeats)]
    return {name: min(sample[name] for sample in samples) for name in calls}


def make_calls(
    arguments: Arguments, params: ckks.Parameters
) -> tuple[dict[str, Callable[[], Any]], LinearTransform, ckks.SecretKey, np.ndarray]:
    """Both ways, ready to run, the plan of ours, the secret, and what should come out."""
    first, second, third = jax.random.split(ckks.random_key(), 3)
    secret = ckks.secret_key(first, params)
    diagonals = random_diagonals(params, arguments.diagonals)
    transform = linear_transform(params, diagonals, baby_steps=arguments.baby_steps)
    rotations = {*transform.rotations, *diagonals}
    keys = ckks.evaluation_keys(second, secret, rotations=rotations)
    plaintexts = {d: ckks.encode(params, v, scale=transform.scale) for d, v in diagonals.items()}
    values = np.random.default_rng(1).uniform(-1, 1, params.slots)
    x = ckks.encrypt(third, secret, ckks.encode(params, values))
    calls = {
        "double hoisting": lambda: apply_linear_transform(keys, x, transform),
        "one by one": lambda: naive(keys, x, plaintexts),
    }
    return calls, transform, secret, expected(diagonals, values)


def main(arguments: Arguments) -> dict[str, Any]:
    """Check, time, print and keep."""
    ring = Ring(2**arguments.log_degree)
    params = make_parameters(ring, arguments.depth, arguments.level_bits)
    calls, transform, secret, wanted = make_calls(arguments, params)
    first_use = {name: seconds(call) for name, call in calls.items()}
    precision = {name: bits(secret, call(), wanted) for name, call in calls.items()}
    times = timed(calls, arguments.repeats)
    print(describe_machine(), params, transform, sep="\n")
    for name in calls:
        print(
            f"{name:16}{times[name] * 1e3:10.1f} ms, {precision[name]:.1f} bits, "
            f"first use {first_use[name]:.1f} s"
        )
    ratio = times["double hoisting"] / times["one by one"]
    print(f"ratio {ratio:.3f}")
    result = {"seconds": times, "bits": precision, "first_use_seconds": first_use, "ratio": ratio}
    if arguments.save:
        write_result("linear_transform", {"arguments": dataclasses.asdict(arguments), **result})
    return result


if __name__ == "__main__":
    main(tyro.cli(Arguments))
