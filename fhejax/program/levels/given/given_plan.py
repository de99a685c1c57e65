"""The plan in parameters that are given: scales and levels are chosen, ring and primes are what they are."""

import dataclasses
import itertools

import numpy as np

from fhejax.ckks import Parameters
from fhejax.program.circuit.graph import block_count, depth
from fhejax.program.circuit.lowering.levels import Levels
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.node_lowering import lower
from fhejax.program.circuit.lowering.scales import Whole
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.levels.candidates import (
    Candidate,
    Candidates,
    Failure,
    Planned,
    Wish,
    bits_of_scales,
    first_precise,
)
from fhejax.program.levels.given.canonical_plan import canonical_in, quicker
from fhejax.program.levels.given.given_levels import LARGEST_PRIME_BITS, GivenLevels
from fhejax.program.levels.plan import LoweredCircuit, TooDeepError
from fhejax.program.levels.predicted_keys import predicted_key_bytes
from fhejax.program.levels.predicted_time import predicted_block_seconds
from fhejax.ring import modulus_bits


def plan_in(params: Parameters, wish: Wish) -> Planned:
    """The plan in given parameters, from as low a level of them as the program can begin at.

    Args:
        params: of the scheme.
        wish: what the plan is made for.

    Raises:
        TooDeepError: too few levels, no special modulus where keys are switched, or less precision
            than is asked for; with what there is.
    """
    levels = GivenLevels(params)
    settings, shape = _all_settings(levels, wish)
    _check_keys(levels, shape)
    needed = shape.drops + levels.lowest(shape.base_bits)
    fits = np.isfinite(shape.base_bits) & (needed <= levels.top)
    canonical = canonical_in(levels, wish)
    if not fits.any():
        if canonical is not None:
            return canonical
        raise TooDeepError(_too_few_levels(levels, wish, needed))
    found = first_precise(
        wish, _candidates(levels, wish, settings, shape, fits), lambda one: _build(levels, wish, one)
    )
    if isinstance(found, tuple):
        return quicker(found, canonical, wish)
    if canonical is None:
        raise TooDeepError(_too_little_precision(levels, wish, found))
    return canonical


def _all_settings(levels: GivenLevels, wish: Wish) -> tuple[Settings, Lowered]:
    """All settings that may be chosen, as arrays, and the circuit lowered under them."""
    params = levels.params
    wider = max(0, round(levels.bits) - LARGEST_PRIME_BITS)
    choices = np.array(list(itertools.product(*bits_of_scales(wish.graph, wider))))
    inputs, weights, working = choices.T
    sizes = np.full(len(choices), levels.bits)
    settings = Settings(params.ring, inputs, weights, working, sizes, digit_size=params.digit_size)
    return settings, lower(wish.graph, wish.limits, settings)


def _candidates(
    levels: GivenLevels, wish: Wish, settings: Settings, shape: Lowered, fits: np.ndarray
) -> list[Candidate]:
    """The settings that fit, with what they cost.

    Args:
        levels: that are given.
        wish: what they are for.
        settings: all of them.
        shape: the circuit lowered under all.
        fits: which of them fit.
    """
    blocks = block_count(wish.graph, levels.params.slots)
    held = levels.ending_at(levels.lowest(shape.base_bits), shape)
    costs = blocks * np.broadcast_to(predicted_block_seconds(held, settings, wish.device), fits.shape)[fits]
    sizes = np.broadcast_to(predicted_key_bytes(held, settings), fits.shape)[fits]
    names = ("input_bits", "weight_bits", "working_bits", "prime_bits")
    fitting = dataclasses.replace(settings, **{name: getattr(settings, name)[fits] for name in names})
    among = Candidates(wish.graph, wish.limits, fitting, blocks, wish.predictor)
    spent = fitting.input_bits + fitting.weight_bits + fitting.working_bits
    return [
        Candidate(among, i, float(cost), float(size), -float(bits))
        for i, (cost, size, bits) in enumerate(zip(costs, sizes, spent, strict=True))
    ]


def _build(levels: GivenLevels, wish: Wish, candidate: Candidate) -> LoweredCircuit | str:
    """The graph lowered for the given primes, from the lowest level that does, or why none does."""
    graph, limits, params = wish.graph, wish.limits, levels.params
    settings, virtual = candidate.settings(), candidate.lowered()
    top = virtual.drops + levels.lowest(virtual.base_bits)
    while top <= levels.top:
        lowered = lower(graph, limits, settings, Levels(params, top))
        if lowered.drops <= top and not lowered.missing_bits(limits, params, top):
            return LoweredCircuit(graph, limits, params, settings, lowered, candidate.blocks, top)
        top = max(top + 1, lowered.drops)
    return f"with {levels.top} levels of these primes values could overflow"


def _check_keys(levels: GivenLevels, shape: Lowered) -> None:
    if shape.switches_keys and not levels.params.special:
        raise TooDeepError(
            "the function needs evaluation keys, and the parameters given as parameters= have no special "
            "modulus to make them with, as those of a program that needs none; plan the program that needs "
            "keys first and give its parameters to the others, or make some with key_switching=True."
        )


def _offered(levels: GivenLevels) -> str:
    """What the parameters have, in words."""
    params = levels.params
    more = "" if levels.top == params.depth else f" of one size, of {params.depth} in all"
    return (
        f"the parameters given as parameters= have {levels.top} levels of {levels.bits:.4g} bits{more}, "
        f"above a modulus of {modulus_bits(params.level_moduli(0)):.0f} bits, in a ring of degree "
        f"2**{params.ring.degree.bit_length() - 1}"
    )


_FIX = (
    "Plan the program that needs most first and give its parameters to the others, leave parameters= out, "
    "use fewer or lower-degree activations, narrow the range of the arguments, lower precision_bits, or "
    "compile with a typical sample= and a margin="
)


def _too_few_levels(levels: GivenLevels, wish: Wish, needed: Whole) -> str:
    least = int(np.min(needed))
    takes = f"at least {least} levels" if least <= 2 * levels.top + 2 else "more levels than that"
    return (
        f"the function multiplies encrypted values {depth(wish.graph)} times in a row, which takes {takes} "
        f"of {levels.bits:.4g} bits for values that reach {max(wish.limits):.3g}, and {_offered(levels)}; "
        f"nothing is bootstrapped in given parameters. {_FIX}; or give parameters of bootstraps as "
        f"bootstrapping=."
    )


def _too_little_precision(levels: GivenLevels, wish: Wish, found: Failure) -> str:
    return (
        f"the function multiplies encrypted values {depth(wish.graph)} times in a row, and was to keep "
        f"{wish.precision_bits:g} bits; {_offered(levels)} ({found.reason}). {_FIX}."
    )
