"""A function too deep for any ring, compiled with bootstraps: `python -m benchmarks.deep_program [--save]`.

z -> 0.9 z^2 - 0.3, again and again, at 128-bit security; what comes out is compared with the clear. The
iteration contracts, so that the error that is left is that of the last bootstraps, and every one before them
has been within (-1, 1) or the result would be far off.
"""

import dataclasses
import time
from typing import Any

import jax
import numpy as np
import tyro

import fhejax
from benchmarks.machine import describe_machine, peak_memory_bytes, write_result
from fhejax import ckks
from fhejax.ckks.bootstrapping import BootstrappingOptions


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to run.

    Attributes:
        products: in a row.
        samples: in the slots of one ciphertext.
        levels: between bootstraps.
        repeats: calls after the first.
        save: write benchmarks/results/deep_program.json.
        insecure_log_degree: a ring of degree 2**this WITHOUT ANY SECURITY, for quick tests only.
    """

    products: int = 100
    samples: int = 32768
    levels: int = 13
    repeats: int = 1
    save: bool = False
    insecure_log_degree: int | None = None


def iterated(products: int) -> Any:
    """The function."""

    def function(z: jax.Array) -> jax.Array:
        for _ in range(products):
            z = 0.9 * (z * z) - 0.3
        return z

    return function


def compile_program(arguments: Arguments) -> fhejax.Program:
    """With few keys, so that all of it fits in 8 GiB."""
    log_degree = arguments.insecure_log_degree or 16
    parameters = ckks.BootstrappingParameters.for_levels(
        arguments.levels,
        degree=2**log_degree,
        slots=min(arguments.samples, 2 ** (log_degree - 1)),
        insecure=arguments.insecure_log_degree is not None,
        options=BootstrappingOptions(minimum_keys=True),
    )
    described = fhejax.Encrypted((arguments.samples, 1), range=(-0.8, 0.8))
    return fhejax.compile(
        iterated(arguments.products),
        described,
        bootstrapping=parameters,
        insecure_log_degree=arguments.insecure_log_degree,
    )


def measure(arguments: Arguments) -> dict[str, Any]:
    """Everything, as plain numbers."""
    marks = [time.perf_counter()]
    program = compile_program(arguments)
    print(program.report(), flush=True)
    marks.append(time.perf_counter())
    secret, keys = program.keygen()
    marks.append(time.perf_counter())
    shape = (arguments.samples, 1)
    values = np.random.default_rng(0).uniform(-0.8, 0.8, shape).astype(np.float32)
    encrypted = program.encrypt(secret, values)
    calls = []
    for _ in range(1 + arguments.repeats):
        start = time.perf_counter()
        result = jax.block_until_ready(program(keys, encrypted))
        calls.append(time.perf_counter() - start)
        print(f"call {calls[-1]:.1f} s", flush=True)
    error = program.decrypt(secret, result).astype(np.float64) - program.clear(values)
    plan = program.plan
    return {
        "modulus_bits": plan.params.modulus_bits,
        "security": plan.security,
        "bootstraps": plan.bootstraps * plan.blocks,
        "error": {"root_mean_square": float(np.sqrt(np.mean(error**2))), "largest": float(abs(error).max())},
        "predicted_error": plan.predicted_errors[0],
        "predicted_seconds": plan.predicted_seconds,
        "seconds": {
            "compile": marks[1] - marks[0],
            "keys": marks[2] - marks[1],
            "first": calls[0],
            "warm": calls[1:],
        },
        "peak_bytes": peak_memory_bytes(),
    }


def main(arguments: Arguments) -> None:
    """Measure and print."""
    result = measure(arguments)
    print(describe_machine())
    for name, value in result.items():
        print(f"{name}: {value}")
    if arguments.save:
        print(write_result("deep_program", {"arguments": dataclasses.asdict(arguments), **result}))


if __name__ == "__main__":
    main(tyro.cli(Arguments))
