"""Combinations of what `BootstrappingParameters.for_levels` can be asked for: random good ones, and bad ones.

Compilation takes most of the time of a bootstrap in a small ring, and kernels depend on the parameters of
the ciphertexts alone: combinations are drawn in groups that share these, and differ in slots, secret,
polynomial and seed.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from fhejax.ckks import BootstrappingParameters, Parameters
from fhejax.ckks.bootstrapping import BootstrappingOptions
from fhejax.ckks.bootstrapping.modular_reduction import modular_reduction_depth

ATTEMPTS = 80  # of drawing another combination with the same parameters
BITS = (22, 25, 29, 30, 35, 40, 45, 50, 55, 60)


@dataclasses.dataclass(frozen=True)
class Case:
    """One combination: the arguments of `for_levels`, and what is random about the run."""

    levels: int
    options: tuple[tuple[str, Any], ...]
    seed: int = 0

    @property
    def name(self) -> str:
        """All arguments, which tell cases apart."""
        options = " ".join(f"{name}={value}" for name, value in self.options)
        return f"levels={self.levels} {options} seed={self.seed}"

    @functools.cached_property
    def parameters(self) -> BootstrappingParameters:
        """Or a ValueError that says why not."""
        own = {field.name for field in dataclasses.fields(BootstrappingOptions)}
        options = {name: value for name, value in self.options if name in own}
        request = {name: value for name, value in self.options if name not in own}
        return BootstrappingParameters.for_levels(
            self.levels, options=BootstrappingOptions(**options), **request
        )


def make_case(levels: int, options: dict[str, Any], seed: int) -> Case:
    """A case with the options in a fixed order, those that are None left out."""
    given = {name: value for name, value in options.items() if value is not None}
    return Case(levels, tuple(sorted({"insecure": True, **given}.items())), seed)


def good_groups(count: int, size: int, seed: int = 0) -> Iterator[list[Case]]:
    """Groups of up to `size` cases whose ciphertexts have the same parameters."""
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        cases: list[Case] = []
        while not cases:
            levels, shared = _shared_options(generator)
            cases = similar_cases(generator, levels, shared, size, seed=100 * number)
        yield cases


def similar_cases(
    generator: np.random.Generator,
    levels: int,
    shared: dict[str, Any],
    size: int,
    *,
    seed: int = 0,
    params: Parameters | None = None,
) -> list[Case]:
    """Up to `size` cases that differ in slots, secret, polynomial and seed.

    Args:
        generator: of everything that is drawn.
        levels: left.
        shared: options that all have.
        size: of the list, at most: what is refused is drawn again, but not for ever.
        seed: of the first case.
        params: of the ciphertexts, by default those of the first case.
    """
    cases: list[Case] = []
    for attempt in range(ATTEMPTS):
        own = _own_options(generator, shared)
        if cases and attempt % 2:
            own |= _reduction_of_depth(generator, _reduction_depth(cases[0]))
        case = make_case(levels, shared | own, seed + len(cases))
        found = _ciphertext_parameters(case)
        if found is not None and found == (params or found) and len(cases) < size:
            params = found
            cases.append(case)
    return cases


def _reduction_depth(case: Case) -> int:
    return modular_reduction_depth(case.parameters.degree, case.parameters.double_angles)


def _reduction_of_depth(generator: np.random.Generator, depth: int) -> dict[str, Any]:
    """A polynomial and double angles that together take `depth` levels, precise or not."""
    count = int(generator.integers(0, min(depth, 5)))
    highest = 2 ** min(depth - count, 7)
    return {"polynomial_degree": int(generator.integers(highest // 2, highest)), "double_angles": count}


def _ciphertext_parameters(case: Case) -> Parameters | None:
    """None where the case is refused: by chance a drawn bound, degree or count may be too small."""
    try:
        return case.parameters.params
    except ValueError:
        return None


def _shared_options(generator: np.random.Generator) -> tuple[int, dict[str, Any]]:
    """Levels, and the options that change the parameters of the ciphertexts."""

    def sometimes(share: float, *values: Any) -> Any:
        return _pick(generator, *values) if generator.random() < share else None

    arcsine = sometimes(0.35, 3, 5, 7)
    ratios = (12, 13, 14, 15, 16) if arcsine is None else (4, 6, 8, 10)
    options = {
        "degree": 2 ** _pick(generator, 5, 6, 6, 7, 7, 8),
        "scale_bits": _pick(generator, *BITS),
        "ratio_bits": _pick(generator, 6, 8, 10, *ratios),
        "coefficients_to_slots": _pick(generator, 1, 2, 2, 3, 4),
        "slots_to_coefficients": _pick(generator, 1, 1, 2, 3),
        "arcsine_degree": arcsine,
        "modular_bits": sometimes(0.3, 48, 52, 56, 59),
        "transform_bits": sometimes(0.3, 40, 48, 52, 59),
        "digit_size": sometimes(0.4, 1, 2, 3, 5),
    }
    return _pick(generator, 0, 1, 1, 2), options


def _own_options(generator: np.random.Generator, shared: dict[str, Any]) -> dict[str, Any]:
    """Options that may differ within a group."""
    log_slots = int(generator.integers(1, shared["degree"].bit_length() - 1))
    weight = _pick(generator, 2, 4, 4, 8, 8, 16, 16, 32, 32, 64)
    options = {
        "slots": shared["degree"] // 2 if generator.random() < 0.3 else 2**log_slots,
        "hamming_weight": min(weight, shared["degree"]),
        "failure_bits": _pick(generator, 30, 80, 128, 128),
    }
    if generator.random() < 0.25:
        options["polynomial_degree"] = int(generator.integers(4, 80))
    if generator.random() < 0.25:
        options["double_angles"] = _pick(generator, 0, 1, 2, 3, 4)
    if generator.random() < 0.15:
        options["bound"] = _pick(generator, 3, 5, 9, 16, 20)
    return options


def _pick(generator: np.random.Generator, *values: Any) -> Any:
    return values[int(generator.integers(len(values)))]


def bad_cases() -> list[Case]:
    """Each of them to be refused."""
    good = {"degree": 64, "hamming_weight": 8, "ratio_bits": 10}
    wrong: list[dict[str, Any]] = [
        *({"slots": slots} for slots in (0, -1, 3, 24, 64)),
        *({"hamming_weight": weight} for weight in (0, -4, 65, 1000)),
        *({"ratio_bits": ratio} for ratio in (-1, 0, 2, 31, 50)),
        *({"bound": bound} for bound in (0, 1, 4)),
        *({"hamming_weight": 32, "bound": bound, "failure_bits": 128} for bound in (3, 9, 14)),
        *({"polynomial_degree": degree} for degree in (-1, 0, 7)),
        *({"polynomial_degree": degree, "double_angles": 0} for degree in (4, 8, 9)),
        *({"double_angles": count} for count in (-1, 12)),
        *({"arcsine_degree": degree} for degree in (-3, 0, 1, 2, 4, 6)),
        *({"coefficients_to_slots": count} for count in (0, -2)),
        *({"slots_to_coefficients": count} for count in (0, -1)),
        *({"digit_size": size} for size in (0, -1)),
        *({"failure_bits": bits} for bits in (0, -10)),
        *({"base_bits": bits, "scale_bits": 45} for bits in (40, 52)),
        *({"security": security, "insecure": False} for security in (128, 192)),
        *({"security": security} for security in (0, 100, True)),
        *({"insecure": value} for value in (0, 1, 128)),
        *({"insecure": False, "degree": 2**log, "hamming_weight": 32} for log in (10, 12, 14)),
        {"insecure": False, "degree": 2**16, "hamming_weight": 16},
    ]
    cases = [make_case(1, good | options, 0) for options in wrong]
    secure = {"insecure": False, "hamming_weight": 32}
    cases += [make_case(levels, secure | {"degree": 2**15}, 0) for levels in (5, 9)]
    return [*cases, make_case(30, secure | {"degree": 2**16}, 0), make_case(-1, good, 0)]
