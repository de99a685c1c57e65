"""The README's code does what the README says, as a reader would run it: at XLA's default optimisation.

All other tests compile without optimisation, so that this is also the small job that does not.
"""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
BLOCKS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)

PREPARED = {
    "a network, encrypted": "",
    "the scheme by itself": "",
    "bootstrapping": """
import jax, numpy as np
from fhejax import ckks
k1, k2, k3 = jax.random.split(ckks.random_key(), 3)
""",
    "functions to polynomials": """
import jax.numpy as jnp
bound, slope = jnp.float32(2.0), jnp.float32(0.1)
f = lambda x, slope: jnp.where(x > 0, x, slope * x)
""",
}
# Where the README's own numbers would take minutes and gigabytes: what is replaced, by what.
REPLACED = {
    "bootstrapping": [
        ("for_levels(13, degree=2**16)", "for_levels(3, degree=2**10, insecure=True)"),
        (
            "fresh =",
            "numbers = np.linspace(-0.9, 0.9, parameters.slots)\n"
            "level = parameters.input_level\n"
            "ciphertext = ckks.encrypt(k3, secret, ckks.encode(parameters.params, numbers, level=level))\n"
            "fresh =",
        ),
    ],
}
CHECKED = {
    "a network, encrypted": """
clear = program.clear(images)
assert np.abs(logits - clear).max() < 2e-2 * np.abs(clear).max()
assert "128" in program.report()
""",
    "the scheme by itself": """
measured = ckks.precision(ckks.decrypt(secret, found), predicted.values)
assert abs(measured.mean - predicted.precision_bits) < 0.5, (measured, predicted)
assert measured.mean > 16
""",
    "bootstrapping": """
assert fresh.level == parameters.output_level == level + 3
assert ckks.precision(ckks.decrypt(secret, fresh), numbers).mean > 10
""",
    "functions to polynomials": """
assert abs(p.certificate.error - 8.789e-4) < 5e-8
assert abs(p.certificate.ratio - 1) < 1e-8
assert q.certificate.error <= 1e-3
""",
}


def test_every_block_of_code_is_run():
    assert len(BLOCKS) == len(PREPARED)


@pytest.mark.parametrize("number", range(len(PREPARED)), ids=list(PREPARED))
def test_a_block_of_code(number):
    name, code = list(PREPARED)[number], BLOCKS[number]
    for old, new in REPLACED.get(name, []):
        assert old in code
        code = code.replace(old, new)
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    script = "\n".join([PREPARED[name], code, CHECKED[name]])
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )
    assert run.returncode == 0, run.stderr[-3000:]
