"""What first calls take: each operation once, and again, in a process that has compiled nothing.

    python -m benchmarks.first_calls [--log-degree 16] [--depth 12] [--save]

JAX's persistent cache is left off. The order matters, since an operation finds what those before it have
compiled. CPU seconds are nearly all XLA's; they say more than the clock where other programs run.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import tyro

from benchmarks.machine import describe_machine, write_result
from fhejax import ckks

Call = Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to measure.

    Attributes:
        log_degree: log2 of N.
        depth: levels of the parameters, which are WITHOUT ANY SECURITY at small degrees.
        levels: at how many of the highest levels a rotation and a multiplication are called.
        save: write benchmarks/results/first_calls.json.
    """

    log_degree: int = 16
    depth: int = 12
    levels: int = 2
    save: bool = False


def seconds(call: Call) -> dict[str, float]:
    """CPU and clock seconds of a first call, and clock seconds of a second one."""
    processor, clock = time.process_time(), time.perf_counter()
    jax.block_until_ready(call())
    first = {"cpu": time.process_time() - processor, "clock": time.perf_counter() - clock}
    clock = time.perf_counter()
    jax.block_until_ready(call())
    return first | {"again": time.perf_counter() - clock}


def operations(arguments: Arguments) -> dict[str, Call]:
    """The operations in their order: keys and a ciphertext are made by the first ones."""
    params = ckks.insecure_parameters(2**arguments.log_degree, arguments.depth)
    first, second, third = jax.random.split(ckks.random_key(), 3)
    made: dict[str, Any] = {}

    def keep(name: str, call: Call) -> Call:
        return lambda: made.setdefault(name, call())

    calls = {
        "secret key": keep("secret", lambda: ckks.secret_key(first, params)),
        "evaluation keys": keep(
            "keys", lambda: ckks.evaluation_keys(second, made["secret"], relinearise=True, rotations=(1,))
        ),
        "plaintext": keep("plain", lambda: ckks.encode(params, np.linspace(-1, 1, params.slots))),
        "encryption": keep("x", lambda: ckks.encrypt(third, made["secret"], made["plain"])),
        "decryption": lambda: ckks.decrypt(made["secret"], made["x"]),
    }
    for level in range(params.depth, params.depth - arguments.levels, -1):
        calls |= at_level(made, level)
    return calls


def at_level(made: dict[str, Any], level: int) -> dict[str, Call]:
    """A rotation and a multiplication at one level."""

    def lowered() -> ckks.Ciphertext:
        return ckks.evaluation.drop_level(made["x"], level)

    return {
        f"rotation at level {level}": lambda: ckks.rotate(made["keys"], lowered(), 1),
        f"multiplication at level {level}": lambda: ckks.multiply(made["keys"], lowered(), lowered()),
    }


def main(arguments: Arguments) -> dict[str, dict[str, float]]:
    """Measure, print and keep."""
    machine = describe_machine()
    print(f"{machine}\n{'':30}{'CPU, s':>10}{'clock, s':>10}{'again, s':>10}")
    results = {}
    for name, call in operations(arguments).items():
        results[name] = found = seconds(call)
        print(f"{name:30}{found['cpu']:10.2f}{found['clock']:10.2f}{found['again']:10.3f}", flush=True)
    if arguments.save:
        write_result("first_calls", {"arguments": dataclasses.asdict(arguments), "operations": results})
    return results


if __name__ == "__main__":
    main(tyro.cli(Arguments))
