"""Bootstrapping: time, precision, levels and memory, under 128-bit parameters in the standard ring.

    python -m benchmarks.bootstrapping [--log-degree 16] [--levels 13] [--minimum-keys] [--cache FOLDER]

Numbers uniform in the square of (-1, 1) are encrypted at the lowest level that can be bootstrapped, and what
comes out is compared with them. The first call compiles; the median of the others is the time. Rings below
2^15 are insecure, and the result says so.
"""

import dataclasses
import time

import numpy as np
import tyro

from benchmarks.machine import describe_machine, peak_memory_bytes, use_cache, write_result
from fhejax import ckks
from fhejax.ckks.bootstrapping import (
    BootstrappingKeys,
    BootstrappingOptions,
    bootstrapping_circuit,
    bootstrapping_keys,
)


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Sizes.

    Attributes:
        log_degree: log2 of N.
        log_slots: log2 of the complex numbers in the message; by default N / 2 of them.
        levels: multiplications left.
        scale_bits: of each of these levels.
        coefficients_to_slots: matrices.
        slots_to_coefficients: matrices.
        minimum_keys: two rotation keys a matrix.
        repeats: calls after the first.
        cache: folder of JAX's persistent compilation cache, from which a second run takes its kernels.
        save: write benchmarks/results/bootstrapping.json, or another one for the options above.
    """

    log_degree: int = 16
    log_slots: int | None = None
    levels: int = 13
    scale_bits: int = 40
    coefficients_to_slots: int = 4
    slots_to_coefficients: int = 3
    minimum_keys: bool = False
    repeats: int = 3
    cache: str | None = None
    save: bool = False


def parameters(arguments: Arguments) -> ckks.BootstrappingParameters:
    """Secure ones from N = 2^15 on, where sparse secrets are understood."""
    return ckks.BootstrappingParameters.for_levels(
        arguments.levels,
        degree=2**arguments.log_degree,
        slots=None if arguments.log_slots is None else 2**arguments.log_slots,
        scale_bits=arguments.scale_bits,
        insecure=arguments.log_degree < 15,
        options=BootstrappingOptions(
            coefficients_to_slots=arguments.coefficients_to_slots,
            slots_to_coefficients=arguments.slots_to_coefficients,
            minimum_keys=arguments.minimum_keys,
        ),
    )


def message(chosen: ckks.BootstrappingParameters) -> np.ndarray:
    """Complex numbers [ring slots] with both parts in (-1, 1), of period `slots`."""
    parts = np.random.default_rng(0).uniform(-1, 1, (2, chosen.slots))
    return np.tile(parts[0] + 1j * parts[1], chosen.params.slots // chosen.slots)


def timed(keys: BootstrappingKeys, ciphertext: ckks.Ciphertext) -> tuple[float, ckks.Ciphertext]:
    """Seconds until the result is there, and the result."""
    start = time.perf_counter()
    found = ckks.bootstrap(keys, ciphertext)
    found.data.block_until_ready()
    return time.perf_counter() - start, found


def measure(arguments: Arguments) -> dict[str, object]:
    """Everything, as plain numbers."""
    chosen = parameters(arguments)
    print(chosen, flush=True)
    start = time.perf_counter()
    circuit = bootstrapping_circuit(chosen)
    encoded = time.perf_counter()
    secret = ckks.secret_key(ckks.random_key(), chosen.params)
    keys = bootstrapping_keys(ckks.random_key(), secret, circuit)
    made = time.perf_counter()
    print(f"matrices {encoded - start:.1f} s, keys {made - encoded:.1f} s", flush=True)
    values = message(chosen)
    plaintext = ckks.encode(chosen.params, values, level=chosen.input_level)
    ciphertext = ckks.encrypt(ckks.random_key(), secret, plaintext)
    first, found = timed(keys, ciphertext)
    precision = ckks.precision(ckks.decrypt(secret, found), values)
    del found
    print(f"first call {first:.1f} s, peak {peak_memory_bytes() / 2**30:.2f} GiB", flush=True)
    warm = [timed(keys, ciphertext)[0] for _ in range(arguments.repeats)]
    return {
        "log2_QP": chosen.params.modulus_bits,
        "security": chosen.security,
        "levels_left": chosen.levels_left,
        "failure_probability_log2": -chosen.failure_probability_bits,
        "precision_bits": dataclasses.asdict(precision),
        "seconds": {
            "matrices": encoded - start,
            "keys": made - encoded,
            "first": first,
            "warm": sorted(warm),
        },
        "bytes": {"matrices": circuit.nbytes, "keys": chosen.key_bytes.memory, "peak": peak_memory_bytes()},
    }


def main(arguments: Arguments) -> None:
    """Measure and print."""
    use_cache(arguments.cache)
    result = measure(arguments)
    print(describe_machine())
    for name, value in result.items():
        print(f"{name}: {value}")
    if arguments.save:
        few, cached = "_minimum_keys" * arguments.minimum_keys, "_cached" * (arguments.cache is not None)
        shown = {**dataclasses.asdict(arguments), "cache": arguments.cache is not None}
        print(write_result(f"bootstrapping{few}{cached}", {"arguments": shown, **result}))


if __name__ == "__main__":
    main(tyro.cli(Arguments))
