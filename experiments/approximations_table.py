"""The tables of the approximation experiment as aligned text."""

from typing import Any

from experiments import table

COLUMNS = (
    ("degree", 7),
    ("depth", 6),
    ("error", 9),
    ("slope", 9),
    ("rms", 9),
    ("error", 10),
    ("noise", 9),
    ("predicted", 10),
    ("bits", 5),
    ("ms", 6),
)
METHOD = 18
CLEAR = ("error", "derivative_error", "root_mean_square_error")
ENCRYPTED = ("error", "noise", "predicted_noise")
NOTES = """\
  In the clear: the largest error of the value, that of the slope, and the root mean square error.
  Encrypted: the largest error against the function itself, over all slots; the noise that
  encryption adds, root mean square, measured and predicted; its bits after the point; a warm run.
  ReLU has no Taylor series at 0, and its slope jumps there, so that every polynomial's slope is
  wrong by 1/2 or more: C1 weighs it by 1 / degree. Its odd part is x / 2, so that degree 3 is 2."""


def render(results: dict[str, Any]) -> str:
    """Return all results, in lines of at most 100 characters."""
    parts = [_function(found) for found in results["functions"]]
    parts.append([NOTES, *_missing(results)])
    parts += [_parameters(found) for found in results["parameters"]]
    parts += [_times(results), table.machine(results)]
    return table.paragraphs(parts)


def _function(found: dict[str, Any]) -> list[str]:
    low, high = found["interval"]
    title = f"{found['function']} on [{low:g}, {high:g}]"
    # The headings of two groups end where their columns do.
    clear, encrypted = (sum(width for _, width in group) for group in (COLUMNS[:5], COLUMNS[5:]))
    head = "".join(f"{name:>{width}}" for name, width in COLUMNS)
    return [
        f"{title:<{METHOD + 2}}{'in the clear':>{clear}}{'encrypted':>{encrypted}}",
        f"  {'method':<{METHOD}}{head}",
        *[f"  {row['method']:<{METHOD}}{_cells(row)}" for row in found["rows"]],
    ]


def _cells(row: dict[str, Any]) -> str:
    encrypted = row["encrypted"] or {}
    texts = [str(row["degree"]), "-" if row["depth"] is None else str(row["depth"])]
    texts += [_number(row[name]) for name in CLEAR]
    texts += [_number(encrypted.get(name)) for name in ENCRYPTED]
    texts += [f"{encrypted['bits']:.1f}", f"{1000 * encrypted['seconds']:.0f}"] if encrypted else ["-", "-"]
    return "".join(f"{text:>{width}}" for text, (_, width) in zip(texts, COLUMNS, strict=True))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2e}"


def _missing(results: dict[str, Any]) -> list[str]:
    rows = [row for found in results["functions"] for row in found["rows"]]
    if all(row["encrypted"] or row["depth"] is None for row in rows):
        return []
    return ["  The composites were evaluated in the clear alone; --deep evaluates them encrypted."]


def _parameters(found: dict[str, Any]) -> list[str]:
    size = table.size(found["key_bytes"])
    return [
        *table.security({"parameters": found}),
        table.line("scale", f"2**{found['scale_bits']:.0f}", f"relinearisation key of {size}"),
    ]


def _times(results: dict[str, Any]) -> list[str]:
    rows = results["seconds"].items()
    return [
        table.line("stage", "in all"),
        *[table.line(stage, table.seconds(row["total"]), _times_called(row["calls"])) for stage, row in rows],
        table.peak_memory(results),
    ]


def _times_called(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"
