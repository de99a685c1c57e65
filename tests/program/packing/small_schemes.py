"""Circuits run twice, on ciphertexts of a small ring and on estimates of their noise, and compared."""

import collections
import dataclasses

import jax
import numpy as np

from fhejax import ckks
from fhejax.ckks import Parameters
from fhejax.ckks.keys.generation import rotation_steps
from fhejax.ckks.keys.recorder import KeyRecorder
from fhejax.program.packing.layout import Layout, pack, unpack


@dataclasses.dataclass(frozen=True)
class Counter(KeyRecorder):
    """Counts the key switches of a circuit run on estimates, by exponent; 0 is relinearisation."""

    counts: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def note(self, exponents, level):
        super().note(exponents, level)
        self.counts.update(exponents)

    @property
    def rotations_done(self) -> int:
        return sum(number for exponent, number in self.counts.items() if exponent)

    @property
    def relinearisations(self) -> int:
        return self.counts[0]


@dataclasses.dataclass(frozen=True)
class Held:
    """An array in ciphertexts, or in estimates of them."""

    layout: Layout
    ciphertexts: list

    def one(self):
        (ciphertext,) = self.ciphertexts
        return ciphertext


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A result decrypted, beside its prediction: [ciphertext, slot] each."""

    layout: Layout
    slots: np.ndarray
    predicted: list

    @property
    def array(self) -> np.ndarray:
        return unpack(self.layout, self.slots)

    @property
    def error(self) -> np.ndarray:
        """In every slot, empty ones and junk included."""
        return self.slots - np.stack([estimate.values for estimate in self.predicted])

    @property
    def bits(self) -> tuple[float, float]:
        """Found and predicted: -log2 of the root mean square error."""
        variances = [estimate.deviation**2 for estimate in self.predicted]
        return tuple(-np.log2(np.mean(squares)) / 2 for squares in (self.error**2, variances))


def run(params: Parameters, circuit, inputs: dict[str, tuple[Layout, np.ndarray]]):
    """(outcome of each result, counter): `circuit(keys, name=Held, ...)` returns Helds by name.

    The keys are those that the run on estimates asked for.
    """
    slots = {name: pack(layout, array) for name, (layout, array) in inputs.items()}
    counter = Counter(params)
    estimates = {
        name: Held(inputs[name][0], [ckks.estimate(params, row) for row in rows])
        for name, rows in slots.items()
    }
    predicted = circuit(counter, **estimates)
    first, second, third = jax.random.split(ckks.random_key(), 3)
    secret = ckks.secret_key(first, params)
    rotations = [rotation_steps(params, exponent) for exponent in counter.counts if exponent]
    keys = ckks.evaluation_keys(second, secret, relinearise=0 in counter.counts, rotations=rotations)
    ciphertexts = {}
    for key, (name, rows) in zip(jax.random.split(third, len(slots)), slots.items(), strict=True):
        each = jax.random.split(key, len(rows))
        encrypted = [
            ckks.encrypt(k, secret, ckks.encode(params, row)) for k, row in zip(each, rows, strict=True)
        ]
        ciphertexts[name] = Held(inputs[name][0], encrypted)
    results = circuit(keys, **ciphertexts)
    outcomes = {name: _outcome(secret, held, predicted[name]) for name, held in results.items()}
    return outcomes, counter


def _outcome(secret, held: Held, predicted: Held) -> Outcome:
    assert held.layout == predicted.layout
    for ciphertext, estimate in zip(held.ciphertexts, predicted.ciphertexts, strict=True):
        assert (ciphertext.level, ciphertext.scale) == (estimate.level, estimate.scale)
        assert estimate.overflow is None
    decrypted = [np.asarray(ckks.decode(ckks.decrypt(secret, c))) for c in held.ciphertexts]
    return Outcome(held.layout, np.stack(decrypted), predicted.ciphertexts)
