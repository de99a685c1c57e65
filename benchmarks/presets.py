"""Every preset for real: encrypted, rotated and multiplied, and the precision that was predicted.

    python -m benchmarks.presets --largest 16 [--save]
    python -m benchmarks.presets --names real-n17-128bit-depth77-scale35

A preset whose special modulus were too small would lose its precision in the first rotation. Each preset has
a process of its own, so that memory is that of the largest.
"""

import concurrent.futures
import dataclasses
import json
import multiprocessing
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import tyro

from benchmarks.machine import RESULTS, peak_memory_bytes, use_cache, write_result
from fhejax import ckks

TOLERANCE_BITS = 0.25  # of measured precision below the predicted one


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What is run.

    Attributes:
        names: of presets, by default all up to `largest`.
        smallest: log2 of the smallest degree.
        largest: log2 of the largest degree.
        cache: a folder in which JAX keeps what it compiled.
        save: write benchmarks/results/presets.json after each preset, beside those that are in it.
    """

    names: tuple[str, ...] = ()
    smallest: int = 12
    largest: int = 17
    cache: str | None = None
    save: bool = False


def chosen(arguments: Arguments) -> list[str]:
    """The names of the presets to run."""
    if arguments.names:
        return list(arguments.names)
    degrees = range(arguments.smallest, arguments.largest + 1)
    return [name for name, preset in ckks.parameters.PRESETS.items() if preset.log_degree in degrees]


def circuit(keys: Any, x: Any) -> dict[str, Any]:
    """What is measured of a ciphertext, or predicted of an estimate: as it comes, rotated, squared."""
    return {"fresh": x, "rotated": ckks.rotate(keys, x, 1), "squared": ckks.multiply(keys, x, x)}


def measure(name: str, cache: str | None = None) -> dict[str, Any]:
    """Bits of precision, predicted and measured, of one preset at its highest level."""
    use_cache(cache)
    params, start = ckks.preset(name), time.perf_counter()
    values = np.random.default_rng(0).uniform(-1, 1, params.slots)
    expected = {"fresh": values, "rotated": np.roll(values, -1), "squared": values**2}
    predicted = circuit(None, ckks.estimate(params, values))
    secret = ckks.secret_key(ckks.random_key(), params)
    keys = ckks.evaluation_keys(ckks.random_key(), secret, relinearise=True, rotations=(1,))
    x = ckks.encrypt(ckks.random_key(), secret, ckks.encode(params, values))
    found = {
        step: ckks.precision(ckks.decrypt(secret, result), expected[step]).mean
        for step, result in circuit(keys, x).items()
    }
    return {
        "log2_qp": params.modulus_bits,
        "limbs": [len(params.moduli), len(params.special)],
        "digit_size": params.digit_size,
        "predicted_bits": {step: estimate.precision_bits for step, estimate in predicted.items()},
        "measured_bits": found,
        "seconds": time.perf_counter() - start,
        "peak_bytes": peak_memory_bytes(),
    }


def in_processes(names: Sequence[str], cache: str | None) -> Any:
    """(name, record) of each, one process after another."""
    options = {"mp_context": multiprocessing.get_context("spawn"), "max_tasks_per_child": 1}
    with concurrent.futures.ProcessPoolExecutor(1, **options) as pool:
        for name in names:
            yield name, pool.submit(measure, name, cache).result()


def row(name: str, record: dict[str, Any]) -> str:
    """A line of the table: predicted and measured bits of each step."""
    predicted, measured = record["predicted_bits"], record["measured_bits"]
    steps = (f"{step} {predicted[step]:5.1f} {measured[step]:5.1f}" for step in measured)
    memory = f"{record['peak_bytes'] / 2**30:.1f} GiB"
    return f"{name:42} {'   '.join(steps)}   {record['seconds']:5.1f} s  {memory}"


def is_kept(record: dict[str, Any]) -> bool:
    """Whether the precision is that predicted, or better."""
    predicted, measured = record["predicted_bits"], record["measured_bits"]
    return all(measured[step] >= predicted[step] - TOLERANCE_BITS for step in measured)


def main(arguments: Arguments) -> None:
    """Measure, print a line for each, and say at the end which lost precision."""
    path = RESULTS / "presets.json"
    saved = json.loads(path.read_text())["presets"] if path.is_file() else {}
    records: dict[str, Any] = {name: saved[name] for name in ckks.parameters.PRESETS if name in saved}
    wrong = []
    print("bits of precision, mean: predicted and measured")
    for name, record in in_processes(chosen(arguments), arguments.cache):
        print(row(name, record), flush=True)
        records[name] = record
        wrong += [] if is_kept(record) else [name]
        if arguments.save:
            write_result("presets", {"presets": records})
    print(f"less precise than predicted: {', '.join(wrong) or 'none'}")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
