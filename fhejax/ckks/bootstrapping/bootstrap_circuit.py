"""Bootstrapping: a ciphertext with few levels left becomes one with many, of the same numbers.

Slots to coefficients at the bottom of the modulus, the modulus raised under a sparse secret, coefficients to
slots at the top, and the multiples of q_0 removed by the modular reduction: Cheon, Han, Kim, Kim and Song,
"Bootstrapping for approximate homomorphic encryption" (2018), with what `bootstrapping_parameters`,
`encapsulation`, `homomorphic_dft` and `modular_reduction` name.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import jax
import jax.numpy as jnp

from fhejax.ckks.arithmetic import add, relinearise, subtract
from fhejax.ckks.bootstrapping.encapsulation import (
    check_encapsulation,
    decapsulate,
    encapsulate,
    encapsulation_keys,
)
from fhejax.ckks.bootstrapping.homomorphic_dft import (
    FourierFactor,
    apply_factors,
    coefficients_to_slots_matrices,
    slots_to_coefficients_matrices,
)
from fhejax.ckks.bootstrapping.modular_reduction import undivided_reduction
from fhejax.ckks.bootstrapping.modulus_raising import raise_modulus
from fhejax.ckks.bootstrapping.parameters import BootstrappingParameters
from fhejax.ckks.keys.generation import RELINEARISATION, check_cryptographic_key
from fhejax.ckks.keys.manifest import KeyManifest, generate_evaluation_keys
from fhejax.ckks.keys.matching import held_key, identity_under
from fhejax.ckks.levels import bring_down
from fhejax.ckks.noise import estimates
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.operation import Keys, Value, operation, stage
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.rotation import conjugate, multiply_by_imaginary_unit, rotate
from fhejax.ckks.types import (
    Ciphertext,
    EvaluationKeys,
    Progress,
    SecretKey,
    SwitchingKey,
    static,
)
from fhejax.ring.platform import current_device

SPARSE_KEYS = ("dense_to_sparse", "sparse_to_dense")
_LARGEST_SCALE_DRIFT_BITS = 1.0


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class BootstrappingCircuit:
    """The encoded matrices of a bootstrap: public, and the same for all users of the parameters."""

    slots_to_coefficients: tuple[FourierFactor, ...]
    coefficients_to_slots: tuple[FourierFactor, ...]
    parameters: BootstrappingParameters = static()

    @property
    def nbytes(self) -> int:
        """The bytes of the matrices in memory."""
        factors = (*self.slots_to_coefficients, *self.coefficients_to_slots)
        return sum(factor.transform.diagonals.nbytes for factor in factors)

    def __repr__(self) -> str:
        return f"BootstrappingCircuit({self.nbytes / 1e6:.0f} MB of matrices, {self.parameters})"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class BootstrappingKeys:
    """What a server bootstraps with: no secret fits in this type.

    circuit: encoded once. evaluation: for rotations, conjugation and products, of the caller's own circuit
    too. dense_to_sparse, sparse_to_dense: see `encapsulation_keys`. For a `NoiseEstimate` all keys may be
    None, and `evaluation` a stand-in that records.
    """

    circuit: BootstrappingCircuit
    evaluation: Keys = None
    dense_to_sparse: SwitchingKey | None = None
    sparse_to_dense: SwitchingKey | None = None

    def __repr__(self) -> str:
        return f"BootstrappingKeys({self.circuit!r}, {self.evaluation!r})"


def bootstrapping_circuit(
    parameters: BootstrappingParameters, *, transformed: bool = True
) -> BootstrappingCircuit:
    """Encode the matrices of a bootstrap, which takes no key.

    Args:
        parameters: of the bootstrap.
        transformed: hold them ready for use, as residues; else as numbers, from which its noise is
            predicted in a fraction of the time.
    """
    params, slots = parameters.params, parameters.slots
    base, gap = math.prod(params.level_moduli(0)), params.slots // slots
    level = parameters.input_level
    down = parameters.message_scale / params.scales[level]
    few = parameters.minimum_keys
    lowered = slots_to_coefficients_matrices(
        params, slots, parameters.slots_to_coefficients, level, down, few, transformed
    )
    # Real and imaginary parts are sums of two, and T_1 of the polynomial is the phase over K.
    up = params.scales[parameters.reduction_level] / (2 * parameters.bound) / (base * gap)
    raised = coefficients_to_slots_matrices(
        params, slots, parameters.coefficients_to_slots, params.depth, up, few, transformed
    )
    return BootstrappingCircuit(lowered, raised, parameters)


def bootstrapping_keys(
    key: jax.Array,
    secret: SecretKey,
    circuit: BootstrappingCircuit,
    manifest: KeyManifest | None = None,
    *,
    progress: Progress | None = None,
) -> BootstrappingKeys:
    """The keys of a bootstrap, each cut to the level at which it is used.

    Args:
        key: cryptographic random key, used once.
        secret: stays with the client.
        circuit: from `bootstrapping_circuit`.
        manifest: more keys, for the circuit between bootstraps.
        progress: called with (keys made, keys in all) after each.

    Raises:
        ValueError: a random key that is not cryptographic, or a secret of other parameters.
    """
    found = dict(generate_bootstrapping_keys(key, secret, circuit.parameters, manifest, progress))
    switches = [found.pop(name) for name in SPARSE_KEYS]
    rotations = {exponent: key for exponent, key in found.items() if isinstance(exponent, int)}
    evaluation = EvaluationKeys(rotations.pop(RELINEARISATION, None), rotations, secret.key_id, secret.params)
    return BootstrappingKeys(circuit, evaluation, *switches)


def generate_bootstrapping_keys(
    key: jax.Array,
    secret: SecretKey,
    parameters: BootstrappingParameters,
    manifest: KeyManifest | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[str | int, SwitchingKey]]:
    """(name, key) one after another: "dense_to_sparse", "sparse_to_dense", then ascending exponents.

    Those after the first two are as of `generate_evaluation_keys`: one is in memory at a time. Arguments and
    errors as `bootstrapping_keys`.
    """
    check_cryptographic_key(key)
    if secret.params != parameters.params:
        raise ValueError(
            f"bootstrapping keys for {parameters.params} were to be made from a secret for "
            f"{secret.params}; make the secret with secret_key(key, parameters.params)."
        )
    first, second = jax.random.split(key)
    wanted = parameters.manifest if manifest is None else parameters.manifest | manifest
    sparse = zip(SPARSE_KEYS, encapsulation_keys(first, secret, parameters.hamming_weight), strict=True)
    keys = itertools.chain(sparse, generate_evaluation_keys(second, secret, wanted))
    total = len(SPARSE_KEYS) + len(wanted.exponents(secret.params))
    return keys if progress is None else _reported(keys, total, progress)


def _reported(
    keys: Iterable[tuple[str | int, SwitchingKey]], total: int, progress: Progress
) -> Iterator[tuple[str | int, SwitchingKey]]:
    for number, named in enumerate(keys, 1):
        jax.block_until_ready(named[1].data)
        progress(number, total)
        yield named
        del named  # before the next one is made


def bootstrap(keys: BootstrappingKeys, ciphertext: Value, *, target_level: int | None = None) -> Value:
    """The same numbers at `output_level` or a chosen level below it, of that level's own scale.

    Numbers are complex, with real and imaginary parts in (-1, 1): larger ones, beyond 1 by a factor a, have
    errors of the sine a^3 as large. Where the parameters have fewer slots than the ring, the numbers must
    repeat themselves with that period: what is not repeated is averaged, silently.

    Args:
        keys: from `bootstrapping_keys`; with keys of None for a `NoiseEstimate`, which gets random overflows.
        ciphertext: data [..., 2, limb, N] at `input_level` or a higher one, of any batch.
        target_level: where fewer levels are needed afterwards, so that what follows is quicker; the bootstrap
            itself takes as long.

    Returns:
        Ciphertext [..., 2, limb, N], by default at `levels_left` levels above `input_level`. Called eagerly,
        this runs kernels compiled once for a level; inside a `jax.jit` of the caller all of it is compiled
        together.

    Raises:
        ValueError: missing keys (they are named), too low a level, another scale, three components, other
            parameters or secrets, or a target above `output_level`.
    """
    parameters = keys.circuit.parameters
    target = parameters.output_level if target_level is None else target_level
    if not 0 <= target <= parameters.output_level:
        raise ValueError(
            f"a bootstrap to level {target} was asked for; these parameters leave ciphertexts at level "
            f"{parameters.output_level}, from which 0 to {parameters.output_level} can be reached. Make "
            f"parameters for more levels with BootstrappingParameters.for_levels."
        )
    return bring_down(joined(keys, refresh(keys, at_input_level(keys, ciphertext))), target)


def at_input_level(keys: BootstrappingKeys, ciphertext: Value) -> Value:
    """A ciphertext as `refresh` takes it: everything is checked here, before anything is computed."""
    _check_keys(keys, ciphertext)
    return _brought_down(ciphertext, keys.circuit.parameters)


def refresh(keys: BootstrappingKeys, x: Value, gain_bits: int = 0) -> Value:
    """What `bootstrap` returns divided by 2^gain_bits, as from `reduce_modulo_one`."""
    x = lower_to_coefficients(keys, x)
    ratio = Scale.of(math.prod(x.moduli)) / x.scale / 2**gain_bits
    x = raise_under_sparse_secret(keys, x)
    x = spread_to_slots(keys, x)
    return reduce_modulo_one(keys, x, ratio)


@stage
def lower_to_coefficients(keys: BootstrappingKeys, x: Value) -> Value:
    """The first stage: slots to coefficients, from the input level to level 0."""
    return apply_factors(keys.evaluation, x, keys.circuit.slots_to_coefficients)


@stage
def raise_under_sparse_secret(keys: BootstrappingKeys, x: Value) -> Value:
    """The second stage: from level 0 to the highest; and the trace, where slots repeat themselves."""
    parameters = keys.circuit.parameters
    x = encapsulate(keys.dense_to_sparse, x)
    x = raise_modulus(x, hamming_weight=parameters.hamming_weight)
    x = decapsulate(keys.sparse_to_dense, x)
    return _trace(keys.evaluation, x, parameters)


def spread_to_slots(keys: BootstrappingKeys, x: Value) -> Value:
    """The third stage: data [2, ..., 2, limb, N], real parts and imaginary ones, at the reduction level."""
    for number in range(len(keys.circuit.coefficients_to_slots)):
        x = _spread_once(keys, x, number)
    return x


@stage
def _spread_once(keys: BootstrappingKeys, x: Value, number: int) -> Value:
    """One matrix of the third stage, a stage of its own: at the highest levels compiling takes longest."""
    factors = keys.circuit.coefficients_to_slots
    x = apply_factors(keys.evaluation, x, factors[number : number + 1])
    last = number == len(factors) - 1
    return _stack(_real_and_imaginary(keys.evaluation, x)) if last else x


@stage
def reduce_modulo_one(keys: BootstrappingKeys, x: Value, ratio: Scale) -> Value:
    """The fourth stage but for its last division: what `joined`, `separated` or `real_part_of` take.

    Args:
        keys: as for `bootstrap`.
        x: from `spread_to_slots`.
        ratio: q_0 over the scale of the message at level 0.

    Returns:
        Ciphertext [2, ..., 3, limb, N], real parts and imaginary ones, one level above the output level.
    """
    parameters = keys.circuit.parameters
    scale = parameters.params.scales[parameters.output_level]
    shape = parameters.cosine, parameters.double_angles, parameters.arcsine
    x = undivided_reduction(keys.evaluation, x, *shape, target_scale=scale * ratio)
    return x.replace(scale=x.scale / ratio)


@stage
def joined(keys: BootstrappingKeys, parts: Value) -> Value:
    """real + i imaginary at the output level: added before the last division, which rounds them as one."""
    real, imaginary = _unstack(parts)
    return _divided(keys, add(real, multiply_by_imaginary_unit(imaginary)))


@stage
def separated(keys: BootstrappingKeys, parts: Value) -> tuple[Value, Value]:
    """(real, imaginary) at the output level."""
    real, imaginary = _unstack(_divided(keys, parts))
    return real, imaginary


@stage
def real_part_of(keys: BootstrappingKeys, parts: Value) -> Value:
    """The real one of both parts, at the output level."""
    return _divided(keys, _unstack(parts)[0])


def _divided(keys: BootstrappingKeys, x: Value) -> Value:
    level, scales = keys.circuit.parameters.output_level, x.params.scales
    return relinearise(keys.evaluation, x, target_level=level).replace(scale=scales[level])


def _check_keys(keys: BootstrappingKeys, ciphertext: Ciphertext | NoiseEstimate) -> None:
    parameters = keys.circuit.parameters
    if ciphertext.params != parameters.params:
        raise ValueError(
            f"a ciphertext of {ciphertext.params} was to be bootstrapped with keys for "
            f"{parameters.params}; make both with the same parameters."
        )
    if isinstance(ciphertext, NoiseEstimate):
        return
    evaluation, names = keys.evaluation, ("evaluation", "dense_to_sparse", "sparse_to_dense")
    missing = [name for name in names if getattr(keys, name) is None]
    if missing or not isinstance(evaluation, EvaluationKeys):
        raise ValueError(
            f"a bootstrap was asked for without the keys {', '.join(missing)}; make them with "
            f"bootstrapping_keys(key, secret, circuit)."
        )
    manifest = parameters.manifest.exponents(parameters.params)
    check_evaluation_keys(evaluation, manifest)
    if current_device().launches_slowly:  # within the executable of a stage none can be refused
        used = {exponent: held_key(evaluation, exponent) for exponent in manifest}
        identity_under(evaluation, ciphertext, {e: key for e, key in used.items() if key is not None})
        check_encapsulation(keys.dense_to_sparse, keys.sparse_to_dense, ciphertext)


def check_evaluation_keys(evaluation: EvaluationKeys, levels: dict[int, int]) -> None:
    """Refuse keys that lack one of these exponents, for its level: before anything is computed."""
    held = ((e, held_key(evaluation, e), level) for e, level in levels.items())
    missing = [e for e, key, level in held if key is None or key.level < level]
    if missing:
        names = ", ".join("relinearisation" if e == 0 else f"X -> X^{e}" for e in missing)
        raise ValueError(
            f"a bootstrap needs {len(missing)} more evaluation keys: {names}; make them with "
            f"bootstrapping_keys(key, secret, circuit)."
        )


def _brought_down(ciphertext: Value, parameters: BootstrappingParameters) -> Value:
    """Brought down to the level, at its own scale where it has its own now."""
    level, scales = parameters.input_level, parameters.params.scales
    if ciphertext.level < level or ciphertext.components != 2:
        raise ValueError(
            f"a bootstrap of a ciphertext of {ciphertext.components} components at level "
            f"{ciphertext.level} was asked for; it needs 2 components, and level {level} or higher, since "
            f"slots to coefficients takes {level} levels. Relinearise, and bootstrap {level} levels earlier."
        )
    ciphertext = bring_down(ciphertext, level)
    drift = ciphertext.scale.bits - scales[level].bits
    if abs(drift) > _LARGEST_SCALE_DRIFT_BITS:
        raise ValueError(
            f"a bootstrap of a ciphertext of scale {ciphertext.scale} at level {level} was asked for, "
            f"whose own scale is {scales[level]}; rescale it first."
        )
    return ciphertext


def _trace(keys: Keys, x: Value, parameters: BootstrappingParameters) -> Value:
    """The sum over rotations by multiples of n: what is left are coefficients of powers of X^(N / 2n)."""
    gap = parameters.params.slots // parameters.slots
    for bit in range(gap.bit_length() - 1):
        x = add(x, rotate(keys, x, parameters.slots << bit))
    return x.replace(scale=x.scale * gap)


def _real_and_imaginary(keys: Keys, x: Value) -> tuple[Value, Value]:
    """(x + conjugate) / 2 and i (conjugate - x) / 2: the halving doubles the scale."""
    mirrored, scale = conjugate(keys, x), x.scale * 2
    imaginary = multiply_by_imaginary_unit(subtract(mirrored, x))
    return add(x, mirrored).replace(scale=scale), imaginary.replace(scale=scale)


@operation(noise=estimates.stack)
def _stack(x: Sequence[Ciphertext]) -> Ciphertext:
    """The parts stacked on a new leading axis, so that one pass reduces all."""
    return x[0].replace(data=jnp.stack([part.data for part in x]))


@operation(noise=estimates.unstack)
def _unstack(x: Ciphertext) -> list[Ciphertext]:
    return [x.replace(data=x.data[i]) for i in range(x.batch[0])]
