"""Levels that share kernels against levels with kernels of their own: time of a call, and of the first one.

    python -m benchmarks.shared_levels [--log-degree 16] [--depth 44] [--digit-size 14] [--level 30] [--save]

A relinearisation with a rescale, a rotation and a rescale of one ciphertext, each in interleaved pairs as in
`benchmarks.rotation`: the ratio of a call with shared kernels to one without, with its 95 % interval. Both
results are compared bit by bit first. "at the level below" is the first call there after those at the level
that is asked for: what is shared is compiled by then. By default both levels share kernels: 32 primes of 46,
the second below the end of a quarter of a digit of 14.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import tyro

from benchmarks.machine import write_result
from benchmarks.rotation import ratio_interval, seconds, take_pairs
from fhejax import ckks
from fhejax.ckks import arithmetic
from fhejax.ckks.keys import shared_levels
from fhejax.ring.platform import TWO_CORES

Call = Callable[[], ckks.Ciphertext]


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to measure.

    Attributes:
        log_degree: log2 of N, of a ring WITHOUT ANY PROMISE OF SECURITY.
        depth: levels.
        digit_size: primes in a digit.
        level: of the ciphertext.
        pairs: of calls.
        save: write benchmarks/results/shared_levels.json.
    """

    log_degree: int = 16
    depth: int = 44
    digit_size: int = 14
    level: int = 30
    pairs: int = 10
    save: bool = False


@contextlib.contextmanager
def shared_from(degree: int) -> Iterator[None]:
    """A scope in which levels share kernels in rings of this degree or a larger one."""
    blocks = dataclasses.replace(TWO_CORES.blocks, levels_shared_from=degree)
    before = shared_levels.current_device
    shared_levels.current_device = lambda: dataclasses.replace(TWO_CORES, blocks=blocks)
    try:
        yield
    finally:
        shared_levels.current_device = before


def calls(arguments: Arguments, level: int, keys: ckks.EvaluationKeys, x: ckks.Ciphertext) -> dict[str, Call]:
    """Each operation on a ciphertext at a level."""
    x = ckks.drop_level(x, level)
    squared = arithmetic.square_tensor(x)
    return {
        "relinearise and rescale": lambda: ckks.relinearise(keys, squared, target_level=level - 1),
        "rotate": lambda: ckks.rotate(keys, x, 1),
        "rescale": lambda: ckks.rescale(x),
    }


def within(call: Call, *, shared: bool) -> Callable[[], Any]:
    """The call with shared kernels, or without."""

    def called() -> Any:
        with shared_from(1 if shared else 1 << 30):
            return call().data

    return called


def main(arguments: Arguments) -> None:
    """Measure each operation, and print a table."""
    params = ckks.insecure_parameters(
        1 << arguments.log_degree, arguments.depth, 28.0, digit_size=arguments.digit_size, real=False
    )
    print(params)
    first, second, third = jax.random.split(ckks.random_key(), 3)
    secret = ckks.secret_key(first, params)
    keys = ckks.evaluation_keys(second, secret, relinearise=True, rotations=(1,))
    values = np.random.default_rng(0).uniform(-1, 1, params.slots)
    x = ckks.encrypt(third, secret, ckks.encode(params, values))
    rows = []
    below = calls(arguments, arguments.level - 1, keys, x)
    for name, call in calls(arguments, arguments.level, keys, x).items():
        own, shared = within(call, shared=False), within(call, shared=True)
        row: dict[str, Any] = {"operation": name}
        row["first call"] = [seconds(shared), seconds(own)]
        if not bool((shared() == own()).all()):
            raise AssertionError(f"{name} with shared kernels has other bits than without.")
        row["at the level below"] = [seconds(within(below[name], shared=s)) for s in (True, False)]
        samples = take_pairs(shared, own, arguments.pairs)
        row["seconds"] = [float(column) for column in np.median(samples, axis=0)]
        row["ratio"] = ratio_interval(samples)
        rows.append(row)
        ratio, low, high = row["ratio"]
        print(
            f"{name:24} {1e3 * row['seconds'][0]:7.1f} ms shared, {1e3 * row['seconds'][1]:7.1f} own, "
            f"{ratio:.3f} ({low:.3f} to {high:.3f}); first calls {row['first call'][0]:.2f} and "
            f"{row['first call'][1]:.2f} s, at the level below {row['at the level below'][0]:.2f} and "
            f"{row['at the level below'][1]:.2f} s",
            flush=True,
        )
    if arguments.save:
        write_result("shared_levels", {"parameters": str(params), "level": arguments.level, "rows": rows})


if __name__ == "__main__":
    main(tyro.cli(Arguments))
