"""The plan of a program: parameters, steps, and what is predicted of them."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from fhejax.ckks import BootstrappingParameters, Parameters
from fhejax.ckks.keys import KeyManifest
from fhejax.ckks.keys.shared_levels import key_level
from fhejax.program.circuit.graph import Graph, depth, needs_whole_batch, samples_together
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.slots import batch_period
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.views import View
from fhejax.program.levels.bootstrap_placement import Cut
from fhejax.program.levels.precision_prediction import Predictor
from fhejax.program.packing.layout import Layout, along, copies, with_samples
from fhejax.ring.platform import Device

_DEEP = 10  # levels from which on keys share theirs
_SHARED = 5  # the part of a level by which one may be raised to it


def _told() -> Any:
    return dataclasses.field(compare=False, kw_only=True)


@dataclasses.dataclass(frozen=True)
class ProgramPlan:
    """All that is static about a program, hashable: its parameters and steps, and what is predicted of them.

    Predictions are for people: two plans with the same steps are equal, whatever is predicted of them.

    steps: with levels counted from the bottom. outputs: the step that holds each encrypted result's node.
    device: on which `predicted_seconds` are.
    predicted_errors: root mean square of each encrypted result's error, noise and rounded weights.
    predicted_noise: the same of noise alone, against fixed point.
    output_sizes: root mean square of each encrypted result itself, on the sample.
    whole_batch: whether every sample must be there, for a sum over the batch to be right.
    layouts: of each argument's sample, where a block holds one, or of its samples, where it holds a few; else
        empty.
    together: the samples in a block where there are layouts; 0 where a slot holds one.
    tiles: how many each step's result is computed in, where values do not fit in memory at once; else empty.
    peak_bytes: that the values of one block may take at once; 0 where they may not be cut.
    memory_map: whether arguments stay in their files, of which each tile reads what it needs.
    moved_bytes: that tiles of one block without room in memory are written to files, and read from these, in
        about; 0 where all that is made stays in memory.
    given_top: the level of fresh ciphertexts, where parameters were given that have more levels than the
        program takes; else None.
    """

    params: Parameters
    settings: Settings
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    blocks: int
    batch: int
    depth: int
    whole_batch: bool
    predicted_bits: float = _told()
    predicted_seconds: float = _told()
    device: Device = _told()
    largest_output: float = _told()
    predicted_errors: tuple[float, ...] = _told()
    predicted_noise: tuple[float, ...] = _told()
    output_sizes: tuple[float, ...] = _told()
    layouts: tuple[Layout | None, ...] = dataclasses.field(default=(), kw_only=True)
    together: int = dataclasses.field(default=0, kw_only=True)
    tiles: tuple[int, ...] = dataclasses.field(default=(), kw_only=True)
    peak_bytes: int = dataclasses.field(default=0, compare=False, kw_only=True)
    memory_map: bool = dataclasses.field(default=False, compare=False, kw_only=True)
    moved_bytes: int = dataclasses.field(default=0, compare=False, kw_only=True)
    given_top: int | None = dataclasses.field(default=None, kw_only=True)

    @property
    def bootstrapping(self) -> BootstrappingParameters | None:
        """The parameters by which values are bootstrapped, if any are."""
        return self.settings.bootstrapping

    @property
    def security(self) -> int:
        """The bits of security that are known of all secrets, a bootstrap's included: 256, 192, 128, or 0."""
        chosen = self.params if self.bootstrapping is None else self.bootstrapping
        return chosen.security

    @property
    def bootstraps(self) -> int:
        """The number of bootstraps of one block: each takes two ciphertexts of real numbers."""
        return sum(step.bootstraps for step in self.steps)

    @property
    def top_level(self) -> int:
        """The level of fresh and of bootstrapped ciphertexts."""
        if self.given_top is not None:
            return self.given_top
        return self.params.depth if self.bootstrapping is None else self.bootstrapping.output_level

    @property
    def relinearises(self) -> bool:
        """Whether a relinearisation key is needed."""
        return any(step.switches_keys and not step.rotates for step in self.steps)

    @property
    def relinearisation_level(self) -> int:
        """The highest level at which the relinearisation key is used."""
        return self._highest([s for s in self.steps if s.switches_keys and not s.rotates])

    @property
    def rotations(self) -> tuple[int, ...]:
        """The slot distances for which a rotation key is needed."""
        return tuple(sorted({distance for step in self.steps for distance in step.rotations}))

    @property
    def sums_slots(self) -> bool:
        """Whether the slots of all blocks meet, in sums over the batch."""
        return any(step.summed_slots for step in self.steps)

    @property
    def manifest(self) -> KeyManifest:
        """The keys of all steps but bootstraps."""
        levels: dict[int | str, int] = {}
        uses = [use for step in self.steps for use in self._uses(step)]
        if self.relinearises:
            uses.append(("relinearise", self.relinearisation_level))
        for use, level in uses:
            levels[use] = max(key_level(self.params, level), levels.get(use, 0))
        return KeyManifest.of(_shared_levels(levels))

    @property
    def key_manifest(self) -> KeyManifest:
        """The keys of all steps, but for the two of the sparse secret of bootstraps."""
        return self.manifest if self.bootstrapping is None else self.bootstrapping.manifest | self.manifest

    @property
    def period(self) -> int:
        """The slots after which the samples of a block repeat."""
        return batch_period(self.batch, self.params.slots)

    @property
    def result_layout(self) -> Layout | None:
        """The layout of results, where there are layouts: readings name slots of one sample's share."""
        slots = self.params.slots
        if not self.layouts:
            return None
        if self.together == 1:
            return Layout((slots,), (along(0, slots),))
        return with_samples(Layout((share := slots // self.together,), (along(0, share),)), slots)

    def _uses(self, step: Step) -> list[tuple[int | str, int]]:
        """The keys of one step but relinearisation, each with its level."""
        rotations = [(distance, int(self.steps[step.sources[0]].level)) for distance in step.rotations]
        return [*rotations, *step.own_keys.items()]

    def _highest(self, steps: Sequence[Step]) -> int:
        """The highest level of what some steps read."""
        return max((self.steps[step.sources[0]].level for step in steps), default=0)


class TooDeepError(ValueError):
    """An error that says that no secure parameters hold the circuit at the precision asked for."""


@dataclasses.dataclass(frozen=True, eq=False)
class LoweredCircuit:
    """A circuit with its bootstraps, lowered for parameters with real primes.

    Attributes:
        graph: the circuit.
        limits: the largest magnitude of each node.
        params: of the scheme.
        settings: that it was lowered under.
        lowered: steps, constants and noise.
        blocks: of the batch.
        top: the level of fresh ciphertexts.
        cuts: the places of bootstraps in the circuit without them.
    """

    graph: Graph
    limits: tuple[float, ...]
    params: Parameters
    settings: Settings
    lowered: Lowered
    blocks: int
    top: int
    cuts: tuple[Cut, ...] = ()


def described(circuit: LoweredCircuit, predictor: Predictor, cost: float, device: Device) -> ProgramPlan:
    """The plan of a lowered circuit, with what is predicted of it.

    Args:
        circuit: lowered for parameters with real primes.
        predictor: of the same circuit.
        cost: predicted seconds.
        device: that they were predicted for.
    """
    graph, limits, settings, lowered = circuit.graph, circuit.limits, circuit.settings, circuit.lowered
    bootstrapping = settings.bootstrapping
    whole = circuit.params.depth if bootstrapping is None else bootstrapping.output_level
    steps, registers = placed(graph, lowered, circuit.top)
    encrypted = [o.value for o in graph.outputs if isinstance(o.value, View)]
    largest = max(float((limits[v.node] * abs(v.multiplier) + abs(v.offset)).max()) for v in encrypted)
    return ProgramPlan(
        params=circuit.params,
        settings=settings,
        steps=steps,
        outputs=registers,
        blocks=circuit.blocks,
        batch=graph.batch,
        depth=depth(graph),
        predicted_bits=predictor.bits(settings, lowered, -math.inf),
        predicted_seconds=cost,
        device=device,
        largest_output=largest,
        predicted_errors=tuple(map(float, predictor.errors(settings, lowered))),
        predicted_noise=tuple(map(float, predictor.noise(settings, lowered))),
        output_sizes=tuple(map(float, predictor.sizes)),
        whole_batch=needs_whole_batch(graph),
        layouts=tuple(_in_ring(layout, circuit.params.slots, graph) for layout in graph.layouts),
        together=samples_together(graph, circuit.params.slots) if graph.least_slots else 0,
        given_top=None if circuit.top == whole else circuit.top,
    )


def _in_ring(layout: Layout | None, slots: int, graph: Graph) -> Layout | None:
    """The layout of one period, over and over in the slots of a ring, or of several samples."""
    if layout is None or layout.slot_count == slots:
        return layout
    if graph.shares_blocks:
        return with_samples(layout, slots)
    return layout.replace(slots=(copies(slots // layout.slot_count), *layout.slots))


def placed(graph: Graph, lowered: Lowered, top: int) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """The steps with levels counted from the bottom, and the register of each encrypted result.

    Args:
        graph: what was lowered.
        lowered: its steps, with levels counted from the top.
        top: the level of fresh ciphertexts.
    """
    steps = tuple(step.placed(top) for step in lowered.steps)
    views = [o.value for o in graph.outputs if isinstance(o.value, View)]
    return steps, tuple(lowered.registers[view.node].step for view in views)


def _shared_levels(levels: dict[int | str, int]) -> dict[int | str, int]:
    """The levels of keys, those of deep programs raised to the next of a few: kernels are made for each."""
    raised: dict[int, int] = {}
    top = -1
    for level in sorted(set(levels.values()), reverse=True):
        if level < _DEEP or level < top - top // _SHARED:
            top = level
        raised[level] = max(top, level)
    return {name: raised[level] for name, level in levels.items()}
