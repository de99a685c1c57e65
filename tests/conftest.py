"""Strict JAX for every test: what passes here passes under any user's settings.

Most of the time goes into compiling small kernels once, so that XLA does not optimise, and the workers share
what they compiled. The benchmarks and experiments check their results at full optimisation.
"""

import gc
import importlib.metadata
import os
import pathlib
from collections.abc import Iterator
from typing import Any

# Before JAX is imported; a later XLA does not know the second flag, and would abort.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0"
    + " --xla_cpu_use_fusion_emitters=false" * importlib.metadata.version("jaxlib").startswith("0.10."),
)

import jax
import pytest

pytest_plugins = ["entropy"]
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_legacy_prng_key", "error")
jax.config.update("jax_debug_key_reuse", True)
CACHE = os.environ.get("FHEJAX_TEST_CACHE", pathlib.Path(__file__).parents[1] / ".pytest_cache" / "xla")
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
# Tracing makes objects by the million that live on in caches: Python looks for cycles among them less often.
gc.set_threshold(50_000, 20, 20)
LARGEST_MEMORY = 5 * 2**30  # of a worker between two files
LARGEST_SHARE = 3 / 4  # of the memory maps that Linux allows a process, beyond which XLA crashes


# The files that take minutes come first, so that no worker begins one when the other has nothing left to do.
LONGEST = (
    "test_training_steps.py",
    "test_bootstrapping.py",
    "test_flags.py",
    "test_bootstraps.py",
    "test_random_circuits.py",
    "test_random_programs.py",
    "test_bootstrapping_experiment.py",
    "test_readme.py",
    "test_sharding.py",
    "test_encrypted_run.py",
    "test_architecture.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the others keep their order."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


# Files that use one small ring, whose kernels the worker that has compiled them keeps.
TOGETHER = {
    "tests/ckks/bootstrapping/test_stages.py": "tests/ckks/bootstrapping/test_bootstrapping.py",
    "tests/program/test_loop_programs.py": "tests/program/test_carry.py",
    "tests/program/levels/test_bootstrap_noise.py": "tests/program/test_carry.py",
    "tests/program/levels/test_bootstraps.py": "tests/program/test_carry.py",
    "tests/ckks/bootstrapping/test_bootstrapping_levels.py": "tests/program/test_carry.py",
    "tests/ckks/bootstrapping/test_shared_numbers.py": "tests/program/test_carry.py",
    "tests/program/levels/test_result_levels.py": "tests/program/run/test_encrypted_programs.py",
    "tests/program/files/test_program_files.py": "tests/program/run/test_encrypted_programs.py",
    "tests/program/packing/sample_per_slot/operations/test_encrypted_contractions.py": (
        "tests/program/packing/sample_per_slot/test_batch_sums.py"
    ),
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a worker whole files, as xdist's own scheduler does, and files of one ring to the same worker."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return TOGETHER.get(file, file)

    return Together(config, log)


@pytest.fixture(autouse=True, scope="module")
def memory_is_given_back() -> Iterator[None]:
    """Thousands of kernels stay in memory with all that they were compiled from, gigabytes in all.

    Each takes a few memory maps, too: a process of 6 GiB had 64,480 of the 65,530 that it may have.
    """
    yield
    if _resident_bytes() > LARGEST_MEMORY or _share_of_maps() > LARGEST_SHARE:
        jax.clear_caches()
        gc.collect()


def _share_of_maps() -> float:
    maps, limit = pathlib.Path("/proc/self/maps"), pathlib.Path("/proc/sys/vm/max_map_count")
    if not maps.exists() or not limit.exists():
        return 0.0
    return maps.read_bytes().count(b"\n") / int(limit.read_text())


def _resident_bytes() -> int:
    statistics = pathlib.Path("/proc/self/statm")
    if not statistics.exists():
        return 0
    return int(statistics.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(autouse=True)
def configuration_is_untouched():
    """No test may leave JAX's configuration changed."""
    before = dict(jax.config.values)
    yield
    assert dict(jax.config.values) == before
