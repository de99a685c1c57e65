"""Linear transforms of the slots of ciphertexts, by double hoisting.

The baby steps of a ciphertext share one decomposition and stay in the extended basis Q P, undivided; each
giant step takes one more key switch of the sum of its babies' products; one division ends it all (Bossuat,
Mouchet, Troncoso-Pastoriza and Hubaux, "Efficient bootstrapping for approximate homomorphic encryption with
non-sparse keys", 2021, algorithm 6). Results that take several ciphertexts sum them before a giant step, and
all results share the baby steps.
"""

from collections.abc import Iterator, Sequence

import jax

from fhejax.ckks.keys.generation import rotation_exponent
from fhejax.ckks.keys.shared_levels import working_level
from fhejax.ckks.levels import bring_down, check_evaluation_domain, check_scales, divided_to
from fhejax.ckks.linear_transform.extended_steps import BabySteps, Steps
from fhejax.ckks.linear_transform.transform import LinearTransform
from fhejax.ckks.linear_transform.transform_noise import estimate_linear_transforms
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.operation import Found, Keys, Value, operation
from fhejax.ckks.types import Ciphertext, check_same_parameters

Row = Sequence[LinearTransform | None]


def apply_linear_transform(
    keys: Keys, ciphertext: Value, transform: LinearTransform, *, rescale: bool = True
) -> Value:
    """The matrix times the slots: one level down, at that level's own scale.

    A handful of kernels, each compiled once for a level and a batch shape; inside a `jax.jit` of
    the caller all steps are compiled together, which takes as long as there are steps.

    Args:
        keys: with the keys of `transform.rotations`, of the transform's level or a higher one.
        ciphertext: data [..., 2, limb, N] at the transform's level, or at a higher one, from which
            it is brought down to the level and its own scale. It may be a `NoiseEstimate`.
        transform: from `linear_transform`.
        rescale: in the same division as that by P; if not, the level stays and the scales multiply.

    Returns:
        Ciphertext [..., 2, limb, N]. Each diagonal multiplies the noise of the ciphertext and of its key
        switches; the division by P rounds once for each giant step, and once at the end.

    Raises:
        ValueError: missing keys (all are named), other parameters or secrets, three components, a
            ciphertext below the transform's level, or no level left to rescale to.
    """
    return apply_linear_transforms(keys, [ciphertext], [[transform]], rescale=rescale)[0]


def apply_linear_transforms(
    keys: Keys,
    ciphertexts: Sequence[Value],
    transforms: Sequence[Sequence[LinearTransform | None]],
    *,
    rescale: bool = True,
) -> list[Value]:
    """A matrix of matrices times several ciphertexts, which share their baby steps.

    Result o is the sum over i of transforms[o][i] times the slots of ciphertext i, by one giant step for each
    distance of the whole sum and one division.

    Args:
        keys: as for `apply_linear_transform`, with the keys of all transforms.
        ciphertexts: of one batch shape; brought down to the transforms' level.
        transforms: for each result a row with a transform for each ciphertext, or None where it takes nothing
            of it; all of one level and scale, and at least one in each row.
        rescale: as for `apply_linear_transform`.

    Returns:
        A ciphertext for each row.

    Raises:
        ValueError: rows of another length or without a transform, transforms of different levels or scales,
            ciphertexts of different scales or batches, or as `apply_linear_transform`.
    """
    first = _check_rows(ciphertexts, transforms)
    for ciphertext in ciphertexts:
        _check_operand(ciphertext, first)
    target = _target_level(first, rescale)
    lowered = [bring_down(ciphertext, first.level) for ciphertext in ciphertexts]
    _check_alike(lowered)
    return _transformed(keys, lowered, tuple(map(tuple, transforms)), target)


def _exponents(ciphertexts: object, transforms: Sequence[Row], target: int) -> list[int]:
    del ciphertexts, target
    found = {
        (t.params, distance) for row in transforms for t in row if t is not None for distance in t.rotations
    }
    return [rotation_exponent(params, distance) for params, distance in sorted(found, key=lambda f: f[1])]


@operation(noise=estimate_linear_transforms, keys=_exponents)
def _transformed(
    keys: Found, ciphertexts: Sequence[Ciphertext], transforms: Sequence[Row], target: int
) -> list[Ciphertext]:
    first = next(t for t in transforms[0] if t is not None)
    params, level = first.params, first.level
    shared = None
    if not any(_is_transformed(row) for row in transforms):
        shared = working_level(params, level, ciphertexts[0].data, keys.values(), target)
    steps = Steps(keys, params, level, shared)
    if len(ciphertexts) == 1:
        babies = steps.babies(ciphertexts[0].data, [t for (t,) in transforms if t is not None])
        sums = (_inner_sums(steps, [babies], row) for row in transforms)
    else:
        sums = _sums_of_several(steps, ciphertexts, transforms)
    results = []
    for inner in sums:
        data = steps.divided(_undivided(steps, inner), target)
        product = ciphertexts[0].replace(scale=ciphertexts[0].scale * first.scale)
        results.append(divided_to(product, data, target))
    return results


def _is_transformed(row: Row) -> bool:
    """Whether some diagonals of a row are residues: they have the primes of the true level alone."""
    return any(transform is not None and transform.is_transformed for transform in row)


def _inner_sums(steps: Steps, babies: Sequence[BabySteps], row: Row) -> Iterator[tuple[int, jax.Array]]:
    """The giant steps of a row, and the sum of products for each, made as it is asked for."""
    for giant in sorted({giant for transform in row if transform is not None for giant in transform.giants}):
        inner = None
        for pairs, transform in zip(babies, row, strict=True):
            if transform is not None and giant in transform.giants:
                inner = steps.summed(pairs, transform, giant, inner)
        assert inner is not None  # a giant of some transform
        yield giant, inner


def _sums_of_several(
    steps: Steps, ciphertexts: Sequence[Ciphertext], transforms: Sequence[Row]
) -> Iterator[Iterator[tuple[int, jax.Array]]]:
    """The same for every row, ciphertext by ciphertext: the baby steps of one are held at a time."""
    sums: list[dict[int, jax.Array]] = [{} for _ in transforms]
    for number, ciphertext in enumerate(ciphertexts):
        column = [row[number] for row in transforms]
        babies = steps.babies(ciphertext.data, [t for t in column if t is not None])
        for total, transform in zip(sums, column, strict=True):
            if transform is not None:
                for giant in transform.giants:
                    total[giant] = steps.summed(babies, transform, giant, total.get(giant))
        del babies
    for place in range(len(sums)):
        found, sums[place] = sums[place], {}
        yield iter(sorted(found.items()))


def _undivided(steps: Steps, sums: Iterator[tuple[int, jax.Array]]) -> jax.Array:
    """P times a result, uint32 [..., 2, limb of Q then P, N]: the terms of giant 0 first."""
    total = None
    for giant, inner in sums:
        total = inner if not giant else steps.rotated(inner, giant, total)
    assert total is not None  # a row has a transform, and a transform a term
    return total


def _check_rows(ciphertexts: Sequence[object], transforms: Sequence[Row]) -> LinearTransform:
    """The first transform, which stands for all."""
    found = [transform for row in transforms for transform in row if transform is not None]
    if not found or any(len(row) != len(ciphertexts) or not any(row) for row in transforms):
        lengths = [len(row) for row in transforms]
        raise ValueError(
            f"linear transforms in rows of {lengths} were to be applied to {len(ciphertexts)} ciphertexts; "
            f"each row needs a transform or None for each ciphertext, and at least one transform."
        )
    first = found[0]
    check_same_parameters(first, *found)
    if any((t.level, t.scale) != (first.level, first.scale) for t in found):
        kinds = ", ".join(sorted({f"level {t.level} and scale {t.scale}" for t in found}))
        raise ValueError(
            f"linear transforms of {kinds} were to be summed; make all with the same level= and scale=."
        )
    return first


def _target_level(transform: LinearTransform, rescale: bool) -> int:
    if rescale and transform.level == 0:
        raise ValueError(
            "a linear transform at level 0 was to be rescaled, and no level is left; make it at a higher "
            "level, or pass rescale=False."
        )
    return transform.level - rescale


def _check_operand(ciphertext: Ciphertext | NoiseEstimate, transform: LinearTransform) -> None:
    check_same_parameters(ciphertext, transform)
    check_evaluation_domain("a linear transform", ciphertext)
    if ciphertext.components != 2:
        raise ValueError(
            f"a linear transform of a ciphertext with {ciphertext.components} components was asked for; it "
            f"needs 2. Relinearise first."
        )
    if ciphertext.level < transform.level:
        raise ValueError(
            f"a linear transform made for level {transform.level} met a ciphertext at level "
            f"{ciphertext.level}; make it with linear_transform(..., level={ciphertext.level})."
        )


def _check_alike(ciphertexts: Sequence[Ciphertext | NoiseEstimate]) -> None:
    first = ciphertexts[0]
    for other in ciphertexts[1:]:
        check_scales(first.scale, other.scale)
        if other.batch != first.batch:
            raise ValueError(
                f"linear transforms of ciphertexts of batches {first.batch} and {other.batch} were to be "
                f"summed; give ciphertexts of one batch shape."
            )
