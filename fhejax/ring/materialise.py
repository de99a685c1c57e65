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
    as long. An optimization barrier is dropped before fusion on CPUs, while a conditional, whose
    predicate holds always and is known only when run, stays: that the first number is not its type's
    largest, which no residue is. It costs one copy.
    """
    if not all(leaf.size for leaf in jax.tree.leaves(tree)):
        return tree
    return jax.lax.platform_dependent(tree, cpu=_conditional, default=jax.lax.optimization_barrier)


@jax.custom_batching.custom_vmap
def _conditional(tree: Tree) -> Tree:
    first = jax.tree.leaves(tree)[0].reshape(-1)[0]
    largest = first.dtype.type(jnp.iinfo(first.dtype).max)
    zeros = lambda kept: jax.tree.map(jnp.zeros_like, kept)  # noqa: E731
    return jax.lax.cond(first < largest, lambda kept: kept, zeros, tree)


# Batched by default, the predicate would be one for each item, and a conditional become a selection of
# both its branches, which XLA fuses again.
@_conditional.def_vmap
def _batched(axis_size: int, in_batched: list[Tree], tree: Tree) -> tuple[Tree, Tree]:
    # Batching may happen after the caller's 64-bit types were left.
    return wide(_conditional)(tree), in_batched[0]
