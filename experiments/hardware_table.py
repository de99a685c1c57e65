"""The bands of all machines for some programs, as aligned text."""

from collections.abc import Sequence
from typing import Any

from experiments import table
from fhejax.program.costs.text import amount, duration

KINDS = {"cpu": "processors", "gpu": "graphics processors", "tpu": "tensor processors"}
NAME, CELL = 14, 24
TOGETHER = "accelerators"


def render(results: dict[str, Any]) -> str:
    """Return all results, in lines of at most 115 characters."""
    parts = (_programs, _bands, _fitted, _plaintexts, _bootstraps)
    return table.paragraphs([part(results) for part in parts])


def groups(rows: Sequence[dict[str, Any]], first: str) -> dict[str, list[dict[str, Any]]]:
    """The machines with any band by their kind, the quickest first.

    Args:
        rows: of the results.
        first: the program by which they are sorted.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["programs"][first]["lower"] is not None:
            found.setdefault(KINDS.get(row["kind"], TOGETHER), []).append(row)

    def slowness(row: dict[str, Any]) -> tuple[bool, float]:
        band = row["programs"][first]
        return band["upper"] is None, band["upper"] or band["lower"]

    return {kind: sorted(members, key=slowness) for kind, members in found.items()}


def band(found: dict[str, Any]) -> str:
    """The two ends of a band in words, or the lower one alone."""
    if found["lower"] is None:
        return "-"
    if found["upper"] is None:
        return f"over {duration(found['lower'])}"
    ends = duration(found["lower"]), duration(found["upper"])
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _programs(results: dict[str, Any]) -> list[str]:
    lines = ["what the programs are made of"]
    for program in results["programs"].values():
        counts = program["counts"]
        plural = "" if counts["bootstraps"] == 1 else "s"
        boots = f", {counts['bootstraps']:,.0f} bootstrap{plural}" if counts["bootstraps"] else ""
        lines += [
            f"  {program['title']}, {program['unit']}: {counts['rotations']:,.0f} rotations{boots}, "
            f"{counts['plaintext_products']:,.0f} products with plaintexts,",
            f"    {counts['decompositions']:,.0f} decompositions, {counts['inner_products']:,.0f} products "
            f"with keys, {counts['divisions']:,.0f} divisions by P,",
            f"    {counts['products']:,.0f} products and {counts['transforms']:,.0f} transforms by limbs",
        ]
    return lines


def _bands(results: dict[str, Any]) -> list[str]:
    names = list(results["programs"])
    titles = [results["programs"][name]["title"].split(" on ")[0] for name in names]
    lines = [
        f"  {'':{NAME}}"
        + "".join(f"{title[:CELL]:>{CELL + 1}}" for title in titles)
        + "  the first is bound by"
    ]
    for kind, rows in groups(results["machines"], names[0]).items():
        lines.append(kind)
        for row in rows:
            cells = "".join(f"{band(row['programs'][name]):>{CELL + 1}}" for name in names)
            lines.append(f"  {row['name']:{NAME}}{cells}  {row['programs'][names[0]]['bound']}")
    unknown = [r["name"] for r in results["machines"] if r["programs"][names[0]]["lower"] is None]
    return [
        *lines,
        f"  not known well enough for any time: {', '.join(unknown)}",
        "  Accelerators are simulations of their authors, but for Heracles and those on FPGAs. From units",
        "  that overlap within a layer to units one after the other, neither below its bytes; 'over' where a",
        "  unit is not known.",
    ]


def _fitted(results: dict[str, Any]) -> list[str]:
    """What this library takes by the planner's costs, where it has any."""
    lines = ["by the planner's costs, which were fitted to what fhejax takes"]
    for row in results["machines"]:
        found = [program["fitted"] for program in row["programs"].values()]
        if None not in found:
            lines.append(f"  {row['name']:{NAME}}" + "".join(f"{duration(s):>{CELL + 1}}" for s in found))
    return lines


def _plaintexts(results: dict[str, Any]) -> list[str]:
    """How plaintexts come, for machines with both ends."""
    names = list(results["programs"])
    lines = [f"{results['programs'][names[0]]['title']} by how plaintexts come"]
    forms = list(results["machines"][0]["programs"][names[0]]["plaintexts"])
    lines.append(f"  {'':{NAME}}" + "".join(f"{form:>{CELL + 10}}" for form in forms))
    for rows in groups(results["machines"], names[0]).values():
        for row in (r for r in rows if r["programs"][names[0]]["upper"] is not None):
            found = row["programs"][names[0]]["plaintexts"]
            cells = (f"{band(found[form])}, {amount(found[form]['bytes'])}" for form in forms)
            lines.append(f"  {row['name']:{NAME}}" + "".join(f"{cell:>{CELL + 10}}" for cell in cells))
    return lines


def _bootstraps(results: dict[str, Any]) -> list[str]:
    lines = ["published bootstraps beside this model's band for them"]
    for row in results["machines"]:
        found = row["bootstrap"]
        if found is None:
            continue
        ratio = found["seconds"] / found["upper"]
        place = "within" if found["within"] else f"{ratio:.2f} of the upper end"
        note = f" ({found['note']})" if found["note"] else ""
        lines.append(
            f"  {row['name']:{NAME}}{duration(found['seconds']):>9}  {band(found):>20}  {place}{note}"
        )
    return lines
