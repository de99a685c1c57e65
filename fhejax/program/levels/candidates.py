"""Candidates: settings that fit, what they cost, and the first of them that keeps the precision asked for."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.node_lowering import lower
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.levels.plan import LoweredCircuit, ProgramPlan, described
from fhejax.program.levels.precision_prediction import Predictor
from fhejax.ring.platform import Device

INPUT_BITS = (14, 16, 18, 20, 22, 24, 26, 28, 30, 32)
WEIGHT_BITS = (7, 8, 9, 10, 11, 12, 13, 14, 15)
DIAGONAL_BITS = (7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20)  # of weights that are plaintexts
WORKING_BITS = (18, 20, 22, 24, 26, 28)
_MOST_KEY_BYTES = 3e9  # that a client is to send, wherever time can be had for them

Planned = tuple[ProgramPlan, LoweredCircuit]


@dataclasses.dataclass(frozen=True, eq=False)
class Wish:
    """What a plan is made for.

    Attributes:
        graph: what to compute.
        limits: the largest magnitude of each node.
        predictor: of the graph's precision.
        precision_bits: to be left.
        device: whose predicted time is to be least.
    """

    graph: Graph
    limits: tuple[float, ...]
    predictor: Predictor
    precision_bits: float
    device: Device


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why no candidate does.

    Attributes:
        bits: of precision that the best left; infinity where precision was not what was lacking.
        reason: in words, for an error.
    """

    bits: float
    reason: str


@dataclasses.dataclass(frozen=True, eq=False)
class Candidates:
    """All settings of one ring that fit its modulus.

    What noise they leave is worked out when the first of them is looked at, for all in one pass.

    settings: arrays, one number for each candidate.
    """

    graph: Graph
    limits: tuple[float, ...]
    settings: Settings
    blocks: int
    predictor: Predictor

    @functools.cached_property
    def lowered(self) -> Lowered:
        """The circuit lowered under all of them."""
        return lower(self.graph, self.limits, self.settings)

    @functools.cached_property
    def bits_of_noise(self) -> np.ndarray:
        """The precision that noise leaves to first order, for each candidate: no more is possible."""
        return self.predictor.bits_of_noise(self.settings, self.lowered)


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
    """One of the candidates: its number among them, predicted seconds, and bytes of keys.

    coarseness: minus the bits that it spends on precision, for the order among equals.
    """

    among: Candidates
    index: int
    cost: float
    key_bytes: float
    coarseness: float

    def order(self, device: Device) -> tuple[int, int, float]:
        """The place among others, see `place_of`, and the coarsest first of those of equal time."""
        return *place_of(self.cost, self.key_bytes, device), self.coarseness

    @property
    def blocks(self) -> int:
        """The number of blocks of the batch."""
        return self.among.blocks

    def settings(self) -> Settings:
        """The settings as plain numbers."""
        return self.among.settings.at(self.index)

    def lowered(self) -> Lowered:
        """The circuit lowered under them."""
        return self.among.lowered.at(self.index)

    @property
    def bits_of_noise(self) -> float:
        """The precision that noise leaves to first order."""
        return float(self.among.bits_of_noise[self.index])


def place_of(cost: float, key_bytes: float, device: Device) -> tuple[int, int]:
    """The place of a plan among others: by time, but after all whose keys are of a size that can be sent.

    Where none can, those of keys of about a fourth of the size come first, whatever their time.

    Args:
        cost: predicted seconds.
        key_bytes: of all keys as they travel.
        device: whose time it is.
    """
    beyond = max(0, math.ceil(math.log(key_bytes / _MOST_KEY_BYTES, 4))) if key_bytes else 0
    return beyond, round(cost / device.resolution)


def weight_bits(graph: Graph) -> Sequence[int]:
    """The bits that weights may have: as integers, or as plaintexts where a ciphertext holds one sample."""
    return DIAGONAL_BITS if graph.least_slots else WEIGHT_BITS


def bits_of_scales(graph: Graph, wider: int = 0) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """The bits that may be chosen of the input's scale, of weights, and of a scale after a rescale.

    Args:
        graph: what is computed.
        wider: bits by which a level is larger than a prime, so that scales may be as well.
    """
    inputs, working = (
        sorted({b + more for b in bits for more in (0, wider)}) for bits in (INPUT_BITS, WORKING_BITS)
    )
    return inputs, weight_bits(graph), working


def first_precise(
    wish: Wish, candidates: Iterable[Candidate], build: Callable[[Candidate], LoweredCircuit | str]
) -> Planned | Failure:
    """The plan of the cheapest candidate that keeps the precision asked for.

    Args:
        wish: what it is made for.
        candidates: in any order.
        build: the circuit lowered for real primes, or why those do not do.
    """
    best = Failure(-math.inf, "")
    for candidate in sorted(candidates, key=lambda one: one.order(wish.device)):
        bits = candidate.bits_of_noise
        if bits >= wish.precision_bits:
            bits = wish.predictor.bits(candidate.settings(), candidate.lowered(), wish.precision_bits)
            built = build(candidate) if bits >= wish.precision_bits else None
            if isinstance(built, str):
                best = Failure(math.inf, f"some would leave {bits:.1f} bits, but {built}")
            if isinstance(built, LoweredCircuit):
                plan = described(built, wish.predictor, candidate.cost, wish.device)
                bits = plan.predicted_bits
                if bits >= wish.precision_bits:
                    return plan, built
        if bits > best.bits:
            best = Failure(bits, f"the best leave {bits:.1f} bits")
    return best
