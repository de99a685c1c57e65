"""The counts of linear transforms of slots by double hoisting."""

from collections.abc import Sequence

from fhejax.ckks.counts.key_switching import (
    decomposition,
    division_by_special,
    inner_product,
    key_reads,
    plaintext_product,
)
from fhejax.ckks.counts.limb_table import SwitchedLimbs
from fhejax.ckks.counts.operation_counts import NOTHING, OperationCounts

Step = tuple[int, int]  # (giant, baby), modulo the slots


def hoisted_rotation(at: SwitchedLimbs) -> OperationCounts:
    """The counts of a rotation that stays in Q P, of a ciphertext whose digits are there."""
    return inner_product(at) + OperationCounts(rotations=1, permuted=2 * at.extended)


def giant_rotation(at: SwitchedLimbs) -> OperationCounts:
    """The counts of a rotation of a pair in Q P: its second polynomial is divided by P, and decomposed."""
    return division_by_special(at, 1) + decomposition(at) + hoisted_rotation(at)


def linear_transform(
    at: SwitchedLimbs, steps: Sequence[Step], share: float = 1.0, dropped: int = 0, target: int | None = None
) -> OperationCounts:
    """The counts of one matrix times one ciphertext, with the division at its end.

    Args:
        at: the limbs of the ciphertext.
        steps: of the diagonals, at least one.
        share: the diagonals' period over the slots.
        dropped: limbs of Q that the last division takes away as well.
        target: limbs that are left; by default all.
    """
    giants, babies = ({step[part] for step in steps} - {0} for part in (0, 1))
    counted = lifted(at) + len(babies) * hoisted_rotation(at) + len(giants) * giant_rotation(at)
    counted += decomposition(at) if babies else NOTHING
    counted += key_reads(at, len(giants | babies)) + plaintext_product(at.extended, share, len(steps))
    return counted + division_by_special(at, 2, dropped, target)


def linear_transforms(
    at: SwitchedLimbs, blocks: Sequence[tuple[int, int, Sequence[Step]]], share: float = 1.0
) -> OperationCounts:
    """The counts of a matrix of matrices times several ciphertexts, with the division of each result.

    Ciphertexts are decomposed and rotated by baby steps once, for all results; each result takes a giant step
    for each distance of its whole sum.

    Args:
        at: the limbs of the ciphertexts.
        blocks: of each matrix the numbers of the result and of the ciphertext, and its diagonals' steps.
        share: the diagonals' period over the slots.
    """
    babies = {(source, baby) for _, source, steps in blocks for _, baby in steps if baby}
    giants = {(result, giant) for result, _, steps in blocks for giant, _ in steps if giant}
    distances = {step for _, step in babies | giants}
    products = sum(len(steps) for _, _, steps in blocks)
    counted = len({source for _, source, _ in blocks}) * lifted(at)
    counted += len({source for source, _ in babies}) * decomposition(at)
    counted += len(babies) * hoisted_rotation(at) + len(giants) * giant_rotation(at)
    counted += key_reads(at, len(distances)) + plaintext_product(at.extended, share, products)
    return counted + len({result for result, _, _ in blocks}) * division_by_special(at)


def lifted(at: SwitchedLimbs) -> OperationCounts:
    """The counts of P times a ciphertext."""
    return OperationCounts(products=2 * at.limbs)


def rotated_combinations(
    at: SwitchedLimbs,
    sources: int,
    results: int,
    distances: Sequence[int],
    masks: int = 0,
    share: float = 1.0,
) -> OperationCounts:
    """The counts of integer combinations of ciphertexts, each rotated by some distances.

    Args:
        at: the limbs of the ciphertexts.
        sources: how many are rotated.
        results: combinations of all of them.
        distances: of the taps, modulo the slots; 0 is no rotation.
        masks: 0, or the number of taps, each of which is multiplied by an encoded vector of its own.
        share: the vectors' period over the slots.
    """
    rotated = sum(distance != 0 for distance in distances)
    one = lifted(at) + rotated * hoisted_rotation(at) + (decomposition(at) if rotated else NOTHING)
    counted = sources * one + key_reads(at, len(set(distances) - {0}))
    if masks:
        encoded = plaintext_product(at.extended, share, masks)
        counted += encoded + (sources - 1) * OperationCounts(
            plaintext_products=masks, products=2 * masks * at.extended
        )
    terms = results * sources * len(distances)
    return counted + OperationCounts(combinations=2 * terms * at.extended) + results * division_by_special(at)
