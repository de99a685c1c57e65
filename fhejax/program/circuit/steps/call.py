"""What a step runs on: registers, constants, keys, and which slots hold a sample."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks import Ciphertext, EvaluationKeys
from fhejax.ckks.bootstrapping import BootstrappingKeys
from fhejax.ckks.operation import calls_kernels
from fhejax.ring.compile_ahead import is_compiling_ahead
from fhejax.ring.platform import current_device
from fhejax.ring.wide import kernel

Constants = Sequence[jax.Array]
Keys = EvaluationKeys | BootstrappingKeys
Live = jax.Array | np.ndarray
Blocks = tuple[Ciphertext, ...]  # one for each block of samples; one alone serves all blocks


@dataclasses.dataclass(frozen=True)
class StepCall:
    """The operands of one step in one block: registers, constants, keys, and which slots are live."""

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
    if current_device().launches_slowly and not calls_kernels(ciphertext):
        return _in_turns(function, ciphertext, size)
    starts: Sequence[int] = range(0, count, size)
    if is_compiling_ahead():  # groups of one size call the same kernels: the first is as good as all
        starts = sorted({0, count - (count % size or size)})
    results = [
        function(ciphertext.replace(data=rows(ciphertext.data, s, min(size, count - s)))) for s in starts
    ]
    if is_compiling_ahead():
        made = results[0].data
        return results[0].replace(data=jnp.zeros((count, *made.shape[1:]), made.dtype))
    return results[0].replace(data=jnp.concatenate([r.data for r in results]))


def _in_turns(function: Callable[[Ciphertext], Ciphertext], ciphertext: Ciphertext, size: int) -> Ciphertext:
    """The same within one executable: a loop, whose turns are equal, the last one filled up with zeros."""
    count = len(ciphertext.data)
    turns = -(-count // size)
    together = -(-count // turns)
    padding = [(0, turns * together - count)] + [(0, 0)] * (ciphertext.data.ndim - 1)
    groups = jnp.pad(ciphertext.data, padding).reshape(turns, together, *ciphertext.data.shape[1:])
    made = jax.lax.map(lambda data: function(ciphertext.replace(data=data)), groups)
    data = made.data.reshape(turns * together, *made.data.shape[2:])[:count]
    return made.replace(data=data, key_id=ciphertext.key_id)


@functools.partial(kernel, static_argnames="size")
def rows(data: jax.Array, start: int, size: int) -> jax.Array:
    """Some rows of an array, from one on; one kernel for all starts."""
    return jax.lax.dynamic_slice_in_dim(data, start, size)
