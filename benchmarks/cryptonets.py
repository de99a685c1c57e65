"""Encrypted inference of the three MNIST networks, sample per slot: times, memory and bytes.

    python -m benchmarks.cryptonets [--networks cryptonets hcnn mlp] [--peers] [--whole-jit]

Every network runs in a process of its own, twice: first with an empty compilation cache, then with the
cache that the first left, so that cold and warm starts stand apart. Times are medians of the repeats
of `program(keys, ciphertext)` on the committed weights and random images. `--peers` adds OpenFHE 1.6.1 on
the same circuit in the same run (the best of three ways to use the cores).
"""

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import tyro

from benchmarks.machine import (
    describe_machine,
    median_time,
    peak_memory_bytes,
    timed_stages,
    use_cache,
    write_result,
)

BATCHES = {"cryptonets": 8192, "hcnn": 8192, "mlp": 10_000}
_WEIGHTS = Path(__file__).resolve().parent.parent / "experiments" / "weights"
_PEER_WAYS = ((1, 1), (2, 1), (1, 2))


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to measure.

    Attributes:
        networks: cryptonets, hcnn or mlp.
        repeats: timed calls, after a first one that compiles.
        peers: time OpenFHE on the same circuit too (it makes its own environment, once).
        whole_jit: also compile the whole program as one function with jax.jit.
        precision_bits: asked of the planner.
        save: write benchmarks/results/cryptonets.json.
        single: (internal) measure one network in this process and print JSON.
        cache: (internal) folder of the compilation cache.
    """

    networks: tuple[str, ...] = ("cryptonets", "hcnn", "mlp")
    repeats: int = 5
    peers: bool = False
    whole_jit: bool = False
    precision_bits: float = 10.0
    save: bool = True
    single: str = ""
    cache: str = ""


def measure(name: str, arguments: Arguments) -> dict[str, Any]:
    """Every stage of one network in this process, in seconds and bytes."""
    start = time.perf_counter()
    import jax
    import numpy as np
    from flax import nnx

    import fhejax
    from fhejax import nn

    use_cache(arguments.cache)
    network = {"cryptonets": nn.CryptoNets, "hcnn": nn.HCNN, "mlp": nn.MLP}[name]
    model = nn.load_weights(network(rngs=nnx.Rngs(0)), _WEIGHTS / f"{name}.safetensors")
    images = np.random.default_rng(0).uniform(0, 1, (BATCHES[name], 28, 28, 1))
    seconds = {"import and load": time.perf_counter() - start}
    stage = timed_stages(seconds)
    described = fhejax.Encrypted(images.shape, range=(0, 1))
    predict = nnx.view(model, use_running_average=True)
    program = stage(
        "compile (plan)",
        lambda: fhejax.compile(predict, described, precision_bits=arguments.precision_bits),
    )
    secret, keys = stage("keys", program.keygen)
    sent = stage("encrypt", lambda: program.encrypt(secret, images))
    ciphertext = stage("expand", lambda: sent.expanded())
    first, median, every = median_time(lambda: program(keys, ciphertext), arguments.repeats)
    seconds |= {"evaluate, first call": first, "evaluate, median": median}
    memory = peak_memory_bytes()
    if arguments.whole_jit:
        whole = jax.jit(program)
        first, second, _ = median_time(lambda: whole(keys, ciphertext), 1)
        seconds |= {"evaluate as one jit, first call": first, "evaluate as one jit": second}
    result = program(keys, ciphertext)
    logits = stage("decrypt", lambda: program.decrypt(secret, result))
    error = logits - program.clear(images)
    return {
        "network": name,
        "images": BATCHES[name],
        "seconds": seconds,
        "evaluate, every": every,
        "peak_memory_bytes": memory,
        "key_bytes": keys.wire_bytes,
        "ciphertext_bytes": sent.bytes,
        "parameters": repr(program.params),
        "error_rms": float(np.sqrt(np.mean(error**2))),
        "logit_rms": float(np.sqrt(np.mean(logits**2))),
    }


def in_process(name: str, arguments: Arguments, cache: str) -> dict[str, Any]:
    """`measure` in a fresh process with this compilation cache."""
    command = [sys.executable, "-m", "benchmarks.cryptonets", "--single", name, "--cache", cache]
    command += ["--repeats", str(arguments.repeats)]
    command += ["--precision-bits", str(arguments.precision_bits)]
    command += ["--whole-jit"] if arguments.whole_jit else []
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


def peers() -> dict[str, Any]:
    """OpenFHE's runs of the same circuit, one for each way to use the cores; the best is the peer."""
    from benchmarks.peers.environment import run_peer

    runs = [
        run_peer("openfhe_cryptonets.py", ["--workers", str(workers)], threads)
        for threads, workers in _PEER_WAYS
    ]
    return {"runs": runs, "best_seconds": min(run["total_seconds"] for run in runs)}


def main(arguments: Arguments) -> dict[str, Any]:
    """Measure everything, print a table, and keep it as JSON."""
    results: dict[str, Any] = {"machine": describe_machine(), "networks": {}}
    for name in arguments.networks:
        with tempfile.TemporaryDirectory() as cache:
            cold = in_process(name, arguments, cache)
            warm = in_process(name, dataclasses.replace(arguments, repeats=1), cache)
        cold["seconds"]["evaluate, first call, second process"] = warm["seconds"]["evaluate, first call"]
        results["networks"][name] = cold
        print_network(cold)
    if arguments.peers:
        results["openfhe"] = peers()
        print_peers(results)
    if arguments.save:
        values = {key: value for key, value in results.items() if key != "machine"}
        write_result("cryptonets", values)
    return results


def print_network(result: dict[str, Any]) -> None:
    """One network's rows."""
    print(f"\n{result['network']}: {result['images']:,} images; {result['parameters']}")
    for label, value in result["seconds"].items():
        print(f"  {label:40}{value:10.3f} s")
    median = result["seconds"]["evaluate, median"]
    print(f"  {'images an hour':40}{result['images'] / median * 3600:10.3g}")
    print(f"  {'peak memory':40}{result['peak_memory_bytes'] / 2**30:10.2f} GiB")
    print(f"  {'evaluation keys, seeded':40}{result['key_bytes'] / 1e6:10.3f} MB")
    print(
        f"  {'error / logits (root mean square)':40}{result['error_rms']:10.2g} / {result['logit_rms']:.3g}"
    )


def print_peers(results: dict[str, Any]) -> None:
    """OpenFHE's times, and the ratio an image for CryptoNets."""
    for run in results["openfhe"]["runs"]:
        kind = "extrapolated from a slice of each layer" if run["extrapolated"] else "whole"
        print(
            f"\nOpenFHE {run['threads']} threads, {run['workers']} workers ({kind}): "
            f"{run['total_seconds']:.1f} s for {run['images']:,} images"
        )
    if "cryptonets" in results["networks"]:
        ours = results["networks"]["cryptonets"]["seconds"]["evaluate, median"]
        print(f"CryptoNets: {results['openfhe']['best_seconds'] / ours:.0f} times OpenFHE's speed an image")


if __name__ == "__main__":
    chosen = tyro.cli(Arguments)
    if chosen.single:
        print(json.dumps(measure(chosen.single, chosen)))
    else:
        main(chosen)
