"""Pass 4: run the steps of a plan with ckks operations, on pytrees.

Pure: jit, vmap and shard it like any function. Called directly it runs kernels that are compiled once a shape,
which compiles much faster than one program of everything.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext, EvaluationKeys, Parameters, Scale
from fhejax.program.steps import Step
from fhejax.ring import modular
from fhejax.ring.modular import constants
from fhejax.ring.wide import wide

Constants = Sequence[jax.Array]
Watch = Callable[[int, Step, Ciphertext], None]


def run(
    steps: tuple[Step, ...],
    leaves: Constants,
    keys: EvaluationKeys | None,
    arguments: Sequence[Ciphertext],
    outputs: tuple[int, ...],
    watch: Watch | None = None,
) -> list[Ciphertext]:
    """Run steps on one block: each argument and result is a Ciphertext with data [entry, poly, limb, N].

    A register is forgotten after its last use, so that memory follows the widest layer. `watch` sees
    every register as it is made.
    """
    last = _last_uses(steps, outputs)
    registers: dict[int, Ciphertext] = {}
    for number, step in enumerate(steps):
        sources = [registers[s] for s in step.sources]
        constants_ = [leaves[c] for c in step.constants]
        registers[number] = _STEPS[step.operation](step, sources, constants_, keys, arguments)
        del sources
        if watch is not None:
            watch(number, step, registers[number])
        for register in [r for r in registers if last[r] <= number]:
            del registers[register]
    return [registers[o] for o in outputs]


def _last_uses(steps: tuple[Step, ...], outputs: tuple[int, ...]) -> list[int]:
    last = list(range(len(steps)))
    for number, step in enumerate(steps):
        for source in step.sources:
            last[source] = number
    for output in outputs:
        last[output] = len(steps)
    return last


def _input(step, sources, leaves, keys, arguments) -> Ciphertext:
    return arguments[step.bound]


def _linear(step: Step, sources, leaves, keys, arguments) -> Ciphertext:
    weights, *rest = leaves
    entries = rest.pop(0) if step.gathered else None
    return ckks.linear_combinations(
        weights,
        sources[0],
        step.weight_scales[0],
        step.bound,
        entries=entries,
        bias=rest[0] if rest else None,
        square=step.squared,
    )


def _shift(step, sources, leaves, keys, arguments) -> Ciphertext:
    return _add_constants(sources[0], leaves[0])


@jax.jit
@wide
def _add_constants(x: Ciphertext, residues: jax.Array) -> Ciphertext:
    """Add residues [entry, limb] of plain numbers: a constant polynomial has one value everywhere."""
    modulus = constants(x.moduli).value
    body = modular.add(x.data[:, 0], residues[..., None], modulus)
    return x.replace(data=x.data.at[:, 0].set(body))


def _square(step, sources, leaves, keys, arguments) -> Ciphertext:
    return ckks.square_tensor(sources[0])


def _multiply(step, sources, leaves, keys, arguments) -> Ciphertext:
    return ckks.tensor(*sources)


def _relinearise(step: Step, sources, leaves, keys, arguments) -> Ciphertext:
    return ckks.relinearise(keys, sources[0], target_level=step.level)


def _rescale(step: Step, sources, leaves, keys, arguments) -> Ciphertext:
    return ckks.rescale(sources[0], step.level)


def _drop(step: Step, sources, leaves, keys, arguments) -> Ciphertext:
    return ckks.drop_level(sources[0], step.level)


def _gather(step: Step, sources, leaves, keys, arguments) -> Ciphertext:
    data, entries = sources[0].data, leaves[0]
    taken = jnp.take(data, jnp.maximum(entries, 0), axis=0)
    zeroed = jnp.where((entries < 0)[:, None, None, None], jnp.uint32(0), taken)
    return sources[0].replace(data=zeroed)


def _scaled_terms(step: Step, sources, leaves) -> list[jax.Array]:
    terms = [_scale_entries(source, leaf) for source, leaf in zip(sources, leaves, strict=True)]
    return [jnp.pad(t, [(0, 0), (0, step.components - t.shape[1]), (0, 0), (0, 0)]) for t in terms]


@jax.jit
@wide
def _scale_entries(x: Ciphertext, residues: jax.Array) -> jax.Array:
    """Each ciphertext times an integer given by its residues [entry, limb]."""
    return modular.multiply(x.data, residues[:, None, :, None], constants(x.moduli))


def _combine(step: Step, sources, leaves, keys, arguments) -> Ciphertext:
    terms = _scaled_terms(step, sources, leaves)
    data = _add_terms(terms, sources[0].moduli)
    return sources[0].replace(data=data, scale=step.scale)


@functools.partial(jax.jit, static_argnames="moduli")
@wide
def _add_terms(terms: list[jax.Array], moduli: tuple[int, ...]) -> jax.Array:
    modulus = constants(moduli).value
    return functools.reduce(lambda x, y: modular.add(x, y, modulus), terms)


def _concatenate(step: Step, sources, leaves, keys, arguments) -> Ciphertext:
    data = jnp.concatenate(_scaled_terms(step, sources, leaves))
    return sources[0].replace(data=data, scale=step.scale)


_STEPS = {
    "input": _input,
    "linear": _linear,
    "square": _square,
    "multiply": _multiply,
    "combine": _combine,
    "concatenate": _concatenate,
    "gather": _gather,
    "shift": _shift,
    "relinearise": _relinearise,
    "rescale": _rescale,
    "drop": _drop,
}


def encode_constants(
    raw: Sequence[np.ndarray | tuple[np.ndarray, Scale, int]], params: Parameters
) -> tuple[jax.Array, ...]:
    """Leaves of a program: integers as they are; numbers at a scale as residues [entry, limb]."""
    return tuple(jnp.asarray(_encode_constant(item, params)) for item in raw)


def _encode_constant(item: np.ndarray | tuple[np.ndarray, Scale, int], params: Parameters) -> np.ndarray:
    if not isinstance(item, tuple):
        return item
    values, scale, drops = item
    moduli = params.level_moduli(params.depth - drops)
    factor = scale.fraction()
    integers = [round(float(v) * factor) if v else 0 for v in np.asarray(values).reshape(-1)]
    return np.array([[i % q for q in moduli] for i in integers], np.uint32).reshape(-1, len(moduli))
