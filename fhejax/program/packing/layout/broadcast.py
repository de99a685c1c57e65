"""Broadcasts that leave the ciphertexts as they are: copies are read as indices of new axes."""

from collections.abc import Sequence

from fhejax.program.packing.layout.alignment import NotAlignedError
from fhejax.program.packing.layout.digit import Digit
from fhejax.program.packing.layout.layout import Layout

Pairs = list[tuple[Digit, Digit]]


def broadcast(layout: Layout, target: Layout, axes: Sequence[int]) -> Layout:
    """The target, if it says where `jax.lax.broadcast_in_dim(x, target.shape, axes)` lies already.

    So the two factors of a product with encrypted weights are brought to one layout of the indices of both;
    with all axes and an equal shape it says whether one layout may be read as another that holds less.

    Args:
        layout: of x.
        target: of the result, at whose positions what lies is compared.
        axes: of the result, in order, which the axes of x become. An axis of length 1 may become any.

    Raises:
        NotAlignedError: where some position of the target holds another entry, or no known one.
        ValueError: shapes that do not broadcast, or other numbers of ciphertexts, parts and slots.
    """
    _check_shapes(layout, target, axes)
    offsets = _differences(layout, target, axes)
    for (have, want), where in _aligned(layout, target):
        _check_digits(layout, have, want, axes, offsets, where)
    for old, new in enumerate(axes):
        wrap = layout.wrap[old]
        other = wrap != target.wrap[new] or (offsets[old] % wrap if wrap else offsets[old])
        if layout.shape[old] > 1 and other:
            raise NotAlignedError(
                f"axis {old} of a layout starts at another index, or wraps around elsewhere, than axis {new} "
                f"of the one that it was to be read as. Repack."
            )
    return target


def _check_shapes(layout: Layout, target: Layout, axes: Sequence[int]) -> None:
    sizes = [(t.ciphertext_count, t.part_count, t.slot_count) for t in (layout, target)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"a layout of {sizes[0]} ciphertexts, parts and slots was to be read as one of {sizes[1]}."
        )
    fits = len(axes) == len(layout.shape) and list(axes) == sorted({*axes} & {*range(len(target.shape))})
    if not fits or any(n not in (1, target.shape[a]) for n, a in zip(layout.shape, axes, strict=True)):
        raise ValueError(
            f"an array of shape {layout.shape} was to be broadcast to {target.shape} along {tuple(axes)}."
        )


def _differences(layout: Layout, target: Layout, axes: Sequence[int]) -> list[int]:
    """How far the start of each axis of x lies from that of the target's."""
    return [layout.offset[old] - target.offset[new] for old, new in enumerate(axes)]


def _aligned(layout: Layout, target: Layout) -> list[tuple[tuple[Digit, Digit], str]]:
    names = "ciphertexts", "parts", "slots"
    groups = zip(names, layout.form.groups, target.form.groups, strict=True)
    return [(pair, name) for name, have, want in groups for pair in common_digits(have, want)]


def common_digits(first: Sequence[Digit], second: Sequence[Digit]) -> Pairs:
    """The digits of both split until they have equal sizes: as pairs, least significant first.

    Raises:
        NotAlignedError: where sizes do not divide each other.
    """
    rest, other, pairs = list(first), list(second), []
    while rest and other:
        have, want = rest.pop(), other.pop()
        size = min(have.size, want.size)
        if have.size % size or want.size % size:
            raise NotAlignedError(
                f"a digit of size {have.size} was to be read as one of size {want.size}; one has to divide "
                f"the other. Repack."
            )
        for digit, left in ((have, rest), (want, other)):
            if digit.size > size:
                left.append(digit.split(size)[0])
        pairs.append((have.split(size)[1], want.split(size)[1]))
    return pairs


def _check_digits(
    layout: Layout, have: Digit, want: Digit, axes: Sequence[int], offsets: list[int], where: str
) -> None:
    """Refuse digits that lead to other entries; add to `offsets` where they lead to one only."""
    if have.only is not None and have.only != want.only:
        raise NotAlignedError(
            f"a digit of {where} holds entries at value {have.only} only, and was to be read as {want}. Copy "
            f"them to the other values, or repack."
        )
    for old, new in enumerate(axes):
        step = have.step(old)
        other = step - (want.step(new) if layout.shape[old] > 1 else 0)
        if want.only is not None:
            offsets[old] += step * want.only
        elif other % layout.wrap[old] if layout.wrap[old] else other:
            raise NotAlignedError(
                f"a digit of {where} leads {step} indices along axis {old}, and was to be read as {want}. "
                f"Repack."
            )
