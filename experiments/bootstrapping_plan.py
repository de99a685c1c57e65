"""What a bootstrap will take, known before a key exists: levels, bits, bytes, and whether they fit."""

import math
import os
import shutil
from pathlib import Path
from typing import Any

import jax

from fhejax import ckks
from fhejax.ckks.bootstrapping.encapsulation import encapsulation_parameters
from fhejax.ckks.bootstrapping.fourier_factors import (
    coefficients_to_slots_factors,
    slots_to_coefficients_factors,
)
from fhejax.ckks.parameters.security import maximum_modulus_bits

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
KINDS = (
    "level 0",
    "slots to coefficients",
    "user levels",
    "modular reduction",
    "coefficients to slots",
    "key switching",
)
# Measured at N = 2^12: vectors of complex numbers that a prediction holds, ciphertexts of the highest level,
# special primes included, that a bootstrap holds, and bytes of Python, JAX and compiled kernels.
PREDICTED_VECTORS = 12_000
CIPHERTEXTS_HELD = 60
PROCESS_BYTES = 2_600_000_000


def describe(chosen: ckks.BootstrappingParameters) -> dict[str, Any]:
    """Everything that the parameters say, as plain numbers; a security of 0 means none, for tests.

    The probability of failure is None where no phase can be out of bounds.
    """
    params = chosen.params
    mean, worst = chosen.reduction_precision_bits
    failure = chosen.failure_probability_bits
    return {
        "security": chosen.security,
        "log2_modulus": params.modulus_bits,
        "log2_modulus_limit": maximum_modulus_bits(params.ring.degree) if chosen.security else None,
        "ring_degree": params.ring.degree,
        "slots": chosen.slots,
        "scale_bits": params.scales[chosen.input_level].bits,
        "levels": {
            "all": params.depth,
            "before": chosen.input_level,
            "after": chosen.output_level,
            "left": chosen.levels_left,
        },
        "level_bits": level_bits(chosen),
        "matrices": {
            "slots to coefficients": list(chosen.slots_to_coefficients),
            "coefficients to slots": list(chosen.coefficients_to_slots),
        },
        "hamming_weight": chosen.hamming_weight,
        "bound": chosen.bound,
        "degree": chosen.degree,
        "double_angles": chosen.double_angles,
        "reduction_precision_bits": {"mean": mean, "worst": worst},
        "failure_probability_log2": None if math.isinf(failure) else -failure,
        "bytes": memory_needed(chosen),
        "keys": keys_by_level(chosen),
    }


def level_bits(chosen: ckks.BootstrappingParameters) -> list[dict[str, Any]]:
    """Bits of the modulus by level, from 0 up, each with its kind; the primes of key switching come last.

    A level's bits are what the modulus loses when it is left, so that all of them add up to log2 Q.
    """
    params = chosen.params
    totals = [_log2(params.level_moduli(level)) for level in range(params.depth + 1)]
    rows = [{"kind": KINDS[0], "bits": totals[0]}]
    for level in range(1, params.depth + 1):
        rows.append({"kind": _kind(chosen, level), "bits": totals[level] - totals[level - 1]})
    return [*rows, {"kind": KINDS[-1], "bits": _log2(params.special)}]


def _kind(chosen: ckks.BootstrappingParameters, level: int) -> str:
    ends = (0, chosen.input_level, chosen.output_level, chosen.reduction_level, chosen.params.depth)
    return next(kind for kind, end in zip(KINDS, ends, strict=False) if level <= end)


def _log2(primes: tuple[int, ...]) -> float:
    return math.log2(math.prod(primes))


def memory_needed(chosen: ckks.BootstrappingParameters) -> dict[str, int]:
    """Bytes of keys and matrices, exactly; of a bootstrap and its prediction, about; and of all at once.

    The prediction comes before the keys, and is gone when they are made.
    """
    wire, keys = chosen.key_bytes
    matrices = matrix_bytes(chosen)
    params = chosen.params
    limbs = len(params.level_moduli(params.depth)) + len(params.special)
    working = CIPHERTEXTS_HELD * 2 * 4 * limbs * params.ring.degree
    prediction = PREDICTED_VECTORS * 16 * params.slots
    return {
        "keys_on_the_wire": wire,
        "keys": keys,
        "matrices": matrices,
        "bootstrap": working,
        "prediction": prediction,
        "needed": PROCESS_BYTES + matrices + max(prediction, keys + working),
    }


def keys_by_level(chosen: ckks.BootstrappingParameters) -> list[dict[str, Any]]:
    """Names and bytes of all keys, those of the sparse secret in front, then from the highest level down."""
    params = chosen.params
    by_level: dict[int, list[int | str]] = {}
    for use, level in chosen.manifest.levels.items():
        by_level.setdefault(level, []).append(use)
    groups = {
        level: ckks.keys.KeyManifest.of(dict.fromkeys(by_level[level], level))
        for level in sorted(by_level, reverse=True)
    }
    small, whole = encapsulation_parameters(params).switching_key_bytes(), params.switching_key_bytes()
    return [
        _key_row(0, ["to the sparse secret"], small, 2 * small - 32),
        _key_row(params.depth, ["from the sparse secret"], whole, 2 * whole - 32),
        *[_key_row(level, list(group.levels), *group.bytes(params)) for level, group in groups.items()],
    ]


def _key_row(level: int, names: list[int | str], wire: int, memory: int) -> dict[str, Any]:
    return {"level": level, "keys": names, "wire": wire, "memory": memory}


def matrix_bytes(chosen: ckks.BootstrappingParameters) -> int:
    """Of all encoded diagonals, each modulo the primes of its level and those of key switching."""
    params = chosen.params
    raised = coefficients_to_slots_factors(chosen.slots, chosen.coefficients_to_slots)
    lowered = slots_to_coefficients_factors(chosen.slots, chosen.slots_to_coefficients)
    total = 0
    for top, factors in ((params.depth, raised), (chosen.input_level, lowered)):
        for number, diagonals in enumerate(factors):
            limbs = len(params.level_moduli(top - number)) + len(params.special)
            total += len(diagonals) * limbs * params.ring.degree * 4
    return total


def machine_memory() -> int:
    """Bytes that JAX's device has: an accelerator's own, or the host's as far as this process may use it."""
    statistics = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" in statistics:
        return statistics["bytes_limit"]
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    texts = [path.read_text().strip() for path in LIMITS if path.is_file()]
    return min([installed, *(int(text) for text in texts if text.isdigit())])


def check_memory(chosen: ckks.BootstrappingParameters) -> None:
    """Refuse, before a key is made, what the machine cannot hold.

    Raises:
        SystemExit: naming the bytes that are needed and those that are there.
    """
    needed, present = memory_needed(chosen)["needed"], machine_memory()
    if needed > present:
        raise SystemExit(
            f"This bootstrap needs about {needed:,} bytes of memory, and the machine has {present:,}. Take "
            f"fewer levels, fewer slots or a smaller ring."
        )


def check_disk(chosen: ckks.BootstrappingParameters, path: Path | None) -> None:
    """Refuse, before a key is made, a file of keys that the disk has no room for.

    Raises:
        SystemExit: naming the bytes that are needed and those that are free.
    """
    if path is None:
        return
    needed, free = chosen.key_bytes.wire, shutil.disk_usage(path.absolute().parent).free
    if needed > free:
        raise SystemExit(
            f"The keys take {needed:,} bytes, and {free:,} are free where --keys-to is to write {path.name}. "
            f"Name another folder, or take fewer keys (--minimum-keys)."
        )
