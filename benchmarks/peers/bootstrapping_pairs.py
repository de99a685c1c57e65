"""Bootstraps of two libraries in alternation: who runs, in what order, and what the pairs say."""

import contextlib
import dataclasses
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.intervals import ratio_interval
from benchmarks.peers.bootstrapping_serving import PeerOptions
from benchmarks.peers.environment import Peer

Measure = Callable[[], dict[str, Any]]  # one bootstrap, as `bootstrapping_serving.measured` tells of it
_TRIALS = 2


@dataclasses.dataclass(frozen=True)
class RunningPeer:
    """A peer that is ready to bootstrap.

    Attributes:
        measure: asks it for one bootstrap.
        description: parameters and versions, plain JSON.
        trials: number of threads -> seconds of its faster trial; empty where there was no choice.
    """

    measure: Measure
    description: dict[str, Any]
    trials: dict[int, float]


@contextlib.contextmanager
def running_peer(
    start: Callable[[int], Peer], degree: int, options: PeerOptions, threads: Sequence[int]
) -> Iterator[RunningPeer]:
    """The peer with the faster number of threads; one process of it at a time, for the memory's sake."""
    with contextlib.ExitStack() as stack:

        def prepare(count: int) -> tuple[Measure, dict[str, Any]]:
            stack.close()
            peer = stack.enter_context(start(count))
            answer = peer.ask(degree=degree, prepare=dataclasses.asdict(options))
            return lambda: peer.ask(bootstrap=True), answer["description"]

        trials: dict[int, float] = {}
        ready = prepare(threads[0])
        for number, count in enumerate(threads if len(threads) > 1 else ()):
            ready = prepare(count) if number else ready
            trials[count] = min(ready[0]()["seconds"] for _ in range(_TRIALS))
        if trials and min(trials, key=trials.__getitem__) != threads[-1]:
            ready = prepare(min(trials, key=trials.__getitem__))
        yield RunningPeer(*ready, trials)


def take_pairs(ours: Measure, theirs: Measure, repeats: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What both sides measured [pair]; they take turns at being the first of a pair."""
    pairs = []
    for number in range(repeats):
        if number % 2:
            later = theirs()
            pairs.append((ours(), later))
        else:
            pairs.append((ours(), theirs()))
    return pairs


def side_record(description: Mapping[str, Any], samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One side's description, median seconds, those for each level left, worst precision, and peak memory."""
    every = [sample["seconds"] for sample in samples]
    bits = [sample["precision_bits"] for sample in samples]
    median = statistics.median(every)
    return {
        **description,
        "seconds": {"median": median, "every": every},
        "seconds_for_each_level": median / description["levels_left"],
        "precision_bits": {
            "mean": statistics.median(found["mean"] for found in bits),
            "worst": min(found["worst"] for found in bits),
        },
        "peak_bytes": max(sample["peak_bytes"] for sample in samples),
    }


def compared(
    pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
) -> dict[str, Any]:
    """Both sides' records under their libraries' names, and the ratios ours / theirs with their intervals."""
    samples = list(zip(*pairs, strict=True))
    ratio = ratio_interval(*([sample["seconds"] for sample in side] for side in samples))
    levels = theirs["levels_left"] / ours["levels_left"]
    return {
        "sides": {
            side["library"]: side_record(side, found)
            for side, found in zip((ours, theirs), samples, strict=True)
        },
        "ratio": {
            "seconds": ratio,
            "seconds_for_each_level": {name: value * levels for name, value in ratio.items()},
        },
    }


def print_comparison(result: Mapping[str, Any]) -> None:
    """A table with a column for each side, and the ratios."""
    sides = result["sides"]
    rows: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "seconds, median": lambda side: f"{side['seconds']['median']:.2f}",
        "levels left": lambda side: f"{side['levels_left']}",
        "seconds for each level": lambda side: f"{side['seconds_for_each_level']:.2f}",
        "bits, mean and worst": lambda side: "{mean:.1f} and {worst:.1f}".format(**side["precision_bits"]),
        "peak memory, GiB": lambda side: f"{side['peak_bytes'] / 2**30:.2f}",
        "log2 QP": lambda side: f"{side['log2_qp']:.1f}",
    }
    print(f"{'':24}" + "".join(f"{name:>18}" for name in sides))
    for title, cell in rows.items():
        print(f"{title:24}" + "".join(f"{cell(side):>18}" for side in sides.values()))
    for name, ratio in result["ratio"].items():
        words = "ratio of {}: {ratio:.3f} (95 % interval {low:.3f} to {high:.3f})"
        print(words.format(name.replace("_", " "), **ratio))
