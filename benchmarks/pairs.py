"""This checkout against another one, by the jobs of `benchmarks.ckks`, in interleaved pairs.

    python -m benchmarks.pairs --before FOLDER [--degrees 13 14] [--rounds 15] [--save]

Each checkout runs in a process of its own, and both take turns at every operation, so that a machine whose
speed drifts slows both. Printed are the ratios after / before, with the 95 % interval of the median by
resampling the rounds, and for each degree the geometric mean over the operations that `benchmarks.ckks`
counts.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import tyro

from benchmarks.machine import write_result
from benchmarks.peers.serving import COUNTED, SETTINGS

# The beginning of what runs in either checkout: whose fhejax it is, and where answers are written to.
PREAMBLE = """
import json, os, sys
import fhejax
if not os.path.realpath(fhejax.__file__).startswith(os.path.realpath(os.getcwd()) + os.sep):
    sys.exit(f"{os.getcwd()} is no checkout of fhejax: another one was imported, {fhejax.__file__}")
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
"""

# It names only what both have.
_WORKER = (
    PREAMBLE
    + """
from benchmarks.ckks import our_side
from benchmarks.peers.serving import SETTINGS, time_calls
sides = {}
for line in sys.stdin:
    request = json.loads(line)
    degree = request["degree"]
    if degree not in sides:
        sides = {degree: our_side(SETTINGS[degree])[0]}
    calls = sides[degree].calls
    if "time" in request:
        answer = time_calls(calls[request["time"]], request["seconds"])
    else:
        answer = list(calls)
    answers.write(json.dumps(answer) + "\\n")
    answers.flush()
"""
)


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to compare.

    Attributes:
        before: the folder of the other checkout.
        degrees: log2 of N: 13, 14 or 15.
        rounds: turns of both at each operation.
        seconds: that one turn lasts, at least one call.
        save: write benchmarks/results/pairs.json.
    """

    before: Path
    degrees: tuple[int, ...] = (13, 14, 15)
    rounds: int = 15
    seconds: float = 0.05
    save: bool = False


@dataclasses.dataclass(frozen=True)
class Checkout:
    """A process that answers for one checkout, one JSON value a line."""

    process: subprocess.Popen

    def ask(self, **request: Any) -> Any:
        """The answer to one request.

        Raises:
            RuntimeError: when the process ended.
        """
        stdin, stdout = _pipes(self.process)
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError("a checkout's process ended instead of answering; its error is printed above.")
        return json.loads(line)

    def end(self) -> None:
        """Stop the process and close its pipes."""
        self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()


def _pipes(process: subprocess.Popen) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def started(folder: Path, worker: str = _WORKER, *arguments: str) -> Checkout:
    """The process of the checkout in this folder, which imports what lies there.

    Args:
        folder: of the checkout.
        worker: the script that it runs, which answers each line of its input by a line.
        arguments: of the script.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(
        [sys.executable, "-c", worker, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Checkout(process)


def interval(ratios: np.ndarray) -> tuple[float, float, float]:
    """(median, low, high): the 95 % interval of the median by resampling, of ratios [round]."""
    generator = np.random.default_rng(0)
    picked = generator.integers(0, len(ratios), (4000, len(ratios)))
    low, high = np.quantile(np.median(ratios[picked], -1), [0.025, 0.975])
    return float(np.median(ratios)), float(low), float(high)


def compare(degree: int, sides: Sequence[Checkout], arguments: Arguments) -> dict[str, Any]:
    """Ratios after / before of each operation, and of their geometric mean round by round."""
    names = set(sides[0].ask(degree=degree)) & set(sides[1].ask(degree=degree))
    logs: dict[str, list[float]] = {name: [] for name in sorted(names)}
    for number in range(arguments.rounds):
        order = sides if number % 2 else sides[::-1]
        for name, found in logs.items():
            times = {side: side.ask(degree=degree, time=name, seconds=arguments.seconds) for side in order}
            found.append(float(np.log(times[sides[1]] / times[sides[0]])))
    result: dict[str, Any] = {name: interval(np.exp(found)) for name, found in logs.items()}
    counted = np.array([logs[name] for name in COUNTED if name in logs])
    return result | {"geometric mean": interval(np.exp(counted.mean(0)))}


def print_result(degree: int, result: dict[str, Any]) -> None:
    """A line for each operation: its ratio and its interval."""
    print(f"N = 2^{degree}: after / before (95 % interval of the median)")
    for name, (median, low, high) in result.items():
        print(f"  {name:22} {median:5.2f}  ({low:.2f} to {high:.2f})")


def main(arguments: Arguments) -> dict[str, Any]:
    """Compare, print, and save on request."""
    if not set(arguments.degrees) <= set(SETTINGS):
        raise SystemExit(f"degrees {arguments.degrees} were asked for; there are {sorted(SETTINGS)}.")
    root = Path(__file__).parents[1]
    sides = started(arguments.before), started(root)
    results = {}
    for degree in arguments.degrees:
        results[degree] = compare(degree, sides, arguments)
        print_result(degree, results[degree])
    for side in sides:
        side.end()
    if arguments.save:
        write_result("pairs", {"ratios": {str(degree): result for degree, result in results.items()}})
    return results


if __name__ == "__main__":
    main(tyro.cli(Arguments))
