"""Random networks, encrypted in small insecure rings: within the promise or refused, never wrong in silence.

    python -m benchmarks.random_programs --examples 2000 --seed 0 [--processes 2]
    python -m benchmarks.random_programs --only 17
    python -m benchmarks.random_programs --examples 2000 --simulated  # no encryption: minutes, not hours

Every verdict is a line of the result file; a run that was stopped goes on from there. Each example has its
own seed, `--seed` and the numbers after it. The last line of the output says how many failed, which is also
whether the exit status is 1.
"""

import collections
import concurrent.futures
import dataclasses
import json
import math
import multiprocessing
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence

import jax
import tyro
from tqdm import tqdm

from benchmarks.machine import RESULTS, use_cache
from benchmarks.random_networks import make_example
from benchmarks.random_verdicts import (
    FAILURES,
    PASSED,
    REFUSED,
    REFUSED_AT_CALL,
    REFUSED_WRONGLY,
    Verdict,
    judge,
    judge_simulation,
)

_CACHES_CLEARED_EVERY = 25  # examples: every one compiles kernels of its own, which are not needed again


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What is run.

    Attributes:
        examples: how many.
        seed: of the first; the others follow.
        only: run this one, print its verdict, keep nothing.
        processes: at a time.
        simulated: compute in fixed point in place of encrypting, in a tenth of the time.
        file: JSON lines, one a verdict; by default in benchmarks/results, and not part of the repository: one
            for each way to run.
        cache: folder for compiled kernels.
        fresh: forget what the file holds.
        xla_flags: that compile quickly; another XLA may not know them.
    """

    examples: int = 2000
    seed: int = 0
    only: int | None = None
    processes: int = 1
    simulated: bool = False
    file: pathlib.Path | None = None
    cache: str | None = None
    fresh: bool = False
    xla_flags: str = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"


def main(arguments: Arguments) -> int:
    """Run what the file does not hold yet; returns the number of failures."""
    os.environ.setdefault("XLA_FLAGS", arguments.xla_flags)  # read when the first example makes a kernel
    if arguments.only is not None:
        verdict = verdict_of(arguments.only, arguments.simulated)
        print("\n".join(f"{name:15} {value}" for name, value in dataclasses.asdict(verdict).items()))
        return int(verdict.outcome in FAILURES)
    kind = "simulated" if arguments.simulated else "programs"
    file = arguments.file or RESULTS / f"random_{kind}.jsonl"
    if arguments.fresh:
        file.unlink(missing_ok=True)
    seeds = range(arguments.seed, arguments.seed + arguments.examples)
    known = finished(file)
    left = [seed for seed in seeds if seed not in known]
    file.parent.mkdir(parents=True, exist_ok=True)
    counts = collections.Counter(known[seed].outcome for seed in seeds if seed in known)
    with (
        file.open("a") as lines,
        tqdm(total=len(seeds), initial=len(seeds) - len(left), desc="examples", unit="example") as bar,
    ):
        for verdict in verdicts(left, arguments):
            lines.write(json.dumps(dataclasses.asdict(verdict)) + "\n")
            lines.flush()
            known[verdict.seed] = verdict
            counts[verdict.outcome] += 1
            bar.set_postfix(counts, refresh=False)
            bar.update()
    rows = [known[seed] for seed in seeds]
    print(summary(rows))
    return sum(row.outcome in FAILURES for row in rows)


def finished(file: pathlib.Path) -> dict[int, Verdict]:
    """The verdicts in the file, by seed; a last line that was cut off is dropped from it."""
    if not file.is_file():
        return {}
    text = file.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole)
    found = [Verdict(**json.loads(line)) for line in whole.splitlines()]
    return {verdict.seed: verdict for verdict in found}


def verdicts(seeds: Sequence[int], arguments: Arguments) -> Iterator[Verdict]:
    """The verdicts as they are found; one process at a time is this one."""
    cache, simulated = arguments.cache, arguments.simulated
    if arguments.processes == 1:
        use_cache(cache)
        yield from (verdict_of(seed, simulated) for seed in seeds)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(arguments.processes, context, use_cache, (cache,)) as pool:
        waiting = [pool.submit(verdict_of, seed, simulated) for seed in seeds]
        try:
            for future in concurrent.futures.as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def verdict_of(seed: int, simulated: bool = False) -> Verdict:
    """The verdict on a seed's example; now and then what JAX keeps is forgotten."""
    if seed % _CACHES_CLEARED_EVERY == 0:
        jax.clear_caches()
    return (judge_simulation if simulated else judge)(make_example(seed))


def summary(rows: Sequence[Verdict]) -> str:
    """A table of the outcomes, and a line for every example that failed or should not have been refused."""
    counts = collections.Counter(row.outcome for row in rows)
    names = (PASSED, REFUSED, REFUSED_AT_CALL, REFUSED_WRONGLY, *FAILURES)
    table = [f"{name:18}{counts[name]:6}  {counts[name] / max(len(rows), 1):6.1%}" for name in names]
    passed = [row for row in rows if row.outcome == PASSED]
    reached = [row.simulated_bits if math.isnan(row.bits) else row.bits for row in passed]
    closest = [
        bits - row.asked_bits for bits, row in zip(reached, passed, strict=True) if math.isfinite(bits)
    ]
    if closest:
        table.append(f"closest to the promise among those that passed: {min(closest):+.1f} bits")
    bad = [row for row in rows if row.outcome not in (PASSED, REFUSED)]
    listed = [
        f"{row.outcome}: python -m benchmarks.random_programs --only {row.seed}\n    {row.description}\n"
        f"    {row.sentence[:300]} (condition {row.condition_bits:.1f} bits)"
        for row in sorted(bad, key=lambda row: (row.outcome, row.seed))
    ]
    failed = sum(counts[name] for name in FAILURES)
    return "\n".join([*table, *listed, f"{failed} of {len(rows)} examples failed"])


if __name__ == "__main__":
    sys.exit(bool(main(tyro.cli(Arguments))))
