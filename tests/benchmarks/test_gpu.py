"""The script for a card, run without one on small sizes."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.gpu import __main__ as script
from benchmarks.gpu import checks, sections
from benchmarks.gpu.launches import kernels_of
from benchmarks.gpu.measuring import Row, Sheet, Wrong, require, shown, table
from benchmarks.gpu.sizes import CARD, DRY
from fhejax import ckks
from fhejax.ckks.parameters.parameters import twiddles_of

ROWS = {
    "device": ("copying", "one more kernel"),
    "costs": ("residues permuted (moved)", "kernels of a tile, counted and in the row"),
    "layouts": ("kernels, tiles of 4",),
    "operations": ("rotate",),
    "conversion": ("conversion on arrays", "by the kernel"),
    "launches": ("rotate, 10 in a row", "kernels of rotate: "),
    "mlp": ("small: 64 images",),
    "tiles": ("tiles: a training step", "tiles, steps and groups: [26, 1]"),
    "matrix": ("float64, tiles of 64",),
}


@pytest.mark.parametrize(
    "sections",
    [
        ("device", "costs", "layouts", "conversion"),
        pytest.param(("operations", "launches", "tiles", "mlp", "matrix"), marks=pytest.mark.nightly),
    ],
    ids=str,
)
def test_a_dry_run_checks_and_times_small_sizes(sections, capsys):
    assert script.main(["--dry-run", "--sections", "digests", *sections]) == 0
    printed = capsys.readouterr().out
    assert "digests, 0 of them not the CPU's." in printed
    assert all(row in printed for section in sections for row in ROWS[section])


def test_transforms_are_compared_with_butterflies(monkeypatch):
    sheet = Sheet(warm_up=True)
    sections.transforms(sheet, DRY)
    assert sheet.rows == []
    right = sections.METHODS["direct sums"].forward
    monkeypatch.setattr(
        sections.METHODS["direct sums"], "forward", lambda *given: right(*given) ^ jnp.uint32(1)
    )
    with pytest.raises(Wrong, match=r"ntt by direct sums differs at 2\^6, 3 x 2 limbs"):
        sections.transforms(sheet, DRY)


def test_a_failure_costs_its_section_alone(monkeypatch, capsys):
    def broken(sheet, sizes):
        sheet.time("half", lambda: jnp.zeros(1))
        raise RuntimeError("no card")

    monkeypatch.setitem(sections.SECTIONS, "transforms", broken)
    assert script.main(["--dry-run", "--sections", "transforms", "device"]) == 1
    printed = capsys.readouterr().out
    assert "transforms failed. RuntimeError: no card" in printed
    assert "half" in printed
    assert "one more kernel" in printed


def test_what_is_written_before_time_is_over_is_kept(monkeypatch, tmp_path):
    def killed(sheet, sizes):
        sheet.once("half", lambda: jnp.zeros(1))
        raise KeyboardInterrupt

    monkeypatch.setitem(sections.SECTIONS, "device", killed)
    with pytest.raises(KeyboardInterrupt):
        script.main(["--single", "device", "--out", str(tmp_path / "timed-device.json")])
    found = script.Processes(tmp_path, "cache").result("device", "timed")
    assert [row["what"] for row in found["rows"]] == ["half"]
    assert found["failure"] == "it had no time to end"
    assert found == json.loads((tmp_path / "timed-device.json").read_text())


def test_both_phases_on_this_machine(monkeypatch, capsys):
    """The processes' plumbing, with a stand-in for what they run."""

    class Done:
        def wait(self, timeout):
            return 0

    class Stand:
        def __init__(self, folder, cache):
            self.started = started

        def start(self, name, kind, **environment):
            self.started.append((name, kind))
            return Done()

        def result(self, name, kind):
            return {"rows": [], "notes": {"sum": "a" if kind == "cpu" else "b"}, "failure": None}

    started = []
    monkeypatch.setattr(script, "Processes", Stand)
    assert script.main(["--sections", "device", "digests"]) == 1
    assert started == [
        ("digests", "cpu"),
        ("digests", "warm-up"),
        ("device", "warm-up"),
        ("digests", "timed"),
        ("device", "timed"),
    ]
    assert "sum has not the CPU's bits." in capsys.readouterr().out
    started.clear()
    assert script.main(["--sections", "device", "--seconds", "1"]) == 1
    assert "device failed. no time was left for it" in capsys.readouterr().out
    assert ("device", "timed") not in started


def test_kernels_are_counted_with_the_turns_of_loops():
    def looped(x):
        return jax.lax.fori_loop(0, 7, lambda _, y: jnp.sort(y) + 1, x)

    x = jnp.arange(8.0)
    once = kernels_of(jax.jit(lambda x: jnp.sort(x) + 1).lower(x).compile().as_text())
    assert once >= 1
    assert 7 * once <= kernels_of(jax.jit(looped).lower(x).compile().as_text()) <= 7 * once + 14


def test_digests_are_compared_by_name_or_with_another_method():
    theirs = {"product, float64": "a", "sum": "b"}
    assert checks.differences({"product, float64": "a", "product, int8": "a", "sum": "b"}, theirs) == []
    assert checks.differences({"product, int8": "c", "sum": "c"}, theirs) == ["product, int8", "sum"]


def test_the_table_shows_units_and_leaves_out_what_is_unknown():
    assert [shown(x) for x in (None, 2.5, 0.0305, 27e-6)] == ["", "2.5 s", "30.5 ms", "27 us"]
    text = table([Row("transform", 27e-6, 0.5, None, 35e-6)])
    assert text.splitlines()[1].split() == ["transform", "27", "us", "35", "us", "500", "ms"]
    with pytest.raises(Wrong, match="no"):
        require(False, "no")


def test_sections_are_those_that_the_command_knows():
    assert tuple(sections.SECTIONS) == script.NAMES
    assert {shape.log_degree for shape in CARD.transforms} == {13, 16, 17}


@pytest.mark.nightly
def test_a_key_switch_has_the_same_bits_by_the_steps_of_the_kernels(monkeypatch):
    def found():
        params = ckks.insecure_parameters(16, 1, 28.0)
        first, second, third = (ckks.keys.key_from_bytes(bytes([number]) * 32) for number in (1, 2, 3))
        secret = ckks.secret_key(first, params)
        keys = ckks.evaluation_keys(second, secret, relinearise=True, rotations=(1,))
        x = ckks.encrypt(third, secret, ckks.encode(params, np.linspace(-1, 1, params.slots)))
        return twiddles_of(params).method, checks.digest(ckks.rotate(keys, ckks.multiply(keys, x, x), 1))

    method, expected = found()
    assert method == "one loop"
    monkeypatch.setattr(sys.modules["fhejax.ring.transform.ntt"], "chosen_method", lambda ring: "pallas")
    assert found() == ("pallas", expected)
