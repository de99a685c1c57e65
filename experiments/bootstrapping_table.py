"""The tables of the bootstrapping experiment as aligned text."""

import textwrap
from collections.abc import Iterable
from typing import Any

from experiments import table
from experiments.bootstrapping_stages import STAGES

WIDTH = 12
NAMES_WIDTH = 43
OTHERS = ("matrices", "predict", "keys", "encrypt", "bootstrap", "decrypt", "chain")
NOTES = """\
  Bits after the point that are right, over all real and imaginary parts. The mean is that of the
  root mean square error. The prediction is one draw from ckks.estimate, made before the keys."""


def parameters(found: dict[str, Any], present: int) -> str:
    """Return what is known before keys are made, `present` being the machine's bytes of memory."""
    parts = (_security(found), _circuit(found), _keys(found["keys"]), _memory(found["bytes"], present))
    return table.paragraphs(parts)


def results(found: dict[str, Any]) -> str:
    """Return all results, in lines of at most 100 characters."""
    parts = [_precision(found), _levels(found["parameters"]), _stages(found)]
    parts += [_chain(found["chain"])] if found["chain"] else []
    parts += [_times(found), table.machine(found)]
    return table.paragraphs(parts)


def _security(found: dict[str, Any]) -> list[str]:
    level, limit = found["security"], found["log2_modulus_limit"]
    note = f"up to {limit}, 2024 table, ternary secret" if level else "INSECURE, for tests only"
    protection = f"{level} bits" if level else "INSECURE"
    degree, slots = found["ring_degree"], found["slots"]
    return [
        f"Bootstrapping with {found['levels']['left']} levels of {found['scale_bits']:.1f} bits left",
        table.line("security", protection, f"log2 QP = {found['log2_modulus']:.1f}, {note}"),
        table.line(
            "ring degree", table.power(degree), f"standard, {slots:,} complex numbers in a ciphertext"
        ),
        table.line(
            "failure probability",
            _probability(found["failure_probability_log2"]),
            f"of one bootstrap; sparse secret of weight {found['hamming_weight']}, K = {found['bound']}",
        ),
    ]


def _circuit(found: dict[str, Any]) -> list[str]:
    levels, matrices = found["levels"], found["matrices"]
    sine = found["reduction_precision_bits"]
    butterflies = {name: " + ".join(map(str, stages)) for name, stages in matrices.items()}
    return [
        table.line("levels", str(levels["all"]), f"before: {levels['before']}, after: {levels['after']}"),
        *[
            table.line(name, str(len(matrices[name])), f"matrices, of {butterflies[name]} butterflies")
            for name in matrices
        ],
        table.line(
            "modular reduction",
            str(levels["all"] - len(matrices["coefficients to slots"]) - levels["after"]),
            f"degree {found['degree']} and {found['double_angles']} double angles: {sine['mean']:.1f} bits, "
            f"{sine['worst']:.1f} at worst",
        ),
    ]


def _keys(rows: list[dict[str, Any]]) -> list[str]:
    """The names of a row take as many lines as they need."""
    lines = [_row("keys", ("on the wire", "in memory"))]
    for row in rows:
        sizes = (table.size(row[kind]) for kind in ("wire", "memory"))
        first, *others = textwrap.wrap(_names(row["keys"]), NAMES_WIDTH)
        start = _row(f"{len(row['keys'])} at level {row['level']}", sizes)
        lines += [f"{start}   {first}", *(f"{'':{len(start)}}   {other}" for other in others)]
    return lines


def _names(keys: list[int | str]) -> str:
    steps = ", ".join(str(key) for key in keys if isinstance(key, int))
    words = [key for key in keys if isinstance(key, str)]
    return ", ".join([*words, *[f"rotations by {steps}"] * bool(steps)])


def _memory(sizes: dict[str, int], present: int) -> list[str]:
    wire = table.size(sizes["keys_on_the_wire"])
    return [
        table.line("keys", table.size(sizes["keys"]), f"{wire} on the wire"),
        table.line("matrices", table.size(sizes["matrices"]), "the same for all users"),
        table.line(
            "memory needed", table.size(sizes["needed"]), f"about; the machine has {table.size(present)}"
        ),
    ]


def _precision(found: dict[str, Any]) -> list[str]:
    columns = ("mean", "worst", "best")
    rows = found["precision"]
    return [
        _row("bits of precision", columns),
        *[_row(name, (f"{rows[name][key]:.1f}" for key in columns)) for name in ("predicted", "measured")],
        NOTES,
    ]


def _levels(found: dict[str, Any]) -> list[str]:
    levels = found["levels"]
    return [
        table.line("level before", str(levels["before"])),
        table.line("level after", str(levels["after"]), f"{levels['left']} multiplications until the next"),
        table.line("failure probability", _probability(found["failure_probability_log2"])),
    ]


def _stages(found: dict[str, Any]) -> list[str]:
    rows = found["seconds"]
    first, warm = (sum(rows[name][kind] for name in STAGES) for kind in ("first", "warm"))
    return [
        _row("stage of a bootstrap", ("first call", "warm", "share")),
        *[_stage(name, rows[name], warm) for name in STAGES],
        _row("all four", (table.seconds(first), table.seconds(warm))),
        _row("ckks.bootstrap", ("", table.seconds(rows["bootstrap"]["first"]))),
        "  A first call includes XLA's compilation, or reading it from the cache. The stages give the bits",
        f"  of ckks.bootstrap; warm is the median of {rows[STAGES[0]]['calls'] - 1}.",
    ]


def _stage(name: str, row: dict[str, Any], total: float) -> str:
    share = f"{100 * row['warm'] / total:.0f} %"
    return _row(name, (table.seconds(row["first"]), table.seconds(row["warm"]), share))


def _chain(rows: list[dict[str, Any]]) -> list[str]:
    columns = (("measured", "mean"), ("predicted", "mean"), ("measured", "worst"), ("predicted", "worst"))
    return [
        _row("bootstraps so far", ("mean", "predicted", "worst", "predicted")),
        *[
            _row(str(number), (f"{row[kind][key]:.1f}" for kind, key in columns))
            for number, row in enumerate(rows, 1)
        ],
        "  Bits of precision, after each of the chain, against the same run in the clear: z^2 + c between.",
    ]


def _times(found: dict[str, Any]) -> list[str]:
    rows = found["seconds"]
    return [
        *[table.line(name, table.seconds(rows[name]["first"])) for name in OTHERS if name in rows],
        table.line("peak memory", table.size(found["peak_memory_bytes"]), "of the process, on the host"),
    ]


def _row(label: str, cells: Iterable[str]) -> str:
    return f"  {label:<{table.LABEL}}{''.join(f'{cell:>{WIDTH}}' for cell in cells)}".rstrip()


def _probability(power: float | None) -> str:
    return "0" if power is None else f"2**{power:.1f}"
