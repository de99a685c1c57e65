"""The results of classifying single images encrypted, as aligned text."""

from typing import Any

from experiments import table
from fhejax.nn import CIFAR10_CLASSES

COUNTS = {
    "decompositions": "decomposed",
    "inner_products": "with keys",
    "divisions": "by P",
    "products": "products",
    "rotations": "rotations",
    "plaintext_products": "plaintexts",
}
LAYER = 62  # characters of a layer's name
COLUMNS = ("label", "in the clear", "encrypted", "error", "predicted", "rounding", "noise", "seconds")


def render_clear(results: dict[str, Any]) -> str:
    """Return accuracy in the clear and what leaves the planned range, as lines."""
    return table.paragraphs([_clear(results), []])


def render_simulated(results: dict[str, Any]) -> str:
    """Return what images in fixed point with noise came to, as lines."""
    return table.paragraphs([_simulated(results), []])


def render(results: dict[str, Any]) -> str:
    """Return all results, in lines of at most 100 characters."""
    simulated = [_simulated(results)] if "simulated" in results else []
    parts = (_clear(results), *simulated, _images(results), table.security(results), _times(results))
    return table.paragraphs([*parts, table.machine(results)])


def render_counts(rows: list[dict[str, Any]]) -> str:
    """Return what each layer is made of, and all of them together, as lines.

    Args:
        rows: of each layer its label and the counts of `COUNTS`.
    """
    total = {"label": "all", **{name: sum(row[name] for row in rows) for name in COUNTS}}
    head = f"  {'':{LAYER}}" + "".join(f"{title:>11}" for title in COUNTS.values())
    lines = [
        f"  {row['label'][:LAYER]:{LAYER}}" + "".join(f"{row[name]:>11,.0f}" for name in COUNTS)
        for row in [*rows, total]
    ]
    return table.paragraphs([["what each layer is made of", head, *lines], []])


def name_of(label: int) -> str:
    """Return the class of CIFAR-10."""
    return CIFAR10_CLASSES[label]


def _clear(results: dict[str, Any]) -> list[str]:
    total, beyond = results["images"], results["out_of_range"]
    return [
        f"{results['name']}: {total:,} test images in the clear",
        table.line(
            "accuracy", table.share(results, "correct_clear"), f"{results['correct_clear']:,} of {total:,}"
        ),
        table.line("largest pre-activation", f"{results['largest']:.2f}", "of all layers"),
        table.line("out of the planned range", f"{beyond:,}", f"of {total:,} images"),
        f"  The one that goes furthest is image {results['furthest_image']}: at activation "
        f"{results['furthest_layer']} of {results['layers']} it reaches {results['reached']:.2f}",
        f"  of the {results['planned']:.2f} that are planned.",
    ]


def _simulated(results: dict[str, Any]) -> list[str]:
    count = results["simulated"]
    right, before = results["correct_simulated"], results["correct_of_these"]
    return [
        f"{count:,} test images in fixed point with the noise of encryption, no cryptography",
        table.line("accuracy", f"{100 * right / count:.2f} %", f"{100 * before / count:.2f} % in the clear"),
        table.line("labels as in the clear", f"{results['labels_equal']:,}", f"of {count:,}"),
        table.line("error of logits", f"{results['simulated_error']:.1e}", "root mean square"),
        table.line("largest error", f"{results['largest_simulated_error']:.1e}", "of all logits"),
    ]


def _images(results: dict[str, Any]) -> list[str]:
    rows = results["encrypted"]
    same = sum(row["predicted"] == row["predicted_clear"] for row in rows)
    right = sum(row["predicted"] == row["label"] for row in rows)
    return [
        f"encrypted, one at a time: {right} of {len(rows)} right, {same} of {len(rows)} as in the clear",
        "  image" + "".join(f"{name:>13}" for name in COLUMNS[:3]) + _numbers(COLUMNS[3:]),
        *[_row(row, results["predicted_error"]) for row in rows],
        "  Errors are root mean squares over the logits: of decryption against the clear, as predicted",
        "  before any key existed, of rounded weights alone, and of encryption alone.",
    ]


def _row(row: dict[str, Any], predicted: float) -> str:
    labels = (row["label"], row["predicted_clear"], row["predicted"])
    errors = (row["error"], predicted, row["rounding"], row["noise"])
    seconds = "-" if row["seconds"] is None else f"{row['seconds']:.1f}"
    return (
        f"  {row['image']:>5}"
        + "".join(f"{name_of(label):>13}" for label in labels)
        + _numbers([*(f"{error:.1e}" for error in errors), seconds])
    )


def _numbers(cells: list[str] | tuple[str, ...]) -> str:
    return "".join(f"{cell:>10}" for cell in cells)


def _times(results: dict[str, Any]) -> list[str]:
    sizes = results["bytes"]
    notes = {"evaluate": f"{table.seconds(results['predicted_seconds'])} predicted"}
    return [
        *table.stages(results["seconds"], notes),
        table.line("evaluation keys", table.size(sizes["keys"]), "on the wire, seeded"),
        table.line("encrypted image", table.size(sizes["upload"]), "as a file"),
        table.line("encrypted logits", table.size(sizes["result"]), "as a file"),
        table.peak_memory(results),
    ]
