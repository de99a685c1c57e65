"""Many kernels as one executable, which closes over nothing."""

import jax
import jax.numpy as jnp
import numpy as np
from executables import executables

from fhejax.ring.compile_ahead import compile_ahead
from fhejax.ring.one_executable import _executable, in_one_executable
from fhejax.ring.wide import kernel, wide

TABLE = jnp.arange(3000, dtype=jnp.uint32)
TRACED = []


@kernel
@wide
def _product(x, y):
    return (x.astype(jnp.uint64) * y.astype(jnp.uint64) % np.uint64(65537)).astype(jnp.uint32)


@kernel
def _sum(x, y):
    return x + y


def _several(pair, rounds):
    """Kernels one after another, of an argument, an array that is closed over, and one of NumPy's."""
    TRACED.append(rounds)
    x, y = pair["x"], pair["y"]
    for _ in range(rounds):
        x = _sum(_product(x, TABLE), y)
    return {"found": x, "others": [_sum(y, np.full(3000, 7, np.uint32))]}


def _given(seed=0):
    x, y = np.random.default_rng(seed).integers(0, 65537, (2, 3000), np.uint32)
    return {"x": jnp.asarray(x), "y": y}


def test_the_result_is_that_of_the_kernels_one_by_one():
    TRACED.clear()
    right = _several(_given(), 3)
    with executables() as made:
        found = in_one_executable(_several, (_given(),), (3,))
    assert made == [1]
    assert jax.tree.structure(found) == jax.tree.structure(right)
    assert all((one == other).all() for one, other in zip(*map(jax.tree.leaves, (found, right)), strict=True))
    with executables() as made:
        other = in_one_executable(_several, (_given(1),), (3,))
    assert made == [0]
    assert (other["found"] == _several(_given(1), 3)["found"]).all()
    assert TRACED == [3, 3, 3]  # of which the second was for the executable
    in_one_executable(_several, (_given(),), (2,))
    assert TRACED[3:] == [2]


def test_what_is_closed_over_is_no_constant():
    leaves, structure = jax.tree.flatten((_given(),))
    shapes = tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)
    made = _executable(_several, (4,), structure, shapes)
    constant = 'dense<"0x'  # how an array of many numbers is written
    assert constant not in made.call.lower(made.closed_over, leaves).as_text()
    plain = jax.jit(lambda pair: _several(pair, 4)).lower(_given()).as_text()
    assert made.closed_over or constant not in plain  # a later JAX hands them over itself


def test_it_counts_as_one_kernel_and_is_compiled_ahead():
    def run(pair):
        return in_one_executable(_several, (pair,), (5,))

    assert compile_ahead(run, _given()) == 1
    with executables() as made:
        found = run(_given())
    assert made == [0]
    assert (found["found"] == _several(_given(), 5)["found"]).all()


def test_it_is_compiled_where_jit_is_switched_off():
    with jax.disable_jit():
        found = in_one_executable(_several, (_given(),), (1,))
    assert (found["found"] == _several(_given(), 1)["found"]).all()
