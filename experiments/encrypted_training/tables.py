"""The results of a training as aligned text."""

from typing import Any

from experiments import table


def render(results: dict[str, Any]) -> str:
    """Return all results, in lines of at most 100 characters."""
    parts = [_head(results), _clear(results), _magnitudes(results)]
    if "probes" in results:
        parts += [_probes(results), _protection(results), table.stages(results["seconds"], {})]
    return table.paragraphs([*parts, table.machine(results)])


def headline(results: dict[str, Any]) -> tuple[str, str]:
    """Return the outcome in two lines."""
    last = results["probes"][-1] if results.get("probes") else None
    shown = "in the clear" if last is None else "trained encrypted"
    right = percent(results["accuracy_clear"][-1] if last is None else last["accuracy"])
    return (
        f"{results['name']}: {right} of test samples right",
        f"{shown}, {results['steps']:,} steps of {results['batch']:,} samples; "
        + ("before any key exists" if last is None else table.protection(results["parameters"])),
    )


def probe_line(probe: dict[str, Any]) -> str:
    """Return what the weights after one step are worth, as a row of a table."""
    return (
        f"  {probe['step']:>6,}{percent(probe['accuracy_clear']):>14}{percent(probe['accuracy']):>14}"
        f"{probe['difference']:>14.1e}{probe['predicted']:>14.1e}{probe['largest_difference']:>14.1e}"
    )


def percent(share: float) -> str:
    """Return a share with one decimal."""
    return f"{100 * share:.1f} %"


def _head(results: dict[str, Any]) -> list[str]:
    return [
        f"{results['name']}: {results['steps']:,} steps of {results['batch']:,} samples, "
        f"learning rate {results['rate']:g}",
        f"{results['parameters_count']:,} weights and as many momenta; Nesterov's method",
    ]


def _clear(results: dict[str, Any]) -> list[str]:
    noise = f"2^-{results['noise_bits']:g} of each magnitude, at every step"
    total = results["test_samples"]
    return [
        f"test samples right, of {total:,}",
        table.line("in the clear", percent(results["accuracy_clear"][-1])),
        table.line("in the clear, with noise", percent(results["accuracy_noisy"][-1]), noise),
    ]


def _magnitudes(results: dict[str, Any]) -> list[str]:
    """Return the largest magnitude of each kind of value, and what is declared for it."""
    found, declared = results["magnitudes"], results["declared"]
    kinds = {
        "outputs of layers": ("outputs",),
        "parameters": ("kernel", "bias"),
        "momenta": ("momentum",),
        "gradients": ("gradient",),
    }
    lines = ["largest magnitudes"]
    for kind, starts in kinds.items():
        largest = max(value for name, value in found.items() if name.startswith(starts))
        note = f"{declared[kind]:g} declared" if kind in declared else ""
        lines.append(table.line(kind, f"{largest:.3f}", note))
    return lines


def _probes(results: dict[str, Any]) -> list[str]:
    titles = ("in the clear", "encrypted", "difference", "predicted", "largest")
    return [
        f"  {'step':>6}" + "".join(f"{title:>14}" for title in titles),
        *map(probe_line, results["probes"]),
        "  Test samples right; then weights encrypted less those in the clear, root mean squares.",
    ]


def _protection(results: dict[str, Any]) -> list[str]:
    """Return security, and the probability that any bootstrap of the run fails."""
    bits = results["failure_bits"]
    odds = "that any fails: none" if bits is None else f"that any fails: 2^-{bits:.0f}"
    return [
        *table.security(results),
        table.line("bootstraps", f"{results['bootstraps']:,}", f"in the whole run; probability {odds}"),
        table.peak_memory(results),
    ]
