"""Programs planned in parameters that are given: one secret for several, levels, and what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fhejax as fhe
from fhejax import ckks
from fhejax.ckks import SecurityError
from fhejax.program.levels.plan import TooDeepError

WEIGHTS = (np.random.default_rng(0).normal(size=(4, 3)) / 2).astype(np.float32)
SAMPLES = np.random.default_rng(1).uniform(-1, 1, (8, 4))
ARGUMENT = fhe.Encrypted((8, 4))


def shallow(x):
    return jnp.square(x @ WEIGHTS)


def deep(x):
    return jnp.square(shallow(x) + 0.25) @ WEIGHTS.T


def compiled(function, *arguments, **options):
    return fhe.compile(function, *(arguments or (ARGUMENT,)), device="cpu", **options)


@pytest.fixture(scope="module")
def first():
    return compiled(deep, insecure_log_degree=8, bootstrapping=False)


@pytest.fixture(scope="module")
def second(first):
    return compiled(shallow, parameters=first.params, insecure=True)


@pytest.fixture(scope="module")
def made(first):
    return first.keygen()


def error_of(program, secret, keys, values):
    """The root mean square error of the first result, over the predicted one."""
    found = program.decrypt(secret, program(keys, program.encrypt(secret, values)))
    difference = np.asarray(found) - np.asarray(program.clear(values))
    return np.sqrt(np.mean(difference**2)) / program.plan.predicted_errors[0]


def test_two_programs_share_a_secret(first, second, made):
    """For the second only evaluation keys are made; what each encrypts, the other's client opens."""
    secret, keys = made
    assert second.params == first.params
    assert error_of(first, secret, keys, SAMPLES) < 2
    own = second.evaluation_keys(secret)
    encrypted = second.encrypt(secret, SAMPLES)
    np.testing.assert_allclose(
        second.decrypt(secret, second(own, encrypted)), second.clear(SAMPLES), atol=1e-3
    )


def test_halves_that_were_saved_share_it_too(second, made, tmp_path):
    second.save_server(tmp_path / "server")
    second.save_client(tmp_path / "client")
    server = fhe.load_server(tmp_path / "server", allow_insecure=True)
    client = fhe.load_client(tmp_path / "client", allow_insecure=True)
    secret, _ = made
    result = server(client.evaluation_keys(secret), client.encrypt(secret, SAMPLES))
    np.testing.assert_allclose(client.decrypt(secret, result), second.clear(SAMPLES), atol=1e-3)


def test_a_kept_random_key_makes_the_same_evaluation_keys(first, made):
    random = ckks.random_key()
    one, other = (first.evaluation_keys(made[0], random=random) for _ in range(2))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_secret_of_other_parameters_is_refused(second):
    params = ckks.insecure_parameters(256, 3)
    with pytest.raises(ValueError, match="the secret key was made for"):
        second.evaluation_keys(ckks.secret_key(ckks.random_key(), params))


def test_the_parameters_that_the_search_found_give_its_plan_again(first):
    again = compiled(deep, parameters=first.params, insecure=True)
    assert again.plan == first.plan
    assert jax.tree.structure(again) == jax.tree.structure(first)
    assert "given as parameters=" in again.report()
    assert "given as parameters=" not in first.report()


@pytest.mark.parametrize("options", [{}, {"rational": True}], ids=["two primes a level", "rational levels"])
def test_larger_parameters_are_right_too(options):
    """Levels of 40 bits in the ring of complex slots, of which the program takes the lowest."""
    params = ckks.insecure_parameters(256, 8, 40, real=False, **options)
    program = compiled(deep, parameters=params, insecure=True)
    assert program.plan.top_level < params.depth
    assert f"8 levels, the lowest {program.plan.top_level} used; given" in program.report()
    assert 0.3 < error_of(program, *program.keygen(), SAMPLES) < 2


def test_fresh_ciphertexts_begin_as_low_as_they_can(first):
    params = ckks.insecure_parameters(256, 9, 30)
    one, other = (compiled(f, parameters=params, insecure=True) for f in (shallow, deep))
    assert one.plan.top_level < other.plan.top_level < 9
    assert other.client.level == other.plan.top_level
    assert 0.3 < error_of(other, *other.keygen(), SAMPLES) < 2


@pytest.mark.parametrize("packing", ["multiplexed", "planes"])
def test_one_sample_or_image_at_a_time(packing):
    kernel = np.random.default_rng(2).normal(size=(3, 3, 1, 2)).astype(np.float32) / 3

    def convolved(x):
        axes = ("NHWC", "HWIO", "NHWC")
        return jnp.square(jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=axes))

    params = ckks.insecure_parameters(128, 6, 30)
    argument = fhe.Encrypted((2, 8, 8, 1))
    program = compiled(convolved, argument, packing=packing, parameters=params, insecure=True)
    image = np.random.default_rng(3).uniform(-1, 1, argument.shape)
    assert 0.3 < error_of(program, *program.keygen(), image) < 2


def test_plain_arguments_are_lowered_from_the_same_level():
    params = ckks.insecure_parameters(256, 7, 30)
    arguments = ARGUMENT, fhe.Plain((4, 3), range=(-1, 1))
    program = compiled(lambda x, w: jnp.square(x @ w), *arguments, parameters=params, insecure=True)
    secret, keys = program.keygen()
    result = program(keys, program.encrypt(secret, SAMPLES), WEIGHTS / 2)
    np.testing.assert_allclose(program.decrypt(secret, result), (SAMPLES @ WEIGHTS / 2) ** 2, atol=1e-2)


def test_too_few_levels_and_too_little_precision_are_told():
    short = ckks.insecure_parameters(256, 1, 26)
    with pytest.raises(TooDeepError, match=r"2 times .* at least \d+ levels .* have 1 levels of 26 bits"):
        compiled(deep, parameters=short, insecure=True)
    coarse = ckks.insecure_parameters(256, 6, 22)
    with pytest.raises(TooDeepError, match=r"keep 40 bits; the parameters .*.the best leave \d+"):
        compiled(deep, parameters=coarse, insecure=True, precision_bits=40)


def test_parameters_without_a_special_modulus_serve_what_needs_no_keys():
    bare = ckks.insecure_parameters(256, 6, 26, key_switching=False)
    assert compiled(shallow, parameters=bare, insecure=True).plan.key_manifest.levels == {}
    with pytest.raises(TooDeepError, match="no special modulus"):
        compiled(deep, parameters=bare, insecure=True)


def test_less_security_needs_the_insecure_name(first):
    with pytest.raises(SecurityError, match="given as parameters= reach 0 bits"):
        compiled(shallow, parameters=first.params)
    secure = ckks.Parameters.for_depth(2, slots=16)
    with pytest.raises(SecurityError, match="256-bit security was asked for"):
        compiled(shallow, parameters=dataclasses.replace(secure), security=256)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"parameters": 3}, TypeError, "they are of ckks.Parameters"),
        ({"insecure_log_degree": 8}, ValueError, "leave the second out"),
        ({"carry": 0}, ValueError, "bootstrapping= in place of parameters="),
    ],
)
def test_what_does_not_go_with_parameters(first, options, error, said):
    with pytest.raises(error, match=said):
        compiled(shallow, **{"parameters": first.params, **options})


def test_parameters_of_bootstraps_are_named_otherwise(first):
    chosen = ckks.BootstrappingParameters.for_levels(3, degree=128, slots=64, scale_bits=40, insecure=True)
    with pytest.raises(TypeError, match="pass them as bootstrapping="):
        compiled(shallow, parameters=chosen)
    with pytest.raises(ValueError, match="leave parameters= out"):
        compiled(shallow, parameters=first.params, bootstrapping=chosen)
    program = compiled(shallow, parameters=chosen.params, insecure=True)
    assert program.plan.top_level <= chosen.output_level
    assert 0.3 < error_of(program, *program.keygen(), SAMPLES) < 2
