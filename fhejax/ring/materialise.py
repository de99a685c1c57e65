"""Keeping XLA from computing a shared intermediate again in every consumer."""

from typing import TypeVar

import jax
import jax.numpy as jnp

from fhejax.ring.wide import wide

Tree = TypeVar("Tree")


def materialise(tree: Tree) -> Tree:
    """The same integer arrays, which XLA on a CPU will hold in memory before anything reads them.

    XLA fuses a cheap producer into a loop that broadcasts it, and then computes it once for each
    repetition: a basis conversion to 20 primes did its source's products 20 times, and took 8 times
    as long. An optimization barrier is dropped before fusion on CPUs, while a loop, whose number of turns is
    known only when run, stays: it would make everything zero for as long as the first number is its type's
    largest, which no residue is. It turns not once and copies nothing.
    """
    if not all(leaf.size for leaf in jax.tree.leaves(tree)):
        return tree
    return jax.lax.platform_dependent(tree, cpu=_loop, default=jax.lax.optimization_barrier)


@jax.custom_batching.custom_vmap
def _loop(tree: Tree) -> Tree:
    first = jax.tree.leaves(tree)[0].reshape(-1)[0]
    largest = first.dtype.type(jnp.iinfo(first.dtype).max)

    def zero(state: tuple[jax.Array, Tree]) -> tuple[jax.Array, Tree]:
        return jnp.zeros((), bool), jax.tree.map(jnp.zeros_like, state[1])

    return jax.lax.while_loop(lambda state: state[0], zero, (first == largest, tree))[1]


# Batched by default, the loop would have a condition for each item, and select from all that they ran.
@_loop.def_vmap
def _batched(axis_size: int, in_batched: list[Tree], tree: Tree) -> tuple[Tree, Tree]:
    # Batching may happen after the caller's 64-bit types were left.
    return wide(_loop)(tree), in_batched[0]
