"""The results of a training as aligned text."""

from typing import Any

from experiments import table


def render(results: dict[str, Any]) -> str:
    """Return all results, in lines of at most 100 characters."""
    return table.paragraphs([_head(results), _clear(results), _magnitudes(results), table.machine(results)])


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


def percent(share: float) -> str:
    """Return a share with one decimal."""
    return f"{100 * share:.1f} %"
