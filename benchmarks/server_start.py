"""The start of a server from a file: load CryptoNets, its keys and a batch, and give the first answer.

    python -m benchmarks.server_start [--runs 3]

One process compiles the program and writes its two halves, keys and 8,192 encrypted images. Then servers
start, each in a process of its own without the function: the first finds JAX's persistent compilation cache
empty, the others find what it left. Seconds are of each stage; a second answer says what one takes warm, and
the processor's seconds how busy the machine was with others.
"""

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tyro

from benchmarks.machine import timed_stages, use_cache

_WEIGHTS = Path(__file__).resolve().parent.parent / "experiments" / "weights"
_IMAGES = 8192


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to measure.

    Attributes:
        runs: servers that start with the cache of the first.
        role: (internal) client or server, in this process.
        folder: (internal) of the files and the cache.
    """

    runs: int = 3
    role: str = ""
    folder: str = ""


def prepare(folder: Path) -> None:
    """Write the files of both halves, keys and a batch."""
    import numpy as np
    from flax import nnx

    import fhejax
    from fhejax import nn

    model = nn.load_weights(nn.CryptoNets(rngs=nnx.Rngs(0)), _WEIGHTS / "cryptonets.safetensors")
    predict = nnx.view(model, use_running_average=True)
    program = fhejax.compile(predict, fhejax.Encrypted((_IMAGES, 28, 28, 1), range=(0, 1)))
    program.save_server(folder / "server")
    program.save_client(folder / "client")
    client = fhejax.load_client(folder / "client")
    secret, keys = client.keygen()
    fhejax.save(folder / "keys", keys)
    images = np.random.default_rng(0).uniform(0, 1, (_IMAGES, 28, 28, 1))
    fhejax.save(folder / "upload", client.encrypt(secret, images))


def serve(folder: Path) -> dict[str, float]:
    """The seconds of each stage of a server that starts."""
    start = time.perf_counter()

    import fhejax

    use_cache(str(folder / "cache"))
    seconds = {"import": time.perf_counter() - start}
    stage = timed_stages(seconds)
    server = stage("load the program", lambda: fhejax.load_server(folder / "server"))
    keys = stage("load the keys", lambda: fhejax.load(folder / "keys", server.params))
    sent = stage("load the batch", lambda: fhejax.load(folder / "upload", server.params))
    whole = stage("expand its seeds", sent.expanded)
    result = stage("first answer", lambda: server(keys, whole))
    fhejax.save(folder / "download", result)
    stage("second answer", lambda: server(keys, whole))
    seconds["processor, of both cores"] = time.process_time()
    seconds["program and first answer"] = seconds["load the program"] + seconds["first answer"]
    return seconds


def main(arguments: Arguments) -> None:
    """Measure and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.server_start", "--folder", folder, "--role"]
        subprocess.run([*command, "client"], check=True)
        for name in ("server", "client", "keys", "upload"):
            print(f"{name:28}{(Path(folder) / name).stat().st_size / 1e6:10.2f} MB")
        for number in range(1 + arguments.runs):
            answer = subprocess.run([*command, "server"], check=True, stdout=subprocess.PIPE, text=True)
            print("with an empty cache" if not number else f"with the cache, {number}")
            for stage, seconds in json.loads(answer.stdout.splitlines()[-1]).items():
                print(f"    {stage:24}{seconds:10.2f} s")


if __name__ == "__main__":
    chosen = tyro.cli(Arguments)
    if chosen.role == "client":
        prepare(Path(chosen.folder))
    elif chosen.role == "server":
        print(json.dumps(serve(Path(chosen.folder))))
    else:
        main(chosen)
