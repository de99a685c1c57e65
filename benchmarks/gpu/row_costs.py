"""What the planner's costs say of a device (`UnitCosts` of its row), each beside what it takes there.

Bandwidth and the cost of a kernel are measured by the section "device", transforms by their stages by
"transforms", multiply-adds of the matrix product by "matrix", and the stages of a bootstrap by "bootstrap".
What decides which keys there are goes by the costs of two cores, and is measured by `benchmarks.kernels`.
"""

import types
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.gpu import checks
from benchmarks.gpu.launches import kernels_of
from benchmarks.gpu.measuring import Sheet, require
from benchmarks.gpu.sizes import Sizes
from fhejax.ckks import Parameters
from fhejax.program.circuit.steps.relinearise import key_switches
from fhejax.ring import Ring, modular, modular_matrix_product, ntt, ntt_primes, permutation, permute, twiddles
from fhejax.ring.modular import constants
from fhejax.ring.platform import current_device
from fhejax.ring.wide import wide

_TERMS = 3  # digits of a key switch
_ROTATED = 5  # X -> X^5, by one slot


def costs(sheet: Sheet, sizes: Sizes) -> None:
    """Times of what the planner counts, in a loop within one executable, and kernels of a tile."""
    shape, row = sizes.costs, current_device()
    ring = Ring(2**shape.log_degree)
    moduli = ntt_primes(29.9, ring.root_order, shape.limbs)
    x = checks.residues((shape.polynomials, ring.degree), moduli)
    limbs, places, tables = constants(moduli), permutation(ring, _ROTATED), twiddles(ring, moduli)
    unit = row.costs
    known: dict[str, tuple[Callable[[jax.Array, Any], jax.Array], Any, float]] = {
        "entries read and written (entry)": (lambda y, x: modular.add(y, x, limbs.value), x, 3 * unit.entry),
        "a product and its sum (product)": (
            lambda y, x: modular.multiply_and_sum([(y, x)], limbs, x),
            x,
            unit.product,
        ),
        "products in a key switch (multiplied)": (
            lambda y, x: modular.multiply_and_sum([(y, x)] * _TERMS, limbs),
            x,
            _TERMS * unit.multiplied,
        ),
        "residues permuted (moved)": (permute, places, unit.moved),
        "a transform within a program (transform)": (lambda y, t: ntt(y, t, moduli), tables, unit.transform),
    }
    for what, (function, other, nanoseconds) in known.items():
        looped = _looped(function, sizes.turns)
        predicted = x.size * nanoseconds / 1e9
        found = sheet.time(what, lambda f=looped, o=other: f(x, o), in_one=sizes.turns, predicted=predicted)
        require((np.asarray(found.max((0, 2))) < np.array(moduli)).all(), f"{what}: residues out of range.")
    sheet.notes["costs"] = f"of {shape}"
    sheet.notes["kernels of a tile, counted and in the row"] = [_kernels_of_tile(sizes), unit.tile_launches]


def _looped(
    function: Callable[[jax.Array, Any], jax.Array], turns: int
) -> Callable[[jax.Array, Any], jax.Array]:
    """The function so many times, each of the result before, in one executable."""
    return jax.jit(wide(lambda x, t: jax.lax.fori_loop(0, turns, lambda _, y: function(y, t), x)))


def _kernels_of_tile(sizes: Sizes) -> int:
    """The kernels of the exact matrix product of one tile, by the device's own method."""
    log_degree, limbs, outputs, inputs, tiles = sizes.matrix
    moduli = ntt_primes(30.0, 4 << log_degree, limbs)
    width = min(current_device().blocks.matrix_tile, max(tiles))
    x = checks.residues((inputs, 1, width), moduli)
    weights = np.random.default_rng(1).integers(-1023, 1024, (1, outputs, inputs)).astype(np.int32)
    product = jax.jit(lambda weights, x: modular_matrix_product(weights, x, moduli, 1023))
    return kernels_of(product.lower(weights, x).compile().as_text())


def predicted_key_switch(params: Parameters) -> float:
    """The seconds that the planner counts for a key switch at the highest level."""
    row, limbs = current_device(), len(params.level_moduli(params.depth))
    settings: Any = types.SimpleNamespace(
        ring=params.ring,
        digit_size=params.digit_size,
        special_limbs=len(params.special),
        digit_count=lambda limbs: len(params.digit_ranges(params.depth)),
    )
    nanoseconds, launches = key_switches(1, limbs, settings, row)
    return float(nanoseconds) / 1e9 + float(launches) * row.launch
