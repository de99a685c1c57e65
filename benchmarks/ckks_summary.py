"""What runs of `benchmarks.ckks` say together: ratios to OpenFHE, their geometric mean, what is missing."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.intervals import ratio_interval
from benchmarks.peers.serving import COUNTED


def summary(results: Mapping[str, Any]) -> dict[str, Any]:
    """Over the counted operations at all degrees: geometric mean of ratios, the worst, what is missing."""
    ratios, missing, imprecise = {}, [], []
    for degree, result in results.items():
        for name in COUNTED:
            record = result["operations"].get(name, {})
            if "ratio" not in record:
                missing.append(f"{name}, {degree}")
                continue
            ratios[f"{name}, {degree}"] = record["ratio"]
            if not record["precise"]:
                imprecise.append(f"{name}, {degree}")
    if not ratios:
        return {"missing": missing}
    worst = max(ratios, key=ratios.__getitem__)
    return {
        "geometric_mean": statistics.geometric_mean(ratios.values()),
        "ratios": ratios,
        "worst": {"operation": worst, "ratio": ratios[worst]},
        "missing": missing,
        "less_precise": imprecise,
    }


def over_runs(totals: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of each ratio over independent runs, and its 95 % interval (t of the logarithms).

    Args:
        totals: what `summary` gave for each run, two at least.
    """
    shared = [name for name in totals[0]["ratios"] if all(name in total["ratios"] for total in totals)]
    means = [total["geometric_mean"] for total in totals]
    return {
        "runs": len(totals),
        "geometric_mean": ratio_interval(means, [1.0] * len(totals)),
        "ratios": {
            name: ratio_interval([total["ratios"][name] for total in totals], [1.0] * len(totals))
            for name in shared
        },
    }


def print_summary(total: Mapping[str, Any]) -> None:
    """The figures that the comparison is for."""
    if "geometric_mean" in total:
        worst = total["worst"]
        print(f"\ngeometric mean of ratios to OpenFHE: {total['geometric_mean']:.3f}")
        print(f"worst: {worst['ratio']:.3f} ({worst['operation']})")
    for title in ("missing", "less_precise"):
        if total.get(title):
            print(f"{title.replace('_', ' ')}: {'; '.join(total[title])}")


def print_runs(found: Mapping[str, Any]) -> None:
    """Every ratio over the runs with its interval, the geometric mean last."""
    print(f"\nratios to OpenFHE over {found['runs']} runs (95 % interval)")
    for name, ratio in {**found["ratios"], "geometric mean": found["geometric_mean"]}.items():
        print(f"{name:24}{ratio['ratio']:6.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})")
