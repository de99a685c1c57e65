"""By whatever way parameters are made: what cannot be is refused by a sentence."""

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks.parameters.scale import Scale
from fhejax.ring import Ring, ntt_primes

PARAMS = ckks.insecure_parameters(64, 3)
FIRST, *OTHERS = PARAMS.moduli
ORDER = PARAMS.ring.root_order

CASES: list[tuple[dict[str, Any], str]] = [
    ({"ring": Ring(48)}, "a ring of degree 48"),
    ({"ring": Ring(2**18)}, "a ring of degree 262144"),
    ({"ring": Ring(True)}, "a ring of degree True"),
    ({"ring": Ring(64, 1)}, "conjugate_invariant=1"),
    ({"moduli": list(PARAMS.moduli)}, "moduli are no tuple of integers"),
    ({"moduli": tuple(map(float, PARAMS.moduli))}, "moduli are no tuple of integers"),
    ({"moduli": tuple(map(np.int64, PARAMS.moduli))}, "moduli are no tuple of integers"),
    ({"special": None}, "special are no tuple of integers"),
    ({"special": (True,)}, "special are no tuple of integers"),
    ({"special": ntt_primes(20, ORDER, 513)}, "513 primes as special"),
    ({"moduli": (FIRST, FIRST, *OTHERS[1:])}, "a prime twice"),
    ({"special": (FIRST,)}, "a prime twice"),
    ({"moduli": (FIRST + ORDER * 2, *OTHERS)}, "the modulus"),
    ({"moduli": (1, *OTHERS)}, "the modulus 1 "),
    ({"moduli": (-FIRST, *OTHERS)}, "the modulus -"),
    ({"moduli": (12289 * ORDER + 1, *OTHERS)}, "the modulus"),
    ({"special": (2**61 - 1,)}, "the modulus 2305843009213693951"),
    ({"levels": ()}, "without a level"),
    ({"levels": [(0, 1)]}, "no tuple of tuples"),
    ({"levels": (0, 1)}, "no tuple of tuples"),
    ({"levels": ((), *PARAMS.levels[1:])}, "without primes"),
    ({"levels": ((0, 2), *PARAMS.levels[1:])}, "no run of indices"),
    ({"levels": ((1, 0), *PARAMS.levels[1:])}, "no run of indices"),
    ({"levels": ((-1, 0), *PARAMS.levels[1:])}, "no run of indices"),
    ({"levels": ((0.0, 1.0), *PARAMS.levels[1:])}, "no run of indices"),
    ({"levels": (*PARAMS.levels[:-1], tuple(range(9)))}, "no run of indices"),
    ({"levels": PARAMS.levels[:-1]}, "in use at no level"),
    ({"levels": PARAMS.levels[::-1]}, "not larger than the one below"),
    ({"levels": (*PARAMS.levels, PARAMS.levels[-1])}, "not larger than the one below"),
    ({"scales": PARAMS.scales[:-1]}, "not one for each level"),
    ({"scales": list(PARAMS.scales)}, "not one for each level"),
    ({"scales": (2.0**26,) * 4}, "as Scale.of makes it"),
    ({"scales": (Scale(2, 25),) * 4}, "as Scale.of makes it"),
    ({"scales": (Scale(-1, 26),) * 4}, "as Scale.of makes it"),
    ({"scales": (Scale(1, 4000),) * 4}, "as Scale.of makes it"),
    ({"scales": (Scale(1, -3),) * 4}, "as Scale.of makes it"),
    ({"scales": (Scale(1, np.int64(26)),) * 4}, "as Scale.of makes it"),
    ({"digit_size": 0}, "digit_size=0"),
    ({"digit_size": -1}, "digit_size=-1"),
    ({"digit_size": 1.5}, "digit_size=1.5"),
    ({"digit_size": True}, "digit_size=True"),
    ({"digit_size": 513}, "digit_size=513"),
    ({"digit_size": 4}, "every digit is at most P"),
    ({"insecure": 1}, "insecure=1"),
    ({"insecure": None}, "insecure=None"),
    ({"insecure": False}, "128-bit security was asked for"),
]


@pytest.mark.parametrize(("changes", "message"), CASES, ids=[f"{i}-{m}" for i, (_, m) in enumerate(CASES)])
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=r"(?s)^[a-z0-9].{30,}\.$") as caught:
        dataclasses.replace(PARAMS, **changes)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400


def test_what_can_be_is_made_again():
    fields = {field.name: getattr(PARAMS, field.name) for field in dataclasses.fields(PARAMS)}
    for made in (dataclasses.replace(PARAMS), ckks.Parameters(**fields), pickle.loads(pickle.dumps(PARAMS))):
        assert made == PARAMS
        assert hash(made) == hash(PARAMS)
        assert made.fingerprint == PARAMS.fingerprint


def test_the_fingerprint_is_the_hash_of_what_files_hold():
    import hashlib

    from fhejax.ckks.files.parameter_format import decode_parameters, encode_parameters

    for params in (PARAMS, ckks.preset("real-n14-128bit-depth5-scale40")):
        data = encode_parameters(params)
        assert params.fingerprint == hashlib.blake2b(data, digest_size=32).digest()
        found = decode_parameters(data, allow_insecure=True)
        assert dataclasses.astuple(found) == dataclasses.astuple(params)
