"""Bootstraps in alternation with a peer: a small ring of ours, and a peer of the tests' own."""

import dataclasses
import json
import pathlib
import sys

import numpy as np
import pytest

from benchmarks import bootstrapping
from benchmarks.peers import bootstrapping_pairs as pairs
from benchmarks.peers.bootstrapping_serving import PeerOptions, error_bits, message
from benchmarks.peers.environment import PEERS, Peer
from fhejax import ckks
from fhejax.ckks.bootstrapping import BootstrappingOptions

# With one thread a bootstrap of this peer takes a tenth of a second longer than with two.
SCRIPT = f"""
import os, sys, time
sys.path.insert(0, {str(PEERS)!r})
from bootstrapping_serving import Bootstrapper, answers, message
from serving import answer_lines

def prepare(degree, options):
    print("the library's own words")
    threads = int(os.environ["OMP_NUM_THREADS"])
    with open({{log!r}}, "a") as log:
        print(threads, file=log)
    expected = message(degree // 2)

    def bootstrap():
        time.sleep(0.1 / threads)
        return expected + {{error}}

    description = {{{{
        "library": "Peer",
        "threads": threads,
        "ring_dimension": degree,
        "log2_qp": {{modulus}},
        "levels_left": options.levels_left,
    }}}}
    return Bootstrapper(bootstrap, lambda result: result, expected, description)

answer_lines(answers(prepare))
"""
RING = bootstrapping.Arguments(log_degree=5, repeats=3)
# Those of tests/ckks/bootstrapping, which has compiled the kernels.
OPTIONS = BootstrappingOptions(
    ratio_bits=10,
    coefficients_to_slots=2,
    slots_to_coefficients=1,
    hamming_weight=4,
    polynomial_degree=15,
    double_angles=2,
)


@dataclasses.dataclass(frozen=True)
class Fake:
    """A peer's script, and where it notes what it was asked to prepare."""

    path: pathlib.Path
    log: pathlib.Path

    def start(self, threads: int) -> Peer:
        return Peer(sys.executable, self.path, threads)

    @property
    def prepared(self) -> list[str]:
        return self.log.read_text().split()


@pytest.fixture
def fake(tmp_path):
    def make(modulus: float = 1700.0, error: str = "2.0**-20") -> Fake:
        found = Fake(tmp_path / "peer.py", tmp_path / "log")
        found.path.write_text(SCRIPT.format(log=str(found.log), modulus=modulus, error=error))
        return found

    return make


@pytest.mark.nightly
def test_both_sides_are_compared(fake, capsys, monkeypatch):
    chosen = ckks.BootstrappingParameters.for_levels(1, degree=32, insecure=True, options=OPTIONS)
    monkeypatch.setattr(bootstrapping, "parameters", lambda _arguments: chosen)
    peer = fake()
    result = bootstrapping.compare(RING, peer.start)
    ours, theirs = result["sides"]["fhejax"], result["sides"]["Peer"]
    assert peer.prepared == ["1", "2"]  # the faster one stays
    assert theirs["threads"] == 2
    assert set(result["trials"]) == {"1 threads", "2 threads"}
    assert len(ours["seconds"]["every"]) == len(theirs["seconds"]["every"]) == 3
    assert theirs["precision_bits"] == pytest.approx({"mean": 20.5, "worst": 20.0})  # real parts alone
    assert ours["precision_bits"]["mean"] > ours["precision_bits"]["worst"] > 8
    assert (ours["levels_left"], theirs["levels_left"]) == (1, 5)
    assert theirs["seconds_for_each_level"] == theirs["seconds"]["median"] / 5
    ratio, each = result["ratio"]["seconds"], result["ratio"]["seconds_for_each_level"]
    assert 0 < ratio["low"] < ratio["ratio"] < ratio["high"]
    assert each == pytest.approx({name: 5 * value for name, value in ratio.items()})
    assert min(side["peak_bytes"] for side in (ours, theirs)) > 2**20
    json.dumps(result, allow_nan=False)
    pairs.print_comparison(result)
    printed = capsys.readouterr().out
    assert "20.5 and 20.0" in printed
    assert "ratio of seconds for each level" in printed


def test_the_faster_number_of_threads_is_prepared_again(fake):
    peer = fake()
    with pairs.running_peer(peer.start, 32, PeerOptions(), (2, 1)) as running:
        assert running.description["threads"] == 2
        assert running.trials[2] < running.trials[1]
        assert running.measure()["seconds"] >= 0.05
    assert peer.prepared == ["2", "1", "2"]


def test_one_number_of_threads_needs_no_trial(fake):
    peer = fake()
    with pairs.running_peer(peer.start, 32, PeerOptions(levels_left=7), (1,)) as running:
        assert running.trials == {}
        assert running.description["levels_left"] == 7
    assert peer.prepared == ["1"]


def test_a_peer_that_is_wrong_is_not_timed(fake):
    peer = fake(error="0.1")
    with (
        pytest.raises(RuntimeError, match="ended while"),
        pairs.running_peer(peer.start, 32, PeerOptions(), (1, 2)),
    ):
        pass


def test_a_peer_outside_the_limit_is_refused(fake):
    arguments = dataclasses.replace(RING, log_degree=16, threads=(2,))
    with pytest.raises(ValueError, match=r"OpenFHE has N = 65536 and log2 QP = 1747\.0"):
        bootstrapping.compare(arguments, fake(modulus=1747).start)


@pytest.mark.parametrize(
    ("changes", "words"), [({"repeats": 1}, "no interval"), ({"log_slots": 3}, "all slots")]
)
def test_what_cannot_be_compared_is_refused(changes, words):
    with pytest.raises(SystemExit, match=words):
        bootstrapping.compare(dataclasses.replace(RING, **changes))


def test_sides_take_turns_at_being_the_first_of_a_pair():
    order = []

    def side(name: str) -> pairs.Measure:
        return lambda: order.append(name) or {"side": name}

    found = pairs.take_pairs(side("ours"), side("theirs"), 3)
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert [(ours["side"], theirs["side"]) for ours, theirs in found] == [("ours", "theirs")] * 3


def test_precision_is_counted_as_ours_is():
    expected = message(64)
    noise = np.random.default_rng(1).normal(0, 1e-4, (2, 64))
    found = expected + noise[0] + 1j * noise[1]
    precision = ckks.precision(found, expected)
    assert error_bits(found, expected) == pytest.approx({"mean": precision.mean, "worst": precision.minimum})
    with pytest.raises(AssertionError, match=r"shape \(63,\)"):
        error_bits(found[1:], expected)
    with pytest.raises(AssertionError, match="is wrong"):
        error_bits(expected + 0.1, expected)
    with pytest.raises(AssertionError, match="is wrong"):
        error_bits(expected * np.nan, expected)


def test_both_sides_get_the_same_message():
    chosen = bootstrapping.parameters(RING)
    np.testing.assert_array_equal(bootstrapping.message(chosen), message(chosen.params.slots))
