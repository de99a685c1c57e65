"""Run all stages of the public benchmark's CIFAR-10 workload, each as a process, and print their table.

    python -m experiments.public_benchmark.run --data-dir CIFAR

CIFAR is a folder with the original binary batches. ResNet-20 at 128-bit security takes 12 GiB of memory and
some minutes; `--workload tiny` tries the stages WITHOUT ANY SECURITY in seconds. The suite's own reference
for this workload (FHEON, one image) took 994 s and 31.8 GB of keys, below any security level.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.machine import describe_machine
from experiments import pipeline, table
from experiments.public_benchmark.client_postprocess import CLASSES
from experiments.public_benchmark.folders import Folders, bytes_of
from experiments.public_benchmark.server_encrypted_compute import REPORTED
from experiments.public_benchmark.stage import Arguments as StageArguments

STAGES = (
    "server_preprocess_model",
    "client_key_generation",
    "client_preprocess_input",
    "client_encode_encrypt_input",
    "server_encrypted_compute",
    "client_decrypt_decode",
    "client_postprocess",
)
REFERENCE = {"client_key_generation": 76.6, "server_encrypted_compute": 993.95}  # seconds, one image
REFERENCE_BYTES = {"public_keys": 31.8e9, "ciphertexts_upload": 14e6, "ciphertexts_download": 4e6}
NAME, CELL = 30, 14


@dataclass(frozen=True)
class Arguments(StageArguments):
    """Run all stages of one size.

    Attributes:
        json: file to write the table's numbers to.
    """

    json: Path | None = None


def main(arguments: Arguments, run: Callable[[list[str]], None] | None = None) -> dict[str, Any]:
    """Run the stages, print their table; return its numbers.

    Args:
        arguments: of the command line.
        run: starts a stage by the name of its module and its options; by default a process of its own.

    Raises:
        SystemExit: a stage that fails.
    """
    pipeline.check_writable(arguments.json)
    folders, seconds = arguments.folders, {}
    for stage in STAGES:
        begun = time.perf_counter()
        (run or _process)([f"experiments.public_benchmark.{stage}", *options(arguments)])
        seconds[stage] = time.perf_counter() - begun
    results = measured(arguments, folders, seconds)
    print(render(results))
    if arguments.json:
        pipeline.write_json(arguments.json, results)
    return results


def options(arguments: StageArguments) -> list[str]:
    """The options of a stage, as words of a command line."""
    words = [str(arguments.size), "--io", str(arguments.io), "--workload", arguments.workload]
    if arguments.data_dir is not None:
        words += ["--data-dir", str(arguments.data_dir)]
    return [*words, "--cache", str(arguments.cache)]


def measured(arguments: Arguments, folders: Folders, seconds: dict[str, float]) -> dict[str, Any]:
    """All numbers of a run: seconds of stages, of evaluations alone, bytes of folders, and what is right."""
    names = ("model", "public_keys", "secret_key", "ciphertexts_upload", "ciphertexts_download")
    paths = (folders.model, folders.public_keys, folders.secret_key, folders.uploads, folders.downloads)
    found = json.loads((folders.intermediate / CLASSES).read_text())
    reported = json.loads((folders.intermediate / REPORTED).read_text())
    return {
        "workload": arguments.workload,
        "images": found["images"],
        "right": found["right"],
        "seconds": seconds,
        "evaluation_seconds": reported["evaluation"],
        "bytes": {name: bytes_of(path) for name, path in zip(names, paths, strict=True)},
        "machine": describe_machine(),
    }


def render(results: dict[str, Any]) -> str:
    """Return the table of a run, beside the suite's reference for one image."""
    insecure = " WITHOUT ANY SECURITY" if results["workload"] == "tiny" else ""
    head = f"{results['workload']}{insecure}: {results['right']} of {results['images']} images right"
    lines = [_row("stage, each a process", "fhejax", "reference")]
    for stage, took in results["seconds"].items():
        other = REFERENCE.get(stage)
        lines.append(_row(stage, table.seconds(took), "" if other is None else table.seconds(other)))
    first, *rest = results["evaluation_seconds"]
    warm = pipeline.median(rest)
    lines.append(_row("  evaluation alone, the first", table.seconds(first), ""))
    lines.append(_row("  and those after, median", table.seconds(warm), ""))
    sizes = [_row("files", "fhejax", "reference")]
    for name, count in results["bytes"].items():
        other = REFERENCE_BYTES.get(name)
        sizes.append(_row(name, table.size(count), "" if other is None else table.size(other)))
    notes = ["  The reference is the suite's: one image, a machine that is not named, no level of security."]
    return table.paragraphs([[head], lines, sizes, notes, table.machine(results)])


def _row(name: str, own: str, other: str) -> str:
    return f"  {name:<{NAME}}{own:>{CELL}}{other:>{CELL}}".rstrip()


def _process(command: list[str]) -> None:
    """Run a stage as a process of its own.

    Raises:
        SystemExit: where it fails.
    """
    found = subprocess.run([sys.executable, "-m", *command], check=False)
    if found.returncode:
        raise SystemExit(f"the stage {command[0]} failed; what it said is above.")


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.public_benchmark.run"))
