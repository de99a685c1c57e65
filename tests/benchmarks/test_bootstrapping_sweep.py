"""The sweep's own logic: what is drawn, what is judged, and what a second run leaves out."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from benchmarks import bootstrapping_sweep as sweep
from benchmarks.bootstrapping_cases import Case, bad_cases, good_groups, make_case

BATCH = 4
OPTIONS = {"degree": 64, "hamming_weight": 8, "ratio_bits": 10, "slots": 16}
CASE = make_case(1, OPTIONS, 0)


def observation(case: Case = CASE, noise: float = 1.0) -> sweep.Observation:
    """As predicted, but for noise that is larger by a factor."""
    chosen, generator = case.parameters, np.random.default_rng(0)
    values = sweep._values(case, BATCH)
    shape = (sweep.DRAWS, *values.shape)
    overflows, others = (generator.integers(-1, 2, (2, *s)) for s in (values.shape, shape))
    parts = generator.normal(size=(2, *values.shape)) * noise * 2.0**-30
    reduced = sweep._reduced(chosen, overflows, values)
    predicted = sweep._reduced(chosen, others, np.broadcast_to(values, shape))
    deviation = np.full(shape, 2.0**-30)
    found = reduced + parts[0] + 1j * parts[1]
    return sweep.Observation(values, found, reduced, predicted, deviation, 0.0, overflows, True)


@pytest.mark.nightly
def test_groups_share_their_parameters():
    groups = list(good_groups(2, 4))
    assert groups == list(good_groups(2, 4))
    for group in groups:
        assert len({case.parameters.params for case in group}) == 1
    names = [case.name for case in itertools.chain(*groups, bad_cases())]
    assert len(set(names)) == len(names)
    assert list(good_groups(1, 4, seed=1)) != groups[:1]


def test_what_is_predicted_is_within():
    row = sweep.judge(CASE, observation())
    assert row["wrong"] == []
    assert abs(row["noise_bits"] - 30) < 0.3
    assert row["predicted_noise_bits"] == 30


@pytest.mark.parametrize(("noise", "wrong"), [(8, ["noise", "worst noise"]), (0.3, ["noise"])])
def test_other_noise_is_not(noise, wrong):
    assert set(sweep.judge(CASE, observation(noise=noise))["wrong"]) == set(wrong)


def test_every_check_can_fail():
    seen = observation()

    def wrong(**changes: object) -> list[str]:
        return sweep.judge(CASE, dataclasses.replace(seen, **changes))["wrong"]

    spike = np.zeros_like(seen.found)
    spike[0, 0] = 2.0**-26
    bound = CASE.parameters.bound
    assert wrong(same=False) == ["level or scale"]
    assert wrong(overflows=seen.overflows + bound) == ["overflow"]
    assert wrong(found=seen.found + spike) == ["worst noise"]
    assert "polynomial" in wrong(reduced=seen.reduced + 2.0**-12)
    assert "total" in wrong(found=seen.found + 2.0**-16)
    assert wrong(predicted=seen.predicted + 2.0**-16) == ["prediction"]


@pytest.mark.parametrize(("share", "wrong"), [(1.0, []), (0.0, ["prediction"])])
def test_rounding_of_matrices_counts_once(share, wrong):
    """It is in the values of an estimate, and in its deviation."""
    noise = np.random.default_rng(1).normal(size=(sweep.DRAWS, BATCH, 32)) * 1.3 * 2.0**-14
    seen = observation(noise=2.0**16)
    drawn = {"predicted": seen.predicted + noise * (1 + 1j), "deviation": np.full(noise.shape, 2.0**-14)}
    assert sweep.judge(CASE, dataclasses.replace(seen, **drawn, encoding=share))["wrong"] == wrong


def test_errors_that_do_not_depend_on_overflows():
    """Where all overflows give the same error, its variance is zero, and not below by rounding."""
    options = {"polynomial_degree": 45, "ratio_bits": 6, "hamming_weight": 4, "slots": 32}
    case = make_case(1, OPTIONS | options, 0)
    assert sweep.judge(case, observation(case))["wrong"] == []
    _, error = sweep._expected_square(case.parameters, sweep._values(case, BATCH))
    assert 0 <= error < 1e-9


def test_a_refusal_is_a_row():
    row = sweep.run(make_case(1, OPTIONS | {"hamming_weight": 65}, 0))
    assert row["outcome"] == "refused"
    assert "hamming_weight is a whole number from 1 to 64" in row["sentence"]


def test_a_second_run_goes_on(tmp_path, monkeypatch, capsys):
    """What the file holds is not run again."""
    ran = []

    def run_all(groups: list[list[Case]], processes: int) -> list:
        ran.append(len(groups))
        return [[{"case": c.name, "outcome": "within", "wrong": [], **numbers} for c in g] for g in groups]

    def save(name: str, values: dict) -> None:
        (tmp_path / f"{name}.json").write_text(json.dumps(values))

    numbers = {"noise_bits": 30.0, "predicted_noise_bits": 30.1}
    monkeypatch.setattr(sweep, "RESULTS", tmp_path)
    monkeypatch.setattr(sweep, "write_result", save)
    monkeypatch.setattr(sweep, "_run_all", run_all)
    monkeypatch.setenv("XLA_FLAGS", "")
    for groups in (1, 1, 2):
        sweep.main(sweep.Arguments(groups=groups, size=2))
    assert ran == [2, 0, 1]
    rows = json.loads((tmp_path / f"{sweep.NAME}.json").read_text())["rows"]
    assert len(rows) == len(bad_cases()) + sum(map(len, good_groups(2, 2)))
    assert "-0.10 bits off its prediction in the median" in capsys.readouterr().out
