"""The README's code does what the README says.

The first block runs as a reader would run it, at XLA's default optimisation: all other tests compile
without, so that this is also the small job that does not. The others share what the tests compiled.
"""

import os
import pathlib
import re
import subprocess
import sys

import jax
import pytest

ROOT = pathlib.Path(__file__).parents[1]
WRITTEN = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)

PREPARED = {
    "a network, encrypted": "",
    "client and server, by files": """
import os, tempfile, numpy as np, fhejax as fhe
os.chdir(tempfile.mkdtemp())
weights = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32) / 8
samples = np.random.default_rng(1).uniform(-1, 1, (4096, 8))
""",
    "several programs under one secret": """
import numpy as np, fhejax as fhe
from jax import numpy as jnp
weights = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32) / 8
samples = np.random.default_rng(1).uniform(-1, 1, (4096, 8))
""",
    "the scheme by itself": "",
    "functions to polynomials": """
import jax.numpy as jnp
bound, slope = jnp.float32(2.0), jnp.float32(0.1)
f = lambda x, slope: jnp.where(x > 0, x, slope * x)
""",
}
# Takes minutes and gigabytes: tests/ckks/bootstrapping runs the same calls on small rings.
ONLY_READ = ["BootstrappingParameters"]
OPTIMISED = "a network, encrypted"
CHECKED = {
    "a network, encrypted": """
clear = program.clear(images)
assert np.abs(logits - clear).max() < 2e-2 * np.abs(clear).max()
assert "128" in program.report()
""",
    "client and server, by files": """
assert np.abs(squares - (samples @ weights) ** 2).max() < 1e-2
assert os.path.getsize("keys.fhe") == client.predictions.key_bytes
assert os.path.getsize("upload.fhe") == client.predictions.public_upload_bytes
assert os.path.getsize("download.fhe") == client.predictions.download_bytes
""",
    "several programs under one secret": """
assert mean.params == deep.params and mean.plan.top_level < deep.plan.top_level
assert np.abs(means - (samples @ weights).mean(0)).max() < 1e-3
assert mean.plan.security >= 128 and "given as parameters=" in mean.report()
""",
    "the scheme by itself": """
measured = ckks.precision(ckks.decrypt(secret, found), predicted.values)
assert abs(measured.mean - predicted.precision_bits) < 0.5, (measured, predicted)
assert measured.mean > 16
""",
    "functions to polynomials": """
assert abs(p.certificate.error - 8.789e-4) < 5e-8
assert abs(p.certificate.ratio - 1) < 1e-8
assert q.certificate.error <= 1e-3
""",
}


BLOCKS = [block for block in WRITTEN if not any(name in block for name in ONLY_READ)]


def test_every_block_of_code_is_run_or_reads_as_python():
    assert len(BLOCKS) == len(PREPARED) == len(WRITTEN) - len(ONLY_READ)
    for block in WRITTEN:
        compile(block, "README.md", "exec")


@pytest.mark.parametrize("number", range(len(PREPARED)), ids=list(PREPARED))
def test_a_block_of_code(number):
    name, code = list(PREPARED)[number], BLOCKS[number]
    environment = dict(os.environ)
    if name == OPTIMISED:
        del environment["XLA_FLAGS"]
    else:
        environment["JAX_COMPILATION_CACHE_DIR"] = jax.config.jax_compilation_cache_dir
    script = "\n".join([PREPARED[name], code, CHECKED[name]])
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )
    assert run.returncode == 0, run.stderr[-3000:]
