"""The three ideas of Nandakumar et al. (CVPRW 2019) for training on encrypted data, one after the other.

    python -m experiments.training_ideas [--measured benchmarks/results/training_packings.json]

A simpler network, images of less resolution, and a better packing each make a step quicker. What a step costs
is its key switches, which are counted: with one number in each ciphertext and a sample in each slot by the
formula below, in tiles by planning the step. With a result of `benchmarks.training_packings` on the last
network seconds are those of its two rows, and before as many times longer as there are more key switches.
"""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks import training_packings
from experiments import pipeline, table

BATCH = 60
NETWORKS = ("784-128-32-10", "784-32-16-10", "64-32-16-10")
IDEAS = ("where the paper begins", "a simpler network", "8x8 pixels in place of 28x28", "tiles")
FIRST, SECOND = "sample-per-slot", "tiles"


@dataclass(frozen=True)
class Arguments:
    """Count the key switches of a step after each of the three ideas.

    Attributes:
        measured: JSON of `benchmarks.training_packings` on 64-32-16-10, for seconds.
        insecure_log_degree: the ring of degree 2**this that tiles are planned in, WITHOUT ANY SECURITY.
        json: file to write all results to.
    """

    measured: Path | None = None
    insecure_log_degree: int = 14
    json: Path | None = None


def main(arguments: Arguments) -> list[dict[str, Any]]:
    """Count, print one table; return its rows."""
    pipeline.check_writable(arguments.json)
    seconds = {} if arguments.measured is None else seconds_of(arguments.measured)
    rows = [
        {"network": network, "packing": FIRST, "key_switches": key_switches(network, BATCH)}
        for network in NETWORKS
    ]
    rows.append({"network": NETWORKS[-1], "packing": SECOND, "key_switches": planned(arguments)})
    each = seconds[FIRST] / rows[-2]["key_switches"] if seconds else None
    for row, idea in zip(rows, IDEAS, strict=True):
        row["idea"] = idea
        if each is not None:
            row["seconds"] = seconds[SECOND] if row["packing"] == SECOND else each * row["key_switches"]
    print(render(rows))
    if arguments.json:
        pipeline.write_json(arguments.json, {"batch": BATCH, "rows": rows})
    return rows


def key_switches(network: str, batch: int) -> int:
    """The key switches of a step of a dense network with activations z^2 + z, one number a ciphertext.

    A gradient of each weight is a sum over the slots, by as many rotations as the batch has bits. Each sum of
    products is relinearised once: the outputs of layers, the squares, the errors and their products with
    slopes in hidden layers, and the gradient of each entry of a kernel.
    """
    sizes = [int(size) for size in network.split("-")]
    kernels = sum(before * after for before, after in itertools.pairwise(sizes))
    outputs, hidden = sum(sizes[1:]), sum(sizes[1:-1])
    sums = (kernels + outputs) * (batch - 1).bit_length()
    return sums + outputs + 3 * hidden + kernels


def planned(arguments: Arguments) -> int:
    """The key switches of a step in tiles, by its plan."""
    options = training_packings.Arguments(
        network=NETWORKS[-1],
        batch=BATCH,
        momentum=0.0,
        insecure_log_degree=arguments.insecure_log_degree,
        plan=True,
    )
    found = training_packings.measure(SECOND, options)
    return found["rotations"] + found["relinearisations"]


def seconds_of(path: Path) -> dict[str, float]:
    """The seconds of a warm step in each packing.

    Raises:
        SystemExit: a file that cannot be read, or holds another network or no such seconds.
    """
    try:
        found = json.loads(path.read_text())
        rows = {row["packing"]: row["seconds"]["call"] for row in found["rows"]}
        network, batch = found["network"], found["batch"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(f"{path} is no result of benchmarks.training_packings: {error!r}.") from error
    if (network, batch) != (NETWORKS[-1], BATCH) or not {FIRST, SECOND} <= rows.keys():
        raise SystemExit(
            f"{path} was measured on {network} with {batch} samples in {', '.join(rows)}; needed is "
            f"{NETWORKS[-1]} with {BATCH} samples in {FIRST} and {SECOND}: run benchmarks.training_packings "
            "so."
        )
    return rows


def render(rows: list[dict[str, Any]]) -> str:
    """Return the rows as aligned text; how many times each idea helps is by key switches, and by seconds."""
    lines = [f"One step of {BATCH} samples, without bootstraps"]
    lines.append(f"  {'':30}{'network':>14}{'key switches':>14}{'fewer':>8}{'seconds':>12}{'quicker':>9}")
    for before, row in zip([None, *rows], rows, strict=False):
        fewer = "" if before is None else f"{before['key_switches'] / row['key_switches']:.1f}x"
        took = row.get("seconds")
        time = "" if took is None else table.seconds(took)
        quicker = "" if before is None or took is None else f"{before['seconds'] / took:.1f}x"
        head = f"  {row['idea']:30}{row['network']:>14}{row['key_switches']:>14,}"
        lines.append(f"{head}{fewer:>8}{time:>12}{quicker:>9}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.training_ideas"))
