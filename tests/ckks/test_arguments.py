"""Wrong objects at every public function: one sentence each, before anything is computed."""

import collections.abc
import importlib
import inspect
import os
import pickle
import types
import typing
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_face import OWN_CHECKS, PACKAGES

from fhejax import ckks
from fhejax.ckks.parameters.scale import Scale

PUBLIC = {
    name: getattr(module, name)
    for module in map(importlib.import_module, (f"fhejax.ckks.{package}" for package in PACKAGES))
    for name in module.__all__
    if inspect.isfunction(getattr(module, name)) and name not in OWN_CHECKS
}
UNTOLD = {  # of which the functions themselves say what is wrong: arrays, random keys, and what is written
    "bias", "data", "diagonals", "encryption", "entries", "expected", "found", "key",
    "key_id", "keys.save_evaluation_keys", "obj", "options", "polynomial", "values", "weights",
    "secret.key_from_bytes",
}  # fmt: skip


def hints(name: str) -> dict[str, object]:
    found = typing.get_type_hints(PUBLIC[name])
    found.pop("return", None)
    return found


def members(hint: object) -> tuple[object, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def stand_in(hint: object) -> object:
    """Something that the annotation allows, with nothing in it."""
    kind = members(hint)[0]
    if isinstance(kind, typing.TypeVar):
        kind = kind.__constraints__[0]
    if kind in (int, float, bool, str, bytes):
        return kind(1)
    if typing.get_origin(kind) is collections.abc.Mapping:
        return {}
    if typing.get_origin(kind) is collections.abc.Callable:
        return print
    if kind is Scale:
        return Scale.of(1)
    return object.__new__(kind) if isinstance(kind, type) else ()


def checked(name: str) -> list[str]:
    return [p for p in hints(name) if p not in UNTOLD and f"{p}.{name}" not in UNTOLD]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_argument_is_compared_with_its_annotation(name):
    function, parameters = PUBLIC[name], inspect.signature(PUBLIC[name]).parameters
    right = {p: None if p in UNTOLD else stand_in(hint) for p, hint in hints(name).items()}
    for wrong in checked(name):
        arguments = {**right, wrong: object()}
        repeated = [
            arguments.pop(p)
            for p in list(arguments)
            if parameters[p].kind is inspect.Parameter.VAR_POSITIONAL
        ]
        arguments.pop("options", None)
        given = (arguments.pop("circuit"), *repeated) if repeated else ()
        with pytest.raises(
            TypeError, match=rf"^{name} was given an object as {wrong}; it needs .*Call it as {name}\("
        ):
            function(*given, **arguments)


@pytest.fixture(scope="module")
def things():
    params = ckks.insecure_parameters(16, 2)
    secret = ckks.secret_key(ckks.random_key(), params)
    values = np.linspace(-1, 1, params.slots)
    plaintext = ckks.encode(params, values)
    return types.SimpleNamespace(
        params=params,
        secret=secret,
        values=values,
        plaintext=plaintext,
        ciphertext=ckks.encrypt(ckks.random_key(), secret, plaintext),
        seeded=ckks.encryption.encrypt_seeded(ckks.random_key(), secret, plaintext),
        keys=ckks.evaluation_keys(ckks.random_key(), secret, relinearise=True, rotations=(1,)),
        estimate=ckks.estimate(params, values),
    )


def test_what_to_do_is_said(things):
    x, y = things.ciphertext, things.plaintext
    cases = [
        (lambda: ckks.multiply(None, x, x), "None stands for keys where estimates go through"),
        (lambda: ckks.multiply(things.secret, x, x), "A secret key stays with the client"),
        (lambda: ckks.multiply(x, x, things.keys), r"Call it as multiply\(keys, x, y\)"),
        (lambda: ckks.multiply(things.keys, x, y), "second argument of add, subtract and multiply_plain"),
        (lambda: ckks.multiply_plain(y, x), "encrypt it first|Encrypt it first"),
        (lambda: ckks.multiply_plain(x, x), "two ciphertexts are multiplied by multiply"),
        (lambda: ckks.add(x, 1.0), "add_scalar and multiply_scalar take one number for every slot"),
        (lambda: ckks.add(x, things.values), "Encode and encrypt numbers first"),
        (lambda: ckks.add(things.seeded, x), r"Expand it first: ckks\.encryption\.expand\(seeded\)"),
        (lambda: ckks.decode(x), "Decrypt it first"),
        (
            lambda: ckks.decrypt(things.secret, things.estimate),
            "an estimate cannot be decrypted|An estimate cannot",
        ),
        (lambda: ckks.decrypt(things.keys, x), "given EvaluationKeys as secret; it needs a SecretKey"),
        (
            lambda: ckks.add(things.estimate, x),
            "an estimate and a ciphertext; estimates go through a circuit by",
        ),
        (lambda: ckks.multiply(None, x, things.estimate), "an estimate and a ciphertext"),
        (
            lambda: ckks.encode(things.values, things.params),
            r"array of float64 \(16,\) as params; it needs Parameters",
        ),
        (
            lambda: ckks.encrypt(ckks.random_key(), None, y),
            "None as holder; it needs a SecretKey or a PublicKey",
        ),
        (lambda: ckks.rotate(things.keys, x, 1.5), "1.5 as steps; it needs an integer"),
        (lambda: ckks.drop_level(x, True), "True as level; it needs an integer"),
        (
            lambda: ckks.encode(things.params, things.values, level=1.0),
            "1.0 as level; it needs an integer or None",
        ),
        (lambda: ckks.add_scalar(x, 1j), "complex as value; it needs a real number or a Fraction"),
        (lambda: ckks.rotate_hoisted(things.keys, x, 1), "1 as steps; it needs several integers"),
        (lambda: ckks.rotate_hoisted(things.keys, x, [1, "2"]), "a list as steps; it needs several integers"),
        (
            lambda: ckks.evaluation_keys(ckks.random_key(), things.secret, rotations="12"),
            "needs several integers",
        ),
        (lambda: ckks.load(3), "3 as path; it needs a path"),
        (lambda: ckks.load("x", progress=1), "1 as progress; it needs a function or None"),
        (
            lambda: ckks.evaluation.match_scale(x, 1, "2"),
            "a str as scale; it needs a Scale or a positive number",
        ),
    ]
    for call, message in cases:
        with pytest.raises(TypeError, match=message) as found:
            call()
        assert str(found.value).endswith(".")


def test_estimates_in_lists_stand_for_ciphertexts(things):
    transform = ckks.linear_transform.linear_transform(things.params, {0: things.values})
    apply = ckks.linear_transform.apply_linear_transforms
    (found,) = apply(None, [things.estimate], [[transform]])
    np.testing.assert_allclose(found.values, things.values**2, atol=1e-4)
    with pytest.raises(TypeError, match="an estimate and a ciphertext"):
        apply(None, [things.estimate, things.ciphertext], [[transform, transform]])


def test_nothing_that_is_held_is_shown(things):
    for call in (lambda: ckks.negate(things.secret), lambda: ckks.decode(np.full(5, 12345.678))):
        with pytest.raises(TypeError) as found:
            call()
        assert "12345" not in str(found.value)
        assert "[" not in str(found.value)


def test_integers_and_scales_of_other_libraries_are_taken(things):
    x, keys = things.ciphertext, things.keys
    expected = ckks.rotate(keys, x, 1).data
    for steps in (np.int64(1), np.uint8(1), np.array(1), jnp.int32(1), 1 - 10**12 * 16, np.int64(1 + 2**40)):
        assert (ckks.rotate(keys, x, steps).data == expected).all()
    assert (ckks.rotate_hoisted(keys, x, np.array([1, 17]))[1].data == expected).all()
    assert type(ckks.drop_level(x, np.int32(1)).level) is int
    assert ckks.encode(things.params, things.values, level=np.int64(1), scale=np.float32(2**20)).level == 1
    made = ckks.evaluation_keys(ckks.random_key(), things.secret, rotations=np.array([3, 19]))
    assert len(made.rotations) == 1
    shifted = ckks.add_scalar(x, 0.5).data
    for value in (np.float32(0.5), np.array(0.5), jnp.float32(0.5), Fraction(1, 2), np.longdouble(0.5)):
        assert (ckks.add_scalar(x, value).data == shifted).all()


def test_what_decides_the_computation_cannot_be_traced(things):
    x = things.ciphertext
    calls = [
        lambda n: ckks.rotate(things.keys, x, n),
        lambda n: ckks.drop_level(x, n),
        lambda n: ckks.add_scalar(x, n),
        lambda n: ckks.encode(things.params, things.values, scale=n).data,
    ]
    for call in calls:
        with pytest.raises(TypeError, match=r"traced by JAX as .* JAX cannot trace it: close over it"):
            jax.jit(call)(1)


def test_doors_stand_open_for_transformations(things):
    x, keys = things.ciphertext, things.keys
    expected = ckks.multiply(keys, x, x).data
    assert (jax.jit(ckks.multiply)(keys, x, y=x).data == expected).all()
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), x)
    mapped = jax.vmap(ckks.multiply, in_axes=(None, 0, 0))(keys, stacked, stacked)
    assert all((row == expected).all() for row in mapped.data)
    jitted = jax.jit(ckks.drop_level, static_argnames="level")
    assert jitted(x, level=1).level == 1
    assert pickle.loads(pickle.dumps(ckks.multiply)) is ckks.multiply
    assert inspect.signature(ckks.rotate).parameters.keys() == {"keys", "ciphertext", "steps"}


def test_python_says_itself_what_is_missing_or_too_much(things):
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'y'"):
        ckks.multiply(things.keys, things.ciphertext)
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        ckks.negate(things.ciphertext, things.ciphertext)
    with pytest.raises(TypeError, match="unexpected keyword argument 'depth'"):
        ckks.drop_level(things.ciphertext, depth=1)
    with pytest.raises(TypeError, match="unsupported operand"):
        things.ciphertext + 1.0


def test_paths_of_every_kind_are_taken(things, tmp_path):
    for path in (str(tmp_path / "a"), tmp_path / "b", os.fspath(tmp_path / "c")):
        ckks.save(path, things.plaintext)
        assert (ckks.load(path, things.params).data == things.plaintext.data).all()
