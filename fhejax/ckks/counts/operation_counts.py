"""The counts of what one or many operations are made of."""

import dataclasses
import operator
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class OperationCounts:
    """The counts of operations on polynomials, to be added up and multiplied.

    A limb is a polynomial modulo one prime: N residues. What is counted in limbs takes N times as many
    operations on residues, but for a transform.

    Attributes:
        decompositions: polynomials that are cut into digits and raised to Q P.
        inner_products: of digits with the digits of a key.
        divisions: by P, with or without primes of Q: of a pair of polynomials, or of one alone.
        rotations: of ciphertexts or of pairs, conjugations among them.
        plaintext_products: of ciphertexts or pairs with an encoded vector.
        tensors: products of two ciphertexts, squares among them.
        bootstraps: as operations; what they are made of is counted beside.
        transforms: number-theoretic transforms of a limb, forward and backward.
        conversions: multiply-adds from one set of primes to another, in limbs.
        key_products: multiply-adds of digits with keys, in limbs.
        products: other products of residues, in limbs: plaintexts, tensors, constants.
        combinations: multiply-adds with small integer weights, in limbs.
        permuted: limbs that an automorphism moves.
        key_limbs: limbs of keys, each key once in a step.
        plaintexts: encoded vectors.
        plaintext_limbs: limbs of encoded vectors.
        distinct_plaintexts: encoded vectors, of which one that repeats itself counts as its period.
        distinct_limbs: limbs of encoded vectors, counted in that way.
        ciphertext_limbs: limbs of ciphertexts that steps read and write.
    """

    decompositions: float = 0
    inner_products: float = 0
    divisions: float = 0
    rotations: float = 0
    plaintext_products: float = 0
    tensors: float = 0
    bootstraps: float = 0
    transforms: float = 0
    conversions: float = 0
    key_products: float = 0
    products: float = 0
    combinations: float = 0
    permuted: float = 0
    key_limbs: float = 0
    plaintexts: float = 0
    plaintext_limbs: float = 0
    distinct_plaintexts: float = 0
    distinct_limbs: float = 0
    ciphertext_limbs: float = 0

    def __add__(self, other: "OperationCounts") -> "OperationCounts":
        """The counts of both."""
        return self._with(other, operator.add)

    def __mul__(self, times: float) -> "OperationCounts":
        """The counts of as many of these; keys and plaintexts are read as often."""
        return OperationCounts(*(times * value for value in self.values))

    __rmul__ = __mul__

    @property
    def values(self) -> tuple[float, ...]:
        """The counts in the order of the fields."""
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    def _with(self, other: "OperationCounts", combine: Callable[[float, float], float]) -> "OperationCounts":
        return OperationCounts(*map(combine, self.values, other.values))


NOTHING = OperationCounts()
