"""Bootstrapping: time, precision, levels and memory, under 128-bit parameters in the standard ring.

    python -m benchmarks.bootstrapping [--log-degree 16] [--levels 13] [--minimum-keys] [--cache FOLDER]
    python -m benchmarks.bootstrapping --peers [--repeats 5] [--save]

Numbers uniform in the square of (-1, 1) are encrypted at the lowest level that can be bootstrapped, and what
comes out is compared with them. The first call compiles; the median of the others is the time. Rings below
2^15 are insecure, and the result says so.

`--peers` alternates with OpenFHE 1.6.1, which runs in a process of its own on complex numbers in all slots of
the same ring: so the machine's noise hits both. OpenFHE gets the number of threads that is faster for it, in
a trial before ours takes its memory. At N = 2^16 both are in memory at once: about 20 GiB. Levels left are
the multiplications between one bootstrap and the next, on both sides.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tyro

from benchmarks.ckks import check_security
from benchmarks.machine import describe_machine, peak_memory_bytes, use_cache, write_result
from benchmarks.peers.bootstrapping_pairs import compared, print_comparison, running_peer, take_pairs
from benchmarks.peers.bootstrapping_serving import Bootstrapper, PeerOptions, measured
from benchmarks.peers.environment import OPENFHE, Peer, start_peer
from fhejax import ckks
from fhejax.ckks.bootstrapping import (
    BootstrappingKeys,
    BootstrappingOptions,
    bootstrapping_circuit,
    bootstrapping_keys,
)


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Sizes.

    Attributes:
        log_degree: log2 of N.
        log_slots: log2 of the complex numbers in the message; by default N / 2 of them.
        levels: multiplications left.
        scale_bits: of each of these levels.
        coefficients_to_slots: matrices.
        slots_to_coefficients: matrices.
        minimum_keys: two rotation keys a matrix.
        repeats: calls after the first; by default 3, or 5 pairs with the peer.
        cache: folder of JAX's persistent compilation cache, from which a second run takes its kernels.
        save: write benchmarks/results/bootstrapping.json, or another one for the options above.
        peers: alternate with OpenFHE, and compare (it gets an environment of its own, made once).
        openfhe: its parameters beside the ring.
        threads: the numbers of its threads that are tried, most likely the last.
    """

    log_degree: int = 16
    log_slots: int | None = None
    levels: int = 13
    scale_bits: int = 40
    coefficients_to_slots: int = 4
    slots_to_coefficients: int = 3
    minimum_keys: bool = False
    repeats: int | None = None
    cache: str | None = None
    save: bool = False
    peers: bool = False
    openfhe: PeerOptions = PeerOptions()
    threads: tuple[int, ...] = (1, 2)


def parameters(arguments: Arguments) -> ckks.BootstrappingParameters:
    """Secure ones from N = 2^15 on, where sparse secrets are understood."""
    return ckks.BootstrappingParameters.for_levels(
        arguments.levels,
        degree=2**arguments.log_degree,
        slots=None if arguments.log_slots is None else 2**arguments.log_slots,
        scale_bits=arguments.scale_bits,
        insecure=arguments.log_degree < 15,
        options=BootstrappingOptions(
            coefficients_to_slots=arguments.coefficients_to_slots,
            slots_to_coefficients=arguments.slots_to_coefficients,
            minimum_keys=arguments.minimum_keys,
        ),
    )


def message(chosen: ckks.BootstrappingParameters) -> np.ndarray:
    """Complex numbers [ring slots] with both parts in (-1, 1), of period `slots`."""
    parts = np.random.default_rng(0).uniform(-1, 1, (2, chosen.slots))
    return np.tile(parts[0] + 1j * parts[1], chosen.params.slots // chosen.slots)


def timed(keys: BootstrappingKeys, ciphertext: ckks.Ciphertext) -> tuple[float, ckks.Ciphertext]:
    """Seconds until the result is there, and the result."""
    start = time.perf_counter()
    found = ckks.bootstrap(keys, ciphertext)
    found.data.block_until_ready()
    return time.perf_counter() - start, found


@dataclasses.dataclass(frozen=True)
class Prepared:
    """All that our bootstrap needs, the numbers it is given, and the seconds that making it took."""

    secret: ckks.SecretKey
    keys: BootstrappingKeys
    ciphertext: ckks.Ciphertext
    values: np.ndarray
    seconds: dict[str, float]

    @property
    def parameters(self) -> ckks.BootstrappingParameters:
        """What it was made for."""
        return self.keys.circuit.parameters


def prepared(arguments: Arguments) -> Prepared:
    """Matrices, keys and the ciphertext."""
    chosen = parameters(arguments)
    print(chosen, flush=True)
    start = time.perf_counter()
    circuit = bootstrapping_circuit(chosen)
    encoded = time.perf_counter()
    secret = ckks.secret_key(ckks.random_key(), chosen.params)
    keys = bootstrapping_keys(ckks.random_key(), secret, circuit)
    made = time.perf_counter()
    print(f"matrices {encoded - start:.1f} s, keys {made - encoded:.1f} s", flush=True)
    values = message(chosen)
    plaintext = ckks.encode(chosen.params, values, level=chosen.input_level)
    ciphertext = ckks.encrypt(ckks.random_key(), secret, plaintext)
    seconds = {"matrices": encoded - start, "keys": made - encoded}
    return Prepared(secret, keys, ciphertext, values, seconds)


def measure(arguments: Arguments) -> dict[str, object]:
    """Everything of ours, as plain numbers."""
    made = prepared(arguments)
    chosen = made.parameters
    first, found = timed(made.keys, made.ciphertext)
    precision = ckks.precision(ckks.decrypt(made.secret, found), made.values)
    del found
    print(f"first call {first:.1f} s, peak {peak_memory_bytes() / 2**30:.2f} GiB", flush=True)
    warm = [timed(made.keys, made.ciphertext)[0] for _ in range(arguments.repeats or 3)]
    return {
        "log2_QP": chosen.params.modulus_bits,
        "security": chosen.security,
        "levels_left": chosen.levels_left,
        "failure_probability_log2": -chosen.failure_probability_bits,
        "precision_bits": dataclasses.asdict(precision),
        "seconds": {**made.seconds, "first": first, "warm": sorted(warm)},
        "bytes": {
            "matrices": made.keys.circuit.nbytes,
            "keys": chosen.key_bytes.memory,
            "peak": peak_memory_bytes(),
        },
    }


def our_side(arguments: Arguments) -> Bootstrapper:
    """Ours as one of two sides, after its first bootstrap, which compiles."""
    made = prepared(arguments)
    chosen = made.parameters
    first, _ = timed(made.keys, made.ciphertext)
    print(f"first call {first:.1f} s", flush=True)
    description = {
        "library": "fhejax",
        "ring_dimension": chosen.params.ring.degree,
        "log2_qp": chosen.params.modulus_bits,
        "levels_left": chosen.levels_left,
        "scale_bits": arguments.scale_bits,
        "minimum_keys": arguments.minimum_keys,
        "seconds_before": {**made.seconds, "first": first},
    }
    return Bootstrapper(
        lambda: timed(made.keys, made.ciphertext)[1],
        lambda found: np.asarray(ckks.decode(ckks.decrypt(made.secret, found))),
        made.values,
        description,
    )


@dataclasses.dataclass(frozen=True)
class _Ring:
    """What `check_security` asks of a setting."""

    degree: int
    insecure: bool


def start_openfhe(threads: int) -> Peer:
    """OpenFHE's script in its own environment."""
    return start_peer(OPENFHE, "openfhe_bootstrapping.py", threads)


def compare(arguments: Arguments, start: Callable[[int], Peer] = start_openfhe) -> dict[str, Any]:
    """Both sides, pair by pair: their records, and the ratio with its interval."""
    if arguments.log_slots is not None:
        raise SystemExit("--peers compares bootstraps of all slots; leave --log-slots out.")
    repeats = 5 if arguments.repeats is None else arguments.repeats
    if repeats < 2:
        raise SystemExit(f"--repeats {repeats} gives no interval of the ratio; --peers needs 2 or more.")
    degree = 2**arguments.log_degree
    with running_peer(start, degree, arguments.openfhe, arguments.threads) as peer:
        ring = _Ring(degree, insecure=arguments.log_degree < 15)
        limit = check_security(ring, {"OpenFHE": peer.description})
        side = our_side(arguments)
        check_security(ring, {"fhejax": side.description})
        pairs = take_pairs(lambda: measured(side), peer.measure, repeats)
    trials = {f"{count} threads": seconds for count, seconds in peer.trials.items()}
    return {"log2_qp_limit": limit, "trials": trials, **compared(pairs, side.description, peer.description)}


def main(arguments: Arguments) -> None:
    """Measure and print."""
    use_cache(arguments.cache)
    result = compare(arguments) if arguments.peers else measure(arguments)
    print(describe_machine())
    if arguments.peers:
        print_comparison(result)
    else:
        for name, value in result.items():
            print(f"{name}: {value}")
    if arguments.save:
        few, cached = "_minimum_keys" * arguments.minimum_keys, "_cached" * (arguments.cache is not None)
        name = "bootstrapping_peers" if arguments.peers else f"bootstrapping{few}{cached}"
        shown = {**dataclasses.asdict(arguments), "cache": arguments.cache is not None}
        print(write_result(name, {"arguments": shown, **result}))


if __name__ == "__main__":
    main(tyro.cli(Arguments))
