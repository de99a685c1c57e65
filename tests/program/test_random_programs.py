"""Sixty random networks, some encrypted: within the promise or refused, never wrong in silence.

`python -m benchmarks.random_programs` runs thousands, and a failing one alone by `--only SEED`.
"""

import dataclasses
import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import random_verdicts
from benchmarks.random_layers import KINDS
from benchmarks.random_networks import make_example, root_mean_square, scoped
from benchmarks.random_programs import finished, summary
from benchmarks.random_verdicts import (
    CLEAR,
    CRASHED,
    FAILURES,
    OUTSIDE,
    PASSED,
    REFUSED,
    REFUSED_WRONGLY,
    SIMULATED,
    Verdict,
    judge,
    judge_simulation,
    tolerance_bits,
)

EXAMPLES = range(60)
# Each compiles kernels of its own for seconds, so that half are of the night; the script encrypts all.
ENCRYPTED = [*range(2, 60, 10), *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(7, 60, 10))]


def check(verdict):
    """No failure, whatever weights come with the call."""
    assert verdict.outcome not in FAILURES, f"{verdict.sentence}; {verdict.description}"


@pytest.mark.parametrize("seed", ENCRYPTED)
def test_an_encrypted_program_keeps_its_promise_or_is_refused(seed):
    check(judge(make_example(seed)))


@pytest.mark.parametrize("seed", EXAMPLES)
def test_a_simulated_program_keeps_its_promise_or_is_refused(seed):
    check(judge_simulation(make_example(seed)))


def test_no_well_conditioned_program_is_refused():
    verdicts = [judge_simulation(make_example(seed)) for seed in EXAMPLES]
    assert not any(v.outcome == REFUSED_WRONGLY for v in verdicts), summary(verdicts)


def test_examples_are_made_again_by_their_seed():
    first, again = make_example(3), make_example(3)
    assert str(first) == str(again)
    assert all(np.array_equal(x, y) for x, y in zip(first.data(), again.data(), strict=True))
    assert not np.array_equal(first.data(0)[0], first.data(1)[0])


def test_examples_have_all_kinds_of_layers_types_and_arguments():
    examples = [make_example(seed) for seed in range(300)]
    assert {layer.kind for e in examples for layer in e.layers} == set(KINDS)
    assert {e.dtype for e in examples} == {"float16", "bfloat16", "float32", "float64"}
    assert {len(e.outputs) for e in examples} == {1, 2, 3}
    assert any(a.batch_axis is None for e in examples for a in e.arguments)
    assert any(e.plain for e in examples)
    largest = [max(map(abs, e.arguments[0].range)) for e in examples]
    assert min(largest) < 1e-8
    assert max(largest) > 2.0**48


@pytest.mark.parametrize("seed", range(20))
def test_the_function_and_its_reference_are_the_same(seed):
    example = make_example(seed)
    example = dataclasses.replace(example, dtype="float64")
    values = [*example.data(), *(v.astype(np.float64) for v in example.plain_values)]
    weights = tuple(dataclasses.replace(w, values=w.values.astype(np.float64)) for w in example.weights)
    with scoped(example):
        example = dataclasses.replace(example, weights=weights)
        results = example.function(*(jnp.asarray(v) for v in values))
    results = [results] if len(example.outputs) == 1 else results
    bounds = 2.0 ** (example.condition_bits() - 40)
    for found, wanted, size in zip(results, example.reference(example.data()), example.sizes(), strict=True):
        assert root_mean_square(np.asarray(found) - wanted) <= max(bounds, 1e-9) * max(
            size, root_mean_square(wanted)
        )


def test_tolerance_is_for_few_numbers():
    assert tolerance_bits(1) > 1.9
    assert tolerance_bits(10_000) < 0.3


def _wrong(example, name, factor):
    """Results of which one is off."""

    def results(program, example):
        exact = example.reference(example.data())
        found = {"clear": exact, "simulated": exact, "decrypted": exact}
        return found | {name: [factor * value for value in exact]}

    return results


@pytest.mark.parametrize(
    ("name", "outcome"), [("clear", CLEAR), ("simulated", SIMULATED), ("decrypted", OUTSIDE)]
)
def test_what_is_outside_the_promise_is_seen(monkeypatch, name, outcome):
    example = make_example(3)
    monkeypatch.setattr(random_verdicts, "compiled", lambda example: None)
    for factor, expected in [(1 + 4 * 2.0**-example.precision_bits, outcome), (1.0, PASSED)]:
        monkeypatch.setattr(random_verdicts, "encrypted_results", _wrong(example, name, factor))
        assert judge(example).outcome == expected


@pytest.mark.parametrize(
    ("error", "outcome"), [(ValueError("too wide"), REFUSED_WRONGLY), (TypeError("oops"), CRASHED)]
)
def test_refusals_and_crashes_are_told_apart(monkeypatch, error, outcome):
    def refuse(example):
        raise error

    monkeypatch.setattr(random_verdicts, "compiled", refuse)
    verdict = judge(make_example(3))
    assert verdict.outcome == outcome
    assert str(error) in verdict.sentence


def test_a_stopped_run_goes_on_after_its_last_whole_line(tmp_path):
    verdict = Verdict(5, REFUSED, "why", 1.0, 8.0, math.nan, math.nan, math.nan, 0.1, "what")
    file = tmp_path / "verdicts.jsonl"
    line = json.dumps(dataclasses.asdict(verdict))
    file.write_text(f"{line}\n{line[:20]}")
    assert set(finished(file)) == {5}
    assert file.read_text() == f"{line}\n"
    assert finished(tmp_path / "none.jsonl") == {}


def test_the_summary_says_how_to_run_what_failed_again():
    rows = [
        Verdict(n, o, "why", 1.0, 8.0, 9.0, 9.5, 9.5, 0.1, "what") for n, o in enumerate((PASSED, OUTSIDE))
    ]
    text = summary(rows)
    assert "python -m benchmarks.random_programs --only 1\n" in text
    assert "--only 0\n" not in text
    assert text.endswith("1 of 2 examples failed")
