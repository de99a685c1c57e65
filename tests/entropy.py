"""Entropy that repeats: each test and fixture draws its keys from a stream of its own name.

A test of noise holds for most secrets, not for all: in a ring of 32 slots the error of one secret in thirty
is twice the predicted one. With the operating system's entropy, a suite of thousands of tests would fail now
and then for no reason. So `secrets.token_bytes`, from which fhejax makes every key, is a hash of the test's
name and a count, and a run can be repeated. `FHEJAX_TEST_ENTROPY=1` (or 2, ...) draws from other streams, and
`fresh` leaves the operating system's. Processes that a test starts always have the operating system's.
"""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

STREAM = os.environ.get("FHEJAX_TEST_ENTROPY", "0")


@contextlib.contextmanager
def entropy_of(name: str) -> Iterator[None]:
    """Draw from the stream of a name, from its beginning.

    Args:
        name: of a test, a fixture or a file.
    """
    if STREAM == "fresh":
        yield
        return
    count = iter(range(2**62))

    def token_bytes(nbytes: int | None = None) -> bytes:
        return hashlib.shake_256(f"{STREAM} {next(count)} {name}".encode()).digest(
            32 if nbytes is None else nbytes
        )

    with mock.patch.object(secrets, "token_bytes", token_bytes):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """What a file draws as it is imported."""
    with entropy_of(collector.nodeid):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Iterator[None]:
    """What a fixture draws, whichever test is the first to ask for it."""
    with entropy_of(f"{request.node.nodeid}::{fixturedef.argname}::{request.param_index}"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """What a test itself draws."""
    with entropy_of(item.nodeid):
        return (yield)
