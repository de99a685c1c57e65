"""A linear transform by double hoisting against the rotations and products it stands for.

    python -m benchmarks.linear_transform [--log-degree 14] [--diagonals 64]
    python -m benchmarks.linear_transform --log-degree 16 --depth 22 --diagonals 900 --no-wide

All multiply by the same matrix of dense neighbouring diagonals of weights of single precision, under the
same 128-bit parameters in the standard ring, and are checked against NumPy first: the diagonals held as
residues, or as numbers that are encoded as they are used. They are then timed in turns; minima, since each
does the same work every time. The bytes of the diagonals and the time of a noise estimate stand beside.
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

from benchmarks.machine import describe_machine, peak_memory_bytes, write_result
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
        wide: also by diagonals held as residues, and by rotations one by one, which take gigabytes where
            diagonals are many.
        repeats: turns of each way.
        save: write benchmarks/results/linear_transform.json.
    """

    log_degree: int = 14
    depth: int = 8
    level_bits: float = 28.0
    diagonals: int = 64
    baby_steps: int | None = None
    wide: bool = True
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
    """Weights that keep the result of the order of 1."""
    generator = np.random.default_rng(0)
    return dict(
        enumerate(generator.uniform(-1, 1, (count, params.slots)).astype(np.float32) / math.sqrt(count))
    )


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


@dataclasses.dataclass(frozen=True)
class Ways:
    """The ways to the same product, what they hold, and what should come out."""

    calls: dict[str, Callable[[], Any]]
    transforms: dict[str, LinearTransform]
    secret: ckks.SecretKey
    wanted: np.ndarray


def make_ways(arguments: Arguments, params: ckks.Parameters) -> Ways:
    """Everything ready to run."""
    first, second, third = jax.random.split(ckks.random_key(), 3)
    secret = ckks.secret_key(first, params)
    diagonals = random_diagonals(params, arguments.diagonals)
    held = {"numbers": False} | ({"residues": True} if arguments.wide else {})
    transforms = {
        name: linear_transform(params, diagonals, baby_steps=arguments.baby_steps, transformed=transformed)
        for name, transformed in held.items()
    }
    rotations = {*transforms["numbers"].rotations, *(diagonals if arguments.wide else ())}
    keys = ckks.evaluation_keys(second, secret, rotations=rotations)
    values = np.random.default_rng(1).uniform(-1, 1, params.slots)
    x = ckks.encrypt(third, secret, ckks.encode(params, values))
    calls: dict[str, Callable[[], Any]] = {
        name: functools.partial(apply_linear_transform, keys, x, transform)
        for name, transform in transforms.items()
    }
    if arguments.wide:
        scale = transforms["numbers"].scale
        plaintexts = {d: ckks.encode(params, v, scale=scale) for d, v in diagonals.items()}
        calls["one by one"] = functools.partial(naive, keys, x, plaintexts)
    return Ways(calls, transforms, secret, expected(diagonals, values))


def estimate_seconds(params: ckks.Parameters, transform: LinearTransform) -> float:
    """The least of three estimates of the noise."""
    x = ckks.estimate(params, np.random.default_rng(1).uniform(-1, 1, params.slots))
    return min(seconds(lambda: apply_linear_transform(None, x, transform)) for _ in range(3))


def main(arguments: Arguments) -> dict[str, Any]:
    """Check, time, print and keep."""
    ring = Ring(2**arguments.log_degree)
    params = make_parameters(ring, arguments.depth, arguments.level_bits)
    ways = make_ways(arguments, params)
    first_use = {name: seconds(call) for name, call in ways.calls.items()}
    precision = {name: bits(ways.secret, call(), ways.wanted) for name, call in ways.calls.items()}
    times = timed(ways.calls, arguments.repeats)
    print(describe_machine(), params, *ways.transforms.values(), sep="\n")
    for name in ways.calls:
        print(
            f"{name:16}{times[name] * 1e3:10.1f} ms, {precision[name]:.1f} bits, "
            f"first use {first_use[name]:.1f} s"
        )
    estimate = estimate_seconds(params, ways.transforms["numbers"])
    print(f"estimate {estimate:.3f} s, peak {peak_memory_bytes() / 2**30:.2f} GiB")
    result = {
        "seconds": times,
        "bits": precision,
        "first_use_seconds": first_use,
        "diagonal_bytes": {name: transform.diagonals.nbytes for name, transform in ways.transforms.items()},
        "estimate_seconds": estimate,
        "peak_bytes": peak_memory_bytes(),
    }
    if arguments.save:
        write_result("linear_transform", {"arguments": dataclasses.asdict(arguments), **result})
    return result


if __name__ == "__main__":
    main(tyro.cli(Arguments))
