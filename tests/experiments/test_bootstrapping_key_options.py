"""Keys of the bootstrapping experiment: fewer of them, and through a file, with a bar for each key."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

from experiments import bootstrapping, bootstrapping_plan, bootstrapping_table, pipeline
from fhejax import ckks
from fhejax.ckks.bootstrapping import BootstrappingOptions, bootstrapping_circuit

# Those of the test of the whole experiment, with which kernels are shared.
OPTIONS = BootstrappingOptions(
    hamming_weight=2, double_angles=1, coefficients_to_slots=1, slots_to_coefficients=1
)


@pytest.fixture(scope="module")
def chosen() -> ckks.BootstrappingParameters:
    options = dataclasses.replace(OPTIONS, minimum_keys=True)
    return ckks.BootstrappingParameters.for_levels(1, degree=2**9, slots=2**6, insecure=True, options=options)


@pytest.fixture(scope="module")
def circuit(chosen):
    return bootstrapping_circuit(chosen)


@pytest.fixture
def bars(monkeypatch):
    """What each bar was told."""
    seen: dict[str, list[tuple[int, int]]] = {}
    counter = pipeline.counter

    class Recorded:
        def __init__(self, what):
            self.what, self.bar = what, counter(what)

        def __enter__(self):
            progress = self.bar.__enter__()

            def both(done, total):
                seen.setdefault(self.what, []).append((done, total))
                progress(done, total)

            return both

        def __exit__(self, *error):
            return self.bar.__exit__(*error)

    monkeypatch.setattr(pipeline, "counter", Recorded)
    return seen


@pytest.mark.nightly
def test_keys_through_a_file_are_whole(circuit, tmp_path, bars):
    secret, keys = bootstrapping.store_keys(circuit, tmp_path / "keys")
    rows = bootstrapping_plan.keys_by_level(circuit.parameters)
    total = sum(len(row["keys"]) for row in rows)
    assert bars["keys written"] == [(number, total) for number in range(1, total + 1)]
    assert bars["keys read"][-1] == (total, total)
    frames = (total + 1) * (128 + 32)
    assert (tmp_path / "keys").stat().st_size == frames + sum(row["wire"] for row in rows)
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(keys)) - circuit.nbytes
    assert sum(row["memory"] for row in rows) == held - 16 * (1 + total)  # of identities
    inputs = bootstrapping.make_inputs(circuit.parameters)
    found = ckks.bootstrap(keys, bootstrapping.encrypt(secret, circuit.parameters, inputs.values))
    assert bootstrapping.bits(pipeline.decrypt(secret, found), inputs.values)["mean"] > 20


def test_a_bar_for_keys_in_memory(circuit, bars):
    bootstrapping.make_keys(circuit)
    total = sum(len(row["keys"]) for row in bootstrapping_plan.keys_by_level(circuit.parameters))
    assert bars == {"keys made": [(number, total) for number in range(1, total + 1)]}


def test_the_bar_says_how_many(capsys):
    with pipeline.counter("keys made") as progress:
        for number in range(1, 4):
            progress(number, 3)
    assert "keys made" in capsys.readouterr().err


def test_the_table_names_every_key():
    many = bootstrapping.choose(bootstrapping.Arguments())
    few = bootstrapping.choose(bootstrapping.Arguments(minimum_keys=True))
    assert few.params == many.params and few.minimum_keys
    for chosen in (many, few):
        found = bootstrapping_plan.describe(chosen)
        rows = found["keys"]
        assert sum(row["wire"] for row in rows) == pytest.approx(found["bytes"]["keys_on_the_wire"], rel=1e-2)
        text = bootstrapping_table.parameters(found, 10**10)
        assert max(map(len, text.splitlines())) <= 100
        section = text[text.index("from the sparse secret") : text.index("matrices  ")]
        numbers = {int(word) for word in section.replace(",", " ").split() if word.lstrip("-").isdigit()}
        assert set(chosen.manifest.rotations) <= numbers
        assert "relinearise, conjugate" in section
    assert few.key_bytes.memory < 0.41 * many.key_bytes.memory


def test_the_option_reaches_the_keys(monkeypatch, circuit, tmp_path):
    """`--keys-to` goes through the file, and nothing else does."""
    called = []

    class Stop(Exception):
        pass

    def stored(circuit, path):
        called.append(path)
        raise Stop

    monkeypatch.setattr(bootstrapping, "store_keys", stored)
    inputs = bootstrapping.make_inputs(circuit.parameters)
    arguments = bootstrapping.Arguments(repeats=1, keys_to=tmp_path / "keys")
    with pipeline.stages(9) as timed, pytest.raises(Stop):
        bootstrapping.measure(circuit, inputs, arguments, timed)
    assert called == [tmp_path / "keys"]
    np.testing.assert_array_equal(inputs.values, bootstrapping.make_inputs(circuit.parameters).values)


def test_a_disk_without_room_is_found_before_keys_are_made(chosen, tmp_path, monkeypatch, capsys):
    path = tmp_path / "keys"
    bootstrapping_plan.check_disk(chosen, path)
    bootstrapping_plan.check_disk(chosen, None)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**6, 10**6 - 5, 5))
    with pytest.raises(SystemExit, match=f"take {chosen.key_bytes.wire:,} bytes, and 5 are free"):
        bootstrapping.run(chosen, bootstrapping.Arguments(cache=None, keys_to=path))
    assert "from the sparse secret" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no folder"):
        bootstrapping.main(bootstrapping.Arguments(cache=None, keys_to=tmp_path / "missing" / "keys"))
