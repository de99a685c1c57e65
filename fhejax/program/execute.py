"""Pass 4: run the steps of a plan with ckks operations, on pytrees.

Pure: jit, vmap and shard it like any function. A short program runs as one compiled function, a long one as
kernels that are compiled once a shape, so that compiling does not take minutes.
"""

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class _Call:
    """What one step works on: its registers, its constants, and what the whole run was given."""

    step: Step
    sources: Sequence[Ciphertext]
    leaves: Constants
    keys: EvaluationKeys | None
    arguments: Sequence[Ciphertext]


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
        call = _Call(step, sources, [leaves[c] for c in step.constants], keys, arguments)
        registers[number] = _STEPS[step.operation](call)
        del sources, call
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


def _input(call: _Call) -> Ciphertext:
    return call.arguments[call.step.argument]


def _linear(call: _Call) -> Ciphertext:
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


def _shift(call: _Call) -> Ciphertext:
    return _add_constants(call.sources[0], call.leaves[0])


@jax.jit
@wide
def _add_constants(x: Ciphertext, residues: jax.Array) -> Ciphertext:
    """Add residues [entry, limb] of plain numbers: a constant polynomial has one value everywhere."""
    modulus = constants(x.moduli).value
    body = modular.add(x.data[:, 0], residues[..., None], modulus)
    return x.replace(data=x.data.at[:, 0].set(body))


def _square(call: _Call) -> Ciphertext:
    return ckks.square_tensor(call.sources[0])


def _multiply(call: _Call) -> Ciphertext:
    return ckks.tensor(*call.sources)


def _relinearise(call: _Call) -> Ciphertext:
    return ckks.relinearise(call.keys, call.sources[0], target_level=call.step.level)


def _rescale(call: _Call) -> Ciphertext:
    return ckks.rescale(call.sources[0], call.step.level)


def _drop(call: _Call) -> Ciphertext:
    return ckks.drop_level(call.sources[0], call.step.level)


def _gather(call: _Call) -> Ciphertext:
    data, entries = call.sources[0].data, call.leaves[0]
    taken = jnp.take(data, jnp.maximum(entries, 0), axis=0)
    zeroed = jnp.where((entries < 0)[:, None, None, None], jnp.uint32(0), taken)
    return call.sources[0].replace(data=zeroed)


def _scaled_terms(call: _Call) -> list[jax.Array]:
    terms = [_scale_entries(source, leaf) for source, leaf in zip(call.sources, call.leaves, strict=True)]
    return [jnp.pad(t, [(0, 0), (0, call.step.components - t.shape[1]), (0, 0), (0, 0)]) for t in terms]


@jax.jit
@wide
def _scale_entries(x: Ciphertext, residues: jax.Array) -> jax.Array:
    """Each ciphertext times an integer given by its residues [entry, limb]."""
    return modular.multiply(x.data, residues[:, None, :, None], constants(x.moduli))


def _combine(call: _Call) -> Ciphertext:
    terms = _scaled_terms(call)
    data = _add_terms(terms, call.sources[0].moduli)
    return call.sources[0].replace(data=data, scale=call.step.scale)


@functools.partial(jax.jit, static_argnames="moduli")
@wide
def _add_terms(terms: list[jax.Array], moduli: tuple[int, ...]) -> jax.Array:
    modulus = constants(moduli).value
    return functools.reduce(lambda x, y: modular.add(x, y, modulus), terms)


def _concatenate(call: _Call) -> Ciphertext:
    data = jnp.concatenate(_scaled_terms(call))
    return call.sources[0].replace(data=data, scale=call.step.scale)


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
