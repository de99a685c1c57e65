"""Kernels compiled before they are called."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ring.compile_ahead import compile_ahead
from fhejax.ring.wide import kernel, wide


@kernel
@wide
def _inner(x):
    return x + np.uint32(1)


@kernel
@wide
def _outer(x):
    return (_inner(x).astype(np.uint64) * np.uint64(3)).astype(np.uint32)


def computation(x):
    """Two kernels, of which one calls the other, for two shapes."""
    whole = _inner(_outer(x))
    return _outer(whole[:2]), whole


def compiled_in(caplog, function):
    """The result, and what JAX says of all that was lowered meanwhile or compiled by this thread."""
    caplog.clear()
    with jax.log_compiles(), caplog.at_level(logging.WARNING, logger="jax"):
        result = function()
    said = ("Compiling", "Finished XLA compilation")
    return result, [r.getMessage() for r in caplog.records if r.getMessage().startswith(said)]


def test_a_call_finds_what_was_compiled_ahead(caplog):
    x = jnp.arange(5, dtype=np.uint32)
    count, ahead = compiled_in(caplog, lambda: compile_ahead(computation, x))
    assert count == 3 == sum("_inner" in text or "_outer" in text for text in ahead)
    (part, whole), later = compiled_in(caplog, lambda: computation(x))
    assert not [text for text in later if "_inner" in text or "_outer" in text]
    np.testing.assert_array_equal(whole, 3 * np.arange(5) + 4)
    np.testing.assert_array_equal(part, 3 * (np.asarray(whole)[:2] + 1))


@kernel
@wide
def _row(x, number):
    return jax.lax.dynamic_index_in_dim(x, number, keepdims=False)


def test_a_kernel_is_compiled_once_for_all_values_of_a_number(caplog):
    x = jnp.arange(12, dtype=np.uint32).reshape(4, 3)

    def rows(x):
        return [_row(x, np.int32(number)) for number in range(4)]

    assert compile_ahead(rows, x) == 1
    found, later = compiled_in(caplog, lambda: rows(x))
    assert not [text for text in later if "_row" in text]
    np.testing.assert_array_equal(found, x)


def test_kernels_of_the_scheme_are_found(caplog):
    params = ckks.insecure_parameters(32, 3, digit_size=1)
    secret = ckks.secret_key(ckks.random_key(), params)
    keys = ckks.evaluation_keys(ckks.random_key(), secret, relinearise=True, rotations=(1,))
    x = ckks.encrypt(ckks.random_key(), secret, ckks.encode(params, np.full(params.slots, 0.5)))

    def circuit(keys, x):
        return ckks.rotate(keys, ckks.multiply(keys, x, x), 1)

    assert compile_ahead(circuit, keys, x) >= 2
    result, later = compiled_in(caplog, lambda: circuit(keys, x))
    assert not [text for text in later if "_relinearise" in text or "_rotate" in text]
    np.testing.assert_allclose(ckks.decode(ckks.decrypt(secret, result)), 0.25, atol=1e-3)


def test_what_cannot_be_traced_is_said_as_by_a_call():
    def wrong(x):
        raise ValueError("no such computation")

    with pytest.raises(ValueError, match="no such computation"):
        compile_ahead(wrong, jnp.zeros(3, np.uint32))
