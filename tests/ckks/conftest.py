"""Keys on a small ring of each kind, shared by the tests: insecure, and compiled once."""

import pytest
from schemes import Scheme, make_scheme

from fhejax import ckks
from fhejax.ckks import Parameters


@pytest.fixture(scope="session")
def insecure_real() -> Scheme:
    """Four levels in the conjugate-invariant ring of degree 256."""
    return make_scheme(ckks.insecure_parameters(256, 4))


@pytest.fixture(scope="session")
def insecure_complex() -> Scheme:
    """Four levels in the standard ring of degree 256."""
    return make_scheme(ckks.insecure_parameters(256, 4, real=False))


@pytest.fixture(scope="session", params=["real", "complex"])
def insecure(request: pytest.FixtureRequest) -> Scheme:
    return request.getfixturevalue(f"insecure_{request.param}")


@pytest.fixture(scope="session")
def secure() -> Scheme:
    """128-bit security, two levels: N = 2**13."""
    return make_scheme(Parameters.for_depth(2, slots=4096, precision_bits=14))
