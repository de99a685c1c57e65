"""A rotation against a whole multiplication, in interleaved pairs, and the parts of which each is made.

    python -m benchmarks.rotation [--degrees 13 14 15] [--pairs 100] [--save]

A rotation permutes the product of a key switch; a multiplication takes the products of two ciphertexts, one
key switch and a division that rescales. Both are of fresh ciphertexts at the highest level, under the
parameters of `benchmarks.ckks`. A pair is one of each, one right after the other, and each is the first of
every second pair, so that what else the machine does meets both alike. The ratio is the median of those of
the pairs, with the interval that holds it in 95 of 100 resamplings.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import tyro

from benchmarks.ckks import Inputs, make_inputs, make_keys, parameters
from benchmarks.machine import describe_machine, write_result
from benchmarks.peers.serving import SETTINGS, STEPS
from fhejax import ckks
from fhejax.ckks import rotation
from fhejax.ckks.keys import switching
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ring import permutation, permute
from fhejax.ring.wide import wide

_RESAMPLINGS = 2000

Call = Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to measure.

    Attributes:
        degrees: log2 of N: 13, 14 or 15.
        pairs: of calls at each degree.
        save: write benchmarks/results/rotation.json.
    """

    degrees: tuple[int, ...] = (13, 14, 15)
    pairs: int = 100
    save: bool = False


def seconds(call: Call) -> float:
    """The time until the result is there."""
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def take_pairs(first: Call, second: Call, pairs: int) -> np.ndarray:
    """Seconds [pair, 2] of both calls, which take turns at being the first of a pair."""
    samples = []
    for number in range(pairs):
        if number % 2:
            later = seconds(second)
            samples.append((seconds(first), later))
        else:
            samples.append((seconds(first), seconds(second)))
    return np.array(samples)


def ratio_interval(samples: np.ndarray) -> tuple[float, float, float]:
    """The median ratio of the first to the second of each pair, and its 95 % interval (bootstrap)."""
    ratios = samples[:, 0] / samples[:, 1]
    picks = np.random.default_rng(0).integers(0, len(ratios), (_RESAMPLINGS, len(ratios)))
    low, high = np.percentile(np.median(ratios[picks], axis=1), (2.5, 97.5))
    return float(np.median(ratios)), float(low), float(high)


def part_calls(keys: ckks.EvaluationKeys, given: Inputs, params: Parameters) -> dict[str, Call]:
    """The parts of both, each compiled for itself."""
    level, x, twiddles = params.depth, given.x, twiddles_of(params)
    exponent = rotation.rotation_exponent(params, STEPS[0])
    key, positions = keys.rotations[exponent], permutation(params.ring, exponent)
    inner_product = jax.jit(wide(lambda digits, key: switching.inner_product(digits, key)))
    digits = rotation.decomposition(x)
    switched = inner_product(digits, key)

    def division(target: int) -> Call:
        kernel = jax.jit(wide(lambda s, t: switching.divide_by_special(s, params, level, target, t)))
        return lambda: kernel(switched, twiddles)

    return {
        "digits": lambda: rotation.decomposition(x),
        "inner product": lambda: inner_product(digits, key),
        "division by P": division(level),
        "division by P and a level": division(level - 1),
        "permutation": lambda: permute(x.data, positions),
        "products": lambda: ckks.evaluation.tensor(x, given.y),
    }


def measure(log_degree: int, pairs: int) -> dict[str, Any]:
    """One degree: milliseconds of all, and the ratios of rotations to a multiplication."""
    setting = SETTINGS[log_degree]
    params = parameters(setting)
    keys = make_keys(params)
    given = make_inputs(keys, params, setting.slots)
    evaluation, x, y = keys.evaluation, given.x, given.y
    rotate = lambda: ckks.rotate(evaluation, x, STEPS[0])  # noqa: E731
    hoisted = lambda: ckks.rotate_hoisted(evaluation, x, STEPS)  # noqa: E731
    multiply = lambda: ckks.multiply(evaluation, x, y)  # noqa: E731
    parts = part_calls(evaluation, given, params)
    for call in (rotate, hoisted, multiply, *parts.values()):
        jax.block_until_ready(call())
    single, several = take_pairs(rotate, multiply, pairs), take_pairs(hoisted, multiply, pairs)
    several[:, 0] /= len(STEPS)
    return {
        "rotation to multiplication": ratio_interval(single),
        "hoisted rotation to multiplication": ratio_interval(several),
        "milliseconds": {
            "rotation": milliseconds(single[:, 0]),
            f"hoisted rotation, of {len(STEPS)}": milliseconds(several[:, 0]),
            "multiplication": milliseconds(single[:, 1]),
        }
        | {name: milliseconds([seconds(call) for _ in range(pairs)]) for name, call in parts.items()},
    }


def milliseconds(samples: Sequence[float] | np.ndarray) -> float:
    """The median."""
    return statistics.median(map(float, samples)) * 1e3


def print_table(results: Mapping[str, Mapping[str, Any]]) -> None:
    """A column for each degree."""
    print(f"{'':36}" + "".join(f"{name:>22}" for name in results))
    columns = list(results.values())
    for title in (name for name in columns[0] if name != "milliseconds"):
        cells = ("{:.2f} ({:.2f} to {:.2f})".format(*column[title]) for column in columns)
        print(f"{title:36}" + "".join(f"{cell:>22}" for cell in cells))
    for name in columns[0]["milliseconds"]:
        cells = (f"{column['milliseconds'][name]:.3f}" for column in columns)
        print(f"{name + ', ms':36}" + "".join(f"{cell:>22}" for cell in cells))


def main(arguments: Arguments) -> dict[str, Any]:
    """Measure, print and keep."""
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # as in `benchmarks.ckks`
    print(describe_machine())
    results = {f"2^{degree}": measure(degree, arguments.pairs) for degree in arguments.degrees}
    print_table(results)
    if arguments.save:
        write_result("rotation", {"arguments": dataclasses.asdict(arguments), "degrees": results})
    return results


if __name__ == "__main__":
    main(tyro.cli(Arguments))
