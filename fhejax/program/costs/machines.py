"""The machines that costs are predicted for: figures from `machines.json`, each with how sure it is.

Accelerators have a unit for each kind of work; processors do all of it by multipliers.
"""

import dataclasses
import importlib.resources
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

_COPIED = 4.1 / 4.8  # of a GPU's bandwidth in its data sheet, by copying: measured on an H200
_INT8_REACHED = 1 / 4 / 4  # of a peak of int8 products, by four products of digits at a quarter of the peak
_KERNEL_MICROSECONDS = 1.2  # measured on an H200
_NATIVE_WORD = 4  # bytes of a residue
_USED = MappingProxyType(
    {
        "clock_ghz": "{:g} GHz",
        "word_bits": "words of {:g} bits",
        "ntt_words_per_cycle": "a cycle {:,} words of transforms",
        "bconv_macs_per_cycle": "{:,} multiply-adds of conversions",
        "ew_mults_per_cycle": "{:,} other products",
        "auto_words_per_cycle": "{:,} permuted words",
        "shoup_per_s": "{:.2g} products a second",
        "copy_tb_s": "{:g} TB/s by copying",
        "offchip_tb_s": "{:g} TB/s from memory",
    }
)


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine as far as it is known.

    Attributes:
        name: by which it is asked for.
        title: as reports call it.
        kind: "asic, simulated", "asic", "fpga", "gpu", "cpu", "tpu", ..
        figures: numbers by name, as in `machines.json`.
        tags: of each figure, how sure it is: P, 3, M or I.
        note: what is to be known about it.
        sources: of the figures.
    """

    name: str
    title: str
    kind: str
    figures: Mapping[str, Any]
    tags: Mapping[str, str]
    note: str
    sources: tuple[str, ...]

    @property
    def is_processor(self) -> bool:
        """Whether multipliers do all work, and values go through caches."""
        return self.kind in ("gpu", "cpu", "tpu")

    @property
    def word_bytes(self) -> float:
        """The bytes of a residue."""
        return _NATIVE_WORD if self.is_processor else self.figures.get("word_bits", 32) / 8

    @property
    def usable_bits(self) -> float | None:
        """The bits of the modulus that a limb holds; None where it holds one of the parameters' primes."""
        return self.figures.get("usable_bits")

    @property
    def bandwidth(self) -> float | None:
        """The bytes a second from memory outside of the chip, or None."""
        terabytes = self.figures.get("copy_tb_s")
        if terabytes is None and "offchip_tb_s" in self.figures:
            terabytes = self.figures["offchip_tb_s"] * (_COPIED if self.kind == "gpu" else 1.0)
        return None if terabytes is None else terabytes * 1e12

    @property
    def multiplications(self) -> float | None:
        """The products of residues a second of a processor, reduction included, or None."""
        return self.figures.get("shoup_per_s")

    @property
    def matrix_products(self) -> float | None:
        """The multiply-adds of residues with small integers a second by matrix products, or None."""
        peak = self.figures.get("int8_tops")
        return self.figures.get("integer_macs_per_s") if peak is None else peak * 1e12 / 2 * _INT8_REACHED

    @property
    def unit_rates(self) -> Mapping[str, float]:
        """The residues a second of each unit of an accelerator that is known: transforms, conversions, .."""
        names = {
            "transforms": "ntt_words_per_cycle",
            "conversions": "bconv_macs_per_cycle",
            "products": "ew_mults_per_cycle",
            "automorphisms": "auto_words_per_cycle",
        }
        clock = self.figures.get("clock_ghz", 0.0) * 1e9
        rates = {unit: self.figures.get(figure, 0) * clock for unit, figure in names.items()}
        return {unit: rate for unit, rate in rates.items() if rate}

    @property
    def converts_by_products(self) -> bool:
        """Whether it is known to have no unit for conversions, which its multipliers then do."""
        return self.figures.get("bconv_macs_per_cycle") == 0

    @property
    def is_complete(self) -> bool:
        """Whether all rates are known that an upper end of a time takes."""
        if self.is_processor:
            return self.multiplications is not None and self.bandwidth is not None
        found = set(self.unit_rates) | ({"conversions"} if self.converts_by_products else set())
        return {"transforms", "conversions", "products"} <= found and self.bandwidth is not None

    @property
    def launch_seconds(self) -> float:
        """The seconds that launching one kernel takes; none but on GPUs."""
        return self.figures.get("kernel_us", _KERNEL_MICROSECONDS) * 1e-6 if self.kind == "gpu" else 0.0

    def surety(self) -> str:
        """The figures that a time rests on with their tags, in words."""
        held = ((self.figures[n], self.tags[n], what) for n, what in _USED.items() if n in self.figures)
        return ", ".join(f"{what.format(value)} [{tag}]" for value, tag, what in held)


def _read() -> Iterator[tuple[Machine, tuple[str, ...]]]:
    text = importlib.resources.files("fhejax.program.costs").joinpath("machines.json").read_text("utf-8")
    for row in json.loads(text)["machines"]:
        figures = MappingProxyType({name: value for name, (value, _) in row["figures"].items()})
        tags = MappingProxyType({name: tag for name, (_, tag) in row["figures"].items()})
        fields = row["name"], row["title"], row["kind"], figures, tags, row["note"], tuple(row["sources"])
        yield Machine(*fields), (row["name"], *row["aliases"])


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


_ROWS = tuple(_read())
_BY_NAME = MappingProxyType({_plain(name): machine for machine, names in _ROWS for name in names})
MACHINES: Mapping[str, Machine] = MappingProxyType({machine.name: machine for machine, _ in _ROWS})


def chosen_machine(name: Machine | str) -> Machine:
    """The machine of a name: capitals, blanks and hyphens do not matter.

    Raises:
        ValueError: a name that no machine has; all names are told.
        TypeError: neither a Machine nor a name.
    """
    if isinstance(name, Machine):
        return name
    known = ", ".join(MACHINES)
    if not isinstance(name, str):
        raise TypeError(
            f"a report was asked for a device of type {type(name).__name__}; give the name of a machine, "
            f"one of {known}."
        )
    if _plain(name) not in _BY_NAME:
        raise ValueError(
            f"a report was asked for a machine called {name[:60]!r}, and none is known by this name; those "
            f"known are {known}. Name the nearest."
        )
    return _BY_NAME[_plain(name)]
