"""`program.report()`: what a program is and will cost, before a key exists."""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fhejax.ckks.parameters.security import maximum_modulus_bits
from fhejax.program.costs.text import amount
from fhejax.program.levels.plan import ProgramPlan
from fhejax.program.levels.tile_choice import holds_much, predicted_memory, values_at_once

if TYPE_CHECKING:
    from fhejax.program.client_program import ClientProgram, Predictions
    from fhejax.program.specialisation import CompilationRecord


@dataclasses.dataclass(frozen=True)
class ConsideredPacking:
    """What was found of one packing where several were compared.

    Attributes:
        name: of the packing.
        seconds: predicted, or None where it does not hold the function.
        keys: bytes of the evaluation keys on the wire, likewise.
        refusal: why it does not hold the function, or nothing.
    """

    name: str
    seconds: float | None
    keys: int | None
    refusal: str


def ciphertext_bytes(plan: ProgramPlan, level: int, components: int) -> int:
    """The bytes of one ciphertext's residues.

    Args:
        plan: of the program.
        level: of the ciphertext.
        components: polynomials that it has.
    """
    return components * len(plan.params.levels[level]) * plan.params.ring.degree * 4


def _batch_sum_lines(client: "ClientProgram") -> list[str]:
    """The line on how sums over the batch take a batch that is not full."""
    if not client.sums:
        return []
    needed = (
        f"all {client.batch} samples must be there" if client.whole_batch else "missing samples weigh nothing"
    )
    return [f"sums          over the batch of {client.batch}, in every slot; {needed}"]


def _bootstrap_lines(plan: ProgramPlan) -> list[str]:
    """The line on bootstraps: how many, where, and what that rests on."""
    if plan.bootstrapping is None:
        return []
    chosen = plan.bootstrapping
    failure = chosen.failure_probability_bits
    each = chosen.predicted_seconds(plan.device)
    odds = f"fails with probability 2**-{failure:.0f}" if math.isfinite(failure) else "cannot fail"
    places = [f"{s.size} before step {n + 1}" for n, s in enumerate(plan.steps) if s.bootstraps]
    return [
        f"bootstraps    {plan.blocks * plan.bootstraps}, up to two ciphertexts in each: {', '.join(places)}; "
        f"{chosen.levels_left} levels between, each {odds}, about {each:.3g} s each"
    ]


def key_names(client: "ClientProgram") -> str:
    """The names of the keys that the server needs."""
    manifest = client.manifest
    if client.bootstrapping is not None:
        return f"{len((client.bootstrapping.manifest | manifest).levels)} and two of the sparse secret"
    names = ["relinearisation"] if manifest.relinearise else []
    if manifest.rotations:
        names.append(f"rotations by {', '.join(map(str, manifest.rotations))}")
    return " and ".join(names) or "none"


def peak_bytes(plan: ProgramPlan) -> int:
    """The predicted peak of one block: the largest sum of a step's result and what it reads."""
    sizes = [s.size * ciphertext_bytes(plan, s.level, s.components) for s in plan.steps]
    return max(
        size + sum(sizes[s] for s in step.sources) for size, step in zip(sizes, plan.steps, strict=True)
    )


def _memory_lines(plan: ProgramPlan) -> list[str]:
    """The lines on memory: that of the widest step, or of tiles and what they are kept for."""
    widest = amount(peak_bytes(plan))
    if holds_much(plan):
        keys = plan.key_manifest.bytes(plan.params).memory
        return [
            f"memory        about {amount(predicted_memory(plan))} in all: {amount(values_at_once(plan))} of "
            f"values and rotations, {amount(keys)} of keys; the widest step alone has {widest}"
        ]
    if not plan.tiles:
        return [f"memory        about {widest} for the widest step of a block"]
    files = [
        f"files         tiles without room in memory go to the call's folder, about "
        f"{amount(plan.moved_bytes)} written and read in a block; results are maps of files"
    ]
    return [
        f"memory        about {amount(predicted_memory(plan))} in all, of which "
        f"{amount(plan.peak_bytes)} are tiles of one block"
        f"{'; arguments are read from their files' if plan.memory_map else ''}",
        *(files if plan.moved_bytes else []),
        f"tiles         up to {max(plan.tiles)} a step, depth first, kept until their last use: nothing is "
        f"computed twice; the widest step alone has {widest}",
    ]


def _comparison_lines(considered: Sequence[ConsideredPacking]) -> list[str]:
    """The table of the packings that were compared, where there were several."""
    if len(considered) < 2:
        return []
    lines = []
    for number, one in enumerate(considered):
        found = one.refusal
        if one.seconds is not None and one.keys is not None:
            found = f"{one.seconds:.3g} s predicted, keys of {amount(one.keys)}"
        lines.append(f"{'' if number else 'packings':14}{one.name.replace('-', ' ')}: {found}")
    return lines


def _slot_transform_lines(plan: ProgramPlan) -> list[str]:
    """The line on what the plain maps of slots take, or sums over them, where there are any."""
    if any(step.operation == "plane_transform" for step in plan.steps):
        rotated, masks = (
            sum(getattr(s, name) for s in plan.steps) for name in ("rotations_done", "plaintext_products")
        )
        switched = sum(step.size for step in plan.steps if step.operation == "relinearise")
        return [
            f"slots         a channel of up to {plan.together} samples in each ciphertext; {rotated} "
            f"rotations, {switched} relinearisations and {masks} products with masks in a block"
        ]
    if summed := sum(step.rotations_done for step in plan.steps):
        switched = sum(step.size for step in plan.steps if step.operation == "relinearise")
        masks = sum(step.plaintext_products for step in plan.steps)
        return [
            f"slots         a whole call in each period; {summed + switched} key switches beside bootstraps, "
            f"{summed} of them rotations; {masks} masks"
        ]
    found = [step for step in plan.steps if step.plaintext_products]
    if not found:
        return []
    distances = sum(len(step.rotations) for step in found)
    products = sum(step.plaintext_products for step in found)
    return [
        f"slots         one sample in each ciphertext; {len(found)} linear maps by {products} diagonals and "
        f"{distances} rotations"
    ]


def report(
    client: "ClientProgram",
    plan: ProgramPlan,
    source: "CompilationRecord",
) -> str:
    """The text of all that a person should know before making keys.

    Args:
        client: the program's half that knows what travels.
        plan: of the program.
        source: what compiling knew: the packing, those that were compared, and whether parameters were given.
    """
    predicted = client.predictions
    lines = [
        *_first_lines(client, source.given_parameters),
        f"circuit       depth {plan.depth} (products in a row), {source.packing.replace('-', ' ')}, weights "
        f"of {plan.settings.weight_bits} bits, input scale 2**{plan.settings.input_bits}",
        _key_line(client),
        *_comparison_lines(source.considered),
        *_slot_transform_lines(plan),
        *_batch_sum_lines(client),
        *_bootstrap_lines(plan),
        _wire_line(client),
        *_memory_lines(plan),
        f"predicted     {plan.predicted_seconds:.3g} s on {plan.device}, {predicted.bits:.1f} bits of "
        f"precision, outputs bounded by {plan.largest_output:.4g}",
        *_result_lines(predicted),
        "steps",
    ]
    for number, step in enumerate(plan.steps):
        reads = ",".join(map(str, step.sources))
        lines.append(
            f"  {number:3} {step.title:18} <- {reads:8} {step.size:6} x {step.components}  "
            f"level {step.level}  scale {step.scale!s:10} {step.label}"
        )
    return "\n".join(lines)


def client_report(client: "ClientProgram") -> str:
    """The lines of a report that are a client's affair."""
    predicted = client.predictions
    lines = [
        *_first_lines(client),
        _key_line(client),
        *_batch_sum_lines(client),
        _wire_line(client),
        f"predicted     {predicted.bits:.1f} bits of precision",
        *_result_lines(predicted),
    ]
    return "\n".join(lines)


def _first_lines(client: "ClientProgram", given: bool = False) -> list[str]:
    """The lines on ring, security and primes, and whether compile was given them."""
    params, blocks = client.params, client.blocks
    kind = "conjugate-invariant" if params.ring.conjugate_invariant else "standard"
    whole = client.bootstrapping is not None or client.level == params.depth
    spent = "" if whole else f", the lowest {client.level} used"
    told = "; given as parameters=" if given else ""
    return [
        f"ring          N = 2**{params.ring.degree.bit_length() - 1} ({kind}), {params.slots} slots, "
        f"{blocks} block{'s' if blocks > 1 else ''} for {client.batch} samples",
        f"security      {_security(client)}",
        f"primes        {len(params.moduli)} of Q, {len(params.special)} of P; {params.depth} levels"
        f"{spent}{told}",
    ]


def _key_line(client: "ClientProgram") -> str:
    return f"keys          {key_names(client)} to the server, {amount(client.predictions.key_bytes)} seeded"


def _wire_line(client: "ClientProgram") -> str:
    """The line on what a call sends to and fro: the bytes of the files."""
    sent = client.predictions
    public = sent.public_upload_bytes
    others = f" with the secret key, {amount(public)} with a public key" if public else ""
    return f"upload        {amount(sent.upload_bytes)} seeded{others}; download {amount(sent.download_bytes)}"


def _result_lines(predicted: "Predictions") -> list[str]:
    """The lines on what each result gets, where there are several."""
    if len(predicted.sizes) < 2:
        return []
    lines = []
    for number, (error, size) in enumerate(zip(predicted.errors, predicted.sizes, strict=True)):
        lines.append(f"{'results' if not number else '':14}{number}: {_precision(error, size)}")
    return lines


def _precision(error: float, size: float) -> str:
    """What a result gets, of which one that is always zero has an error and no bits."""
    if not error:
        return f"exact, of {size:.3g}"
    if not size:
        return f"zero on the sample, with an error of {error:.2g}"
    return f"{math.log2(size / error):.1f} bits, {error:.2g} of {size:.3g}"


def _security(client: "ClientProgram") -> str:
    params, level = client.params, client.security
    if not level:
        return f"INSECURE, for tests only (log2 QP = {params.modulus_bits:.1f})"
    limit = maximum_modulus_bits(params.ring.degree, level)
    return (
        f"{level} bits: log2 QP = {params.modulus_bits:.1f} of at most {limit} (2024 table, ternary secret)"
    )
