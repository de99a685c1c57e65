"""Approximate ReLU, sigmoid and tanh in eight ways, and evaluate every polynomial encrypted.

    python -m experiments.approximations --plot approximations.png

The methods of CryptoDL (Hesamifard, Takabi and Ghasemi, arXiv 1711.05189) beside those of this library. Each
error is measured twice, in the clear and after an encrypted evaluation, at 128-bit security.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from benchmarks.machine import describe_machine, peak_memory_bytes
from experiments import approximations_picture as picture
from experiments import approximations_table as table
from experiments import pipeline
from experiments.approximations_methods import (
    TARGETS,
    Fit,
    Target,
    clear_errors,
    fit_all,
    in_the_clear,
    sweep,
)
from fhejax import approx, ckks

PRESET, DEEP_PRESET = "real-n14-128bit-depth5-scale55", "real-n15-128bit-depth14-scale40"
LOG_DEGREES = (6, 13)


@dataclass(frozen=True)
class Arguments:
    """Compare polynomial approximations of activation functions, in the clear and encrypted.

    Attributes:
        functions: which ones.
        deep: evaluate the composites for ReLU encrypted too: 14 levels, about a minute and a half more.
        plot: PNG file to draw: the functions with their fits, and errors against the degree.
        json: file to write all results to.
        cache: folder of compiled kernels, so that a later start is quick; None for no folder. What
            lies in it is executed, so nobody else may be able to write to it.
        insecure_log_degree: a ring of degree 2**this WITHOUT ANY SECURITY, for quick tests only.
    """

    functions: tuple[Literal["relu", "sigmoid", "tanh"], ...] = ("relu", "sigmoid", "tanh")
    deep: bool = False
    plot: Path | None = None
    json: Path | None = None
    cache: Path | None = pipeline.CACHE
    insecure_log_degree: int | None = None


@dataclass(frozen=True)
class Scheme:
    """Parameters, a secret of the client's, and the server's keys."""

    params: ckks.Parameters
    secret: ckks.SecretKey
    keys: ckks.EvaluationKeys


def main(arguments: Arguments) -> dict[str, Any]:
    """Run the experiment, print its tables; return its numbers."""
    check(arguments)
    pipeline.use_cache(arguments.cache)
    targets = [TARGETS[name] for name in dict.fromkeys(arguments.functions)]
    with pipeline.stages(len(targets)) as timed:
        fits = {target.name: timed("fit", fit_all, target) for target in targets}
        timed.bar.total = count_stages(arguments, fits)
        shallow, deep = make_schemes(arguments, timed)
        rows = {
            target.name: measure_all(target, fits[target.name], shallow, deep, timed) for target in targets
        }
        sweeps = {target.name: timed("sweep", sweep, target) for target in targets if arguments.plot}
    results = summarise(targets, rows, [scheme for scheme in (shallow, deep) if scheme], timed)
    print(table.render(results))
    if arguments.json:
        pipeline.write_json(arguments.json, results | {"sweeps": sweeps})
    if arguments.plot:
        pipeline.save_picture(arguments.plot, picture.draw(results, fits, sweeps))
    return results


def check(arguments: Arguments) -> None:
    """Refuse what cannot be run, before anything is computed."""
    pipeline.check_writable(arguments.plot, arguments.json)
    if not arguments.functions:
        raise SystemExit("--functions names none; give one or more of relu, sigmoid and tanh.")
    if arguments.deep and "relu" not in arguments.functions:
        raise SystemExit("--deep evaluates composites for ReLU, and --functions leaves it out; add relu.")
    pipeline.check_range("--insecure-log-degree", arguments.insecure_log_degree, *LOG_DEGREES)


def count_stages(arguments: Arguments, fits: dict[str, list[Fit]]) -> int:
    """How often a stage will have run in the end."""
    evaluated = [fit for rows in fits.values() for fit in rows if is_evaluated(fit, arguments.deep)]
    schemes = 1 + arguments.deep
    return len(fits) * (2 + bool(arguments.plot)) + 3 * len(evaluated) + schemes + arguments.deep


def is_evaluated(fit: Fit, deep: bool) -> bool:
    """Whether there is anything to evaluate, in as many levels as there are."""
    return fit.approximation is not None and (deep or not fit.is_composite)


def make_schemes(arguments: Arguments, timed: pipeline.Stages) -> tuple[Scheme, Scheme | None]:
    """Five levels for polynomials up to degree 31, and 14 for composites if they are asked for."""
    if arguments.insecure_log_degree is None:
        shallow = ckks.preset(PRESET)
        deep = ckks.preset(DEEP_PRESET) if arguments.deep else None
    else:
        degree = 2**arguments.insecure_log_degree
        shallow = ckks.insecure_parameters(degree, 5, 55)
        deep = ckks.insecure_parameters(degree, 14, 40, rational=True) if arguments.deep else None
    return timed("keys", make_scheme, shallow), deep and timed("keys", make_scheme, deep)


def make_scheme(params: ckks.Parameters) -> Scheme:
    """Fresh keys: to evaluate polynomials takes a relinearisation key alone."""
    secret = ckks.secret_key(ckks.random_key(), params)
    return Scheme(params, secret, ckks.evaluation_keys(ckks.random_key(), secret, relinearise=True))


def measure_all(
    target: Target, fits: Sequence[Fit], shallow: Scheme, deep: Scheme | None, timed: pipeline.Stages
) -> list[dict[str, Any]]:
    """The rows of one function's table."""
    rows = [describe_fit(fit, target) | {"encrypted": None} for fit in fits]
    for scheme, composite in ((shallow, False), (deep, True)):
        chosen = [i for i, fit in enumerate(fits) if fit.approximation and fit.is_composite == composite]
        if scheme is None or not chosen:
            continue
        ciphertext = timed("encrypt", encrypt, scheme, target)
        for index in chosen:
            found = measure(scheme, ciphertext, fits[index].approximation, target, timed)
            rows[index] |= {"encrypted": found}
    return rows


def describe_fit(fit: Fit, target: Target) -> dict[str, Any]:
    """What is known of an approximation before anything is encrypted."""
    approximation = fit.approximation
    costs = ("depth", "multiplications")
    return {
        "method": fit.method,
        "degree": fit.degree,
        **{name: approximation and getattr(approximation, name) for name in costs},
        **clear_errors(fit, target),
    }


def points(params: ckks.Parameters, target: Target) -> np.ndarray:
    """Numbers that span the interval, one for each slot: 0, where ReLU has its kink, is one of them."""
    odd = np.linspace(*target.interval, params.slots - 1)
    return np.append(odd, target.bound)


def input_scale(params: ckks.Parameters, target: Target) -> ckks.parameters.Scale:
    """As for numbers in [-1, 1]: the map of the interval there then takes no level."""
    return params.scales[params.depth] / int(target.bound)


def encrypt(scheme: Scheme, target: Target) -> ckks.Ciphertext:
    """Points of the interval, at the highest level."""
    params = scheme.params
    plaintext = ckks.encode(params, points(params, target), scale=input_scale(params, target))
    return ckks.encrypt(ckks.random_key(), scheme.secret, plaintext)


def measure(
    scheme: Scheme, ciphertext: ckks.Ciphertext, approximation: Any, target: Target, timed: pipeline.Stages
) -> dict[str, float]:
    """Evaluate encrypted, twice; compare with the function and with the approximation in the clear.

    `noise` is the root mean square of the error that encryption adds, `predicted_noise` what was known of
    it before a key existed. The largest error lies ten deviations out where a Gaussian's would at four:
    roundings are multiplied by the secret, which is larger in some slots than in others.
    """
    params, x = scheme.params, points(scheme.params, target)
    result = timed("evaluate", evaluate, scheme.keys, ciphertext, approximation)
    timed("repeat", evaluate, scheme.keys, ciphertext, approximation)
    decrypted = timed("decrypt", pipeline.decrypt, scheme.secret, result)
    expected = ckks.estimate(params, x, scale=input_scale(params, target))
    predicted = evaluate(None, expected, approximation)
    noise = decrypted - in_the_clear(approximation, x)
    return {
        "level": result.level,
        "error": float(np.max(np.abs(decrypted - target.evaluate(x)))),
        "largest_noise": float(np.max(np.abs(noise))),
        "noise": float(np.sqrt(np.mean(noise**2))),
        "predicted_noise": 2.0**-predicted.precision_bits,
        "largest_predicted_deviation": float(np.max(predicted.deviation)),
        "bits": ckks.precision(decrypted, decrypted - noise).mean,
        "seconds": timed.seconds["repeat"][-1],
    }


def evaluate(keys: ckks.EvaluationKeys | None, x: ckks.Ciphertext, approximation: Any) -> ckks.Ciphertext:
    """The approximation of every slot, at the lowest level that holds its values."""
    if isinstance(approximation, approx.Composite):
        return evaluate_composite(keys, x, approximation)
    level = lowest_level(x.params, approximation)
    return ckks.evaluate_polynomial(keys, x, approximation, target_level=level)


def evaluate_composite(
    keys: ckks.EvaluationKeys | None, x: ckks.Ciphertext, composite: approx.Composite
) -> ckks.Ciphertext:
    """slope(v) x + offset(v), where v is what the stages make of x."""
    value, params = x, x.params
    for stage in composite.stages:
        value = ckks.evaluate_polynomial(keys, value, stage)
    level = value.level - max(composite.slope.depth + 1, composite.offset.depth)
    factor = ckks.drop_level(x, level + 1)
    # Times x, and divided by the primes of its level, the slope has the scale of the level below.
    scale = params.scales[level] * params.rescale_factor(level + 1, level) / factor.scale
    options = {"target_level": level + 1, "target_scale": scale}
    slope = ckks.evaluate_polynomial(keys, value, composite.slope, **options)
    offset = ckks.evaluate_polynomial(keys, value, composite.offset, target_level=level)
    return ckks.add(ckks.multiply(keys, slope, factor), offset)


def lowest_level(params: ckks.Parameters, polynomial: approx.Polynomial) -> int:
    """The lowest level whose modulus holds the polynomial's values: 0 for those up to 4 in size."""
    largest = 2 * float(np.sum(np.abs(polynomial.coefficients)))
    fitting = (
        level
        for level in range(params.depth + 1)
        if math.log2(largest) + params.scales[level].bits < math.log2(math.prod(params.level_moduli(level)))
    )
    return next(fitting, params.depth)


def summarise(
    targets: Sequence[Target],
    rows: dict[str, list[dict[str, Any]]],
    schemes: Sequence[Scheme],
    timed: pipeline.Stages,
) -> dict[str, Any]:
    """Everything that was measured, as it goes into the JSON file."""
    return {
        "name": "Approximations",
        "functions": [
            {"function": target.title, "interval": list(target.interval), "rows": rows[target.name]}
            for target in targets
        ],
        "parameters": [describe_scheme(scheme) for scheme in schemes],
        "seconds": {
            stage: {"total": sum(seconds), "calls": len(seconds)} for stage, seconds in timed.seconds.items()
        },
        "peak_memory_bytes": peak_memory_bytes(),
        "machine": describe_machine(),
    }


def describe_scheme(scheme: Scheme) -> dict[str, Any]:
    """Ring, security and key; a security of 0 means none, for tests."""
    params = scheme.params
    extra = {"scale_bits": params.scales[-1].bits, "key_bytes": params.switching_key_bytes()}
    return pipeline.describe_parameters(params) | extra


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.approximations"))
