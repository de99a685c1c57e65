"""`compile`: a JAX function to a `Program`."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from fhejax.ckks import BootstrappingParameters, SecurityError
from fhejax.ckks.parameters.requested_numbers import flag, shown, whole_number
from fhejax.ckks.parameters.security import checked_level
from fhejax.program.arguments import (
    Encrypted,
    Plain,
    check_values,
    describe,
    for_any_samples,
    normalisation,
)
from fhejax.program.circuit.constants import encode_constants
from fhejax.program.circuit.entries import sample_entries
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.graph import Graph, sums_over_batch
from fhejax.program.circuit.ranges import check_finite
from fhejax.program.circuit.reading import reading_of
from fhejax.program.circuit.simplification import simplify
from fhejax.program.circuit.views import View
from fhejax.program.files.sizes import key_bytes
from fhejax.program.levels.bootstrapped_plan import make_bootstrapped_plan
from fhejax.program.levels.carry import Carry, carried_pairs, check_carried_range, matched_pairs
from fhejax.program.levels.parameter_search import make_plan, value_bounds
from fhejax.program.levels.plan import LoweredCircuit, ProgramPlan, TooDeepError
from fhejax.program.levels.result_levels import cut_results
from fhejax.program.levels.tile_choice import in_memory
from fhejax.program.packing.packings import ONE_SAMPLE, candidate_packings, packed
from fhejax.program.program import Program
from fhejax.program.report import ConsideredPacking
from fhejax.program.specialisation import CompilationRecord, graphs_of_other_values
from fhejax.program.tensor.graph import TensorGraph
from fhejax.program.tensor.trace import trace
from fhejax.ring.platform import Device, chosen_device

_SAMPLES = 64
_PACKED_SAMPLES = 8  # of which each takes a whole ciphertext
_LOG_DEGREES = (4, 17)


def compile(
    function: Callable,
    *arguments: Any,
    precision_bits: float = 10.0,
    security: int = 128,
    sample: Any = None,
    margin: float | None = None,
    bootstrapping: bool | BootstrappingParameters = True,
    insecure: bool = False,
    insecure_log_degree: int | None = None,
    device: Device | str | None = None,
    packing: str = "auto",
    carry: Any = None,
    memory: float | None = None,
) -> Program:
    """Turn a polynomial JAX function into a program on encrypted data.

    Args:
        function: any JAX function of arrays, or a Flax model in its inference view. Weights that it closes
            over are snapshotted.
        *arguments: one description for each argument (or a pytree of them): `Encrypted`, `Plain`, or a
            `jax.ShapeDtypeStruct`, which stands for `Encrypted` with its defaults.
        precision_bits: -log2 of the error that is left, relative to the outputs, both as root mean square.
        security: 128, 192 or 256 bits that are reached, or more.
        sample: a few typical arguments (one array, or a tuple), on which precision is predicted; by default
            uniform in the range. They may be more than the batch, unless the function sums over it; then
            they are repeated to fill it.
        margin: by default no value that the arguments' ranges allow can overflow, by interval arithmetic.
            That is loose where values depend on each other, as in training steps. With a margin, values may
            be that many times as large as on the sample and no larger: give a sample, and 4 or more.
        bootstrapping: whether values may be bootstrapped where the function is too deep for any ring without;
            or the parameters to do that with. Error and time are then mostly those of bootstraps.
        insecure: True accepts parameters of bootstrapping of less than `security`, for tests only; every
            report says so.
        insecure_log_degree: a ring this small, without security, for tests only; every report says so.
        device: for which parameters are chosen and time is predicted: a `fhejax.Device`, or the name of one
            ("cpu", "h100", "h200", "a100", "rtx5090"), by default the one that JAX runs on. Any other device
            runs the program as well. Name one where a function is compiled on several machines, which are
            to find the same parameters.
        packing: where arrays lie in ciphertexts and slots: "sample-per-slot", one sample of the batch in each
            slot; "multiplexed", the numbers of one sample in the slots of each ciphertext; "tiles", a whole
            mini-batch and weights that are encrypted too, in the slots together, for training steps; or
            "auto", the first or, where the batch is one sample and that takes less time, the second.
        carry: the numbers of results that may be the next call's arguments of the same numbers, or a mapping
            {result: argument}: such results come back as the arguments that they replace are encrypted, by a
            bootstrap, so that a training step can go on for ever. Their values must stay within the declared
            ranges of these arguments: `dry_run` shows whether they do. `compile_loop` takes whole loops.
        memory: bytes that a call may take, its arguments included; by default two thirds of the device's.
            Where the values of a block need more, they are computed in tiles, depth first: a part of the last
            step's result, for that the parts of earlier ones that it is made of, and so on, each once. The
            report says how many, and what they take. Programs whose samples meet, and those that bootstrap
            or rotate, are never cut.

    Returns:
        A Program: `report()`, `keygen()`, `encrypt()`, a call, `decrypt()`, `simulate()`, `verify()`.

    Raises:
        NotPolynomialError: every operation that cannot be encrypted, with its line and a substitute.
        TooDeepError: no secure parameters hold the function.
        SecurityError: another level of security, or parameters of bootstrapping that do not reach it.
        ValueError: a device or a packing of an unknown name, no encrypted argument, or none that a result
            depends on; less memory than the smallest tiles take; results to be carried that do not fit their
            arguments, or leave their range on `sample`.
    """
    planned_for = chosen_device(device)
    wished = _wished_security(security, bootstrapping, insecure, insecure_log_degree)
    described, nesting = described_arguments(arguments)
    batch = _common_batch(described)
    names = candidate_packings(packing, batch, carries=carry is not None)
    plain = [a.placeholder(i) for i, a in enumerate(described) if isinstance(a, Plain)]
    traced = trace(function, described, nesting, batch, plain)
    slots = traced.slots if insecure_log_degree is None else 2 ** (insecure_log_degree - 1)
    traced = dataclasses.replace(traced, carry=matched_pairs(traced, carry), slots=slots)
    _check_margin(margin, sample)
    _check_memory(memory)
    if margin is not None:
        traced = dataclasses.replace(traced, typical=tuple(_given_sample(described, _calls(sample)[-1])))
    request = {"precision_bits": precision_bits, "device": planned_for, **wished}

    def planned(name: str) -> _Planned:
        return _planned_in(name, traced, sample, margin, bootstrapping, carry, request)

    best, considered = _cheapest(names, planned)
    plan, found = best.plan, best.circuit
    leaves = encode_constants(found.lowered.constants, plan.params, plan.top_level)
    observed = None if margin is None else found.limits
    if observed is None:  # else values may be larger than on the sample
        steps, registers = cut_results(found.graph, found.limits, plan.params, plan.steps, plan.outputs)
        plan = dataclasses.replace(plan, steps=steps, outputs=registers)
    if not plain:
        plan = in_memory(plan, leaves, memory)
    period = found.graph.least_slots or plan.params.slots
    readings = tuple(reading_of(output, period, plan.params.slots) for output in found.graph.outputs)
    record = CompilationRecord(
        traced,
        best.packing,
        found.graph,
        found.lowered,
        observed,
        found.cuts,
        best.typical,
        precision_bits,
        considered,
    )
    return Program(leaves, readings, plan, record)


@dataclasses.dataclass(frozen=True, eq=False)
class SampleCalls:
    """Typical arguments of several calls: values are bounded on all, precision is predicted on the last."""

    calls: Sequence[Any]


def _calls(sample: Any) -> Sequence[Any]:
    """The samples of all calls: there may be one, or none was given."""
    return sample.calls if isinstance(sample, SampleCalls) else (sample,)


def described_arguments(arguments: tuple) -> tuple[list[Encrypted | Plain], Any]:
    """The descriptions of arguments, checked and flat, and how they are nested.

    Raises:
        TypeError, ValueError: where one is no description, or none is encrypted.
    """
    described, nesting = jax.tree.flatten(
        arguments, is_leaf=lambda a: isinstance(a, (Encrypted, Plain, jax.ShapeDtypeStruct))
    )
    described = [describe(argument) for argument in described]
    if not any(isinstance(argument, Encrypted) for argument in described):
        raise ValueError(
            "compile was given no encrypted argument; describe at least one by fhejax.Encrypted(shape)."
        )
    return described, nesting


@dataclasses.dataclass(frozen=True, eq=False)
class _Planned:
    """The plan of a function in one packing, its circuit, and the sample that predictions rest on."""

    packing: str
    plan: ProgramPlan
    circuit: LoweredCircuit
    typical: tuple[np.ndarray, ...]


def _planned_in(
    packing: str,
    traced: TensorGraph,
    sample: Any,
    margin: float | None,
    bootstrapping: bool | BootstrappingParameters,
    carry: Any,
    request: dict[str, Any],
) -> _Planned:
    """The plan of a traced function in a packing; a sample of several ciphertexts is split as the plan needs.

    Without bootstraps a ring has twice the slots that it has with them.
    """
    if packing == ONE_SAMPLE:
        wide = dataclasses.replace(traced, slots=2 * traced.slots)
        if bootstrapping is False:
            return _planned_once(packing, wide, sample, margin, False, carry, request)
        if bootstrapping is True:
            try:
                return _planned_once(packing, wide, sample, margin, False, carry, request)
            except TooDeepError as error:
                if request["security"] > 128 and not request["insecure"]:
                    raise
                without = error
            try:
                return _planned_once(packing, traced, sample, margin, True, carry, request)
            except TooDeepError as error:
                raise TooDeepError(f"{without} And {error}") from None
    return _planned_once(packing, traced, sample, margin, bootstrapping, carry, request)


def _planned_once(
    packing: str,
    traced: TensorGraph,
    sample: Any,
    margin: float | None,
    bootstrapping: bool | BootstrappingParameters,
    carry: Any,
    request: dict[str, Any],
) -> _Planned:
    """The plan of a traced function in a packing, for ciphertexts of at least the given slots."""
    graph = simplify(packed(traced, packing))
    if not any(isinstance(o.value, View) for o in graph.outputs):
        raise ValueError("no result of the function depends on an encrypted argument; nothing to do.")
    check_finite(graph)
    carried = carried_pairs(graph, carry)
    calls = [_sample(graph, call) for call in _calls(sample)]
    others = graphs_of_other_values(traced, packing, graph)
    bounds = [value_bounds(graph, call, margin, others) for call in (calls[-1:] if margin is None else calls)]
    limits, typical = tuple(map(max, zip(*bounds, strict=True))), calls[-1]
    plan, found = _planned_program(graph, limits, typical, bootstrapping, carried, request)
    if carried and sample is not None:
        for call in calls:
            check_carried_range(found.graph, evaluate_graph(found.graph, call))
    return _Planned(packing, plan, found, tuple(typical))


def _cheapest(
    names: Sequence[str], planned: Callable[[str], _Planned]
) -> tuple[_Planned, tuple[ConsideredPacking, ...]]:
    """The plan of least predicted time, and what was found of each packing.

    Raises:
        ValueError: that of the first packing, where no packing holds the function.
    """
    found: list[_Planned] = []
    considered: list[ConsideredPacking] = []
    refused: ValueError | None = None
    for name in names:
        try:
            one = planned(name)
        except ValueError as error:
            refused = refused or error
            considered.append(ConsideredPacking(name, None, None, _first_sentence(error)))
            continue
        found.append(one)
        considered.append(ConsideredPacking(name, one.plan.predicted_seconds, _key_bytes(one.plan), ""))
    if not found:
        assert refused is not None
        raise refused
    return min(found, key=lambda one: one.plan.predicted_seconds), tuple(considered)


def _key_bytes(plan: ProgramPlan) -> int:
    return key_bytes(plan.params, plan.manifest, plan.bootstrapping)


def _first_sentence(error: ValueError) -> str:
    """What an error says first, without the numbers in brackets."""
    return str(error).partition("\n")[0].partition(" (")[0].partition(". ")[0]


def _wished_security(
    security: int, bootstrapping: bool | BootstrappingParameters, insecure: bool, log_degree: int | None
) -> dict[str, Any]:
    """The request to the planners: a level of security, whether less will do, and a given degree."""
    security = checked_level(security)
    if log_degree is not None:
        log_degree = whole_number("insecure_log_degree", log_degree, *_LOG_DEGREES)
    insecure = flag("insecure", insecure) or log_degree is not None
    if isinstance(bootstrapping, BootstrappingParameters):
        if bootstrapping.security < security and not insecure:
            raise SecurityError(
                f"{security}-bit security was asked for, and the parameters given as bootstrapping= reach "
                f"{bootstrapping.security} bits: {bootstrapping}. Give others, ask for less, or pass "
                f"insecure=True, for tests only."
            )
    elif not isinstance(bootstrapping, bool):
        raise ValueError(
            f"compile was given bootstrapping={shown(bootstrapping)}; it is True, False, or "
            f"BootstrappingParameters."
        )
    elif insecure and log_degree is None:
        raise ValueError(
            "compile was given insecure=True, which accepts parameters of bootstrapping without security, "
            "and no such parameters; pass them as bootstrapping=, or a small ring as insecure_log_degree=."
        )
    return {"security": security, "insecure": insecure, "log_degree": log_degree}


def _planned_program(
    graph: Graph,
    limits: tuple[float, ...],
    sample: Sequence[np.ndarray],
    bootstrapping: bool | BootstrappingParameters,
    carry: Carry,
    request: dict[str, Any],
) -> tuple[ProgramPlan, LoweredCircuit]:
    """The plan without bootstraps where there is one, unless parameters of bootstraps were given."""
    given = None if isinstance(bootstrapping, bool) else bootstrapping
    if given is None and not carry:
        try:
            return make_plan(graph, limits, sample, **request)
        except TooDeepError as error:
            if not bootstrapping or (request["security"] > 128 and not request["insecure"]):
                raise
            without = f"{error} "
    else:
        without = ""
    try:
        return make_bootstrapped_plan(graph, limits, sample, given=given, carry=carry, **request)
    except TooDeepError as error:
        raise TooDeepError(f"{without}And {error}" if without else f"{error}") from None


def _check_margin(margin: float | None, sample: Any) -> None:
    if margin is None:
        return
    if sample is None:
        raise ValueError(
            f"margin={margin} bounds values by those observed on a sample, and none was given; pass typical "
            f"arguments as sample=."
        )
    if not 1 <= margin < math.inf:
        raise ValueError(f"a margin of {margin} was asked for; it is finite and 1 or more, such as 4.")


def _check_memory(memory: float | None) -> None:
    if memory is not None and not 0 < memory < math.inf:
        raise ValueError(f"memory={memory} bytes were allowed; it is finite and above 0, such as 8e9.")


def _common_batch(arguments: Sequence[Encrypted | Plain]) -> int:
    sizes = {
        a.shape[a.batch_axis] for a in arguments if isinstance(a, Encrypted) and a.batch_axis is not None
    }
    if len(sizes) > 1:
        raise ValueError(
            f"encrypted arguments have batches of {sorted(sizes)}; all samples of one call lie in the same "
            f"slots, so give every argument the same batch."
        )
    return sizes.pop() if sizes else 1


def _sample(graph: Graph, given: Any) -> list[np.ndarray]:
    """The typical arguments as entries, [size, sample] for each argument."""
    whole = sums_over_batch(graph)
    wanted = min(_SAMPLES, graph.batch)
    if graph.least_slots:
        wanted = _PACKED_SAMPLES if _has_batch(graph) else 1
    if given is not None:
        arrays = _given_sample(graph.arguments, given)
        return [_repeated(a, graph.batch) for a in arrays] if whole else arrays
    generator = np.random.default_rng(0)
    count = graph.batch if whole else wanted
    samples = []
    for argument in graph.arguments:
        if isinstance(argument, Plain):
            samples.append(np.zeros((0, 0)))
            continue
        axis = argument.batch_axis
        size = math.prod(s for d, s in enumerate(argument.shape) if d != axis)
        shape = (size, 1 if axis is None else count)
        values = normalisation(argument).normalised(generator.uniform(*argument.range, shape))
        samples.append(np.repeat(values, count, 1) if axis is None else values)
    return samples


def _has_batch(graph: Graph) -> bool:
    """Whether some argument has an axis of samples: in tiles they are part of the one value of a call."""
    return any(a.batch_axis is not None for a in graph.arguments if isinstance(a, Encrypted))


def _repeated(entries: np.ndarray, batch: int) -> np.ndarray:
    """The entries with their columns over and over, as many as there are samples."""
    return np.resize(entries.T, (batch, len(entries))).T if entries.size else entries


def _given_sample(arguments: Sequence[Encrypted | Plain], given: Any) -> list[np.ndarray]:
    """The sample that was given as entries, [size, sample] for each argument."""
    given = given if isinstance(given, tuple) else (given,)
    encrypted = [a for a in arguments if isinstance(a, Encrypted)]
    if len(given) != len(encrypted):
        raise ValueError(
            f"sample holds {len(given)} arrays, and the function has {len(encrypted)} encrypted arguments; "
            f"give one typical array for each, as a tuple."
        )
    widened = map(for_any_samples, encrypted, given)
    checked = [check_values(a, v) for a, v in zip(widened, given, strict=True)]
    entries = iter(sample_entries(encrypted, checked))
    return [next(entries) if isinstance(a, Encrypted) else np.zeros((0, 0)) for a in arguments]
