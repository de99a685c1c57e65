"""What is held in memory is what it was, and XLA does not see through it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax.ring.materialise import materialise

_NUMBERS = np.array([[2**32 - 2, 0, 7], [1, 2**32 - 1, 5]], np.uint32)


@pytest.mark.parametrize("transform", [jax.jit, lambda f: f, jax.vmap, lambda f: jax.jit(jax.vmap(f))])
def test_values_stay(transform):
    first, second = transform(lambda x, y: materialise((x, y)))(_NUMBERS, _NUMBERS.astype(np.int32))
    np.testing.assert_array_equal(first, _NUMBERS)
    np.testing.assert_array_equal(second, _NUMBERS.astype(np.int32))


def test_no_values_are_no_error():
    assert jax.jit(materialise)(jnp.zeros((0, 3), jnp.uint32)).shape == (0, 3)


def test_one_loop_of_no_turns_remains_after_optimisation():
    if jax.default_backend() != "cpu":
        pytest.skip("a barrier does it there")
    doubled = jax.jit(lambda x: jnp.stack([materialise(x * np.uint32(3))] * 2))
    assert doubled.lower(_NUMBERS).compile().as_text().count(" while(") == 1


def test_a_batch_has_one_loop_for_all():
    if jax.default_backend() != "cpu":
        pytest.skip("a barrier does it there")
    batched = jax.jit(jax.vmap(lambda x: materialise(x * np.uint32(3))))
    assert " select(" not in batched.lower(_NUMBERS).compile().as_text()
