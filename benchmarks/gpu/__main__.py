"""The command: phases, processes, the table and the file of results."""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

NAMES = (
    "digests",
    "device",
    "costs",
    "transforms",
    "conversion",
    "operations",
    "launches",
    "bootstrap",
    "tiles",
    "cryptonets",
    "hcnn",
    "mlp",
    "matrix",
    "layouts",
)
_DRY = tuple(name for name in NAMES if name != "bootstrap")
_WARM_UP = 0.55  # of all seconds, at most
_LEAST = 5.0  # seconds in which a section can do anything
_ROOT = Path(__file__).resolve().parents[2]


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--sections", nargs="+", choices=NAMES, help="by default all, or those of a dry run")
    parser.add_argument("--seconds", type=float, default=230.0, help="for everything")
    parser.add_argument("--cache", help="folder for what is compiled; by default a new one")
    parser.add_argument("--dry-run", action="store_true", help="small sizes, one process, any machine")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/gpu.json")
    parser.add_argument("--single", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--warm-up", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(given)


def run_section(
    name: str, *, dry: bool, warm_up: bool, keep: Callable[[dict[str, Any]], Any] = lambda found: None
) -> dict[str, Any]:
    """One section in this process: rows, notes, what went wrong; `keep` is given as much after each row."""
    from benchmarks.gpu.measuring import Sheet
    from benchmarks.gpu.sections import SECTIONS
    from benchmarks.gpu.sizes import CARD, DRY

    def told(sheet: Sheet, failure: str | None = "it had no time to end") -> dict[str, Any]:
        rows = [dataclasses.asdict(row) for row in sheet.rows]
        return {"rows": rows, "notes": sheet.notes, "failure": failure}

    sheet, failure = Sheet(warm_up, 2 if dry else 9, changed=lambda sheet: keep(told(sheet))), None
    try:
        SECTIONS[name](sheet, DRY if dry else CARD)
    except Exception as error:  # one section's failure must not cost the others' results
        failure = f"{type(error).__name__}: {error}"[:500]
    return told(sheet, failure)


def single(asked: argparse.Namespace) -> None:
    """One section, as a process of its own."""
    from benchmarks.machine import use_cache

    use_cache(asked.cache)

    def keep(found: dict[str, Any]) -> None:
        asked.out.write_text(json.dumps(found))

    keep(run_section(asked.single, dry=False, warm_up=asked.warm_up, keep=keep))


class Processes:
    """Sections as processes that share a cache."""

    def __init__(self, folder: Path, cache: str) -> None:
        self.folder, self.cache = folder, cache

    def start(self, name: str, kind: str, **environment: str) -> subprocess.Popen[bytes]:
        """Begin a section: `kind` is "warm-up", "timed" or "cpu"."""
        cache = f"{self.cache}-cpu" if kind == "cpu" else self.cache
        command = [sys.executable, "-m", "benchmarks.gpu", "--single", name, "--cache", cache]
        command += ["--out", str(self.folder / f"{kind}-{name}.json")]
        command += ["--warm-up"] if kind == "warm-up" else []
        memory = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}
        log = (self.folder / f"{kind}-{name}.log").open("wb")
        with log:
            return subprocess.Popen(
                command, cwd=_ROOT, stdout=log, stderr=log, env={**os.environ, **memory, **environment}
            )

    def result(self, name: str, kind: str) -> dict[str, Any]:
        """What it wrote, or the end of its log as its failure."""
        path = self.folder / f"{kind}-{name}.json"
        if path.exists():
            return json.loads(path.read_text())
        log = (self.folder / f"{kind}-{name}.log").read_text(errors="replace")
        return {"rows": [], "notes": {}, "failure": log.strip()[-300:] or "it had no time to end"}


def wait(process: subprocess.Popen[bytes], until: float) -> None:
    """Wait for a process, and end it when its time is over."""
    try:
        process.wait(max(0.1, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def on_a_card(names: Sequence[str], seconds: float, cache: str | None) -> dict[str, dict[str, Any]]:
    """Both phases; the CPU's digests are the section "cpu"."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        processes = Processes(Path(folder), cache or f"{folder}/cache")
        quick = "--xla_backend_optimization_level=0"
        reference = processes.start("digests", "cpu", JAX_PLATFORMS="cpu", XLA_FLAGS=quick)
        warming = [processes.start(name, "warm-up") for name in names]
        for process in (reference, *warming):
            wait(process, begun + _WARM_UP * seconds)
        print(f"compiled for {time.monotonic() - begun:.0f} s", flush=True)
        found = {"cpu": processes.result("digests", "cpu")}
        for name in names:
            if time.monotonic() > begun + seconds - _LEAST:
                found[name] = {"rows": [], "notes": {}, "failure": "no time was left for it"}
                continue
            wait(processes.start(name, "timed"), begun + seconds)
            found[name] = processes.result(name, "timed")
            print(f"{name}: done after {time.monotonic() - begun:.0f} s", flush=True)
    return found


def dry(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The same in this process, on small sizes."""
    found = {"cpu": run_section("digests", dry=True, warm_up=True)}
    for name in names:
        found[name] = run_section(name, dry=True, warm_up=False)
    return found


def told(found: dict[str, dict[str, Any]]) -> list[str]:
    """Print the table and the notes; what failed, as sentences."""
    from benchmarks.gpu.checks import differences
    from benchmarks.gpu.measuring import Row, table

    failures = [f"{name} failed. {part['failure']}" for name, part in found.items() if part["failure"]]
    if "digests" in found:
        theirs = found["cpu"]["notes"]
        wrong = differences(found["digests"]["notes"], theirs) if theirs else []
        failures += [f"{name} has not the CPU's bits." for name in wrong]
        print(f"{len(found['digests']['notes'])} digests, {len(wrong)} of them not the CPU's.")
    rows = [Row(**row) for part in found.values() for row in part["rows"]]
    print(table(rows))
    for name, part in found.items():
        for note, value in part["notes"].items() if name not in ("cpu", "digests") else ():
            print(f"{note}: {value}")
    for failure in failures:
        print(failure)
    return failures


def main(given: Sequence[str] | None = None) -> int:
    """Run, print, keep; 1 if anything failed."""
    asked = arguments(given)
    if asked.single:
        single(asked)
        return 0
    names = asked.sections or (_DRY if asked.dry_run else NAMES)
    names = [name for name in NAMES if name in names]
    if asked.dry_run:  # most of its time is compilation
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    found = dry(names) if asked.dry_run else on_a_card(names, asked.seconds, asked.cache)
    failures = told(found)
    if asked.save:
        from benchmarks.machine import write_result

        print(
            write_result("gpu_dry_run" if asked.dry_run else "gpu", {"sections": found, "failures": failures})
        )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
