"""Randomness never repeats: no two messages under one mask, no two secrets from one key by accident."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax import ckks

PARAMS = ckks.insecure_parameters(64, 2)
MESSAGES = np.stack([np.linspace(-1, 1, 64), np.linspace(1, -1, 64), np.zeros(64), np.zeros(64)])


def masks(data: jax.Array) -> set[bytes]:
    """The second component of each ciphertext, residues modulo the first prime."""
    rows = np.asarray(data)[..., 1, 0, :].reshape(-1, 64)
    return {row.tobytes() for row in rows}


def encryption(key, holder, level=None):
    return lambda m: ckks.encrypt(key, holder, ckks.encode(PARAMS, m, level=level)).data


@pytest.fixture(scope="module", params=["secret", "public"])
def holder(request):
    secret = ckks.secret_key(ckks.random_key(), PARAMS)
    return secret if request.param == "secret" else ckks.public_key(ckks.random_key(), secret)


TRANSFORMATIONS = {
    "plain": lambda f: lambda ms: jnp.stack([f(m) for m in ms]),
    "jit": lambda f: lambda ms: jnp.stack([jax.jit(f)(m) for m in ms]),
    "vmap": jax.vmap,
    "jit of vmap": lambda f: jax.jit(jax.vmap(f)),
    "map": lambda f: lambda ms: jax.lax.map(f, ms),
    "map in batches": lambda f: lambda ms: jax.lax.map(f, ms, batch_size=2),
    "scan": lambda f: lambda ms: jax.lax.scan(lambda carry, m: (carry, f(m)), 0, ms)[1],
    "batch": lambda f: f,
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_one_key_never_hides_two_messages_by_one_mask(name, holder):
    """Even a key that is used again, which the checker of reuse would refuse where it sees it."""
    with jax.debug_key_reuse(False):
        encrypt = TRANSFORMATIONS[name](encryption(ckks.random_key(), holder))
        assert len(masks(encrypt(jnp.asarray(MESSAGES[:3])))) == 3


@pytest.mark.parametrize("name", ["vmap", "jit of vmap", "batch"])
def test_equal_messages_have_masks_of_their_own(name, holder):
    encrypt = TRANSFORMATIONS[name](encryption(ckks.random_key(), holder))
    assert len(masks(encrypt(jnp.asarray(MESSAGES)))) == 4


def test_lanes_decrypt_to_their_messages(holder, insecure_real):
    params = insecure_real.params
    values = insecure_real.numbers(3)
    key = ckks.random_key()
    opener = insecure_real.secret if isinstance(holder, ckks.SecretKey) else insecure_real.public
    batch = jax.vmap(lambda m: ckks.encrypt(key, opener, ckks.encode(params, m)))(values)
    found = ckks.decode(ckks.decrypt(insecure_real.secret, batch.replace(key_id=batch.key_id[0])))
    assert np.abs(np.asarray(found) - values).max() < 1e-2


def test_a_resumed_run_that_meets_its_data_in_another_order_masks_nothing_twice(holder):
    """Keys of the steps are the same in both runs; the messages are not."""

    def run(order):
        keys = jax.random.split(ckks.keys.key_from_bytes(bytes(32)), 4)
        rows = [encryption(k, holder)(MESSAGES[i] + 0.01 * i) for k, i in zip(keys, order, strict=True)]
        return masks(jnp.stack(rows))

    before, after = run([0, 1, 2, 3]), run([1, 2, 3, 0])
    assert len(before | after) == 8
    assert run([0, 1, 2, 3]) == before  # and where nothing changed, the same bytes come out


def test_levels_holders_and_seeded_ciphertexts_have_streams_of_their_own():
    def key():
        return ckks.keys.key_from_bytes(bytes(range(32)))

    secret, other = (ckks.secret_key(ckks.random_key(), PARAMS) for _ in range(2))
    public = [ckks.public_key(ckks.random_key(), secret) for _ in range(2)]
    zero = np.zeros(64)
    data = [encryption(key(), h)(zero) for h in (secret, other, *public)]
    data += [encryption(key(), secret, level)(zero) for level in (0, 1)]
    assert len(set().union(*map(masks, data))) == len(data)
    vmapped = jax.vmap(
        lambda coefficients, name: encryption(key(), ckks.SecretKey(coefficients, name, PARAMS))(zero)
    )
    pair = (jnp.stack([secret.coefficients, other.coefficients]), jnp.stack([secret.key_id, other.key_id]))
    assert len(masks(vmapped(*pair))) == 2


def test_one_key_for_two_purposes_gives_unrelated_randomness():
    """A secret and the u of a public encryption: c_1 + b = a (s - u) + small, if u were s."""

    def key():
        return ckks.keys.key_from_bytes(bytes(range(1, 33)))

    secret = ckks.secret_key(key(), PARAMS)
    public = ckks.public_key(key(), secret)
    ciphertext = ckks.encrypt(key(), public, ckks.encode(PARAMS, np.zeros(64)))
    shifted = ckks.Plaintext(
        (ciphertext.data[1] + public.data[0]) % jnp.asarray(PARAMS.moduli, jnp.uint32)[:, None],
        PARAMS,
        2,
        PARAMS.scales[2],
        "evaluation",
    )
    assert np.abs(np.asarray(ckks.decode(shifted))).max() * float(PARAMS.scales[2]) > 2.0**20


def test_switching_keys_differ_whatever_the_key():
    def key():
        return ckks.keys.key_from_bytes(bytes(range(2, 34)))

    secrets = [ckks.secret_key(ckks.random_key(), PARAMS) for _ in range(2)]
    seeds = []
    for secret in secrets:
        for rotations in ((1, 2), (2, 3)):
            made = ckks.evaluation_keys(key(), secret, relinearise=True, rotations=rotations)
            seeds.append({e: bytes(np.asarray(k.seed)) for e, k in made.rotations.items()})
            seeds[-1][0] = bytes(np.asarray(made.relinearisation.seed))
        lower = ckks.evaluation_keys(key(), secret, relinearise=True, level=1)
        seeds.append({0: bytes(np.asarray(lower.relinearisation.seed))})
    # Equal is only what is the same key: of one secret, use, level and place among the keys asked for.
    everything = [seed for made in seeds for seed in made.values()]
    assert len(set(everything)) == len(everything) - 2
    assert seeds[0][0] == seeds[1][0]
    assert seeds[3][0] == seeds[4][0]


@pytest.mark.parametrize("draw", [ckks.random_key, lambda: ckks.secret_key(ckks.random_key(), PARAMS)])
def test_keys_drawn_while_tracing_are_refused_with_the_way_out(draw):
    def body(carry, x):
        draw()
        return carry, x

    for trace in (
        lambda: jax.jit(lambda x: body(x, x))(1.0),
        lambda: jax.lax.map(lambda x: body(x, x), jnp.ones(2)),
        lambda: jax.lax.scan(body, 0.0, jnp.ones(2)),
        lambda: jax.eval_shape(lambda x: body(x, x), 1.5),
        lambda: jax.lax.fori_loop(0, 2, lambda i, x: body(x, x)[1], 1.0),
    ):
        with pytest.raises(RuntimeError, match="draw keys outside, and pass them in as arguments"):
            trace()


def test_keys_under_vmap_and_jit_that_are_passed_in_give_secrets_of_their_own():
    keys = jax.random.split(ckks.random_key(), 3)
    make = jax.vmap(lambda key: ckks.secret_key(key, PARAMS))
    found = np.concatenate([np.asarray(f(keys).coefficients) for f in (make,)])
    assert len({row.tobytes() for row in found}) == 3
    again = np.asarray(jax.jit(make)(jax.random.clone(keys)).coefficients)
    assert (again == found).all()


FORKED = """
import os, sys
from fhejax.ring import random_key
import jax, numpy as np
random_key()
for _ in range(3):
    if os.fork() == 0:
        # No computation in the child, whose threads are gone: only the operating system's bytes.
        import secrets
        os.write(1, secrets.token_bytes(32).hex().encode() + b"\\n")
        os._exit(0)
for _ in range(3):
    os.wait()
"""


def test_forks_draw_different_bytes():
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, check=True, text=True
    )
    lines = found.stdout.split()
    assert len(lines) == len(set(lines)) == 3


DEVICES = """
import warnings; warnings.simplefilter("ignore")
import jax, jax.numpy as jnp, numpy as np
from fhejax import ckks
assert jax.device_count() == 8
params = ckks.insecure_parameters(64, 1)
secret = ckks.secret_key(ckks.random_key(), params)
key = ckks.random_key()
messages = jnp.asarray(np.arange(8.0)[:, None] * np.ones(64), jnp.float32) / 8
shared = jax.pmap(lambda m: ckks.encrypt(key, secret, ckks.encode(params, m)).data)(messages)
keys = jax.random.split(ckks.random_key(), 8)
own = jax.pmap(lambda k, m: ckks.encrypt(k, secret, ckks.encode(params, m)).data)(keys, jnp.zeros((8, 64)))
secrets = jax.pmap(lambda k: ckks.secret_key(k, params).coefficients)(jax.random.split(ckks.random_key(), 8))
for found in (shared[:, 1], own[:, 1], secrets):
    assert len({row.tobytes() for row in np.asarray(found)}) == 8
try:
    jax.pmap(lambda m: ckks.encrypt(ckks.random_key(), secret, ckks.encode(params, m)).data)(messages)
except RuntimeError as error:
    assert "draw keys outside" in str(error)
else:
    raise AssertionError("a key was drawn while tracing")
"""


def test_eight_devices_mask_eight_messages_differently():
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    subprocess.run(
        [sys.executable, "-c", DEVICES], check=True, env=os.environ | {"XLA_FLAGS": flags}, timeout=300
    )
