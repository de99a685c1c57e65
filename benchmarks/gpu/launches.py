"""How many kernels an executable launches, from its compiled text: a loop's as often as it turns."""

import re

_KERNELS = (
    "fusion",
    "custom-call",
    "copy",
    "dot",
    "transpose",
    "concatenate",
    "reduce",
    "sort",
    "fft",
    "gather",
)
_INSTRUCTION = re.compile(r"= [^=]*? ([\w-]+)\(")
_CALLED = re.compile(r"(?:body|to_apply|calls|branch_computations)=\{?(%?[\w.-]+)")
_TURNS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')


def kernels_of(text: str) -> int:
    """The kernels of an executable: exact for its loops of known length, one turn of each other.

    Args:
        text: `jax.jit(..).lower(..).compile().as_text()`.
    """
    computations = _computations(text)
    entry = next(name for name in computations if name.startswith("ENTRY "))
    return _count(entry, computations)


def _computations(text: str) -> dict[str, list[str]]:
    """The lines of each computation, by its name; that of the entry begins with ENTRY."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.endswith("{") and "->" in line:
            words = line.split()
            name = f"ENTRY {words[1]}" if words[0] == "ENTRY" else words[0].lstrip("%")
            found[name] = []
        elif name and line.startswith("  "):
            found[name].append(line)
    return found


def _count(name: str, computations: dict[str, list[str]]) -> int:
    total = 0
    for line in computations.get(name, ()):
        instruction = _INSTRUCTION.search(line)
        kind = instruction.group(1) if instruction else ""
        if kind in ("while", "call", "conditional", "async-start"):
            turns = _TURNS.search(line)
            called = [found.lstrip("%") for found in _CALLED.findall(line)]
            total += int(turns.group(1) if turns else 1) * sum(_count(one, computations) for one in called)
        elif kind in _KERNELS:
            total += 1
    return total
