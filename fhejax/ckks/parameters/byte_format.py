"""Parameters as bytes: what files hold, and what a fingerprint is the hash of.

    offset  bytes  field
         0      4  degree
         4      1  1 if conjugate-invariant, else 0
         5      1  1 if made with insecure=True, else 0
         6      2  security that ring and modulus reach: 256, 192, 128 or 0
         8      2  digit size
        10      6  numbers of moduli, special primes and levels, 2 bytes each

and then, 4 bytes for each prime, 4 for each level (start and end of its run among the moduli) and 28 for each
scale (mantissa of 24 bytes and signed exponent).
"""

import itertools
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fhejax.ckks.parameters.scale import Scale

if TYPE_CHECKING:
    from fhejax.ckks.parameters.parameters import Parameters

MANTISSA_BYTES = 24
FIELDS = struct.Struct("<IBBHHHHH")
SCALE = struct.Struct(f"<{MANTISSA_BYTES}si")


def pack_parameters(params: "Parameters") -> bytes:
    """The bytes of `Parameters`, whose numbers are known to fit."""
    ring, moduli, special, levels = params.ring, params.moduli, params.special, params.levels
    flags = (ring.conjugate_invariant, params.insecure)
    counts = (len(moduli), len(special), len(levels))
    runs = itertools.chain.from_iterable((run[0], run[-1] + 1) for run in levels)
    return b"".join(
        [
            FIELDS.pack(ring.degree, *flags, params.security, params.digit_size, *counts),
            struct.pack(f"<{len(moduli) + len(special)}I", *moduli, *special),
            struct.pack(f"<{2 * len(levels)}H", *runs),
            *_scales(params.scales),
        ]
    )


def _scales(scales: Sequence[Scale]) -> list[bytes]:
    return [SCALE.pack(s.mantissa.to_bytes(MANTISSA_BYTES, "little"), s.exponent) for s in scales]
