"""CKKS operations against OpenFHE 1.6.1 and TenSEAL, in pairs.

    python -m benchmarks.ckks [--peers] [--runs 3] [--repeats 9] [--degrees 13 14 15] [--save]

Every library runs in a process of its own, with the same levels, scale and inputs inside the 128-bit limits
of 2024 (`peers/serving.py` holds the sets and why they were chosen). All results are checked against NumPy
first; then the libraries take turns: ours, OpenFHE with one thread, with two, TenSEAL, ours again. Medians;
OpenFHE's better number of threads for each operation. All work on fresh ciphertexts at the highest level,
in the standard ring with N/2 slots. Encryption is under the public key, of what was encoded before;
decryption includes decoding; the product with a plaintext is not rescaled, that of two ciphertexts is
relinearised and rescaled. The sigmoid on [-8, 8] is of degree 31 here and 27 in OpenFHE.
Bits are -log2 of the root mean square error over the slots, the sigmoid's against its own polynomial.
"""

import contextlib
import dataclasses
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import tyro

from benchmarks.ckks_summary import over_runs, print_runs, print_summary, summary
from benchmarks.machine import describe_machine, write_result
from benchmarks.peers.environment import OPENFHE, TENSEAL, start_peer
from benchmarks.peers.serving import (
    OPERATIONS,
    SETTINGS,
    SIGMOID_INTERVAL,
    STEPS,
    Setting,
    Side,
    check,
    expected_values,
    inputs,
    sigmoid_input,
    sigmoid_values,
    time_calls,
)
from fhejax import approx, ckks
from fhejax.ckks.parameters import ParameterOptions, make_parameters
from fhejax.ckks.parameters.security import maximum_modulus_bits
from fhejax.ring import Ring

_SIGMOID_DEGREE = 31
_THREADS = (1, 2)
_BITS_TOLERANCE = 0.05  # what the root mean square of a few thousand errors is known to

Call = Callable[[], Any]
TimeOf = Callable[[str], float]


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to measure.

    Attributes:
        degrees: log2 of N: 13, 14 or 15.
        repeats: turns of every library at each operation.
        seconds: that one turn lasts, at least one call.
        runs: of everything, each with new keys and processes; two or more give intervals.
        peers: time OpenFHE and TenSEAL too (each gets an environment of its own, made once).
        operations: only these; by default all.
        save: write benchmarks/results/ckks.json.
    """

    degrees: tuple[int, ...] = (13, 14, 15)
    repeats: int = 9
    seconds: float = 0.05
    runs: int = 1
    peers: bool = False
    operations: tuple[str, ...] = OPERATIONS
    save: bool = False


@dataclasses.dataclass(frozen=True)
class Keys:
    """All keys of one side, and the seconds that making each took the first time."""

    secret: ckks.SecretKey
    public: ckks.PublicKey
    evaluation: ckks.EvaluationKeys
    first_use: dict[str, float]


def parameters(setting: Setting) -> ckks.Parameters:
    """The setting with primes below 2^30."""
    return make_parameters(
        Ring(setting.degree, conjugate_invariant=False),
        setting.depth,
        setting.scale_bits,
        ParameterOptions(
            base_bits=setting.first_bits, digit_size=setting.digit_size, insecure=setting.insecure
        ),
    )


def timed(call: Call) -> tuple[float, Any]:
    """Seconds until the result is there, and the result."""
    start = time.perf_counter()
    result = jax.block_until_ready(call())
    return time.perf_counter() - start, result


def make_keys(params: ckks.Parameters) -> Keys:
    """One of each, for everything that is measured."""
    first, second, third = jax.random.split(ckks.random_key(), 3)
    seconds = {}
    seconds["secret key"], secret = timed(lambda: ckks.secret_key(first, params))
    seconds["public key"], public = timed(lambda: ckks.public_key(second, secret))
    rotations = STEPS if hasattr(ckks, "rotate") else ()
    seconds["evaluation keys"], evaluation = timed(
        lambda: ckks.evaluation_keys(third, secret, relinearise=True, rotations=rotations)
    )
    return Keys(secret, public, evaluation, seconds)


def encrypt(keys: Keys, plaintext: ckks.Plaintext) -> ckks.Ciphertext:
    """Under the public key, with fresh randomness."""
    return ckks.encrypt(ckks.random_key(), keys.public, plaintext)


def decrypt(keys: Keys, ciphertext: ckks.Ciphertext) -> jax.Array:
    """Decrypted and decoded."""
    return ckks.decode(ckks.decrypt(keys.secret, ciphertext))


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The shared inputs, encoded and encrypted, and the seconds of the first of each."""

    vector: np.ndarray
    plain: ckks.Plaintext
    x: ckks.Ciphertext
    other_plain: ckks.Plaintext
    y: ckks.Ciphertext
    first_use: dict[str, float]


def make_inputs(keys: Keys, params: ckks.Parameters, slots: int) -> Inputs:
    """Both vectors, ready for every operation."""
    a, b = inputs(slots)
    seconds = {}
    seconds["encode"], plain = timed(lambda: ckks.encode(params, a))
    seconds["encrypt"], x = timed(lambda: encrypt(keys, plain))
    other = ckks.encode(params, b)
    return Inputs(a, plain, x, other, encrypt(keys, other), seconds)


def operations(keys: Keys, given: Inputs, params: ckks.Parameters, setting: Setting) -> dict[str, Call]:
    """Every operation that there is, on the shared inputs."""
    x, y, evaluation = given.x, given.y, keys.evaluation
    last = ckks.drop_level(x, 0)
    calls: dict[str, Call] = {
        "encode": lambda: ckks.encode(params, given.vector),
        "encode and encrypt": lambda: encrypt(keys, ckks.encode(params, given.vector)),
        "encrypt": lambda: encrypt(keys, given.plain),
        "decrypt": lambda: decrypt(keys, x),
        "decrypt, last level": lambda: decrypt(keys, last),
        "add": lambda: ckks.add(x, y),
        "multiply plain": lambda: ckks.multiply_plain(x, given.other_plain),
        "multiply": lambda: ckks.multiply(evaluation, x, y),
    }
    if hasattr(ckks, "rotate"):
        calls["rotate"] = lambda: ckks.rotate(evaluation, x, STEPS[0])
    if hasattr(ckks, "rotate_hoisted"):
        calls["rotate 8, hoisted"] = lambda: ckks.rotate_hoisted(evaluation, x, STEPS)
    if setting.sigmoid and hasattr(ckks, "evaluate_polynomial"):
        z = encrypt(keys, ckks.encode(params, sigmoid_input(setting.slots)))
        calls["sigmoid"] = lambda: ckks.evaluate_polynomial(evaluation, z, sigmoid_polynomial())
    return {name: _waiting(call) for name, call in calls.items()}


def _waiting(call: Call) -> Call:
    return lambda: jax.block_until_ready(call())


def sigmoid_polynomial() -> approx.Polynomial:
    """The interpolant of degree 31."""
    return approx.chebyshev("sigmoid", _SIGMOID_DEGREE, SIGMOID_INTERVAL)


def values(keys: Keys, result: Any) -> np.ndarray:
    """The real parts of the numbers in an operation's result."""
    if isinstance(result, list | tuple):
        return np.stack([values(keys, one) for one in result])
    if isinstance(result, ckks.Ciphertext):
        result = ckks.decrypt(keys.secret, result)
    if isinstance(result, ckks.Plaintext):
        result = ckks.decode(result)
    return np.asarray(result).real


def describe(params: ckks.Parameters) -> dict[str, Any]:
    """Parameters as they are."""
    return {
        "library": "fhejax",
        "ring_dimension": params.ring.degree,
        "encryption": "public key",
        "limbs": len(params.moduli),
        "special_limbs": len(params.special),
        "digit_size": params.digit_size,
        "log2_q": math.log2(math.prod(params.moduli)),
        "log2_qp": params.modulus_bits,
        "scale_bits": params.scales[-1].bits,
    }


def our_side(setting: Setting) -> tuple[Side, dict[str, float]]:
    """fhejax under one setting, and seconds of everything's first use, which compiles."""
    params = parameters(setting)
    keys = make_keys(params)
    given = make_inputs(keys, params, setting.slots)
    calls = operations(keys, given, params, setting)
    expected, description = expected_values(setting.slots), describe(params)
    if setting.sigmoid:
        coefficients = sigmoid_polynomial().coefficients
        expected["sigmoid"], error = sigmoid_values(coefficients, setting.slots)
        description |= {"sigmoid_degree": _SIGMOID_DEGREE, "sigmoid_error": error}
    side = Side(calls, lambda _operation, result: values(keys, result), expected, description)
    first_use = keys.first_use | given.first_use
    others = [name for name in calls if name not in (*first_use, "encode and encrypt")]
    return side, first_use | {name: timed(calls[name])[0] for name in others}


def check_security(setting: Setting, descriptions: Mapping[str, Mapping[str, Any]]) -> int | None:
    """The limit on log2 QP; ValueError where a side is above it, or has another ring."""
    if setting.insecure:
        return None
    limit = maximum_modulus_bits(setting.degree)
    for name, description in descriptions.items():
        found = description["ring_dimension"], description["log2_qp"]
        if found[0] != setting.degree or found[1] > limit:
            raise ValueError(
                f"{name} has N = {found[0]} and log2 QP = {found[1]:.1f}, where N = {setting.degree} and at "
                f"most {limit} bits were to be compared; choose smaller levels or more digits."
            )
    return limit


def take_turns(sides: Mapping[str, TimeOf], operation: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of one operation, `repeats` of each side, each side after the other."""
    samples: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, time_of in sides.items():
            samples[name].append(time_of(operation))
    return samples


def compared(
    samples: Mapping[str, Sequence[float]], bits: Mapping[str, Mapping[str, float]], name: str
) -> dict[str, Any]:
    """One operation's record: medians, the ratio to OpenFHE's better number of threads, and bits."""
    seconds = {side: statistics.median(every) for side, every in samples.items()}
    found = {side: every[name] for side, every in bits.items() if name in every}
    record: dict[str, Any] = {"seconds": seconds, "every": dict(samples), "bits": found}
    openfhe = [side for side in seconds if side.startswith("OpenFHE")]
    if openfhe and "fhejax" in seconds:
        best = min(openfhe, key=seconds.__getitem__)
        record |= {
            "openfhe_best": best,
            "ratio": seconds["fhejax"] / seconds[best],
            "precise": found["fhejax"] >= max(found[side] for side in openfhe) - _BITS_TOLERANCE,
        }
    return record


@contextlib.contextmanager
def peers(wanted: bool) -> Iterator[dict[str, Any]]:
    """The peers' running scripts by name; none when not wanted."""
    with contextlib.ExitStack() as stack:
        running = {}
        if wanted:
            for threads in _THREADS:
                peer = start_peer(OPENFHE, "openfhe_ckks.py", threads)
                running[f"OpenFHE, {threads} thread{'s' * (threads > 1)}"] = stack.enter_context(peer)
            running["TenSEAL"] = stack.enter_context(start_peer(TENSEAL, "tenseal_ckks.py"))
        yield running


def measure(setting: Setting, arguments: Arguments, running: Mapping[str, Any]) -> dict[str, Any]:
    """Everything at one degree: prepare all sides, check their results, then time them in turns."""
    prepared = {name: peer.ask(prepare=dataclasses.asdict(setting)) for name, peer in running.items()}
    side, first_use = our_side(setting)
    descriptions = {"fhejax": side.description} | {n: p["description"] for n, p in prepared.items()}
    limit = check_security(setting, descriptions)
    bits = {"fhejax": check(side)} | {name: peer.ask(check=True)["bits"] for name, peer in running.items()}
    records = {}
    for operation in (name for name in arguments.operations if any(name in every for every in bits.values())):
        sides: dict[str, TimeOf] = {"fhejax": lambda name: time_calls(side.calls[name], arguments.seconds)}
        sides |= {name: _asking(peer, arguments.seconds) for name, peer in running.items()}
        able = {name: time_of for name, time_of in sides.items() if operation in bits[name]}
        records[operation] = compared(take_turns(able, operation, arguments.repeats), bits, operation)
    return {
        "setting": dataclasses.asdict(setting),
        "log2_qp_limit": limit,
        "sides": descriptions,
        "operations": records,
        "first_use_seconds": first_use,
    }


def _asking(peer: Any, seconds: float) -> TimeOf:
    return lambda operation: peer.ask(time=operation, seconds=seconds)["seconds"]


def print_degree(degree: str, result: Mapping[str, Any]) -> None:
    """One degree's table: milliseconds, ratio, bits, and our first use."""
    sides = result["sides"]
    setting = result["setting"]
    modulus = ", ".join(f"{name} {side['log2_qp']:.1f}" for name, side in sides.items())
    print(f"\nN = {degree}, depth {setting['depth']}, scale {setting['scale_bits']} bits")
    print(f"log2 QP, at most {result['log2_qp_limit']}: {modulus}")
    columns = [*sides, "ratio"]
    print(f"{'milliseconds':20}" + "".join(f"{name:>20}" for name in columns) + f"{'first use, s':>14}  bits")
    for operation, record in result["operations"].items():
        print(_row(operation, record, sides, result["first_use_seconds"]))
    if setting["sigmoid"] and "fhejax" not in result["operations"].get("sigmoid", {}).get("seconds", {}):
        print("sigmoid: not available in fhejax")
    keys = {name: s for name, s in result["first_use_seconds"].items() if name not in OPERATIONS}
    print("first use, s: " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in keys.items()))


def _row(
    operation: str, record: Mapping[str, Any], sides: Mapping[str, Any], first: Mapping[str, Any]
) -> str:
    cells = [f"{record['seconds'][s] * 1e3:.3f}" if s in record["seconds"] else "" for s in sides]
    cells.append(f"{record['ratio']:.2f}" if "ratio" in record else "")
    used = f"{first[operation]:.2f}" if operation in first else ""
    bits = " / ".join(f"{record['bits'][side]:.1f}" for side in sides if side in record["bits"])
    note = "" if record.get("precise", True) else "  ours less precise"
    return f"{operation:20}" + "".join(f"{cell:>20}" for cell in cells) + f"{used:>14}  {bits}{note}"


def measure_all(arguments: Arguments) -> dict[str, Any]:
    """One run of all degrees, printed as it goes."""
    results = {}
    with peers(arguments.peers) as running:
        for log_degree in arguments.degrees:
            name = f"2^{log_degree}"
            results[name] = measure(SETTINGS[log_degree], arguments, running)
            print_degree(name, results[name])
    if arguments.peers:
        print_summary(summary(results))
    return results


def main(arguments: Arguments) -> dict[str, Any]:
    """Measure, print and keep."""
    # A call returns when its result is there, as the peers' do: handing it to another thread costs 40
    # microseconds, more than an addition.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    load = os.getloadavg()[0]  # two threads of OpenFHE stall each other where others use the cores
    print(f"{describe_machine()}\nprocesses ready to run before: {load:.1f}")
    runs = [measure_all(arguments) for _ in range(arguments.runs)]
    totals = [summary(results) for results in runs] if arguments.peers else []
    together = over_runs(totals) if len(totals) > 1 else {}
    if together:
        print_runs(together)
    if arguments.save:
        kept = {"arguments": dataclasses.asdict(arguments), "load_before": load}
        write_result("ckks", {**kept, "degrees": runs[-1], "totals": totals, "over_runs": together})
    return runs[-1]


if __name__ == "__main__":
    main(tyro.cli(Arguments))
