"""The counts of key switches and of their parts, and of rescales."""

from fhejax.ckks.counts.limb_table import SwitchedLimbs
from fhejax.ckks.counts.operation_counts import NOTHING, OperationCounts


def decomposition(at: SwitchedLimbs) -> OperationCounts:
    """The counts of one polynomial's digits, raised to Q P, with the transforms of all their limbs."""
    conversions = at.limbs + sum(digit * (at.extended - digit) for digit in at.digits)
    transforms = len(at.digits) * at.extended
    return OperationCounts(decompositions=1, transforms=transforms, conversions=conversions)


def inner_product(at: SwitchedLimbs) -> OperationCounts:
    """The counts of the products of all digits with a key, both polynomials of it."""
    return OperationCounts(inner_products=1, key_products=2 * len(at.digits) * at.extended)


def key_reads(at: SwitchedLimbs, keys: int = 1) -> OperationCounts:
    """The limbs of keys that are read, each once."""
    return OperationCounts(key_limbs=keys * 2 * len(at.digits) * at.extended)


def division(dropped: int, target: int, polynomials: int = 2) -> OperationCounts:
    """The counts of dividing polynomials by some limbs, with rounding: what ModDown and a rescale share.

    Args:
        dropped: limbs that are divided by.
        target: limbs that are left.
        polynomials: that are divided.
    """
    return polynomials * OperationCounts(
        transforms=dropped + target, conversions=dropped * (target + 1), products=target
    )


def division_by_special(
    at: SwitchedLimbs, polynomials: int = 2, dropped: int = 0, target: int | None = None
) -> OperationCounts:
    """The counts of a division by P, and by primes of Q in the same transforms.

    Args:
        at: the limbs of what is divided.
        polynomials: that are divided.
        dropped: limbs of Q that are divided by as well.
        target: limbs that are left; by default all of Q.
    """
    left = at.limbs if target is None else target
    counted = division(at.special + dropped, left, polynomials)
    return counted + OperationCounts(divisions=1)


def relinearisation(at: SwitchedLimbs, dropped: int = 0, target: int | None = None) -> OperationCounts:
    """The counts of three components made two, and divided by primes of Q at once; without reading the key.

    Args:
        at: the limbs of what is relinearised.
        dropped: limbs of Q that are divided by.
        target: limbs that are left; by default all.
    """
    lifted = OperationCounts(products=2 * at.limbs)
    divided = division_by_special(at, 2, dropped, target)
    return decomposition(at) + inner_product(at) + lifted + divided


def switch(at: SwitchedLimbs) -> OperationCounts:
    """The counts of one whole key switch, without reading the key."""
    return decomposition(at) + inner_product(at) + division_by_special(at)


def rotation(at: SwitchedLimbs) -> OperationCounts:
    """The counts of one whole rotation or conjugation, without reading the key."""
    return switch(at) + OperationCounts(rotations=1, permuted=2 * at.limbs)


def tensor(limbs: int, square: bool = False) -> OperationCounts:
    """The counts of a product of two ciphertexts, which leaves three components.

    Args:
        limbs: of both.
        square: they are one, so that three products do instead of four.
    """
    return OperationCounts(tensors=1, products=(3 if square else 4) * limbs)


def plaintext_product(limbs: int, share: float = 1.0, count: int = 1) -> OperationCounts:
    """The counts of products of a ciphertext or pair with encoded vectors.

    Args:
        limbs: of each polynomial.
        share: the vectors' period over the slots.
        count: of vectors.
    """
    if not count:
        return NOTHING
    return count * OperationCounts(
        plaintext_products=1,
        products=2 * limbs,
        plaintexts=1,
        plaintext_limbs=limbs,
        distinct_plaintexts=share,
        distinct_limbs=share * limbs,
    )
