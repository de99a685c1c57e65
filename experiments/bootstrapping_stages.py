"""`ckks.bootstrap` in four stages, one after the other, so that each can be timed by itself."""

import math
from collections.abc import Callable

from fhejax import ckks
from fhejax.ckks.bootstrapping import BootstrappingKeys
from fhejax.ckks.bootstrapping.bootstrap_circuit import (
    joined,
    lower_to_coefficients,
    raise_under_sparse_secret,
    reduce_modulo_one,
    spread_to_slots,
)

STAGES = ("slots to coefficients", "modulus raising", "coefficients to slots", "modular reduction")


def staged_bootstrap(
    timed: Callable[..., ckks.Ciphertext],
    keys: BootstrappingKeys,
    ciphertext: ckks.Ciphertext,
) -> ckks.Ciphertext:
    """The bits of `ckks.bootstrap`, by `timed(name, function, *arguments)` for each of `STAGES`.

    Args:
        timed: calls the function; a `pipeline.Stages`.
        keys: from `bootstrapping_keys`.
        ciphertext: data [2, limb, N], at the input level exactly, of that level's own scale.
    """
    lower, lift, spread, reduce = STAGES
    x = timed(lower, lower_to_coefficients, keys, ciphertext)
    ratio = ckks.parameters.Scale.of(math.prod(x.moduli)) / x.scale
    x = timed(lift, raise_under_sparse_secret, keys, x)
    x = timed(spread, spread_to_slots, keys, x)
    return timed(reduce, _reduced, keys, x, ratio)


def _reduced(keys: BootstrappingKeys, x: ckks.Ciphertext, ratio: ckks.parameters.Scale) -> ckks.Ciphertext:
    return joined(keys, reduce_modulo_one(keys, x, ratio))
