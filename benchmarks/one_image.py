"""Encrypted inference of one MNIST image at a time, its pixels in the slots: times, memory and bytes.

    python -m benchmarks.one_image [--networks cryptonets hcnn mlp]

Every network runs in a process of its own at 128 bits of security, with its committed weights and random
images. The first call compiles with XLA (or takes kernels from `--cache`); the median is of warm ones. The
error is against fixed point, over several encryptions, beside what was predicted.
"""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import tyro

from benchmarks.machine import median_time, peak_memory_bytes, timed_stages, use_cache, write_result

_WEIGHTS = Path(__file__).resolve().parent.parent / "experiments" / "weights"


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to measure.

    Attributes:
        networks: cryptonets, hcnn or mlp.
        repeats: timed calls, after a first one that compiles; as many images are compared.
        precision_bits: asked of the planner.
        cache: folder of the compilation cache; none by default.
        save: write benchmarks/results/one_image.json.
        single: (internal) measure one network in this process and print JSON.
    """

    networks: tuple[str, ...] = ("cryptonets", "hcnn", "mlp")
    repeats: int = 5
    precision_bits: float = 10.0
    cache: str = ""
    save: bool = True
    single: str = ""


def measure(name: str, arguments: Arguments) -> dict[str, Any]:
    """Every stage of one network in this process, in seconds and bytes."""
    import numpy as np
    from flax import nnx

    import fhejax
    from fhejax import nn

    use_cache(arguments.cache)
    network = {"cryptonets": nn.CryptoNets, "hcnn": nn.HCNN, "mlp": nn.MLP}[name]
    model = nn.load_weights(network(rngs=nnx.Rngs(0)), _WEIGHTS / f"{name}.safetensors")
    predict = nnx.view(model, use_running_average=True)
    seconds: dict[str, float] = {}
    stage = timed_stages(seconds)
    described = fhejax.Encrypted((1, 28, 28, 1), range=(0, 1))
    options = {"precision_bits": arguments.precision_bits, "packing": "multiplexed"}
    program = stage("compile (plan)", lambda: fhejax.compile(predict, described, **options))
    secret, keys = stage("keys", program.keygen)
    images = np.random.default_rng(0).uniform(0, 1, (arguments.repeats, 1, 28, 28, 1))
    ciphertext = stage("encrypt, first call", lambda: program.encrypt(secret, images[0]))
    first, median, every = median_time(lambda: program(keys, ciphertext), arguments.repeats)
    seconds |= {"evaluate, first call": first, "evaluate, median": median}
    errors = []
    for image in images:
        result = program(keys, program.encrypt(secret, image))
        errors.append(program.decrypt(secret, result) - program.simulate(image))
    steps = [step for step in program.plan.steps if step.plaintext_products]
    return {
        "network": name,
        "seconds": seconds,
        "evaluate, every": every,
        "predicted_seconds": program.plan.predicted_seconds,
        "peak_memory_bytes": peak_memory_bytes(),
        "key_bytes": keys.wire_bytes,
        "rotation_keys": len(keys.rotations),
        "rotations": sum(len(step.rotations) for step in steps),
        "products_with_plaintexts": sum(step.plaintext_products for step in steps),
        "ciphertext_bytes": ciphertext.bytes,
        "parameters": repr(program.params),
        "noise_rms": float(np.sqrt(np.mean(np.square(errors)))),
        "predicted_noise_rms": program.plan.predicted_noise[0],
        "predicted_bits": program.plan.predicted_bits,
    }


def in_process(name: str, arguments: Arguments) -> dict[str, Any]:
    """`measure` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.one_image", "--single", name, "--cache", arguments.cache]
    command += ["--repeats", str(arguments.repeats), "--precision-bits", str(arguments.precision_bits)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


def main(arguments: Arguments) -> None:
    """Measure all networks, print a table, and save."""
    if arguments.single:
        print(json.dumps(measure(arguments.single, arguments)))
        return
    found = {name: in_process(name, arguments) for name in arguments.networks}
    titles = (
        ("one image", 11),
        ("first call", 12),
        ("plan", 8),
        ("keys", 10),
        ("rotations", 11),
        ("products", 10),
    )
    print(f"{'network':12}" + "".join(f"{title:>{width}}" for title, width in titles))
    for name, row in found.items():
        seconds = row["seconds"]
        print(
            f"{name:12}{seconds['evaluate, median']:9.3f} s{seconds['evaluate, first call']:10.1f} s"
            f"{seconds['compile (plan)']:6.1f} s{row['key_bytes'] / 1e6:7.1f} MB{row['rotations']:11}"
            f"{row['products_with_plaintexts']:10}"
        )
    if arguments.save:
        write_result("one_image", {"networks": found})


if __name__ == "__main__":
    main(tyro.cli(Arguments))
