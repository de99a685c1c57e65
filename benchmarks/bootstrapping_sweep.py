"""Random combinations of what bootstrapping offers, in small insecure rings: as predicted, or refused.

    python -m benchmarks.bootstrapping_sweep [--groups 44] [--processes 2]

What is finished is in the result file; a run that was stopped goes on from there. A combination is as
predicted where

- level and scale are those of the prediction, and every overflow is below the bound K;
- the polynomial's error, for these messages and overflows, is at most the worst that the parameters print;
- the rest, which is noise, has the root mean square of `NoiseEstimate.deviation`, to `BAR_BITS` either way
  and what a sample of this size leaves open; and none is so large that one run in 2^20 would see it. It may
  be larger by the rounding of the polynomial's coefficients to double precision, which is no noise;
- so has the whole error what is expected of messages, noise, and overflows as they are distributed; and the
  whole error of one draw of the prediction, too.
"""

import collections
import concurrent.futures
import dataclasses
import json
import math
import multiprocessing
import os
from typing import Any

import jax
import numpy as np
import tyro
from tqdm import tqdm

from benchmarks.bootstrapping_cases import Case, bad_cases, good_groups
from benchmarks.machine import RESULTS, write_result
from fhejax import ckks
from fhejax.ckks.bootstrapping import BootstrappingKeys, bootstrapping_circuit, bootstrapping_keys
from fhejax.ckks.bootstrapping.bootstrap_circuit import (
    at_input_level,
    lower_to_coefficients,
    raise_under_sparse_secret,
    spread_to_slots,
)
from fhejax.ckks.bootstrapping.cosine_interpolation import reduce_in_the_clear
from fhejax.ckks.bootstrapping.overflow_distribution import overflow_probabilities

NAME = "bootstrapping_sweep"
BATCH = 8
DRAWS = 2  # predictions of each ciphertext, with overflows of their own
BAR_BITS = 0.25
_DOUBLE = 2.0**-52
_RARE = 2.0**-20


@dataclasses.dataclass(frozen=True)
class Observation:
    """One combination: what came out, and what was predicted.

    values: what went in, complex [batch, slots]. found: what came out. reduced: what the polynomial makes
    of the values under the overflows that there were. predicted: with overflows of its own, [DRAWS, batch,
    slots]. deviation: of the noise in each part, float [DRAWS, batch, slots]. encoding: the share of the
    noise's variance that comes from rounding the matrices. overflows: integers [2, batch, slots]. same:
    whether level and scale are as predicted.
    """

    values: np.ndarray
    found: np.ndarray
    reduced: np.ndarray
    predicted: np.ndarray
    deviation: np.ndarray
    encoding: float
    overflows: np.ndarray
    same: bool


def observe(case: Case, batch: int = BATCH) -> Observation:
    """Make keys, encrypt, bootstrap by stages and at once, decrypt; and predict."""
    chosen = case.parameters
    params, circuit = chosen.params, bootstrapping_circuit(chosen)
    first, second, third = jax.random.split(ckks.keys.key_from_bytes(case.seed.to_bytes(32, "little")), 3)
    secret = ckks.secret_key(first, params)
    keys = bootstrapping_keys(second, secret, circuit)
    values = _values(case, batch)
    level = chosen.output_level if case.seed % 3 == 2 else chosen.input_level
    x = ckks.encrypt(third, secret, ckks.encode(params, values, level=level))

    def decrypt(y: ckks.Ciphertext) -> np.ndarray:
        return np.asarray(ckks.decode(ckks.decrypt(secret, y)))

    found = ckks.bootstrap(keys, x)
    lowered = lower_to_coefficients(keys, at_input_level(keys, x))
    phases = decrypt(spread_to_slots(keys, raise_under_sparse_secret(keys, lowered))).real
    several = np.broadcast_to(values, (DRAWS, *values.shape))
    predicted = ckks.bootstrap(BootstrappingKeys(circuit), ckks.estimate(params, several, level=level))
    return Observation(
        values,
        decrypt(found),
        _reduced(chosen, np.round(phases), values),
        predicted.values,
        predicted.deviation,
        predicted.shares.get("encoding", 0.0),
        np.round(phases),
        (found.level, found.scale) == (predicted.level, predicted.scale),
    )


def _values(case: Case, batch: int) -> np.ndarray:
    """Complex [batch, slots of the ring], of the period of the parameters, both parts in (-1, 1)."""
    chosen = case.parameters
    parts = np.random.default_rng(case.seed).uniform(-1, 1, (2, batch, chosen.slots))
    return np.tile(parts[0] + 1j * parts[1], chosen.params.slots // chosen.slots)


def _reduced(chosen: ckks.BootstrappingParameters, overflows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What the modular reduction makes of exact phases, complex like the values."""
    ratio = 2.0**chosen.ratio_bits
    phases = overflows + _parts(values) / ratio
    parts = reduce_in_the_clear(chosen.cosine, chosen.double_angles, phases, chosen.arcsine) * ratio
    return parts[0] + 1j * parts[1]


def _expected_square(chosen: ckks.BootstrappingParameters, values: np.ndarray) -> tuple[float, float]:
    """(mean, standard error) of the polynomial's squared error over all parts of these values."""
    own = values[:, : chosen.slots]
    first, second = np.zeros((2, *own.shape)), np.zeros((2, *own.shape))
    for integer, probability in overflow_probabilities(chosen.hamming_weight).items():
        if probability > 0 and abs(integer) < chosen.bound:
            square = _parts(_reduced(chosen, np.float64(integer), own) - own) ** 2
            first, second = first + probability * square, second + probability * square**2
    return float(first.mean()), float(np.sqrt(np.maximum(second - first**2, 0).sum()) / first.size)


def judge(case: Case, seen: Observation) -> dict[str, Any]:
    """The numbers of one combination, and what is wrong with them."""
    chosen = case.parameters
    rounding = _rounding(chosen)
    noise, total = seen.found - seen.reduced, seen.found - seen.values
    expected, error = _expected_square(chosen, seen.values)
    limit = math.log(2 * noise.size / _RARE) / math.sqrt(2) * math.hypot(seen.deviation.max(), rounding)
    worst = 2.0 ** -chosen.reduction_precision_bits[1]
    found, guess = _size(_parts(noise)), _size(seen.deviation)
    # An estimate's values are of the matrices as they were rounded: not to be counted twice.
    drawn = math.hypot(_size(_parts(seen.predicted - seen.values)), guess * math.sqrt(1 - seen.encoding))
    bar = BAR_BITS + 4 / (2 * math.log(2)) * math.sqrt(1 / (len(seen.values) * chosen.slots))
    low, high = expected - 5 * error + guess**2, expected + 5 * error + guess**2 + rounding**2
    checks = {
        "level or scale": seen.same,
        "overflow": float(np.abs(seen.overflows).max()) < chosen.bound,
        "polynomial": _largest(seen.reduced - seen.values) <= 1.05 * worst + rounding,
        "noise": _is_between(found**2, guess**2, guess**2 + rounding**2, bar),
        "worst noise": _largest(noise) <= limit,
        "total": _is_between(_size(_parts(total)) ** 2, low, high, bar),
        "prediction": _is_between(drawn**2, low, high, bar),
    }
    return {
        "noise_bits": _bits(found),
        "predicted_noise_bits": _bits(guess),
        "rounding_bits": _bits(rounding),
        "total_bits": _bits(_size(_parts(total))),
        "predicted_total_bits": _bits(drawn),
        "worst_bits": _bits(_largest(total)),
        "predicted_worst_bits": _bits(worst + limit),
        "wrong": [name for name, right in checks.items() if not right],
    }


def _rounding(chosen: ckks.BootstrappingParameters) -> float:
    """Error of the message from coefficients in double precision: doubled angles make it larger."""
    count = chosen.double_angles
    growth = 2**count / math.sin(math.pi / 2 ** (count + 1)) if count else 1.0
    largest = float(np.abs(chosen.cosine.coefficients).max())
    return _DOUBLE * max(largest, 1.0) * growth * 2.0**chosen.ratio_bits / math.tau


def _is_between(square: float, low: float, high: float, bar: float) -> bool:
    """Of squares of sizes, which may be off by `bar` bits."""
    return low / 4**bar <= square <= high * 4**bar


def _size(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _parts(values: np.ndarray) -> np.ndarray:
    return np.stack([values.real, values.imag])


def _largest(error: np.ndarray) -> float:
    return float(np.abs(_parts(error)).max())


def _bits(error: float) -> float:
    return -math.log2(error) if error else 1074.0


def run(case: Case) -> dict[str, Any]:
    """One row of the result: refused with a sentence, within the prediction, or what is wrong."""
    try:
        chosen = case.parameters
    except ValueError as error:
        return {"case": case.name, "outcome": "refused", "sentence": str(error)}
    row = judge(case, observe(case))
    described = {
        "bound": chosen.bound,
        "degree": chosen.degree,
        "double_angles": chosen.double_angles,
        "matrices": [list(chosen.coefficients_to_slots), list(chosen.slots_to_coefficients)],
        "depth": chosen.params.depth,
        "failure_bits": min(chosen.failure_probability_bits, 1e4),
        "reduction_bits": list(chosen.reduction_precision_bits),
    }
    outcome = "wrong" if row["wrong"] else "within"
    return {"case": case.name, "outcome": outcome, **described, **row}


def run_group(cases: list[Case]) -> list[dict[str, Any]]:
    """In a process of its own, whose compiled kernels all cases share."""
    return [run(case) for case in cases]


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to run.

    Attributes:
        groups: of combinations that share their kernels.
        size: combinations of a group, at most.
        seed: of all combinations.
        processes: at a time.
        fresh: forget what the result file holds.
        name: of the result file, without its folder and suffix.
        xla_flags: that compile quickly; another XLA may not know them.
    """

    groups: int = 44
    size: int = 6
    seed: int = 0
    processes: int = 1
    fresh: bool = False
    name: str = NAME
    xla_flags: str = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"


def main(arguments: Arguments) -> None:
    """Run what the result file does not hold yet, and write it after each group."""
    os.environ["XLA_FLAGS"] = arguments.xla_flags
    rows = {} if arguments.fresh else _finished(arguments)
    drawn = good_groups(arguments.groups, arguments.size, arguments.seed)
    groups = [bad_cases(), *tqdm(drawn, "draw combinations", arguments.groups)]
    names = [case.name for group in groups for case in group]
    left = [group for group in groups if any(case.name not in rows for case in group)]
    with tqdm(total=len(names), initial=len(names) - sum(map(len, left)), desc="bootstrap") as bar:
        for found in _run_all(left, arguments.processes):
            rows |= {row["case"]: row for row in found}
            bar.update(len(found))
            _save([rows[name] for name in names if name in rows], arguments)
    print(summary([rows[name] for name in names]))


def _run_all(groups: list[list[Case]], processes: int) -> Any:
    """The rows of each group, as they are finished."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(processes, context, max_tasks_per_child=1) as pool:
        waiting = [pool.submit(run_group, group) for group in groups]
        for future in concurrent.futures.as_completed(waiting):
            yield future.result()


def _finished(arguments: Arguments) -> dict[str, dict[str, Any]]:
    path = RESULTS / f"{arguments.name}.json"
    if not path.is_file():
        return {}
    return {row["case"]: row for row in json.loads(path.read_text())["rows"]}


def _save(rows: list[dict[str, Any]], arguments: Arguments) -> None:
    write_result(arguments.name, {"bar_bits": BAR_BITS, "rows": rows})


def summary(rows: list[dict[str, Any]]) -> str:
    """How many of each outcome, how far noise was off, and every wrong one."""
    count = collections.Counter(row["outcome"] for row in rows)
    ran = [row for row in rows if "noise_bits" in row]
    off = np.array([row["noise_bits"] - row["predicted_noise_bits"] for row in ran])
    lines = [
        f"{len(rows)} combinations: {count['within']} within their predictions, {count['refused']} refused, "
        f"{count['wrong']} wrong.",
        f"Noise is {np.median(off):+.2f} bits off its prediction in the median, {off.min():+.2f} to "
        f"{off.max():+.2f} at the ends.",
    ]
    wrong = [f"wrong ({', '.join(row['wrong'])}): {row['case']}" for row in rows if row["outcome"] == "wrong"]
    return "\n".join([*lines, *wrong])


if __name__ == "__main__":
    main(tyro.cli(Arguments))
