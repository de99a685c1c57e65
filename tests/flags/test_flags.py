"""Under every setting of JAX that a user may have, jobs are right and give the bits they give here."""

import ast
import functools
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from jobs import JOBS, Results

SCRIPT = pathlib.Path(__file__).with_name("jobs.py")
ROOT = SCRIPT.parents[2]
STRICT = {"JAX_NUMPY_DTYPE_PROMOTION": "strict", "JAX_NUMPY_RANK_PROMOTION": "raise"}
FINITE = {"JAX_DEBUG_NANS": "1", "JAX_DEBUG_INFS": "1"}
ALL = "all at once"
SETTINGS = {
    "64-bit types, finite": {"JAX_ENABLE_X64": "1"} | FINITE,
    "no jit, 64-bit types refused": {"JAX_DISABLE_JIT": "1", "JAX_EXPLICIT_X64_DTYPES": "error"},
    ALL: {"JAX_ENABLE_X64": "1", "JAX_DISABLE_JIT": "1"} | FINITE | STRICT,
}


@functools.cache
def expected(job: str) -> Results:
    """In this process, so under strict promotion of types and ranks."""
    return JOBS[job]()


def run(settings: dict[str, str], path: pathlib.Path, *jobs: str) -> None:
    cache = {"JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir}
    cache["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, path, *jobs],
        env=os.environ | cache | settings | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


QUICK = ("scheme", "program")


@pytest.mark.parametrize(
    ("name", "jobs"),
    [
        (ALL, QUICK[:1]),
        pytest.param(ALL, ("program", "bootstrapped"), marks=pytest.mark.nightly),
        *(pytest.param(name, QUICK, marks=pytest.mark.nightly) for name in SETTINGS if name != ALL),
    ],
)
def test_jobs_are_right_under(name, jobs, tmp_path):
    run(SETTINGS[name], tmp_path / "found.npz", *jobs)
    with np.load(tmp_path / "found.npz") as found:
        for job in jobs:
            for key, array in expected(job).items():
                np.testing.assert_array_equal(found[f"{job}: {key}"], array, f"{job}: {key}", strict=True)


PACKAGES = [ROOT / "fhejax" / name for name in ("ring", "ckks", "program")]
# Where `kernel` is defined, where a whole program is compiled, which is run step by step without jit, and
# where a user's function is.
COMPILED = {"wide.py", "blocks.py", "checked.py"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda folder: folder.name)
def test_kernels_are_made_by_kernel(package):
    """Under jax.jit alone they would be run by single operations where jax_disable_jit is set."""
    for path in package.rglob("*.py"):
        found = [node.lineno for node in ast.walk(ast.parse(path.read_text())) if is_jit(node)]
        assert not found or path.name in COMPILED, f"{path.name}, lines {found}"


def is_jit(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node) == "jax.jit"
