"""Bootstrap encrypted numbers: precision against its prediction, time by stage, levels, memory, long chains.

    python -m experiments.bootstrapping --chain 10 --plot bootstrapping.png

What a bootstrap takes is printed, and what will not fit refused, before a key exists.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from benchmarks.machine import describe_machine, peak_memory_bytes
from experiments import bootstrapping_picture as picture
from experiments import bootstrapping_plan as plan
from experiments import bootstrapping_table as table
from experiments import pipeline
from experiments.bootstrapping_stages import STAGES, staged_bootstrap
from fhejax import ckks
from fhejax.ckks.bootstrapping import (
    BootstrappingCircuit,
    BootstrappingKeys,
    BootstrappingOptions,
    bootstrapping_circuit,
    bootstrapping_keys,
)

LOG_DEGREES = (5, 14)
RADIUS = 0.5
BIN = 0.5  # bits


@dataclass(frozen=True)
class Arguments:
    """Bootstrap one ciphertext, and compare what comes out with what went in.

    Attributes:
        log_degree: log2 of N, at 128-bit security; 15 leaves a level or two, with few matrices.
        levels: multiplications left afterwards.
        scale_bits: of each of these levels: 35, 40 or 45, up to 29, or 50 to 60.
        log_slots: log2 of the complex numbers in the message; by default N / 2 of them.
        coefficients_to_slots: matrices, a level each.
        slots_to_coefficients: matrices, a level each.
        minimum_keys: two rotation keys for each matrix, which take less memory and more time.
        keys_to: file to write the server's keys to, one at a time as they are made, and to read them from.
        chain: bootstraps in a row, a squaring between them.
        repeats: further runs, for the median of warm times.
        plot: PNG file to draw: precision, times, levels and the chain.
        json: file to write all results to.
        cache: folder of compiled kernels, so that a later start is quick; None for no folder. What
            lies in it is executed, so nobody else may be able to write to it.
        insecure_log_degree: a ring of degree 2**this WITHOUT ANY SECURITY, for quick tests only.
    """

    log_degree: Literal[15, 16] = 16
    levels: int = 13
    scale_bits: int = 40
    log_slots: int | None = None
    coefficients_to_slots: int = 4
    slots_to_coefficients: int = 3
    minimum_keys: bool = False
    keys_to: Path | None = None
    chain: int = 0
    repeats: int = 3
    plot: Path | None = None
    json: Path | None = None
    cache: Path | None = pipeline.CACHE
    insecure_log_degree: int | None = None


@dataclass(frozen=True)
class Inputs:
    """Complex numbers [ring slots] that repeat themselves where the parameters have fewer slots.

    values: both parts uniform in (-1, 1). start, constant: of the chain.
    """

    values: np.ndarray
    start: np.ndarray
    constant: np.ndarray


@dataclass(frozen=True)
class Outputs:
    """What slots hold after a bootstrap, complex [ring slots], and after each one of a chain."""

    values: np.ndarray
    chain: list[np.ndarray]


def main(arguments: Arguments) -> dict[str, Any]:
    """Run the experiment, print its tables; return its numbers."""
    check(arguments)
    pipeline.use_cache(arguments.cache)
    return run(choose(arguments), arguments)


def check(arguments: Arguments) -> None:
    """Refuse what cannot be run, before anything is computed."""
    pipeline.check_writable(arguments.plot, arguments.json, arguments.keys_to)
    pipeline.check_range("--insecure-log-degree", arguments.insecure_log_degree, *LOG_DEGREES)
    if arguments.log_slots is not None and arguments.log_slots < 0:
        raise SystemExit(f"--log-slots is {arguments.log_slots}; it must be 0 or more.")
    if arguments.chain < 0 or arguments.repeats < 1:
        raise SystemExit(
            f"--chain is {arguments.chain} and --repeats {arguments.repeats}; give 0 or more, and 1 or more."
        )
    if arguments.chain > 1 and arguments.levels < 1:
        raise SystemExit("--chain squares between bootstraps, and --levels 0 leaves no level for it.")


def choose(arguments: Arguments) -> ckks.BootstrappingParameters:
    """The parameters, secure unless asked otherwise.

    Raises:
        SystemExit: where there are none, with the reason.
    """
    insecure = arguments.insecure_log_degree is not None
    log_degree = arguments.insecure_log_degree if insecure else arguments.log_degree
    try:
        return ckks.BootstrappingParameters.for_levels(
            arguments.levels,
            degree=2**log_degree,
            slots=None if arguments.log_slots is None else 2**arguments.log_slots,
            scale_bits=arguments.scale_bits,
            insecure=insecure,
            options=BootstrappingOptions(
                coefficients_to_slots=arguments.coefficients_to_slots,
                slots_to_coefficients=arguments.slots_to_coefficients,
                minimum_keys=arguments.minimum_keys,
            ),
        )
    except ValueError as error:
        raise SystemExit(str(error)) from error


def run(chosen: ckks.BootstrappingParameters, arguments: Arguments) -> dict[str, Any]:
    """Print the parameters; predict, bootstrap, and tell what came out."""
    described = plan.describe(chosen)
    print(table.parameters(described, plan.machine_memory()) + "\n", flush=True)
    plan.check_memory(chosen)
    plan.check_disk(chosen, arguments.keys_to)
    inputs = make_inputs(chosen)
    with pipeline.stages(4 + len(STAGES) * (1 + arguments.repeats) + 2 + (arguments.chain > 0)) as timed:
        circuit = timed("matrices", bootstrapping_circuit, chosen)
        predicted = timed("predict", predict, circuit, inputs, arguments.chain)
        found = measure(circuit, inputs, arguments, timed)
    results = {
        "name": "Bootstrapping",
        "parameters": described,
        "precision": {name: bits(each.values, inputs.values) for name, each in _named(found, predicted)},
        "histogram": histogram(inputs.values, found.values, predicted.values),
        "chain": compare_chain(clear_chain(inputs, arguments.chain), found.chain, predicted.chain),
        "seconds": timed.summary(),
        "peak_memory_bytes": peak_memory_bytes(),
        "machine": describe_machine(),
    }
    print(table.results(results))
    if arguments.json:
        pipeline.write_json(arguments.json, results)
    if arguments.plot:
        pipeline.save_picture(arguments.plot, picture.draw(results))
    return results


def make_inputs(chosen: ckks.BootstrappingParameters) -> Inputs:
    """Always the same. The chain is z -> z^2 + c with |z| <= 1/2 and |c| <= 1/4: so is every later z.

    The slots go to a fixed point each, none of them 0, and errors shrink by |2 z| or stay.
    """
    generator = np.random.default_rng(0)
    parts = generator.uniform(-1, 1, (2, chosen.slots))
    start, constant = (
        radius * np.sqrt(generator.uniform(size=chosen.slots)) * np.exp(2j * np.pi * turns)
        for radius, turns in zip((RADIUS, RADIUS**2), generator.uniform(size=(2, chosen.slots)), strict=True)
    )
    gap = chosen.params.slots // chosen.slots
    return Inputs(*(np.tile(row, gap) for row in (parts[0] + 1j * parts[1], start, constant)))


def clear_chain(inputs: Inputs, count: int) -> list[np.ndarray]:
    """What each bootstrap of the chain should give back."""
    orbit = [inputs.start]
    while len(orbit) < count:
        orbit.append(orbit[-1] ** 2 + inputs.constant)
    return orbit[:count]


def predict(circuit: BootstrappingCircuit, inputs: Inputs, count: int) -> Outputs:
    """One draw of what will come out, by running everything on estimates."""
    chosen, blank = circuit.parameters, BootstrappingKeys(circuit)
    generator = np.random.default_rng(1)

    def estimate(values: np.ndarray) -> ckks.NoiseEstimate:
        return ckks.estimate(chosen.params, values, level=chosen.input_level)

    def draw(found: ckks.NoiseEstimate) -> np.ndarray:
        parts = generator.normal(size=(2, chosen.params.slots)) * found.deviation
        return found.values + parts[0] + 1j * parts[1]

    values = draw(ckks.bootstrap(blank, estimate(inputs.values)))
    if not count:
        return Outputs(values, [])
    return Outputs(values, run_chain(blank, estimate(inputs.start), inputs.constant, count, draw))


def measure(
    circuit: BootstrappingCircuit,
    inputs: Inputs,
    arguments: Arguments,
    timed: pipeline.Stages,
) -> Outputs:
    """Make keys, encrypt and bootstrap, stage by stage and whole; then the chain.

    Raises:
        SystemExit: stages that together give other bits than `ckks.bootstrap`: their times say nothing.
    """
    if arguments.keys_to is None:
        secret, keys = timed("keys", make_keys, circuit)
    else:
        secret, keys = timed("keys", store_keys, circuit, arguments.keys_to)
    ciphertext = timed("encrypt", encrypt, secret, circuit.parameters, inputs.values)
    for _ in range(1 + arguments.repeats):
        staged = staged_bootstrap(timed, keys, ciphertext)
    whole = timed("bootstrap", ckks.bootstrap, keys, ciphertext)
    if (whole.level, whole.scale) != (staged.level, staged.scale) or np.any(whole.data != staged.data):
        raise SystemExit(
            "The stages of the bootstrap gave other bits than ckks.bootstrap; bring both together."
        )
    values = timed("decrypt", pipeline.decrypt, secret, whole)
    if not arguments.chain:
        return Outputs(values, [])
    start = encrypt(secret, circuit.parameters, inputs.start)

    def look(found: ckks.Ciphertext) -> np.ndarray:
        return pipeline.decrypt(secret, found)

    return Outputs(values, timed("chain", run_chain, keys, start, inputs.constant, arguments.chain, look))


def make_keys(
    circuit: BootstrappingCircuit,
) -> tuple[ckks.SecretKey, BootstrappingKeys]:
    """Fresh keys: the client's, and the server's."""
    secret = ckks.secret_key(ckks.random_key(), circuit.parameters.params)
    with pipeline.counter("keys made") as progress:
        return secret, bootstrapping_keys(ckks.random_key(), secret, circuit, progress=progress)


def store_keys(circuit: BootstrappingCircuit, path: Path) -> tuple[ckks.SecretKey, BootstrappingKeys]:
    """Fresh keys: the client's, and the server's, written one at a time and then read."""
    secret = ckks.secret_key(ckks.random_key(), circuit.parameters.params)
    with pipeline.counter("keys written") as progress:
        ckks.files.save_bootstrapping_keys(
            path, ckks.random_key(), secret, circuit.parameters, progress=progress
        )
    with pipeline.counter("keys read") as progress:
        return secret, ckks.files.load_bootstrapping_keys(path, circuit, progress=progress)


def encrypt(
    secret: ckks.SecretKey, chosen: ckks.BootstrappingParameters, values: np.ndarray
) -> ckks.Ciphertext:
    """At the lowest level that can be bootstrapped."""
    plaintext = ckks.encode(chosen.params, values, level=chosen.input_level)
    return ckks.encrypt(ckks.random_key(), secret, plaintext)


def run_chain(
    keys: BootstrappingKeys,
    x: ckks.Ciphertext,
    constant: np.ndarray,
    count: int,
    look: Callable[[ckks.Ciphertext], np.ndarray],
) -> list[np.ndarray]:
    """`count` bootstraps with z -> z^2 + c between, and what `look` sees after each."""
    chosen = keys.circuit.parameters
    seen = []
    while len(seen) < count:
        x = ckks.bootstrap(keys, x)
        seen.append(look(x))
        if len(seen) < count:
            square = ckks.square(keys.evaluation, x)
            x = ckks.add(square, ckks.encode(chosen.params, constant, level=square.level))
    return seen


def bits(found: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Bits after the point that are right: mean (of the root mean square error), median, worst and best."""
    precision = ckks.precision(found, expected)
    fields = {"worst": precision.minimum, "best": precision.maximum}
    return {"mean": precision.mean, "median": precision.median, **fields}


def compare_chain(
    clear: list[np.ndarray], found: list[np.ndarray], predicted: list[np.ndarray]
) -> list[dict[str, dict[str, float]]]:
    """Measured and predicted bits after each bootstrap, against the clear run."""
    rows = zip(clear, found, predicted, strict=True)
    return [{"measured": bits(y, z), "predicted": bits(guess, z)} for z, y, guess in rows]


def histogram(expected: np.ndarray, found: np.ndarray, predicted: np.ndarray) -> dict[str, list[float]]:
    """How many real and imaginary parts have how many bits right: the lower ends of bins, and counts."""
    sides = [_bits_of_parts(each - expected) for each in (found, predicted)]
    ends = (edge(np.concatenate(sides)) for edge in (np.min, np.max))
    low, high = (BIN * round(end / BIN) for end in ends)
    edges = np.arange(low - BIN, high + 2 * BIN, BIN)
    measured, drawn = (np.histogram(side, edges)[0].tolist() for side in sides)
    return {"edges": edges.tolist(), "measured": measured, "predicted": drawn}


def _bits_of_parts(error: np.ndarray) -> np.ndarray:
    """An error of exactly zero counts as one of 2^-60."""
    return -np.log2(np.maximum(np.abs(np.concatenate([error.real, error.imag])), 2.0**-60))


def _named(found: Outputs, predicted: Outputs) -> list[tuple[str, Outputs]]:
    return [("measured", found), ("predicted", predicted)]


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.bootstrapping"))
