"""Strict JAX for every test: what passes here passes under any user's settings."""

import os

import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_legacy_prng_key", "error")
jax.config.update("jax_debug_key_reuse", True)
if folder := os.environ.get("FHEJAX_TEST_CACHE"):
    jax.config.update("jax_compilation_cache_dir", folder)


@pytest.fixture(autouse=True)
def configuration_is_untouched():
    """No test may leave JAX's configuration changed."""
    before = dict(jax.config.values)
    yield
    assert dict(jax.config.values) == before
