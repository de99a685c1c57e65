"""Plain linear maps by their diagonals: convolutions, dense layers and repackings."""

from collections.abc import Sequence

from fhejax.ckks import Parameters
from fhejax.ckks.linear_transform import LinearTransform, apply_linear_transforms, linear_transform
from fhejax.ckks.operation import Keys, Value
from fhejax.ckks.parameters import Scale
from fhejax.program.packing.layout import Diagonals

Transforms = tuple[tuple[LinearTransform | None, ...], ...]


def encode_plain_map(
    params: Parameters,
    diagonals: Diagonals,
    level: int,
    scale: Scale | float | None = None,
    *,
    by_blocks: bool = True,
) -> Transforms:
    """The diagonals encoded: a row for each target ciphertext, in it a transform for each of the source.

    Args:
        params: of the ciphertexts.
        diagonals: of the map.
        level: at which it is applied.
        scale: of the diagonals, by default such that the result has the lower level's own.
        by_blocks: take giant steps of whole blocks, as the diagonals were chosen; else those that cost least.

    Raises:
        ValueError: parameters of other slots, a target ciphertext that takes nothing, or what
            `ckks.linear_transform` refuses.
    """
    if params.slots != diagonals.target.slot_count:
        raise ValueError(
            f"a map between layouts of {diagonals.target.slot_count} slots was to be encoded for parameters "
            f"of {params.slots}; make the layouts for these."
        )
    return tuple(
        tuple(
            _encoded(params, diagonals, (target, source), level, scale, by_blocks)
            for source in range(diagonals.source.ciphertext_count)
        )
        for target in range(diagonals.target.ciphertext_count)
    )


def _encoded(
    params: Parameters,
    diagonals: Diagonals,
    pair: tuple[int, int],
    level: int,
    scale: Scale | float | None,
    by_blocks: bool,
) -> LinearTransform | None:
    if pair not in diagonals.vectors:
        return None
    split = diagonals.split(pair) if by_blocks else None
    return linear_transform(params, diagonals.vectors[pair], level=level, scale=scale, split=split)


def apply_plain_map(keys: Keys, ciphertexts: Sequence[Value], transforms: Transforms) -> list[Value]:
    """The ciphertexts of the result, one level below, at that level's own scale.

    Args:
        keys: with the rotations of all transforms.
        ciphertexts: of the source, in order; brought down to the transforms' level.
        transforms: of `encode_plain_map`.

    Raises:
        ValueError: as of `ckks.linear_transform.apply_linear_transforms`.
    """
    return apply_linear_transforms(keys, ciphertexts, transforms)
