"""The checks of a result against the client's own plan, since a server may write anything into one."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from fhejax.ckks.parameters import Scale
from fhejax.program.arguments import Normalisation
from fhejax.program.circuit.reading import AffineView
from fhejax.program.packing.layout import Layout
from fhejax.program.run.encrypted_array import EncryptedArray

_ROUNDED_BITS = 2.0**-40


@dataclasses.dataclass(frozen=True, eq=False)
class ExpectedArray:
    """The description that an encrypted array of a program must have.

    Attributes:
        name: of the array in messages.
        shape: the whole shape, batch included.
        batch_axis: where samples lie, or None.
        level: of its ciphertexts, or None where plain arguments of the call decide.
        scale: likewise.
        view: how ciphertexts are read; None for an argument, and where plain arguments decide.
        normalisation: of an argument; None for a result.
        layout: of the slots, where a block holds one sample.
    """

    name: str
    shape: tuple[int, ...]
    batch_axis: int | None
    level: int | None
    scale: Scale | None
    view: AffineView | None
    normalisation: Normalisation | None = None
    layout: Layout | None = None

    def differences(self, found: EncryptedArray) -> list[str]:
        """The ways, in words, in which an array is not as it must be."""
        pairs = (
            ("shape", found.shape, self.shape),
            ("batch axis", found.batch_axis, self.batch_axis),
            ("layout", found.layout, self.layout),
            ("normalisation", found.normalisation, self.normalisation),
            ("level", found.level, found.level if self.level is None else self.level),
            ("scale", found.scale, self.scale if self._is_other_scale(found.scale) else found.scale),
        )
        wrong = [f"{name} {has} instead of {wanted}" for name, has, wanted in pairs if has != wanted]
        if not wrong and self.view is not None and not _same_view(self.view, found):
            wrong.append("factors, offsets or an order of its own")
        return wrong

    def _is_other_scale(self, scale: Scale) -> bool:
        """Whether a scale is not the expected one, which the order of products rounds in its last bits."""
        return self.scale is not None and abs(scale.bits - self.scale.bits) > _ROUNDED_BITS


def check_result(result: EncryptedArray, expected: Sequence[ExpectedArray], batch: int) -> None:
    """Refuse an encrypted array that is none of those that a program makes.

    Args:
        result: to be decrypted.
        expected: the program's results and arguments.
        batch: samples that the program was planned for.

    Raises:
        ValueError: what differs from the most similar of them.
    """
    found = [(one, one.differences(result)) for one in expected]
    nearest, wrong = min(found, key=lambda pair: len(pair[1]))
    if result.batch_axis is not None and not 1 <= result.samples <= batch:
        wrong = [*wrong, f"{result.samples} samples, of a batch of {batch}"]
    if wrong:
        raise ValueError(
            f"an encrypted array to be decrypted is none that this program makes: beside {nearest.name} it "
            f"has {', '.join(wrong)}. Its description was altered, or it comes from another program; ask the "
            f"server for the result again."
        )


def _same_view(view: AffineView, found: EncryptedArray) -> bool:
    if found.view is None:
        return False
    pairs = (
        (found.view.entries, view.entries),
        (found.view.multiplier, view.multiplier),
        (found.view.offset, view.offset),
    )
    return all(np.array_equal(np.asarray(has), np.asarray(wanted)) for has, wanted in pairs)
