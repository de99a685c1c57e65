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
from fhejax.ckks import Ciphertext, EvaluationKeys
from fhejax.ckks.bootstrapping import BootstrappingKeys, bootstrap_pair, bootstrap_real
from fhejax.ckks.types import is_concrete
from fhejax.program.circuit.steps import Step
from fhejax.ring import modular
from fhejax.ring.modular import constants
from fhejax.ring.platform import current_device
from fhejax.ring.wide import kernel, wide

Constants = Sequence[jax.Array]
Keys = EvaluationKeys | BootstrappingKeys
Blocks = tuple[Ciphertext, ...]  # one for each block of samples; one alone serves all blocks
Live = jax.Array | np.ndarray
Watch = Callable[[int, Step, Ciphertext], None]
_SUMMED_TOGETHER = 8  # products of an inner product: 16 products of residues fit an unsigned 64-bit sum


@dataclasses.dataclass(frozen=True)
class _Call:
    """What one step works on in one block: its registers, its constants, keys, and which slots are live."""

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


def run(
    steps: tuple[Step, ...],
    leaves: Constants,
    keys: Keys,
    arguments: Sequence[Blocks | None],
    outputs: tuple[int, ...],
    live: Live | None = None,
    watch: Watch | None = None,
) -> list[Blocks]:
    """Run steps on blocks of samples: each is a Ciphertext with data [entry, poly, limb, N].

    Blocks do not meet until slots are summed. What all samples share is one block, computed once. A
    register is forgotten after its last use, so that memory follows the widest layer.

    Args:
        steps: in order.
        leaves: constants of the steps.
        keys: evaluation keys.
        arguments: the blocks of each encrypted argument.
        outputs: the registers wanted.
        live: [block, slot], one where a slot holds a sample and else zero; for masks.
        watch: sees the first block of every register as it is made.
    """
    last = _last_uses(steps, outputs)
    count = max(len(a) for a in arguments if a is not None)
    registers: dict[int, Blocks] = {}
    for number, step in enumerate(steps):
        if step.operation == "input":
            registers[number] = _argument(step, arguments)
        else:
            sources = [registers[s] for s in step.sources]
            registers[number] = _run_step(
                step, sources, [leaves[c] for c in step.constants], keys, live, count
            )
            del sources
        if watch is not None:
            watch(number, step, registers[number][0])
        for register in [r for r in registers if last[r] <= number]:
            del registers[register]
    return [registers[o] for o in outputs]


def _argument(step: Step, arguments: Sequence[Blocks | None]) -> Blocks:
    """The blocks of the argument that an input step takes."""
    blocks = arguments[step.argument]
    if blocks is None:
        raise ValueError(f"{step.label} of a program is encrypted, and was given in the clear; encrypt it.")
    return blocks


def _run_step(
    step: Step,
    sources: Sequence[Blocks],
    leaves: Constants,
    keys: Keys,
    live: Live | None,
    count: int,
) -> Blocks:
    """A step in every block, or a sum over all of them."""
    if step.operation in ("slot_sum", "mask"):
        sources = [source * (count // len(source)) for source in sources]
    if step.operation == "slot_sum":
        return (_sum_slots(evaluation_of(keys), functools.reduce(_add, sources[0]), step.count),)
    results = []
    for block in range(max(map(len, sources))):
        operands = [source[block % len(source)] for source in sources]
        mask = None if live is None else live[block]
        results.append(_STEPS[step.operation](_Call(step, operands, leaves, keys, mask)))
    return tuple(results)


def _sum_slots(keys: EvaluationKeys, ciphertext: Ciphertext, count: int) -> Ciphertext:
    if is_concrete(ciphertext.data):
        return _in_groups(lambda part: ckks.inner_sum(keys, part, count=count), ciphertext)

    def one(data: jax.Array) -> jax.Array:
        return ckks.inner_sum(keys, ciphertext.replace(data=data), count=count).data

    return ciphertext.replace(data=jax.lax.map(one, ciphertext.data))


def _in_groups(function: Callable[[Ciphertext], Ciphertext], ciphertext: Ciphertext) -> Ciphertext:
    """A function of a few ciphertexts after the other: memory stays small, and one kernel is compiled.

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


def _add(x: Ciphertext, y: Ciphertext) -> Ciphertext:
    return x.replace(data=_add_terms([x.data, y.data], x.moduli))


def _last_uses(steps: tuple[Step, ...], outputs: tuple[int, ...]) -> list[int]:
    last = list(range(len(steps)))
    for number, step in enumerate(steps):
        for source in step.sources:
            last[source] = number
    for output in outputs:
        last[output] = len(steps)
    return last


def _run_linear(call: _Call) -> Ciphertext:
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


def _run_shift(call: _Call) -> Ciphertext:
    return _add_constants(call.sources[0], call.leaves[0])


@kernel
@wide
def _add_constants(x: Ciphertext, residues: jax.Array) -> Ciphertext:
    """Add residues [entry, limb] of plain numbers: a constant polynomial has one value everywhere."""
    modulus = constants(x.moduli).value
    body = modular.add(x.data[:, 0], residues[..., None], modulus)
    return x.replace(data=x.data.at[:, 0].set(body))


def _run_square(call: _Call) -> Ciphertext:
    return ckks.evaluation.square_tensor(call.sources[0])


def _run_multiply(call: _Call) -> Ciphertext:
    return ckks.evaluation.tensor(*call.sources)


def _run_inner_product(call: _Call) -> Ciphertext:
    first, second = call.sources
    data = _inner_products(first, second, call.leaves[0])
    return first.replace(data=data, scale=call.step.scale)


@kernel
@wide
def _inner_products(x: Ciphertext, y: Ciphertext, pairs: jax.Array) -> jax.Array:
    """sum over k of x[pairs[0, o, k]] y[pairs[1, o, k]], three components: [o, 3, limb, N]; -1 is zero."""
    limbs = constants(x.moduli)
    missing = -pairs.shape[2] % _SUMMED_TOGETHER if pairs.shape[2] > _SUMMED_TOGETHER else 0
    pairs = jnp.pad(pairs, [(0, 0), (0, 0), (0, missing)], constant_values=-1)
    width = min(pairs.shape[2], _SUMMED_TOGETHER)
    chunks = jnp.moveaxis(pairs.reshape(2, pairs.shape[1], -1, width), 0, 2)

    def add_chunk(total: jax.Array, chunk: jax.Array) -> tuple[jax.Array, None]:
        return modular.add(total, _sum_of_tensors(x.data, y.data, chunk, limbs), limbs.value), None

    def one(rows: jax.Array) -> jax.Array:
        first = _sum_of_tensors(x.data, y.data, rows[0], limbs)
        return jax.lax.scan(add_chunk, first, rows[1:])[0] if len(rows) > 1 else first

    return jax.lax.map(one, chunks)


def _sum_of_tensors(x: jax.Array, y: jax.Array, chunk: jax.Array, limbs: modular.Moduli) -> jax.Array:
    """sum over k of x[chunk[0, k]] y[chunk[1, k]], for at most 8 k: [3, limb, N]."""
    alive = (chunk >= 0).all(0)[:, None, None, None]
    first = jnp.where(alive, jnp.take(x, jnp.maximum(chunk[0], 0), axis=0), jnp.uint32(0))
    first, second = first.astype(jnp.uint64), jnp.take(y, jnp.maximum(chunk[1], 0), axis=0).astype(jnp.uint64)
    x0, x1, y0, y1 = first[:, 0], first[:, 1], second[:, 0], second[:, 1]
    parts = jnp.stack([(x0 * y0).sum(0), (x0 * y1 + x1 * y0).sum(0), (x1 * y1).sum(0)])
    return modular.reduce_wide(parts, limbs)


def _run_mask(call: _Call) -> Ciphertext:
    source, step = call.sources[0], call.step
    if call.live is None:
        raise ValueError(
            "a step masks slots without a sample, and was not told which slots hold one; pass live."
        )
    plain = ckks.encode(source.params, call.live, level=step.level, scale=step.weight_scales[0])
    return ckks.multiply_plain(source, plain)


def _run_relinearise(call: _Call) -> Ciphertext:
    def one(part: Ciphertext) -> Ciphertext:
        return ckks.relinearise(call.evaluation, part, target_level=call.step.level)

    return _in_groups(one, call.sources[0]) if is_concrete(call.sources[0].data) else one(call.sources[0])


def _run_rescale(call: _Call) -> Ciphertext:
    return ckks.rescale(call.sources[0], call.step.level)


def _run_drop(call: _Call) -> Ciphertext:
    return ckks.drop_level(call.sources[0], call.step.level)


def _run_bootstrap(call: _Call) -> Ciphertext:
    """Two by two, since real numbers leave room for others as imaginary parts."""
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


def _run_gather(call: _Call) -> Ciphertext:
    data, entries = call.sources[0].data, call.leaves[0]
    taken = jnp.take(data, jnp.maximum(entries, 0), axis=0)
    zeroed = jnp.where((entries < 0)[:, None, None, None], jnp.uint32(0), taken)
    return call.sources[0].replace(data=zeroed)


def _scaled_terms(call: _Call) -> list[jax.Array]:
    terms = [_scale_entries(source, leaf) for source, leaf in zip(call.sources, call.leaves, strict=True)]
    return [jnp.pad(t, [(0, 0), (0, call.step.components - t.shape[1]), (0, 0), (0, 0)]) for t in terms]


@kernel
@wide
def _scale_entries(x: Ciphertext, residues: jax.Array) -> jax.Array:
    """Each ciphertext times an integer given by its residues [entry, limb]."""
    return modular.multiply(x.data, residues[:, None, :, None], constants(x.moduli))


def _run_combine(call: _Call) -> Ciphertext:
    terms = _scaled_terms(call)
    data = _add_terms(terms, call.sources[0].moduli)
    return call.sources[0].replace(data=data, scale=call.step.scale)


@functools.partial(kernel, static_argnames="moduli")
@wide
def _add_terms(terms: list[jax.Array], moduli: tuple[int, ...]) -> jax.Array:
    modulus = constants(moduli).value
    return functools.reduce(lambda x, y: modular.add(x, y, modulus), terms)


def _run_concatenate(call: _Call) -> Ciphertext:
    data = jnp.concatenate(_scaled_terms(call))
    return call.sources[0].replace(data=data, scale=call.step.scale)


_STEPS = {
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
