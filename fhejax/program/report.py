"""`program.report()`: what a program is and will cost, before a key exists."""

import dataclasses
import math
from collections.abc import Sequence

from fhejax.ckks.parameters.security import maximum_modulus_bits
from fhejax.program.arguments import Encrypted
from fhejax.program.levels.plan import ProgramPlan


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


def _comparison_lines(considered: Sequence[ConsideredPacking]) -> list[str]:
    """The table of the packings that were compared, where there were several."""
    if len(considered) < 2:
        return []
    lines = []
    for number, one in enumerate(considered):
        found = one.refusal
        if one.seconds is not None and one.keys is not None:
            found = f"{one.seconds:.3g} s predicted, keys of {_amount(one.keys)}"
        lines.append(f"{'' if number else 'packings':14}{one.name.replace('-', ' ')}: {found}")
    return lines


def ciphertext_bytes(plan: ProgramPlan, level: int, components: int) -> int:
    """The bytes of one ciphertext's residues.

    Args:
        plan: of the program.
        level: of the ciphertext.
        components: polynomials that it has, or travel.
    """
    return components * len(plan.params.levels[level]) * plan.params.ring.degree * 4


def key_bytes(plan: ProgramPlan) -> int:
    """The bytes of the evaluation keys on the wire: seeded, so half of each is a seed."""
    if plan.bootstrapping is not None:
        manifest = plan.bootstrapping.manifest | plan.manifest
        return (
            manifest.bytes(plan.params).wire + plan.params.switching_key_bytes()
        )  # that from the sparse secret
    return plan.manifest.bytes(plan.params).wire


def _ciphertexts_of(plan: ProgramPlan, argument: Encrypted) -> int:
    """The number of ciphertexts that an argument takes."""
    if plan.layouts:
        return plan.blocks
    if argument.batch_axis is None:
        return math.prod(argument.shape)
    return plan.blocks * math.prod(n for d, n in enumerate(argument.shape) if d != argument.batch_axis)


def _slot_transform_lines(plan: ProgramPlan) -> list[str]:
    """The line on what the plain maps of slots take, where there are any."""
    found = [step for step in plan.steps if step.plaintext_products]
    if not found:
        return []
    distances = sum(len(step.rotations) for step in found)
    products = sum(step.plaintext_products for step in found)
    return [
        f"slots         one sample in each ciphertext; {len(found)} linear maps by {products} diagonals and "
        f"{distances} rotations"
    ]


def _batch_sum_lines(plan: ProgramPlan) -> list[str]:
    """The line on how sums over the batch take a batch that is not full."""
    if not any(step.summed_slots for step in plan.steps):
        return []
    needed = (
        f"all {plan.batch} samples must be there" if plan.whole_batch else "missing samples weigh nothing"
    )
    return [f"sums          over the batch of {plan.batch}, in every slot; {needed}"]


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


def key_names(plan: ProgramPlan) -> str:
    """The names of the keys that the server needs."""
    if plan.bootstrapping is not None:
        return f"{len((plan.bootstrapping.manifest | plan.manifest).levels)} and two of the sparse secret"
    names = ["relinearisation"] if plan.relinearises else []
    if plan.rotations:
        names.append(f"rotations by {', '.join(map(str, plan.rotations))}")
    return " and ".join(names) or "none"


def peak_bytes(plan: ProgramPlan) -> int:
    """The predicted peak of one block: the largest sum of a step's result and what it reads."""
    sizes = [s.size * ciphertext_bytes(plan, s.level, s.components) for s in plan.steps]
    return max(
        size + sum(sizes[s] for s in step.sources) for size, step in zip(sizes, plan.steps, strict=True)
    )


def _amount(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def report(
    plan: ProgramPlan,
    arguments: Sequence[Encrypted],
    packing: str,
    considered: Sequence[ConsideredPacking] = (),
) -> str:
    """The text of all that a person should know before making keys.

    Args:
        plan: of the program.
        arguments: descriptions of the encrypted ones.
        packing: the name of the one that was used.
        considered: the packings that were compared.
    """
    params = plan.params
    kind = "conjugate-invariant" if params.ring.conjugate_invariant else "standard"
    fresh = ciphertext_bytes(plan, plan.top_level, 1)
    uploads = [_ciphertexts_of(plan, argument) * fresh for argument in arguments]
    downloads = [plan.steps[o] for o in plan.outputs]
    download = sum(s.size * plan.blocks * ciphertext_bytes(plan, s.level, s.components) for s in downloads)
    lines = [
        f"ring          N = 2**{params.ring.degree.bit_length() - 1} ({kind}), {params.slots} slots, "
        f"{plan.blocks} block{'s' if plan.blocks > 1 else ''} for {plan.batch} samples",
        f"security      {_security(plan)}",
        f"primes        {len(params.moduli)} of Q, {len(params.special)} of P; {params.depth} levels",
        f"circuit       depth {plan.depth} (products in a row), {packing.replace('-', ' ')}, weights of "
        f"{plan.settings.weight_bits} bits, input scale 2**{plan.settings.input_bits}",
        f"keys          {key_names(plan)} to the server, {_amount(key_bytes(plan))} seeded",
        *_comparison_lines(considered),
        *_slot_transform_lines(plan),
        *_batch_sum_lines(plan),
        *_bootstrap_lines(plan),
        f"upload        {_amount(sum(uploads))} seeded; download {_amount(download)}",
        f"memory        about {_amount(peak_bytes(plan))} for the widest step of a block",
        f"predicted     {plan.predicted_seconds:.3g} s on {plan.device}, {plan.predicted_bits:.1f} bits of "
        f"precision, outputs bounded by {plan.largest_output:.4g}",
        *_result_lines(plan),
        "steps",
    ]
    for number, step in enumerate(plan.steps):
        reads = ",".join(map(str, step.sources))
        lines.append(
            f"  {number:3} {step.title:18} <- {reads:8} {step.size:6} x {step.components}  "
            f"level {step.level}  scale {step.scale!s:10} {step.label}"
        )
    return "\n".join(lines)


def _result_lines(plan: ProgramPlan) -> list[str]:
    """The lines on what each result gets, where there are several."""
    if len(plan.output_sizes) < 2:
        return []
    pairs = zip(plan.predicted_errors, plan.output_sizes, strict=True)
    lines = []
    for number, (error, size) in enumerate(pairs):
        bits = f"{math.log2(size / error):.1f} bits" if size and error else "exact"
        lines.append(f"{'results' if not number else '':14}{number}: {bits}, {error:.2g} of {size:.3g}")
    return lines


def _security(plan: ProgramPlan) -> str:
    params, level = plan.params, plan.security
    if not level:
        return f"INSECURE, for tests only (log2 QP = {params.modulus_bits:.1f})"
    limit = maximum_modulus_bits(params.ring.degree, level)
    return (
        f"{level} bits: log2 QP = {params.modulus_bits:.1f} of at most {limit} (2024 table, ternary secret)"
    )
