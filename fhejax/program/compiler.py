"""`compile`: a JAX function to a `Program`."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax

from fhejax.ckks import BootstrappingParameters, Parameters
from fhejax.ckks.parameters.requested_numbers import flag
from fhejax.program.arguments import (
    Encrypted,
    Plain,
    describe,
)
from fhejax.program.circuit.constants import encode_constants
from fhejax.program.circuit.reading import reading_of
from fhejax.program.levels.carry import matched_pairs
from fhejax.program.levels.result_levels import cut_results
from fhejax.program.levels.tile_choice import in_memory
from fhejax.program.packing.packings import candidate_packings
from fhejax.program.planning import Planned, cheapest, planned_in
from fhejax.program.program import Program
from fhejax.program.specialisation import CompilationRecord
from fhejax.program.tensor.trace import trace
from fhejax.program.typical_sample import calls_of, given_sample
from fhejax.program.wished_security import check_together, wished_security
from fhejax.ring.platform import Device, chosen_device

_AXES_OF_IMAGES = 3  # without that of the batch


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
    memory_map: bool = False,
    parameters: Parameters | None = None,
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
            slot; "multiplexed", the numbers of one sample in the slots of each ciphertext; "planes", one
            channel's pixels of several images in each ciphertext, for a few images at once; "tiles", a whole
            mini-batch and weights that are encrypted too, in the slots together, for training steps; or
            "auto": tiles where hundreds of numbers without a batch are encrypted; the second where the batch
            is one sample, and planes where it is a few images, if that takes less time; and else the first.
        carry: the numbers of results that may be the next call's arguments of the same numbers, or a mapping
            {result: argument}: such results come back as the arguments that they replace are encrypted, by a
            bootstrap, so that a training step can go on for ever. Their values must stay within the declared
            ranges of these arguments: `dry_run` shows whether they do. `compile_loop` takes whole loops.
        memory: bytes that a call may take, its arguments included; by default two thirds of the device's.
            Where the values of a block need more, they are computed in tiles, depth first: a part of the last
            step's result, for that the parts of earlier ones that it is made of, and so on, each once. The
            report says how many, and what they take. Programs whose samples meet, and those that bootstrap
            or rotate, are never cut.
        memory_map: whether the arguments of a call in tiles stay in their files, as `load(path, params,
            memory_map=True)` leaves them: they then count nothing. Where even the smallest tiles take more
            than `memory`, those that are read last go to files of the call's folder (`program(..., folder=)`
            is then needed), and results are maps of files too.
        parameters: to plan in, such as another program's `program.params`, in place of a ring and primes that
            are searched for. Programs of the same parameters may share a secret, by
            `second.evaluation_keys(secret)`. Scales are chosen within them, and the lowest level to begin at;
            nothing is bootstrapped. Parameters of less than `security` need insecure=True.

    Returns:
        A Program: `report()`, `keygen()`, `encrypt()`, a call, `decrypt()`, `simulate()`, `verify()`.

    Raises:
        NotPolynomialError: every operation that cannot be encrypted, with its line and a substitute.
        TooDeepError: no secure parameters hold the function, or not those that are given.
        SecurityError: another level of security, or parameters given that do not reach it.
        ValueError: a device or a packing of an unknown name, no encrypted argument, or none that a result
            depends on; less memory than the smallest tiles take; results to be carried that do not fit their
            arguments, or leave their range on `sample`; parameters= together with bootstraps, with carry=, or
            with a ring of another choice.
    """
    planned_for = chosen_device(device)
    check_together(parameters, bootstrapping, carry, insecure_log_degree)
    wished = wished_security(security, parameters, bootstrapping, insecure, insecure_log_degree)
    described, nesting = described_arguments(arguments)
    batch = _common_batch(described)
    weights = sum(math.prod(a.shape) for a in described if isinstance(a, Encrypted) and a.batch_axis is None)
    images = any(len(a.shape) > _AXES_OF_IMAGES for a in described)
    rounds = candidate_packings(packing, batch, weights, carry is not None, images)
    plain = [a.placeholder(i) for i, a in enumerate(described) if isinstance(a, Plain)]
    traced = trace(function, described, nesting, batch, plain)
    slots = traced.slots if insecure_log_degree is None else 2 ** (insecure_log_degree - 1)
    if parameters is not None:
        slots, bootstrapping = parameters.slots, False
    traced = dataclasses.replace(traced, carry=matched_pairs(traced, carry), slots=slots)
    _check_margin(margin, sample)
    _check_memory(memory)
    if margin is not None:
        traced = dataclasses.replace(traced, typical=tuple(given_sample(described, calls_of(sample)[-1])))
    request = {"precision_bits": precision_bits, "device": planned_for, **wished}

    def planned(name: str) -> Planned:
        return planned_in(name, traced, sample, margin, bootstrapping, carry, request)

    best, considered = cheapest(rounds, planned)
    plan, found = best.plan, best.circuit
    leaves = encode_constants(found.lowered.constants, plan.params, plan.top_level)
    observed = None if margin is None else found.limits
    if observed is None:  # else values may be larger than on the sample
        steps, registers = cut_results(found.graph, found.limits, plan.params, plan.steps, plan.outputs)
        plan = dataclasses.replace(plan, steps=steps, outputs=registers)
    if not plain:
        plan = in_memory(plan, leaves, memory, flag("memory_map", memory_map))
    period = found.graph.least_slots or plan.params.slots
    share = plan.params.slots // (plan.together or 1)
    readings = tuple(reading_of(output, period, share) for output in found.graph.outputs)
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
        parameters is not None,
    )
    return Program(leaves, readings, plan, record)


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
