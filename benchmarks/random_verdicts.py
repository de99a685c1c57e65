"""The verdict on a random network: within the promise, refused in a sentence, or wrong."""

import dataclasses
import math
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import fhejax
from benchmarks.random_networks import LOG_DEGREE, Example, root_mean_square, scoped
from fhejax.program import NotPolynomialError, TooDeepError

# What a well conditioned example is: the 15 bits of weights and the noise of small rings leave this many.
ATTAINABLE_BITS = 11.0
PASSED, REFUSED, REFUSED_WRONGLY, REFUSED_AT_CALL = "passed", "refused", "refused wrongly", "refused at call"
OUTSIDE, CLEAR, SIMULATED, CRASHED = "outside", "clear", "simulated", "crashed"
FAILURES = (OUTSIDE, CLEAR, SIMULATED, CRASHED)
Results = dict[str, list[np.ndarray]]
_EXACT_BITS = (
    20.0  # of `Program.clear`, a computation in float64 too, beyond what the example's condition takes
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What happened to an example.

    Attributes:
        seed: of the example.
        outcome: one of the names above. Refused wrongly is what is well conditioned; refused at call are
            weights that come with it. Outside is a decryption beyond the promise; clear and simulated are
            results of `Program.clear` and `Program.simulate` that are.
        sentence: the refusal, or what was wrong.
        condition_bits: lost by the worst output where every value errs by a part of its bound.
        asked_bits: the precision asked for.
        predicted_bits: by the plan, NaN where refused.
        bits: of the worst output as decrypted, NaN where refused.
        simulated_bits: of the worst output as simulated.
        seconds: for all of it.
        description: of the example.
    """

    seed: int
    outcome: str
    sentence: str
    condition_bits: float
    asked_bits: float
    predicted_bits: float
    bits: float
    simulated_bits: float
    seconds: float
    description: str


def judge(example: Example) -> Verdict:
    """Compile, encrypt, run and decrypt an example, and compare with the function in float64.

    Everything that has no business to happen is a verdict too, so that one example does not hide others.
    """
    return _judged(example, encrypted_results)


def judge_simulation(example: Example) -> Verdict:
    """The same without encryption: what is compiled is simulated, in a tenth of a second."""
    return _judged(example, simulated_results)


def _judged(example: Example, results: Callable[[fhejax.Program, Example], Results]) -> Verdict:
    start, condition = time.perf_counter(), example.condition_bits()
    program, found = None, {}
    try:
        with scoped(example), warnings.catch_warnings():
            warnings.simplefilter("error")  # a warning of NumPy's says nothing that a user could act on
            program = compiled(example)
            found = results(program, example)
        outcome, sentence = _compared(example, found, condition)
    except (TooDeepError, NotPolynomialError, ValueError) as error:
        outcome, sentence = _refused(example, error, condition, program is not None)
    except Exception as error:  # a crash of whatever kind is a finding
        outcome, sentence = CRASHED, f"{type(error).__name__}: {error}"
    bits = {name: precision(example, result) for name, result in found.items()}
    return Verdict(
        example.seed,
        outcome,
        sentence,
        condition,
        example.precision_bits,
        program.plan.predicted_bits if program else math.nan,
        min(bits.get("decrypted", [math.nan])),
        min(bits.get("simulated", [math.nan])),
        time.perf_counter() - start,
        str(example),
    )


def compiled(example: Example) -> fhejax.Program:
    """The program of an example on a small insecure ring, without bootstraps."""
    return fhejax.compile(
        example.function,
        *example.arguments,
        *example.plain,
        precision_bits=example.precision_bits,
        insecure_log_degree=LOG_DEGREE,
        bootstrapping=False,
    )


def encrypted_results(program: fhejax.Program, example: Example) -> Results:
    """The outputs in the clear, simulated and decrypted."""
    data, plain = example.data(), example.plain_values
    secret, keys = program.keygen()
    given = program.encrypt(secret, *data)
    given = given if len(data) > 1 else (given,)
    opened = program.decrypt(secret, program(keys, *given, *plain))
    return simulated_results(program, example) | {"decrypted": _listed(example, opened)}


def simulated_results(program: fhejax.Program, example: Example) -> Results:
    """The outputs in the clear and simulated."""
    values = (*example.data(), *example.plain_values)
    found = {"clear": program.clear(*values), "simulated": program.simulate(*values)}
    return {name: _listed(example, result) for name, result in found.items()}


def _listed(example: Example, result: Any) -> list[np.ndarray]:
    return [result] if len(example.outputs) == 1 else list(result)


def precision(example: Example, found: Sequence[np.ndarray]) -> list[float]:
    """The bits of each output: -log2 of its error relative to it, both as root mean squares.

    What is small on this data alone, as a mean of few samples, is compared with its typical size.
    """
    pairs = zip(found, example.reference(example.data()), example.sizes(), strict=True)
    return [
        _bits(root_mean_square(np.asarray(f, np.float64) - r) / max(size, root_mean_square(r)))
        for f, r, size in pairs
    ]


def tolerance_bits(count: int) -> float:
    """The bits by which a sample of `count` errors may be worse than their true root mean square.

    A quarter of a bit is for what a prediction from one sample does not see; the rest is four deviations of
    the root mean square of normal errors.
    """
    return 0.25 + math.log2(1 + 4 / math.sqrt(2 * count))


def _bits(relative: float) -> float:
    return -math.log2(max(relative, 2.0**-60)) if math.isfinite(relative) else -math.inf


def _compared(example: Example, found: Results, condition: float) -> tuple[str, str]:
    """The outcome of a program that ran: the first of the results that is not as it must be."""
    promised = [example.precision_bits] * len(example.outputs)
    wanted = {
        "clear": (CLEAR, [max(p, _EXACT_BITS - condition) for p in promised]),
        "simulated": (SIMULATED, promised),
        "decrypted": (OUTSIDE, promised),
    }
    shapes = [r.shape for r in example.reference(example.data())]
    for name in found:
        outcome, bits = wanted[name]
        if [np.shape(f) for f in found[name]] != shapes:
            return outcome, f"{name} has the shapes {[np.shape(f) for f in found[name]]} instead of {shapes}"
        for number, (has, least, shape) in enumerate(
            zip(precision(example, found[name]), bits, shapes, strict=True)
        ):
            if not has > least - tolerance_bits(math.prod(shape)):
                return outcome, f"{name} output {number} has {has:.1f} bits, and {least:.1f} are promised"
    return PASSED, ""


def _refused(example: Example, error: Exception, condition: float, ran: bool) -> tuple[str, str]:
    """The outcome of an example that was refused, which one that is well conditioned must not be.

    After compile nothing but weights given with the call may be refused.
    """
    sentence = f"{type(error).__name__}: {error}"
    if ran:
        return (REFUSED_AT_CALL if example.plain else CRASHED), sentence
    well = condition + example.precision_bits <= ATTAINABLE_BITS
    return REFUSED_WRONGLY if well else REFUSED, sentence
