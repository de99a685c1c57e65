"""Which evaluation keys a program needs, each at which level, and what they weigh: before any is made."""

import dataclasses
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax

from fhejax.ckks.keys.generation import (
    RELINEARISATION,
    check_cryptographic_key,
    conjugation_exponent,
    evaluation_keys,
    rotation_exponent,
    rotation_steps,
)
from fhejax.ckks.keys.powers_of_two import signed_powers_of_two
from fhejax.ckks.keys.recorder import KeyRecorder
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.types import EvaluationKeys, SecretKey, SwitchingKey

Use = int | str  # a slot distance, "relinearise" or "conjugate"


class KeyBytes(NamedTuple):
    """wire: bodies and seeds, as `EvaluationKeys.wire_bytes`. memory: with the seeds expanded."""

    wire: int
    memory: int


@dataclasses.dataclass(frozen=True, repr=False)
class KeyManifest:
    """The keys of a program. Manifests of two programs are united by `|`.

    relinearise: whether products of ciphertexts are relinearised.
    rotations: slot distances, to the left if positive, in ascending order.
    conjugate: whether slots are conjugated.
    level: the highest level at which the keys are used: of all of them, or of each by its slot distance,
        "relinearise" or "conjugate". A key serves that level and those below, and is cut to it.
    """

    relinearise: bool = False
    rotations: tuple[int, ...] = ()
    conjugate: bool = False
    level: int | Mapping[Use, int] = 0

    def __post_init__(self) -> None:
        rotations = tuple(sorted({operator.index(step) for step in self.rotations} - {0}))
        object.__setattr__(self, "rotations", rotations)
        given = self.level if isinstance(self.level, Mapping) else dict.fromkeys(self._uses, self.level)
        levels = {use: operator.index(given[use]) for use in self._uses if use in given}
        if len(given) != len(levels) or len(levels) != len(self._uses) or min(levels.values(), default=0) < 0:
            raise ValueError(
                f"a manifest of keys for {_listed(self._uses)} was given the levels {dict(given)}; each of "
                f"them needs one, 0 or more, and nothing else does."
            )
        different = len(set(levels.values())) > 1
        level = MappingProxyType(levels) if different else next(iter(levels.values()), 0)
        object.__setattr__(self, "level", level)

    @property
    def _uses(self) -> tuple[Use, ...]:
        return (*["relinearise"] * self.relinearise, *self.rotations, *["conjugate"] * self.conjugate)

    @staticmethod
    def of(levels: Mapping[Use, int]) -> "KeyManifest":
        """The manifest of the level of each key, by slot distance, "relinearise" or "conjugate"."""
        rotations = tuple(use for use in levels if isinstance(use, int))
        levels = {use: level for use, level in levels.items() if use != 0}
        return KeyManifest("relinearise" in levels, rotations, "conjugate" in levels, levels)

    @property
    def levels(self) -> dict[Use, int]:
        """The level of each key."""
        if isinstance(self.level, Mapping):
            return dict(self.level)
        return dict.fromkeys(self._uses, self.level)

    def __or__(self, other: "KeyManifest") -> "KeyManifest":
        """Every key of either, at the higher level where both have it."""
        mine, others = self.levels, other.levels
        return KeyManifest.of({use: max(mine.get(use, 0), others.get(use, 0)) for use in mine | others})

    def __hash__(self) -> int:
        return hash(tuple(self.levels.items()))

    def __reduce__(self) -> Any:
        return KeyManifest.of, (self.levels,)

    def exponents(self, params: Parameters) -> dict[int, int]:
        """Exponent of each automorphism -> level, ascending; 0 stands for relinearisation.

        Distances that are the same modulo the slots are one. With it come the order and the number of keys.

        Raises:
            ValueError: a level that the parameters do not have, parameters without key switching, or
                conjugation of real slots.
        """
        found: dict[int, int] = {}
        for use, level in self.levels.items():
            params.level_moduli(level)
            exponent = _exponent(params, use)
            if exponent != 1:
                found[exponent] = max(level, found.get(exponent, 0))
        if found and not params.special:
            raise ValueError(
                f"{self} was to be applied to parameters made without key switching; make them with "
                f"key_switching=True."
            )
        return dict(sorted(found.items()))

    def bytes(self, params: Parameters) -> KeyBytes:
        """What the keys weigh, by formula. Errors as `exponents`."""
        each = [params.switching_key_bytes(level) for level in self.exponents(params).values()]
        return KeyBytes(sum(each), sum(2 * size - 32 for size in each))

    def composed(self, params: Parameters) -> "KeyManifest":
        """Rotations by the powers of two of which `rotate` composes the others, if that takes less memory.

        A composed rotation costs a key switch for each power, and is none for `rotate_hoisted`.
        """
        levels: dict[Use, int] = {}
        for use, level in self.levels.items():
            powers = [use] if isinstance(use, str) else signed_powers_of_two(params, use)
            levels |= {power: max(level, levels.get(power, 0)) for power in powers}
        powers = KeyManifest.of(levels)
        return powers if powers.bytes(params).memory < self.bytes(params).memory else self

    def describe(self, params: Parameters) -> str:
        """The keys and their bytes in a sentence, for people."""
        wire, memory = self.bytes(params)
        return f"{self}: {wire / 1e6:.2f} MB on the wire, {memory / 1e6:.2f} MB in memory"

    def __repr__(self) -> str:
        by_level: dict[int, list[Use]] = {}
        for use, level in self.levels.items():
            by_level.setdefault(level, []).append(use)
        groups = sorted(by_level.items(), reverse=True)
        parts = "; ".join(f"{_listed(uses)} up to level {level}" for level, uses in groups)
        return f"KeyManifest({parts or 'no keys'})"


def _listed(uses: Sequence[Use]) -> str:
    """The uses in words, such as: relinearisation, rotations by 1, 2, conjugation."""
    steps = ", ".join(str(use) for use in uses if isinstance(use, int))
    names = ["relinearisation"] * ("relinearise" in uses) + [f"rotations by {steps}"] * bool(steps)
    return ", ".join(names + ["conjugation"] * ("conjugate" in uses)) or "nothing"


def _exponent(params: Parameters, use: Use) -> int:
    if use == "relinearise":
        return RELINEARISATION
    return conjugation_exponent(params) if isinstance(use, str) else rotation_exponent(params, use)


def evaluation_keys_for(
    key: jax.Array, secret: SecretKey, manifest: KeyManifest, *, compose: bool = False
) -> EvaluationKeys:
    """Exactly the keys of a manifest, each cut to its level.

    Args:
        key: cryptographic random key, used once.
        secret: stays with the client.
        manifest: as from `required_keys`.
        compose: have rotations composed of powers of two where that takes less memory; the program may then
            not hoist them.

    Raises:
        ValueError: a random key that is not cryptographic, or as `KeyManifest.exponents`.
    """
    manifest = manifest.composed(secret.params) if compose else manifest
    found = dict(generate_evaluation_keys(key, secret, manifest))
    return EvaluationKeys(found.pop(RELINEARISATION, None), found, secret.key_id, secret.params)


def generate_evaluation_keys(
    key: jax.Array, secret: SecretKey, manifest: KeyManifest
) -> Iterator[tuple[int, SwitchingKey]]:
    """(exponent, key) one after another, for `save_evaluation_keys`: one is in memory at a time.

    Ascending exponents, of which 0 is relinearisation. Arguments and errors as `evaluation_keys_for`.
    """
    check_cryptographic_key(key)
    exponents = manifest.exponents(secret.params)
    uses = {_exponent(secret.params, use): use for use in manifest.levels}
    keys = jax.random.split(key, max(1, len(exponents)))
    return (
        (exponent, _generate(keys[i], secret, uses[exponent], level))
        for i, (exponent, level) in enumerate(exponents.items())
    )


def _generate(key: jax.Array, secret: SecretKey, use: Use, level: int) -> SwitchingKey:
    rotations = () if isinstance(use, str) else (use,)
    named = {"relinearise": use == "relinearise", "conjugate": use == "conjugate"}
    keys = evaluation_keys(key, secret, rotations=rotations, level=level, **named)
    return keys.relinearisation or next(iter(keys.rotations.values()))


def required_keys(circuit: Callable[..., Any], *estimates: NoiseEstimate) -> KeyManifest:
    """The keys that a circuit asks for, each at the highest level at which it does.

    The circuit is run on estimates, so in the clear and without any key; rotations are noted as they are
    asked for, not composed of others.

    Args:
        circuit: called with a stand-in for evaluation keys, then the estimates.
        estimates: at least one, as from `ckks.estimate`, of the levels at which ciphertexts will come in.

    Raises:
        ValueError: no estimate; or whatever the circuit refuses.
    """
    if not estimates:
        raise ValueError(
            "required_keys was given no estimate to run the circuit on; give ckks.estimate(...)."
        )
    params = estimates[0].params
    recorder = KeyRecorder(params)
    circuit(recorder, *estimates)
    return KeyManifest.of({_use(params, exponent): level for exponent, level in recorder.levels.items()})


def _use(params: Parameters, exponent: int) -> Use:
    """The inverse of `_exponent`: the distance nearest to 0."""
    if exponent == RELINEARISATION:
        return "relinearise"
    if exponent == params.ring.root_order - 1:
        return "conjugate"
    steps = rotation_steps(params, exponent)
    return steps if steps <= params.slots // 2 else steps - params.slots
