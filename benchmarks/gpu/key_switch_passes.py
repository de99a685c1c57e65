"""What a key switch reads and writes on a GPU, and what each way of fusing its ends would save: predicted.

    python -m benchmarks.gpu.key_switch_passes

Bytes are counted from the shapes in `ckks/keys/switching.py`; seconds divide them by the bandwidth of copying
in the card's row and, for what is read again and again from the second-level cache, by that of the cache,
which is a guess, 5.5e12 bytes a second for a card like an H100, and not measured by us.
"""

import dataclasses

from fhejax import ckks
from fhejax.ckks.keys.generation import digit_ranges
from fhejax.ring.platform import DEVICES, Device

_WORD = 4
_CACHE = 5.5e12  # bytes a second


@dataclasses.dataclass(frozen=True)
class KeySwitch:
    """The sizes of a rotation.

    Attributes:
        degree: N.
        digits: primes in each digit of Q.
        special: primes of P.
    """

    degree: int
    digits: tuple[int, ...]
    special: int

    @property
    def limbs(self) -> int:
        """The primes of Q."""
        return sum(self.digits)

    @property
    def raised(self) -> int:
        """Limbs that base conversion of all digits writes."""
        return sum(self.limbs - size + self.special for size in self.digits)

    @property
    def read_by_conversion(self) -> int:
        """Limbs that reach XLA's kernels of base conversion: each target reads the whole digit again."""
        return sum(size * (self.limbs - size + self.special) for size in self.digits)

    @property
    def key(self) -> int:
        """Limbs of the switching key."""
        return 2 * len(self.digits) * (self.limbs + self.special)


@dataclasses.dataclass(frozen=True)
class Saving:
    """What one way of fusing saves.

    Attributes:
        what: in words.
        memory: bytes that are neither written nor read again.
        cache: bytes that the cache does not serve.
        launches: kernels less.
    """

    what: str
    memory: int
    cache: int
    launches: int

    def seconds(self, device: Device) -> float:
        """Predicted; launches overlap within an executable, and are not counted."""
        return self.memory / device.bandwidth + self.cache / _CACHE


def savings(switch: KeySwitch) -> list[Saving]:
    """Each way of fusing, alone."""
    limb = _WORD * switch.degree
    count = len(switch.digits)
    kept_scaled = 2 * (switch.limbs + count) * limb  # scaled residues and the overflow, written and read
    divided = 2 * switch.limbs  # limbs of both components after the division by P
    return [
        Saving(
            "base conversion reads a digit once for all of its targets",
            kept_scaled,
            (switch.read_by_conversion - switch.limbs) * limb,
            count,
        ),
        Saving(
            "base conversion within the first phase of the forward transform",
            2 * switch.raised * limb + kept_scaled,
            0,
            2 * count,
        ),
        Saving(
            "sum of products with the key within its second phase",
            2 * (switch.raised + switch.limbs) * limb - switch.limbs * limb,
            0,
            1,
        ),
        Saving(
            "difference and product of the division by P within its second phase", 2 * divided * limb, 0, 1
        ),
    ]


def rotation_of(params: ckks.Parameters) -> KeySwitch:
    """The key switch of a rotation at the highest level."""
    sizes = tuple(stop - start for start, stop in digit_ranges(params, params.depth))
    return KeySwitch(params.ring.degree, sizes, len(params.special))


def table(switch: KeySwitch, device: Device) -> str:
    """The savings, largest first, beside what has to be read and written in any case."""
    limb = _WORD * switch.degree
    least = (switch.key + 4 * switch.limbs) * limb
    lines = [
        f"N = {switch.degree}, digits {switch.digits}, {switch.special} primes of P, on {device.title}",
        _line("key, argument and result, once", least, least / device.bandwidth),
    ]
    for one in sorted(savings(switch), key=lambda one: -one.seconds(device)):
        lines.append(f"{_line(one.what, one.memory + one.cache, one.seconds(device))} less")
    return "\n".join(lines)


def _line(what: str, moved: int, seconds: float) -> str:
    return f"{what:<70}{moved / 1e6:>8.0f} MB{seconds * 1e6:>8.1f} us"


if __name__ == "__main__":
    print(table(rotation_of(ckks.preset("complex-n16-128bit-depth32-scale40")), DEVICES["h200"]))
