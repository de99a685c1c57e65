"""Whole programs of this checkout against another one, in interleaved pairs.

    python -m benchmarks.program_pairs --before FOLDER --data-dir MNIST [--jobs mlp regression] [--save]

Each job is compiled, given keys and called once by a process in either checkout; then both take turns, call
by call, so that a machine whose speed drifts slows both. Printed are the ratios after / before of warm calls
with their 95 % intervals, of first calls, and the geometric mean over the jobs. The other checkout may be as
old as the compiler's first one: the scripts name only what both have.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks.intervals import ratio_interval
from benchmarks.machine import write_result
from benchmarks.pairs import PREAMBLE, Checkout, started

JOBS = ("cryptonets", "hcnn", "mlp", "regression", "deep")

# Runs in either checkout. It answers a line of its input by the seconds of one call.
_WORKER = (
    PREAMBLE
    + """
import dataclasses
import time
from pathlib import Path
import jax
import numpy as np
from experiments import pipeline
job, folder, degree, products = sys.argv[1], sys.argv[2] or None, int(sys.argv[3]) or None, int(sys.argv[4])
pipeline.use_cache(pipeline.CACHE)

def network():
    from experiments import mnist
    options = mnist.Arguments(network=job, insecure_log_degree=degree)
    batch = mnist.BATCHES[job] if degree is None else 64
    data = mnist.load_dataset(Path(folder), batch)
    make = lambda: mnist.make_network(options, data)
    experiment = pipeline.Experiment(job, data, batch, "load", make)
    return pipeline.compile_network(make(), experiment, options), (data.test_images,)

def regression():
    from experiments import regression
    options = regression.Arguments(insecure_log_degree=degree)
    data = regression.load_data(options.samples, options.features)
    model = {"weights": np.zeros(options.features, np.float32), "bias": np.zeros((), np.float32)}
    train = regression.training(options)
    return regression.compile_training(train, model, data, options), (model, *data.train)

def deep():
    from benchmarks import deep_program
    options = deep_program.Arguments(insecure_log_degree=degree, products=products)
    if degree is not None:
        options = dataclasses.replace(options, samples=2 ** (degree - 1))
    values = np.random.default_rng(0).uniform(-0.8, 0.8, (options.samples, 1)).astype(np.float32)
    return deep_program.compile_program(options), (values,)

program, values = {"regression": regression, "deep": deep}.get(job, network)()
secret, keys = program.keygen()
given = program.encrypt(secret, *values)
expand = lambda leaf: leaf.expanded() if hasattr(leaf, "expanded") else leaf
is_array = lambda leaf: hasattr(leaf, "expanded")
given = jax.tree.map(expand, given if len(values) > 1 else (given,), is_leaf=is_array)
for line in sys.stdin:
    start = time.perf_counter()
    jax.block_until_ready(program(keys, *given))
    answers.write(json.dumps(time.perf_counter() - start) + "\\n")
    answers.flush()
"""
)


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to compare.

    Attributes:
        before: the folder of the other checkout.
        data_dir: folder with MNIST's four IDX files, for the networks.
        jobs: names: networks on MNIST, a regression of two steps, products in a row with bootstraps.
        products: in that row.
        rounds: turns of both at each job, after a first call.
        insecure_log_degree: rings of degree 2**this WITHOUT ANY SECURITY, for quick tests only.
        save: write benchmarks/results/program_pairs.json.
    """

    before: Path
    data_dir: Path | None = None
    jobs: tuple[str, ...] = JOBS
    products: int = 100
    rounds: int = 9
    insecure_log_degree: int | None = None
    save: bool = False


def compare(sides: Sequence[Checkout], rounds: int) -> dict[str, Any]:
    """First calls and warm ones of one job.

    Args:
        sides: the process of the other checkout, and that of this one.
        rounds: of warm calls.

    Returns:
        "first" and "seconds": (before, after), "seconds" as lists; and the ratio of the latter with its
        interval.
    """
    first = tuple(side.ask() for side in sides)
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for side in (0, 1) if number % 2 else (1, 0):
            times[side].append(sides[side].ask())
    return {"first": first, "seconds": times, **ratio_interval(times[1], times[0])}


def geometric_mean(results: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The ratio over all jobs, round by round, with its interval."""
    before, after = (
        np.exp(np.mean([np.log(job["seconds"][side]) for job in results], axis=0)) for side in (0, 1)
    )
    return ratio_interval(list(after), list(before))


def line(name: str, found: dict[str, Any]) -> str:
    """One line of the table."""
    times = ""
    if "seconds" in found:
        before, after = (float(np.median(times)) for times in found["seconds"])
        first = " -> ".join(f"{seconds:.1f}" for seconds in found["first"])
        times = f"{before:.2f} -> {after:.2f} s warm, first {first} s"
    return f"{name:16} {found['ratio']:.3f}  ({found['low']:.3f} to {found['high']:.3f})  {times}"


def main(arguments: Arguments) -> dict[str, Any]:
    """Compare, print, and save on request."""
    if unknown := set(arguments.jobs) - set(JOBS):
        raise SystemExit(f"jobs {sorted(unknown)} were asked for; there are {', '.join(JOBS)}.")
    if arguments.data_dir is None and set(arguments.jobs) & {"cryptonets", "hcnn", "mlp"}:
        raise SystemExit("networks on MNIST take --data-dir, a folder with its four IDX files.")
    given = (
        str(arguments.data_dir or ""),
        str(arguments.insecure_log_degree or 0),
        str(arguments.products),
    )
    folders = arguments.before, Path(__file__).parents[1]
    results: dict[str, Any] = {}
    print("after / before (95 % interval of the geometric mean over rounds)")
    for job in arguments.jobs:
        sides = [started(folder, _WORKER, job, *given) for folder in folders]
        try:
            results[job] = compare(sides, arguments.rounds)
        finally:
            for side in sides:
                side.end()
        print(line(job, results[job]), flush=True)
    results["geometric mean"] = geometric_mean(list(results.values()))
    print(line("geometric mean", results["geometric mean"]))
    if arguments.save:
        write_result("program_pairs", results)
    return results


if __name__ == "__main__":
    main(tyro.cli(Arguments))
