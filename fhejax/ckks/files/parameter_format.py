"""Parameters as bytes: every field exactly, and everything checked again when they are read.

    offset  bytes  field
         0      4  degree
         4      1  1 if conjugate-invariant, else 0
         5      1  zero
         6      2  security
         8      2  digit size
        10      6  numbers of moduli, special primes and levels, 2 bytes each

and then, 4 bytes for each prime, 4 for each level (start and end of its run among the moduli) and 28 for each
scale (mantissa of 24 bytes and signed exponent).
"""

import itertools
import math
import struct

from fhejax.ckks.files.container import MANTISSA_BYTES, FormatError, is_normal
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.parameters.security import SECURITY_LEVELS, check_security
from fhejax.ring import Ring, check_ring, is_prime

_FIELDS = struct.Struct("<IBBHHHHH")
_SCALE = struct.Struct(f"<{MANTISSA_BYTES}si")
_LARGEST_COUNT = 512  # of primes and of levels: the largest secure modulus has 252 primes of 14 bits
_PRIME_BOUND = 2**30
LARGEST_BYTES = _FIELDS.size + _LARGEST_COUNT * (2 * 4 + 4 + _SCALE.size)


def encode_parameters(params: Parameters) -> bytes:
    """The bytes of parameters.

    Raises:
        ValueError: parameters that could not be read again.
    """
    data = _pack(params)
    if decode_parameters(data, allow_insecure=True).fingerprint != params.fingerprint:
        raise ValueError(f"{params} hold numbers that are no plain Python integers; make them with such.")
    return data


def _pack(params: Parameters) -> bytes:
    sizes = (len(params.moduli), len(params.special), len(params.levels))
    ring = params.ring
    fields = (ring.degree, ring.conjugate_invariant, 0, params.security, params.digit_size, *sizes)
    ranges = itertools.chain(*map(params.limb_range, range(len(params.levels))))
    return b"".join(
        [
            _FIELDS.pack(*fields),
            struct.pack(f"<{sizes[0] + sizes[1]}I", *params.moduli, *params.special),
            struct.pack(f"<{2 * sizes[2]}H", *ranges),
            *(_SCALE.pack(s.mantissa.to_bytes(MANTISSA_BYTES, "little"), s.exponent) for s in params.scales),
        ]
    )


def decode_parameters(data: bytes, *, allow_insecure: bool = False) -> Parameters:
    """The parameters in `data`, checked: primes, levels and scales are possible, and QP is secure.

    Args:
        data: from `encode_parameters`.
        allow_insecure: accept parameters that claim no security, for tests.

    Raises:
        FormatError: anything that parameters of this library cannot be.
    """
    params = _unpack(data)
    problem = _problem(params, allow_insecure)
    if problem:
        raise FormatError(f"the parameters have {problem}; they were altered, or made by other means.")
    return params


def _unpack(data: bytes) -> Parameters:
    """The fields, of which nothing is known but that numbers and lengths agree."""
    if len(data) < _FIELDS.size:
        raise FormatError(f"the parameters take {len(data)} bytes, where at least {_FIELDS.size} are needed.")
    degree, real, zero, security, digit_size, *counts = _FIELDS.unpack_from(data)
    moduli, special, levels = counts
    sizes = (4 * moduli, 4 * special, 4 * levels, _SCALE.size * levels)
    if max(counts) > _LARGEST_COUNT or len(data) != _FIELDS.size + sum(sizes) or zero or real > 1:
        raise FormatError(
            f"the parameters name {moduli} moduli, {special} special primes and {levels} levels in "
            f"{len(data)} bytes, which does not add up; they were altered."
        )
    ends = tuple(itertools.accumulate(sizes, initial=_FIELDS.size))
    primes = struct.unpack_from(f"<{moduli + special}I", data, ends[0])
    starts_and_stops = struct.unpack_from(f"<{2 * levels}H", data, ends[2])
    if max(starts_and_stops, default=0) > moduli:
        raise FormatError(f"the parameters name a level beyond their {moduli} moduli; they were altered.")
    runs = zip(starts_and_stops[::2], starts_and_stops[1::2], strict=True)
    scales = (Scale(int.from_bytes(m, "little"), e) for m, e in _SCALE.iter_unpack(data[ends[3] :]))
    return Parameters(
        Ring(degree, bool(real)),
        primes[:moduli],
        primes[moduli:],
        tuple(tuple(range(*run)) for run in runs),
        tuple(scales),
        digit_size,
        security,
    )


def _problem(params: Parameters, allow_insecure: bool) -> str:
    """What makes these parameters impossible, or nothing."""
    try:
        check_ring(params.ring)
        if params.security in SECURITY_LEVELS:
            check_security(params.ring.degree, params.moduli + params.special, params.security)
    except ValueError as error:
        return f"a ring or modulus that is refused ({str(error).rstrip('.')})"
    if params.security not in SECURITY_LEVELS and params.security:
        return f"{params.security}-bit security, which is not known"
    if not params.security and not allow_insecure:
        return "no security, being for tests only (allow_insecure=True would accept them)"
    return _problem_of_primes(params) or _problem_of_levels(params) or _problem_of_scales(params)


def _problem_of_primes(params: Parameters) -> str:
    primes = params.moduli + params.special
    if len(set(primes)) < len(primes):
        return "a prime twice"
    wrong = [q for q in primes if q >= _PRIME_BOUND or q % params.ring.root_order != 1 or not is_prime(q)]
    if wrong:
        order = params.ring.root_order
        return f"the modulus {wrong[0]}, where a prime below 2**30 that is 1 modulo {order} is needed"
    return "" if 1 <= params.digit_size <= _LARGEST_COUNT else f"digits of {params.digit_size} primes"


def _problem_of_levels(params: Parameters) -> str:
    if not params.levels or not all(params.levels):
        return "no level, or one without primes"
    if params.key_range(params.depth) != (0, len(params.moduli)):
        return "primes that are in use at no level"
    products = [math.prod(params.level_moduli(level)) for level in range(params.depth + 1)]
    return "" if products == sorted(set(products)) else "a level that is not larger than the one below"


def _problem_of_scales(params: Parameters) -> str:
    limit = params.modulus_bits
    for scale in params.scales:
        if not is_normal(scale) or not 0 <= scale.bits <= limit:
            return f"a scale of {scale.mantissa} * 2**{scale.exponent} with a modulus of 2**{limit:.0f}"
    return ""
