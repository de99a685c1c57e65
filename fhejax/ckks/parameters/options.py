"""What can be chosen of parameters beside ring, levels and scale."""

import dataclasses

from fhejax.ckks.parameters.level_table import LARGEST_LEVEL_BITS, SMALLEST_LEVEL_BITS
from fhejax.ckks.parameters.requested_numbers import flag, real_number, set_fields, whole_number
from fhejax.ckks.parameters.security import checked_level
from fhejax.ckks.parameters.validity import LARGEST_DIGIT


@dataclasses.dataclass(frozen=True)
class ParameterOptions:
    """Choices of `make_parameters`, each with a default that is right for most; checked when made.

    Attributes:
        rational: levels of 35, 40 or 45 bits from primes of 25 and 30 bits, by rational rescaling.
        base_bits: log2 of the modulus at level 0; by default the scale and 4 bits. With rational rescaling a
            multiple of 5, by default the smallest that leaves head room.
        key_switching: whether any key is made; without one there is no P.
        digit_size: primes in one digit of the key switch: by default a third of all, or less down to a
            sixth where only that is secure, or leaves primes for P. P is larger than any digit, and 5 bits
            larger where digits have several primes.
        security: 128, 192 or 256 bits that are reached, or more.
        insecure: True permits any modulus at any degree, and nothing is promised; for tests only.

    Raises:
        ValueError: a field that is out of range.
        SecurityError: another level of security.
    """

    rational: bool = False
    base_bits: float | None = None
    key_switching: bool = True
    digit_size: int | None = None
    security: int = 128
    insecure: bool = False

    def __post_init__(self) -> None:
        for name in ("rational", "key_switching", "insecure"):
            flag(name, getattr(self, name))
        set_fields(self, security=checked_level(self.security))
        if self.base_bits is not None:
            real_number("base_bits", self.base_bits, SMALLEST_LEVEL_BITS, LARGEST_LEVEL_BITS)
        if self.digit_size is not None:
            set_fields(self, digit_size=whole_number("digit_size", self.digit_size, 1, LARGEST_DIGIT))
