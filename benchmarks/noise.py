"""Predicted noise against measured: single operations and whole circuits, in both rings.

    python -m benchmarks.noise [--log-degrees 12 13 14] [--no-save]

Each circuit runs twice through the same function, on ciphertexts and on estimates of them. What is printed
is the root mean square error over all slots, in bits after the point, and how far the prediction was off.
Parameters are insecure at the smaller degrees: noise depends on N, scales and primes, not on security.
"""

import dataclasses
import functools

import jax
import numpy as np
import tyro

from benchmarks.machine import write_result
from benchmarks.noise_circuits import BATCH, CIRCUITS, DEPTH, OPERATIONS, Circuit
from fhejax import ckks
from fhejax.ckks import Ciphertext, EvaluationKeys, Parameters, PublicKey, SecretKey

BAR_BITS = 0.25


@dataclasses.dataclass(frozen=True)
class Setting:
    """Parameters with their keys; the public one is made when it is first needed."""

    params: Parameters
    secret: SecretKey
    keys: EvaluationKeys
    public_seed: jax.Array

    @functools.cached_property
    def public(self) -> PublicKey:
        """Under which some circuits encrypt."""
        return ckks.public_key(self.public_seed, self.secret)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Bits after the point, predicted and found, of one circuit."""

    name: str
    predicted: float
    measured: float

    @property
    def difference(self) -> float:
        """Above zero where there was less noise than predicted."""
        return self.measured - self.predicted


def make_setting(log_degree: int, real: bool, **keys: object) -> Setting:
    """Keys from a fixed seed, so that every run measures the same; `keys` are the evaluation keys to make.

    P is 5 bits larger than the digits in the real ring, where rounding is most of a key switch's noise; in
    the standard one digits are single primes, as large as P, and the key's errors are most of it.
    """
    digit_size = None if real else 1
    params = ckks.insecure_parameters(2**log_degree, DEPTH, real=real, digit_size=digit_size)
    key = ckks.keys.key_from_bytes(bytes([log_degree, real]) + bytes(30))
    first, second, third = jax.random.split(key, 3)
    secret = ckks.secret_key(first, params)
    keys = keys or {"relinearise": True, "rotations": (1, 2, 4), "conjugate": not real}
    return Setting(params, secret, ckks.evaluation_keys(third, secret, **keys), second)


def compare(name: str, circuit: Circuit, setting: Setting) -> Comparison:
    """Run a circuit on estimates and on ciphertexts."""
    predicted = circuit.function(None, *estimates(circuit, setting.params))
    result = circuit.function(setting.keys, *encrypted(name, circuit, setting))
    slots = (setting.params.slots,) if circuit.plain else ()
    expected = circuit.reference(*slots, *_values(circuit, setting.params))
    np.testing.assert_allclose(predicted.values, expected, rtol=0, atol=1e-4)
    found = ckks.precision(ckks.decrypt(setting.secret, result, prediction=predicted), expected)
    return Comparison(name, predicted.precision_bits, found.mean)


def estimates(circuit: Circuit, params: Parameters) -> list[ckks.NoiseEstimate]:
    """Of the circuit's arguments."""
    scale = params.scales[-1] * 2.0**circuit.added_bits
    encryption = "public" if circuit.public else "secret"
    values = _values(circuit, params)
    return [ckks.estimate(params, x, scale=scale, encryption=encryption) for x in values]


def encrypted(name: str, circuit: Circuit, setting: Setting) -> list[Ciphertext]:
    """The circuit's arguments; those without a batch several times over, for steadier statistics."""
    params, holder = setting.params, setting.public if circuit.public else setting.secret
    scale = params.scales[-1] * 2.0**circuit.added_bits
    key = ckks.keys.key_from_bytes(name.encode().ljust(32, b" ")[:32])
    keys = jax.random.split(key, circuit.arguments)
    batches = [np.broadcast_to(x, (BATCH, params.slots)) for x in _values(circuit, params)]
    return [
        ckks.encrypt(k, holder, ckks.encode(params, x, scale=scale))
        for k, x in zip(keys, batches, strict=True)
    ]


def _values(circuit: Circuit, params: Parameters) -> list[np.ndarray]:
    """Uniform in [-1, 1], or in the complex unit disk."""
    generator = np.random.default_rng(7)
    shape = (*([BATCH] if circuit.batched else []), params.slots)
    radius, turn = (generator.uniform(-1, 1, (circuit.arguments, *shape)) for _ in range(2))
    if params.ring.conjugate_invariant:
        return list(radius)
    return list(np.sqrt(np.abs(radius)) * np.exp(1j * np.pi * turn))


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to run.

    Attributes:
        log_degrees: log2 of N.
        save: write benchmarks/results/noise.json.
    """

    log_degrees: tuple[int, ...] = (12, 13, 14)
    save: bool = True


def _table(log_degree: int, real: bool) -> list[dict[str, object]]:
    """Print and return the comparisons of one ring."""
    ring = "conjugate-invariant" if real else "standard"
    setting = make_setting(log_degree, real)
    print(f"\n{setting.params}\n{'':36}{'predicted':>10}{'measured':>10}{'difference':>12}")
    rows = []
    for kind, circuits in (("operation", OPERATIONS), ("circuit", CIRCUITS)):
        for name, circuit in circuits.items():
            if circuit.complex and real:
                continue
            result = compare(name, circuit, setting)
            print(f"{name:36}{result.predicted:10.2f}{result.measured:10.2f}{result.difference:+12.3f}")
            row = {"ring": ring, "log_degree": log_degree, "kind": kind, "difference": result.difference}
            rows.append(row | dataclasses.asdict(result))
    return rows


def main(arguments: Arguments) -> None:
    """Every ring and degree; a difference above the bar is reported in the last line."""
    rows = [row for n in arguments.log_degrees for real in (True, False) for row in _table(n, real)]
    worst = max(rows, key=lambda row: abs(row["difference"]))
    within = sum(abs(row["difference"]) <= 0.1 for row in rows)
    print(
        f"\n{len(rows)} comparisons: the worst is {worst['difference']:+.3f} bits ({worst['name']}, N = "
        f"2**{worst['log_degree']}, {worst['ring']}); {within} are within 0.1, the bar is {BAR_BITS}."
    )
    if arguments.save:
        print("written to", write_result("noise", {"bar_bits": BAR_BITS, "rows": rows}).name)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
