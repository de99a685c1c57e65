"""What does not belong together is refused eagerly, at decryption under jit, and by `checked`."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks.identity import MIXED
from fhejax.ckks.linear_transform import apply_linear_transform, linear_transform

PARAMS = ckks.insecure_parameters(64, 3, real=False)


@dataclasses.dataclass(frozen=True)
class User:
    secret: ckks.SecretKey
    keys: ckks.EvaluationKeys

    def encrypt(self):
        plaintext = ckks.encode(PARAMS, np.linspace(-1, 1, 32))
        return ckks.encrypt(ckks.random_key(), self.secret, plaintext)


def make_user():
    secret = ckks.secret_key(ckks.random_key(), PARAMS)
    options = {"relinearise": True, "rotations": (1, 2), "conjugate": True}
    return User(secret, ckks.evaluation_keys(ckks.random_key(), secret, **options))


@pytest.fixture(scope="module")
def users():
    return make_user(), make_user()


SIGMOID = np.array([0.5, 0.25, 0.0, -1 / 48])
MATRIX = linear_transform(PARAMS, {0: np.full(32, 0.5), 1: np.full(32, 0.25)})
CIRCUITS = {
    "multiply": lambda keys, x, y: ckks.multiply(keys, x, x),
    "square": lambda keys, x, y: ckks.square(keys, x),
    "rotate": lambda keys, x, y: ckks.rotate(keys, x, 1),
    "rotate hoisted": lambda keys, x, y: ckks.rotate_hoisted(keys, x, (1, 2))[1],
    "conjugate": lambda keys, x, y: ckks.conjugate(keys, x),
    "inner sum": lambda keys, x, y: ckks.inner_sum(keys, x, 4),
    "linear transform": lambda keys, x, y: apply_linear_transform(keys, x, MATRIX),
    "polynomial": lambda keys, x, y: ckks.evaluate_polynomial(keys, x, SIGMOID),
}
PAIRS = {
    "add": lambda keys, x, y: ckks.add(x, y),
    "subtract": lambda keys, x, y: ckks.subtract(x, y),
    "tensor": lambda keys, x, y: ckks.evaluation.tensor(x, y),
    "multiply two": lambda keys, x, y: ckks.multiply(keys, x, y),
}


def swapped(user, other):
    """Evaluation keys in which one was exchanged: by another secret's, or by one for another use."""
    first, second = (user.keys.rotations[e] for e in list(user.keys.rotations)[:2])
    exponents = list(user.keys.rotations)
    return {
        "another secret's relinearisation": dataclasses.replace(
            user.keys, relinearisation=other.keys.relinearisation
        ),
        "a rotation as relinearisation": dataclasses.replace(user.keys, relinearisation=first),
        "two rotations": dataclasses.replace(
            user.keys,
            rotations=user.keys.rotations | {exponents[0]: second, exponents[1]: first},
        ),
    }


@pytest.mark.parametrize("name", CIRCUITS)
def test_another_secrets_keys(users, name):
    user, other = users
    circuit, x = CIRCUITS[name], user.encrypt()
    with pytest.raises(ValueError, match="different secret keys"):
        circuit(other.keys, x, x)
    found = jax.jit(circuit)(other.keys, x, x)
    assert (np.asarray(found.key_id) == MIXED).all()
    for secret in (user.secret, other.secret):
        with pytest.raises(ValueError, match=r"inside jax\.jit from ciphertexts or keys of different"):
            ckks.decrypt(secret, found)
    with pytest.raises(ValueError, match="different secret keys"):
        ckks.checked(jax.jit(circuit))(other.keys, x, x)
    right = ckks.checked(jax.jit(circuit))(user.keys, x, x)
    assert (np.asarray(right.key_id) == np.asarray(user.secret.key_id)).all()
    assert (np.asarray(right.data) == np.asarray(circuit(user.keys, x, x).data)).all()


@pytest.mark.parametrize("name", PAIRS)
def test_ciphertexts_of_two_secrets(users, name):
    user, other = users
    circuit, x, y = PAIRS[name], user.encrypt(), other.encrypt()
    with pytest.raises(ValueError, match="different secret keys"):
        circuit(user.keys, x, y)
    found = jax.jit(circuit)(user.keys, x, y)
    assert (np.asarray(found.key_id) == MIXED).all()
    with pytest.raises(ValueError, match="different secret keys"):
        ckks.checked(circuit)(user.keys, x, y)


def test_what_is_mixed_stays_mixed(users):
    user, other = users

    def circuit(keys, x, y):
        return ckks.add(ckks.multiply(keys, ckks.add(x, y), x), x)

    found = jax.jit(circuit)(user.keys, user.encrypt(), other.encrypt())
    assert (np.asarray(found.key_id) == MIXED).all()


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_keys_exchanged_inside_of_a_set(users, kind):
    user, x = users[0], users[0].encrypt()
    name, keys = list(swapped(*users).items())[kind]
    circuit = CIRCUITS["rotate" if name == "two rotations" else "multiply"]
    with pytest.raises(ValueError, match="belongs to another secret key, or was made for another use"):
        circuit(keys, x, x)
    with pytest.raises(ValueError, match="belongs to another secret key, or was made for another use"):
        ckks.validate({"any": [keys, 3.0]})
    found = jax.jit(circuit)(keys, x, x)
    with pytest.raises(ValueError, match="with a key meant for another use"):
        ckks.decrypt(user.secret, found)
    with pytest.raises(ValueError, match="belongs to another secret key or was made for another use"):
        ckks.files.to_bytes(keys)


def cut(key, axis, size):
    return dataclasses.replace(key, data=jax.lax.slice_in_dim(key.data, 0, size, axis=axis))


@pytest.mark.parametrize(("axis", "size"), [(0, 1), (1, 1), (2, 2), (3, 32)])
def test_keys_that_were_cut_are_refused_under_jit_too(users, axis, size):
    user, x = users[0], users[0].encrypt()
    keys = dataclasses.replace(user.keys, relinearisation=cut(user.keys.relinearisation, axis, size))
    for run in (CIRCUITS["multiply"], jax.jit(CIRCUITS["multiply"])):
        with pytest.raises(ValueError, match="it was cut or altered"):
            run(keys, x, x)


def altered(obj, field):
    data = getattr(obj, field)
    return dataclasses.replace(obj, **{field: data.at[(0,) * data.ndim].set(np.uint32(2**32 - 1))})


def test_residues_beyond_their_primes_are_found_in_every_object(users):
    user = users[0]
    plaintext = ckks.encode(PARAMS, np.ones(32))
    public = ckks.public_key(ckks.random_key(), user.secret)
    seeded = ckks.encryption.encrypt_seeded(ckks.random_key(), user.secret, plaintext)
    rotations = user.keys.rotations
    exponent = next(iter(rotations))
    for obj in (
        altered(plaintext, "data"),
        altered(user.encrypt(), "data"),
        altered(seeded, "body"),
        altered(public, "data"),
        altered(user.keys.relinearisation, "data"),
        dataclasses.replace(user.keys, relinearisation=altered(user.keys.relinearisation, "data")),
        dataclasses.replace(
            user.keys, rotations=rotations | {exponent: altered(rotations[exponent], "data")}
        ),
    ):
        with pytest.raises(ValueError, match="not below its prime"):
            ckks.validate([1, (obj,)])
        with pytest.raises(ValueError, match="not below its prime"):
            ckks.checked(lambda x: 1.0)(obj)
    ckks.validate(plaintext, user.encrypt(), seeded, public, user.keys, user.secret, "anything", None)


def test_checked_functions_may_vmap_scan_and_take_options(users):
    user, x = users[0], users[0].encrypt()
    stack = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), x)

    @ckks.checked
    def run(keys, stack, *, steps):
        rotated = jax.vmap(lambda one: ckks.rotate(keys, one, 1))(stack)
        return jax.lax.scan(lambda total, _: (ckks.add(total, total), None), rotated, None, length=2)[0]

    found = run(user.keys, stack, steps=jnp.int32(1))
    expected = ckks.rotate(user.keys, x, 1)
    total = ckks.add(ckks.add(expected, expected), ckks.add(expected, expected))
    assert (np.asarray(found.data) == np.asarray(total.data)).all()


def test_every_switching_key_has_an_identity_of_its_own(users):
    keys = [key for user in users for key in (user.keys.relinearisation, *user.keys.rotations.values())]
    names = [np.asarray(key.key_id).tobytes() for key in keys]
    assert len(set(names)) == len(names) == 8
    for one, two in itertools.pairwise(names):
        assert one != two
