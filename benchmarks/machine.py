"""What every benchmark needs: the machine in words, median times, peak memory, result files."""

import datetime
import json
import os
import pathlib
import platform
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

RESULTS = pathlib.Path(__file__).resolve().parent / "results"


def use_cache(folder: str | None) -> None:
    """Keep every kernel that XLA compiles in `folder`, or take it from there; none without a folder."""
    if folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def processor_model(cpuinfo: pathlib.Path = pathlib.Path("/proc/cpuinfo")) -> str:
    """The processor's trade name, from Linux's `cpuinfo` or else from `platform`."""
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine()


def core_count() -> int:
    """The number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def operating_system() -> str:
    """The system's name and version, without the kernel's build or the host's name."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def method_in_words() -> str:
    """How transforms of N = 2^12 and more are computed here, and by what kernels are compiled."""
    # Here, since benchmarks time how long importing the library takes.
    from fhejax.ring import Ring
    from fhejax.ring.platform import current_device
    from fhejax.ring.transform import chosen_method, pallas

    method = chosen_method(Ring(2**12))
    backend = pallas.working_backend(current_device()) if method == "pallas" else None
    return f"{method} by {backend}" if backend else method


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory, software and JAX device; nothing that names the host or a path."""
    device = jax.devices()[0]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": processor_model(),
        "cores": core_count(),
        "memory_gib": round(memory / 2**30, 1),
        "operating_system": operating_system(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "platform": device.platform,
        "device": device.device_kind,
        "devices": jax.device_count(),
        "transform": method_in_words(),
    }


def median_time(function: Callable[[], Any], repeats: int = 5) -> tuple[float, float, tuple[float, ...]]:
    """Seconds of `function()` until its arrays are ready: (first call, median, every repeat).

    The first call, which may compile, is apart from the median of the `repeats` calls after it.
    """
    if repeats < 1:
        raise ValueError(
            f"median_time was asked for {repeats} repeats; a median needs one at least. "
            "Pass repeats=1 or more."
        )
    first, *rest = (_seconds(function) for _ in range(repeats + 1))
    return first, statistics.median(rest), tuple(rest)


def timed_stages(seconds: dict[str, float]) -> Callable[[str, Callable[[], Any]], Any]:
    """The function that runs stages one by one: it returns their results and notes their seconds.

    Args:
        seconds: where they are noted, until all arrays are ready.
    """

    def stage(name: str, function: Callable[[], Any]) -> Any:
        """The result of one stage."""
        begun = time.perf_counter()
        result = jax.block_until_ready(function())
        seconds[name] = time.perf_counter() - begun
        return result

    return stage


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def peak_memory_bytes() -> int:
    """The most resident memory this process has held so far, in bytes (host memory alone)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def commit() -> str | None:
    """The short hash of the repository's commit, or None where there is no repository."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=pathlib.Path(__file__).resolve().parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def write_result(name: str, values: Mapping[str, Any], folder: pathlib.Path = RESULTS) -> pathlib.Path:
    """Write `values` with date, commit and machine as `folder/name.json`; returns that path."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(
            f"The result name {name!r} would not make a plain file name. "
            "Use letters, digits, '-' and '_' only."
        )
    reserved = {"date", "commit", "machine"} & set(values)
    if reserved:
        raise ValueError(f"The result holds {sorted(reserved)}, which write_result adds itself. Rename them.")
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    stamp = {"date": today, "commit": commit(), "machine": describe_machine()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**stamp, **values}, indent=2, allow_nan=False) + "\n")
    return path
