"""Parameters in files: every field exactly, and everything checked again when they are read.

The bytes are those of `fhejax.ckks.parameters.byte_format`.
"""

import itertools
import struct
from typing import NamedTuple

from fhejax.ckks.files.container import FormatError
from fhejax.ckks.parameters.byte_format import FIELDS, SCALE, pack_parameters
from fhejax.ckks.parameters.level_table import MOST_PRIMES
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.parameters.scale import Scale
from fhejax.ring import Ring

LARGEST_BYTES = FIELDS.size + MOST_PRIMES * (2 * 4 + 4 + SCALE.size)


def encode_parameters(params: Parameters) -> bytes:
    """The bytes of parameters, which `decode_parameters` reads."""
    return pack_parameters(params)


def decode_parameters(data: bytes, *, allow_insecure: bool = False) -> Parameters:
    """The parameters in `data`, checked: primes, levels and scales are possible, and QP is secure.

    Args:
        data: from `encode_parameters`.
        allow_insecure: accept parameters that were made with insecure=True, for tests.

    Raises:
        FormatError: anything that parameters of this library cannot be.
    """
    fields = _unpack(data)
    if fields.insecure and not allow_insecure:
        raise FormatError(
            "the parameters have no security, being for tests only: they were made with insecure=True "
            "(allow_insecure=True would accept them)."
        )
    try:
        params = Parameters(
            fields.ring,
            fields.moduli,
            fields.special,
            tuple(tuple(range(*run)) for run in fields.runs),
            fields.scales,
            fields.digit_size,
            fields.insecure,
        )
    except ValueError as error:
        raise FormatError(f"{error} The parameters were altered, or made by other means.") from None
    if params.security != fields.security:
        raise FormatError(
            f"the parameters name a security of {fields.security} bits, and ring and modulus reach "
            f"{params.security}; they were altered, or made by other means."
        )
    return params


class _Fields(NamedTuple):
    """What the bytes say, of which nothing is known but that numbers and lengths agree."""

    ring: Ring
    insecure: bool
    security: int
    digit_size: int
    moduli: tuple[int, ...]
    special: tuple[int, ...]
    runs: tuple[tuple[int, int], ...]
    scales: tuple[Scale, ...]


def _unpack(data: bytes) -> _Fields:
    if len(data) < FIELDS.size:
        raise FormatError(f"the parameters take {len(data)} bytes, where at least {FIELDS.size} are needed.")
    degree, real, insecure, security, digit_size, *counts = FIELDS.unpack_from(data)
    moduli, special, levels = counts
    sizes = (4 * moduli, 4 * special, 4 * levels, SCALE.size * levels)
    if max(counts) > MOST_PRIMES or len(data) != FIELDS.size + sum(sizes) or insecure > 1 or real > 1:
        raise FormatError(
            f"the parameters name {moduli} moduli, {special} special primes and {levels} levels in "
            f"{len(data)} bytes, which does not add up; they were altered."
        )
    ends = tuple(itertools.accumulate(sizes, initial=FIELDS.size))
    primes = struct.unpack_from(f"<{moduli + special}I", data, ends[0])
    starts_and_stops = struct.unpack_from(f"<{2 * levels}H", data, ends[2])
    if max(starts_and_stops, default=0) > moduli:
        raise FormatError(f"the parameters name a level beyond their {moduli} moduli; they were altered.")
    return _Fields(
        Ring(degree, bool(real)),
        bool(insecure),
        security,
        digit_size,
        primes[:moduli],
        primes[moduli:],
        tuple(zip(starts_and_stops[::2], starts_and_stops[1::2], strict=True)),
        tuple(Scale(int.from_bytes(m, "little"), e) for m, e in SCALE.iter_unpack(data[ends[3] :])),
    )
