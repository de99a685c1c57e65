"""What each step of a program does to the ciphertexts of one block."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext, EvaluationKeys
from fhejax.ckks.bootstrapping import BootstrappingKeys, bootstrap_pair, bootstrap_real
from fhejax.ckks.types import is_concrete
from fhejax.program.circuit.steps import Step
from fhejax.program.run.inner_products import inner_products
from fhejax.ring import modular
from fhejax.ring.modular import constants
from fhejax.ring.platform import current_device
from fhejax.ring.wide import kernel, wide

Constants = Sequence[jax.Array]
Keys = EvaluationKeys | BootstrappingKeys
Live = jax.Array | np.ndarray


@dataclasses.dataclass(frozen=True)
class StepCall:
    """The operands of one step in one block: registers, constants, keys, and which slots are live."""

    step: Step
    sources: Sequence[Ciphertext]
    leaves: Constants
    keys: Keys
    live: Live | None

    @property
    def evaluation(self) -> EvaluationKeys:
        """The keys for products and rotations."""
        return evaluation_of(self.keys)


def evaluation_of(keys: Keys) -> EvaluationKeys:
    """The keys for products and rotations, alone or beside those of bootstraps.

    Raises:
        ValueError: when those of bootstraps were made without.
    """
    evaluation = keys.evaluation if isinstance(keys, BootstrappingKeys) else keys
    if not isinstance(evaluation, EvaluationKeys):
        raise ValueError(
            "a program was given BootstrappingKeys without evaluation keys; it needs those for products and "
            "rotations too: use the keys from its keygen()."
        )
    return evaluation


def in_groups(function: Callable[[Ciphertext], Ciphertext], ciphertext: Ciphertext) -> Ciphertext:
    """The results of a function of ciphertexts, applied to a few of them after the other.

    Memory stays small that way, and one kernel is compiled.

    On a CPU one ciphertext at a time is fastest too, for it stays in the cache.
    """
    size = current_device().blocks.switched
    count = len(ciphertext.data)
    if count <= size:
        return function(ciphertext)
    starts = range(0, count, size)
    results = [
        function(ciphertext.replace(data=_rows(ciphertext.data, s, min(size, count - s)))) for s in starts
    ]
    return results[0].replace(data=jnp.concatenate([r.data for r in results]))


@functools.partial(kernel, static_argnames="size")
def _rows(data: jax.Array, start: int, size: int) -> jax.Array:
    return jax.lax.dynamic_slice_in_dim(data, start, size)


def _run_linear(call: StepCall) -> Ciphertext:
    weights, *rest = call.leaves
    entries = rest.pop(0) if call.step.gathered else None
    return ckks.linear_combinations(
        weights,
        call.sources[0],
        call.step.weight_scales[0],
        call.step.bound,
        entries=entries,
        bias=rest[0] if rest else None,
        square=call.step.squared,
    )


def _run_shift(call: StepCall) -> Ciphertext:
    return _add_constants(call.sources[0], call.leaves[0])


@kernel
@wide
def _add_constants(x: Ciphertext, residues: jax.Array) -> Ciphertext:
    """The sum with plain numbers' residues [entry, limb]: a constant polynomial is one number everywhere."""
    modulus = constants(x.moduli).value
    body = modular.add(x.data[:, 0], residues[..., None], modulus)
    return x.replace(data=x.data.at[:, 0].set(body))


def _run_square(call: StepCall) -> Ciphertext:
    return ckks.evaluation.square_tensor(call.sources[0])


def _run_multiply(call: StepCall) -> Ciphertext:
    return ckks.evaluation.tensor(*call.sources)


def _run_inner_product(call: StepCall) -> Ciphertext:
    first, second = call.sources
    data = inner_products(first, second, call.leaves[0])
    return first.replace(data=data, scale=call.step.scale)


def _run_mask(call: StepCall) -> Ciphertext:
    source, step = call.sources[0], call.step
    if call.live is None:
        raise ValueError(
            "a step masks slots without a sample, and was not told which slots hold one; pass live."
        )
    plain = ckks.encode(source.params, call.live, level=step.level, scale=step.weight_scales[0])
    return ckks.multiply_plain(source, plain)


def _run_relinearise(call: StepCall) -> Ciphertext:
    def one(part: Ciphertext) -> Ciphertext:
        return ckks.relinearise(call.evaluation, part, target_level=call.step.level)

    return in_groups(one, call.sources[0]) if is_concrete(call.sources[0].data) else one(call.sources[0])


def _run_rescale(call: StepCall) -> Ciphertext:
    return ckks.rescale(call.sources[0], call.step.level)


def _run_drop(call: StepCall) -> Ciphertext:
    return ckks.drop_level(call.sources[0], call.step.level)


def _run_bootstrap(call: StepCall) -> Ciphertext:
    """The bootstrapped ciphertexts, two by two: real numbers leave room for others as imaginary parts."""
    source, keys = call.sources[0], call.keys
    if not isinstance(keys, BootstrappingKeys):
        raise TypeError(
            f"a step bootstraps, and the program was given {type(keys).__name__}; it needs the "
            f"BootstrappingKeys from its keygen()."
        )
    params = source.params
    level = keys.circuit.parameters.input_level
    entered = source.replace(scale=params.scales[level])
    parts = [entered.replace(data=entered.data[i]) for i in range(len(source.data))]
    found = [bootstrap_pair(keys, *parts[i : i + 2]) for i in range(0, len(parts) - 1, 2)]
    results = [part.data for pair in found for part in pair]
    if len(parts) % 2:
        results.append(bootstrap_real(keys, parts[-1]).data)
    return source.replace(data=jnp.stack(results), level=call.step.level, scale=call.step.scale)


def _run_gather(call: StepCall) -> Ciphertext:
    data, entries = call.sources[0].data, call.leaves[0]
    taken = jnp.take(data, jnp.maximum(entries, 0), axis=0)
    zeroed = jnp.where((entries < 0)[:, None, None, None], jnp.uint32(0), taken)
    return call.sources[0].replace(data=zeroed)


def _scaled_terms(call: StepCall) -> list[jax.Array]:
    terms = [_scale_entries(source, leaf) for source, leaf in zip(call.sources, call.leaves, strict=True)]
    return [jnp.pad(t, [(0, 0), (0, call.step.components - t.shape[1]), (0, 0), (0, 0)]) for t in terms]


@kernel
@wide
def _scale_entries(x: Ciphertext, residues: jax.Array) -> jax.Array:
    """The product of each ciphertext with an integer given by its residues [entry, limb]."""
    return modular.multiply(x.data, residues[:, None, :, None], constants(x.moduli))


def _run_combine(call: StepCall) -> Ciphertext:
    terms = _scaled_terms(call)
    data = add_terms(terms, call.sources[0].moduli)
    return call.sources[0].replace(data=data, scale=call.step.scale)


@functools.partial(kernel, static_argnames="moduli")
@wide
def add_terms(terms: list[jax.Array], moduli: tuple[int, ...]) -> jax.Array:
    """The sum of several arrays of residues [.., limb, N], entry by entry."""
    modulus = constants(moduli).value
    return functools.reduce(lambda x, y: modular.add(x, y, modulus), terms)


def _run_concatenate(call: StepCall) -> Ciphertext:
    data = jnp.concatenate(_scaled_terms(call))
    return call.sources[0].replace(data=data, scale=call.step.scale)


STEP_EXECUTIONS = {
    "linear": _run_linear,
    "square": _run_square,
    "multiply": _run_multiply,
    "inner_product": _run_inner_product,
    "mask": _run_mask,
    "combine": _run_combine,
    "concatenate": _run_concatenate,
    "gather": _run_gather,
    "shift": _run_shift,
    "relinearise": _run_relinearise,
    "rescale": _run_rescale,
    "drop": _run_drop,
    "bootstrap": _run_bootstrap,
}
