"""A secret key shows and gives away nothing by accident, and is a pytree like any other object."""

import copy
import dataclasses
import json
import pickle
import pprint

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax import ckks

PARAMS = ckks.insecure_parameters(16, 1)
HIDDEN = "SecretKey(N=16, coefficients hidden)"


@pytest.fixture(scope="module")
def secret():
    return ckks.secret_key(ckks.keys.key_from_bytes(b"\x01" * 32), PARAMS)


@dataclasses.dataclass
class Client:
    name: str
    secret: ckks.SecretKey


def test_no_text_shows_it(secret):
    client = Client("client", secret)
    texts = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r}",
        format(secret),
        pprint.pformat(secret),
    ]
    assert set(texts) == {HIDDEN}
    for text in (
        repr(client),
        str(vars(client)),
        pprint.pformat(client),
        str([secret]),
        str({"secret": secret}),
    ):
        assert HIDDEN in text
        assert "Array" not in text
    assert repr(np.asarray(secret)) == f"array({HIDDEN}, dtype=object)"
    with pytest.raises(TypeError):
        format(secret, ".3f")


def test_no_dictionary_holds_it(secret):
    for write in (vars, dataclasses.asdict, dataclasses.astuple, json.dumps, dict, list):
        with pytest.raises(TypeError):
            write(secret)
    for write in (dataclasses.asdict, dataclasses.astuple):
        with pytest.raises(
            TypeError, match="about to be pickled or copied, which would write the secret out"
        ):
            write(Client("client", secret))
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("write", [copy.copy, copy.deepcopy, pickle.dumps])
def test_no_copy_holds_it(secret, write):
    for holder in (secret, [secret]):
        if write is copy.copy and holder is not secret:
            continue
        with pytest.raises(TypeError, match=r"only its owner may read with ckks\.files\.save_secret_key"):
            write(holder)


def test_it_cannot_be_changed(secret):
    with pytest.raises(dataclasses.FrozenInstanceError, match=r"secret\.replace\(coefficients=\.\.\.\)"):
        secret.coefficients = jnp.zeros(16, jnp.int8)
    with pytest.raises(dataclasses.FrozenInstanceError):
        del secret.params
    changed = secret.replace(key_id=jnp.zeros(4, jnp.uint32))
    assert (changed.coefficients == secret.coefficients).all()
    assert not changed.key_id.any()


def test_it_is_a_pytree(secret):
    other = ckks.secret_key(ckks.random_key(), PARAMS)
    assert jax.tree.structure(secret) == jax.tree.structure(other)
    assert [leaf.shape for leaf in jax.tree.leaves(secret)] == [(16,), (4,)]
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(secret)]
    assert paths == [".coefficients", ".key_id"]
    doubled = jax.jit(lambda key: key.replace(coefficients=key.coefficients + key.coefficients))(secret)
    assert isinstance(doubled, ckks.SecretKey)
    assert (doubled.coefficients == 2 * secret.coefficients).all()
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), secret, other)
    axes = jax.tree.map(lambda leaf: 0, both)
    weights = jax.vmap(lambda key: jnp.abs(key.coefficients).sum(), in_axes=(axes,))(both)
    assert weights.tolist() == [int(np.abs(k.coefficients).sum()) for k in (secret, other)]
