"""Less than 128 bits of security takes one argument, insecure=True, and no other way leads there."""

import dataclasses
import inspect

import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks import BootstrappingParameters, Parameters, SecurityError
from fhejax.ckks.parameters import ParameterOptions, make_parameters
from fhejax.ring import Ring

SMALL = Ring(1024, True)
MAKERS = {
    "make_parameters": lambda **options: make_parameters(SMALL, 3, 26.0, ParameterOptions(**options)),
    "rational": lambda **options: make_parameters(SMALL, 3, 40, ParameterOptions(True, **options)),
    "for_depth": lambda **options: Parameters.for_depth(20, slots=1024, **options),
    "for_levels": lambda **options: BootstrappingParameters.for_levels(2, degree=2**11, **options),
}
NO_LEVELS = [
    0,
    -1,
    1,
    100,
    127,
    129,
    128.0,
    128.5,
    True,
    False,
    None,
    "128",
    [128],
    np.float64(128),
    np.bool_(True),
]
NO_FLAGS = [0, 1, None, "yes", 128, np.bool_(True), [True]]


@pytest.mark.parametrize("security", NO_LEVELS, ids=repr)
@pytest.mark.parametrize("maker", MAKERS)
def test_what_is_no_level_of_security_is_refused(maker, security):
    """Nor does it become one together with insecure=True."""
    for options in ({}, {"insecure": True}):
        with pytest.raises(
            SecurityError, match=r"security=.* was asked for; limits are known for 128, 192 and 256"
        ):
            MAKERS[maker](security=security, **options)


@pytest.mark.parametrize("insecure", NO_FLAGS, ids=repr)
@pytest.mark.parametrize("maker", MAKERS)
def test_what_merely_counts_as_true_permits_nothing(maker, insecure):
    with pytest.raises(ValueError, match=r"insecure=.* it is True or False"):
        MAKERS[maker](insecure=insecure)


@pytest.mark.parametrize("maker", ["make_parameters", "rational", "for_levels"])
def test_a_small_ring_takes_the_argument(maker):
    with pytest.raises(SecurityError, match="128-bit security was asked for at ring degree"):
        MAKERS[maker]()
    for security in (128, 192):
        found = MAKERS[maker](insecure=True, security=security)
        assert found.security == 0
        assert "INSECURE" in repr(found)


@pytest.mark.parametrize("security", [128, 192, 256, np.int64(192)])
def test_the_level_that_is_asked_for_is_reached(security):
    params = MAKERS["for_depth"](security=security)
    assert params.security >= security
    assert type(params.security) is int
    assert not params.insecure
    assert MAKERS["for_depth"](insecure=True).ring.degree == 2**12


def test_the_argument_is_there_where_parameters_are_made():
    for function in (Parameters.for_depth, BootstrappingParameters.for_levels, Parameters, ParameterOptions):
        assert inspect.signature(function).parameters["insecure"].default is False
    assert dataclasses.fields(Parameters)[-1].name == "insecure"


class TestTheLevelIsComputed:
    """From ring and modulus, and kept nowhere."""

    def test_it_cannot_be_given(self):
        params = ckks.insecure_parameters(1024, 3)
        with pytest.raises(TypeError, match="security"):
            dataclasses.replace(params, security=128)
        fields = [getattr(params, field.name) for field in dataclasses.fields(params)]
        with pytest.raises(ValueError, match="insecure=128 was given"):
            Parameters(*fields[:-1], 128)

    def test_it_is_that_of_the_table(self):
        for depth, level in ((1, 256), (6, 192), (9, 128)):
            params = make_parameters(Ring(2**14, True), [26.0] * depth, 26.0)
            assert params.security == level
            assert f"{level}-bit security" in repr(params)
        named = make_parameters(Ring(2**14, True), [26.0] * 9, 26.0, ParameterOptions(insecure=True))
        assert named.security == 128
        assert "128-bit security" in repr(named) and "INSECURE" not in repr(named)

    def test_insecure_ones_are_not_made_by_replacing(self):
        """The ring made smaller, more primes, and the argument taken away."""
        params = make_parameters(Ring(2**13, True), [26.0] * 5, 26.0)
        with pytest.raises(SecurityError, match="at ring degree 4096"):
            dataclasses.replace(params, ring=Ring(2**12, True))
        with pytest.raises(SecurityError, match="at ring degree 512, for which no limit is known"):
            dataclasses.replace(params, ring=Ring(2**9, True))
        with pytest.raises(SecurityError, match="at ring degree 1024"):
            dataclasses.replace(ckks.insecure_parameters(1024, 3), insecure=False)
        assert dataclasses.replace(params, ring=Ring(2**12, True), insecure=True).security == 0

    def test_a_ring_beyond_the_table_is_not_known_to_be_secure(self):
        with pytest.raises(SecurityError, match="no limit is known"):
            make_parameters(Ring(2**9, True), 0, 16.0, ParameterOptions(key_switching=False))
        params = make_parameters(
            Ring(2**9, True), 0, 16.0, ParameterOptions(key_switching=False, insecure=True)
        )
        assert params.security == 0


def test_files_are_checked_alike():
    """A mark of insecurity that was taken away is noticed, as is a level that is not reached."""
    params = ckks.insecure_parameters(1024, 2)
    data = ckks.files.to_bytes(params)
    with pytest.raises(ckks.files.FormatError, match="made with insecure=True"):
        ckks.files.from_bytes(data)
    assert ckks.files.from_bytes(data, allow_insecure=True) == params
    assert ckks.files.from_bytes(data, allow_insecure=True).insecure
    secure = Parameters.for_depth(2)
    assert not ckks.files.from_bytes(ckks.files.to_bytes(secure), allow_insecure=True).insecure


def test_permission_is_part_of_what_parameters_are():
    """Two that differ in it alone are not equal, nor do their keys go together."""
    first, second = (
        make_parameters(Ring(2**13, True), [26.0], 26.0, ParameterOptions(insecure=flag))
        for flag in (True, False)
    )
    assert first != second
    assert first.fingerprint != second.fingerprint
    assert first.moduli == second.moduli
