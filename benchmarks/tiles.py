"""The memory of programs in tiles: predicted by the planner and measured by the process's resident size.

    python -m benchmarks.tiles [--log-degree 9] [--gigabytes 2.5 2.1] [--files]

The shallow network for CIFAR-10 (4 convolutions, 32,768 ciphertexts in its widest layer) in a ring without
security, on random images. Each amount of memory is measured in a process of its own, which looks at its
resident size all the while it is called, after a first call that compiles; that needs Linux's /proc.
With `--files` the upload stays in its file, and tiles that have no room go to files too: then less memory
than the smallest tiles take may be allowed.
"""

import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import tyro

from benchmarks.machine import timed_stages, use_cache, write_result

_WEIGHTS = pathlib.Path(__file__).resolve().parent.parent / "experiments" / "weights" / "shallow.safetensors"
_PAGES = pathlib.Path("/proc/self/statm")
_PAGE, _EVERY = 4096, 0.01


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to measure.

    Attributes:
        log_degree: log2 of the ring's degree, and of the images in a call.
        gigabytes: that a call may take; one process for each.
        files: whether the upload, and tiles without room, are in files.
        cache: folder of compiled kernels.
        save: write benchmarks/results/tiles.json.
        single: (internal) measure in this process and print JSON.
    """

    log_degree: int = 9
    gigabytes: tuple[float, ...] = (2.5, 2.1)
    files: bool = False
    cache: str = ""
    save: bool = True
    single: bool = False


def measure(arguments: Arguments) -> dict[str, Any]:
    """The predicted memory, and the largest resident size during a call after the first, in bytes."""
    import numpy as np
    from flax import nnx

    import fhejax
    from fhejax import nn
    from fhejax.program.levels.tile_choice import predicted_memory

    use_cache(arguments.cache)
    network = nn.inference_view(nn.load_weights(nn.ShallowCifar(rngs=nnx.Rngs(0)), _WEIGHTS))
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2**arguments.log_degree, 4, 4, 3), np.uint8)
    images = nn.load_preparation(_WEIGHTS)(images.repeat(8, 1).repeat(8, 2) // 4 + 96)
    seconds: dict[str, float] = {}
    stage = timed_stages(seconds)
    low, high = float(images.min()), float(images.max())
    program = fhejax.compile(
        network,
        fhejax.Encrypted(images.shape, range=(low, high)),
        sample=images[:8],
        margin=2.0,
        precision_bits=8.0,
        bootstrapping=False,
        packing="sample-per-slot",
        insecure_log_degree=arguments.log_degree,
        memory=arguments.gigabytes[0] * 1e9,
        memory_map=arguments.files,
    )
    secret, keys = program.keygen()
    upload = program.encrypt(secret, images)
    del images
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        if arguments.files:
            fhejax.save(folder / "upload", upload, memory_map=True)
            upload = fhejax.load(folder / "upload", program.params, memory_map=True)

        def call(name: str) -> None:
            """Call the program, with files in a folder of that name."""
            kept = {"folder": folder / name} if arguments.files else {}
            stage(name, lambda: program(keys, upload, **kept))

        call("first call")
        peak = peak_resident(lambda: call("call"))
    return {
        "allowed": arguments.gigabytes[0] * 1e9,
        "files": arguments.files,
        "moved": program.plan.moved_bytes,
        "tiles": program.plan.tiles,
        "predicted": predicted_memory(program.plan),
        "measured": peak,
        "seconds": seconds,
    }


def peak_resident(function: Callable[[], Any]) -> int:
    """The largest resident size of this process while a function runs, in bytes."""
    seen, done = [0], threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(int(_PAGES.read_text().split()[1]) * _PAGE)
            time.sleep(_EVERY)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        function()
    finally:
        done.set()
        watcher.join()
    return max(seen)


def in_process(gigabytes: float, arguments: Arguments) -> dict[str, Any]:
    """`measure` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.tiles", "--single", "--gigabytes", str(gigabytes)]
    command += ["--log-degree", str(arguments.log_degree), "--cache", arguments.cache]
    command += ["--files"] if arguments.files else []
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


def main(arguments: Arguments) -> None:
    """Measure every amount of memory, print a table, and save."""
    if arguments.single:
        print(json.dumps(measure(arguments)))
        return
    found = [in_process(gigabytes, arguments) for gigabytes in arguments.gigabytes]
    print(f"{'allowed':>10}{'tiles':>8}{'predicted':>12}{'measured':>12}{'files':>12}{'a call':>10}")
    for row in found:
        tiles, sizes = (
            max(row["tiles"], default=1),
            (row[key] / 1e9 for key in ("predicted", "measured", "moved")),
        )
        columns = "".join(f"{size:9.2f} GB" for size in sizes)
        print(f"{row['allowed'] / 1e9:7.1f} GB{tiles:8}{columns}{row['seconds']['call']:8.1f} s")
    if arguments.save:
        write_result(
            "tiles_in_files" if arguments.files else "tiles",
            {"log_degree": arguments.log_degree, "rows": found},
        )


if __name__ == "__main__":
    main(tyro.cli(Arguments))
