"""The results of an experiment as aligned text."""

from collections.abc import Iterable, Sequence
from typing import Any

LABEL, VALUE = 26, 12


def render(results: dict[str, Any]) -> str:
    """Return all results, in lines of at most 100 characters."""
    parts = (accuracy(results), security(results), times(results), sizes(results), machine(results))
    return paragraphs(parts)


def paragraphs(parts: Iterable[Sequence[str]]) -> str:
    """Return lines by the paragraph, an empty one between."""
    return "\n\n".join("\n".join(lines) for lines in parts)


def headline(results: dict[str, Any]) -> str:
    """Return the outcome in two lines."""
    clear, encrypted = (share(results, f"correct_{kind}") for kind in ("clear", "encrypted"))
    return (
        f"{results['name']}: {encrypted} of {results['images']:,} encrypted images right\n"
        f"{clear} in the clear, {share(results, 'agreeing')} of labels the same; "
        f"{protection(results['parameters'])}"
    )


def accuracy(results: dict[str, Any]) -> list[str]:
    """Return how many images are right, in the clear and encrypted."""
    total = results["images"]
    rows = (
        ("accuracy in the clear", "correct_clear"),
        ("accuracy encrypted", "correct_encrypted"),
        ("same label", "agreeing"),
    )
    return [
        f"{results['name']}: {total:,} test images, {results['batch']:,} in a batch",
        *[line(name, share(results, key), f"{results[key]:,} of {total:,}") for name, key in rows],
        line(
            "largest error of a logit",
            f"{results['largest_error']:.4f}",
            f"the largest logit is {results['largest_logit']:.1f}",
        ),
    ]


def security(results: dict[str, Any]) -> list[str]:
    """Return the parameters, and INSECURE where they are."""
    parameters = results["parameters"]
    kind = "conjugate-invariant" if parameters["conjugate_invariant"] else "standard"
    level = f"{parameters['security']} bits" if parameters["security"] else "INSECURE"
    table = "2024 table, ternary secret" if parameters["security"] else "for tests only"
    return [
        line("security", level, f"log2 QP = {parameters['log2_modulus']:.1f}, {table}"),
        line(
            "ring degree",
            power(parameters["ring_degree"]),
            f"{kind}, {parameters['slots']:,} slots, {parameters['levels']} levels",
        ),
    ]


def times(results: dict[str, Any]) -> list[str]:
    """Return the seconds of every stage: its first call, and the median of those after it."""
    hourly = results["images_per_hour"]
    notes = {"evaluate": "" if hourly is None else f"{amount(hourly)} images an hour, warm"}
    repeats = results["seconds"]["evaluate"]["calls"] - 1
    lines = [
        *stages(results["seconds"], notes),
        "  A first call includes XLA's compilation, or reading it from the cache.",
    ]
    if repeats:
        lines.append(f"  Warm is the median of {repeats} further calls, each of one batch.")
    return lines


def stages(found: dict[str, Any], notes: dict[str, str]) -> list[str]:
    """Return a heading and every stage's row of a `pipeline.Stages.summary`; `notes` are by stage."""
    return [
        line("stage", "first call", f"{'warm':>{VALUE}}"),
        *[
            line(
                stage,
                seconds(row["first"]),
                f"{seconds(row['warm']):>{VALUE}}   {notes.get(stage, '')}",
            )
            for stage, row in found.items()
        ],
    ]


def sizes(results: dict[str, Any]) -> list[str]:
    """Return bytes of keys, ciphertexts and the process."""
    found = results["bytes"]
    return [
        line(
            "evaluation keys",
            size(found["keys"]) if found["keys"] else "none",
            "on the wire, seeded" if found["keys"] else "the circuit needs none",
        ),
        line("encrypted images", size(found["images"]), "in memory, a batch"),
        line("encrypted logits", size(found["logits"]), "in memory, a batch"),
        peak_memory(results),
    ]


def peak_memory(results: dict[str, Any]) -> str:
    """Return the line of what the process took in all."""
    return line("peak memory", size(results["peak_memory_bytes"]), "of the whole process")


def machine(results: dict[str, Any]) -> list[str]:
    """Return where this was measured."""
    found = results["machine"]
    return [
        f"Measured on {found['cores']} cores of {found['processor']}, {found['memory_gib']} GiB; "
        f"JAX {found['jax']} on {found['device']}."
    ]


def line(label: str, value: str, note: str = "") -> str:
    """Return a label, a value aligned to the right, and a note."""
    return f"  {label:<{LABEL}}{value:>{VALUE}}   {note}".rstrip()


def share(results: dict[str, Any], key: str) -> str:
    """Return the share of images that `key` counts, in percent."""
    return f"{100 * results[key] / results['images']:.2f} %"


def protection(parameters: dict[str, Any]) -> str:
    """Return the security in words."""
    level = parameters["security"]
    return f"{level}-bit security" if level else "INSECURE parameters, for tests only"


def seconds(duration: float | None) -> str:
    """Return a duration with two decimals, or a dash for none."""
    return "-" if duration is None else f"{duration:.2f} s"


def size(count: float) -> str:
    """Return bytes in a decimal unit, three digits."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def power(count: int) -> str:
    """Return a power of two as one."""
    return f"2**{count.bit_length() - 1}"


def amount(count: float) -> str:
    """Return a count to three digits: 1.23 million, or 45,600."""
    if count >= 1e6:
        return f"{count / 1e6:.3g} million"
    return f"{float(f'{count:.3g}'):,.0f}"
