"""The comparison of approximations, its numbers against independent ones, in a small insecure ring."""

import json

import matplotlib.image
import numpy as np
import pytest

from experiments import (
    approximations,
    approximations_methods,
    approximations_picture,
    approximations_table,
    pipeline,
)
from experiments.approximations_methods import LOW_DEGREES, METHODS, TARGETS
from fhejax import approx, ckks

REFERENCES = {  # values and slopes, by other formulas than those of the experiment
    "relu": (lambda x: (x + abs(x)) / 2, lambda x: (1 + np.sign(x)) / 2),
    "sigmoid": (lambda x: (1 + np.tanh(x / 2)) / 2, lambda x: 1 / (4 * np.cosh(x / 2) ** 2)),
    "tanh": (lambda x: np.sinh(x) / np.cosh(x), lambda x: np.cosh(x) ** -2),
}
TABLE_WIDTH = 100


@pytest.fixture(scope="module")
def fits():
    return {name: approximations_methods.fit_all(target) for name, target in TARGETS.items()}


@pytest.fixture(scope="module")
def rows(fits):
    return {
        name: [approximations.describe_fit(fit, target) for fit in fits[name]]
        for name, target in TARGETS.items()
    }


def value_and_slope(coefficients, bound, x):
    """sum c_k T_k(x / bound) and its derivative, by T_k = cos k t and T_k' = k sin k t / sin t."""
    angles, orders = np.arccos(x / bound)[:, None], np.arange(len(coefficients))
    value = np.cos(orders * angles) @ coefficients
    return value, (orders * np.sin(orders * angles) / np.sin(angles)) @ coefficients / bound


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.nightly) if n in ("relu", "sigmoid") else n for n in TARGETS]
)
def test_errors_in_the_clear(fits, rows, name):
    target = TARGETS[name]
    # Dense at both ends, but neither they nor 0: there t -> 0, and ReLU's slope is a matter of convention.
    even = np.linspace(-1, 1, 20_000)[1:-1]
    x = target.bound * np.concatenate([even, np.sin(np.pi / 2 * even)])
    value, slope = (reference(x) for reference in REFERENCES[name])
    np.testing.assert_allclose(target.evaluate(x), value, rtol=0, atol=1e-14)
    for fit, row in zip(fits[name], rows[name], strict=True):
        if fit.approximation is None or fit.is_composite:
            continue
        found, steep = value_and_slope(fit.approximation.coefficients, target.bound, x)
        error = found - value
        uniform = error[: len(even)]
        assert row["error"] == pytest.approx(abs(error).max(), rel=2e-3)
        assert row["root_mean_square_error"] == pytest.approx(np.sqrt(np.mean(uniform**2)), rel=2e-3)
        assert row["derivative_error"] == pytest.approx(abs(steep - slope).max(), rel=5e-3)
        assert row["depth"] == np.ceil(np.log2(row["degree"] + 1))


def test_composites_are_far_below_single_polynomials(fits, rows):
    *_, single, first, second = rows["relu"]
    assert (single["degree"], single["depth"], first["depth"], second["depth"]) == (31, 5, 14, 14)
    assert second["error"] < first["error"] < single["error"] / 100
    assert second["error"] < 4 * 9.53e-5  # of x (1 + sign(x)) / 2 at the same degrees
    x = np.linspace(-4, 4, 9_999)
    found = approximations_methods.in_the_clear(fits["relu"][-1].approximation, x)
    assert abs(found - np.maximum(x, 0)).max() == pytest.approx(second["error"], rel=2e-3)


@pytest.mark.parametrize("name", list(TARGETS))
@pytest.mark.parametrize("degree", LOW_DEGREES)
def test_each_method_is_best_at_what_it_minimises(rows, name, degree):
    weight = approximations_methods.slope_weight(TARGETS[name], degree)
    found = {row["method"]: row for row in rows[name] if row["degree"] == degree and row["depth"]}
    assert len(found) == len(METHODS) - (name == "relu")  # which has no Taylor series

    def is_least(method, measure):
        return measure(found[method]) <= min(map(measure, found.values())) * (1 + 1e-3)

    assert is_least("minimax", lambda row: row["error"])
    assert is_least("C1", lambda row: max(row["error"], weight * row["derivative_error"]))
    assert is_least("least squares", lambda row: row["root_mean_square_error"])


def test_golden_errors(rows):
    """Best errors, from an independent program of another precision."""
    golden = {
        "relu": (4 * 6.250e-2, 4 * 2.296e-2, 4 * 9.974e-3, 4 * 4.666e-3),
        "sigmoid": (8.946e-2, 1.889e-2, 8.789e-4, 1.909e-6),
        "tanh": (1.789e-1, 3.778e-2, 1.758e-3, 3.818e-6),
    }
    for name, expected in golden.items():
        found = [row["error"] for row in rows[name] if row["method"] == "minimax"]
        np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_the_whole_experiment(tmp_path, capsys):
    arguments = approximations.Arguments(
        functions=("sigmoid",),
        plot=tmp_path / "approximations.png",
        json=tmp_path / "approximations.json",
        cache=None,
        insecure_log_degree=7,
    )
    results = approximations.main(arguments)
    (found,) = results["functions"]
    assert len(found["rows"]) == 2 * len(METHODS) + 2
    for row in found["rows"]:
        encrypted = row["encrypted"]
        assert encrypted["level"] == (1 if row["method"] == "Taylor" else 0)  # level 0 holds up to 8
        # The slots miss the extrema, by little; one of them is at each end, where Taylor is worst.
        assert 0.98 * row["error"] < encrypted["error"] < 1.001 * row["error"]
        check_noise(encrypted)
        # Fit, noise: the error is known up to what encryption adds.
        assert encrypted["noise"] < 1e-9 < row["error"]
    written = json.loads(arguments.json.read_text())
    sweeps = written.pop("sweeps")
    assert written == results and len(sweeps["sigmoid"]) > 7 * 11
    assert min(matplotlib.image.imread(arguments.plot).shape[:2]) > 500
    printed = capsys.readouterr().out
    assert "INSECURE" in printed and "128 bits" not in printed
    assert "Sigmoid on [-8, 8]" in printed and "ReLU on" not in printed
    table = printed[printed.index("Sigmoid on") : printed.index("The picture")]
    assert max(map(len, table.splitlines())) <= TABLE_WIDTH


def check_noise(encrypted):
    """One sample of a random error: its size in the mean, and ten deviations at most in any slot."""
    bits = -np.log2(encrypted["noise"])
    assert encrypted["bits"] == pytest.approx(bits, abs=1e-9)
    assert bits == pytest.approx(-np.log2(encrypted["predicted_noise"]), abs=0.8)
    assert encrypted["largest_noise"] < 10 * encrypted["largest_predicted_deviation"]


def test_a_composite_of_14_levels(fits, rows):
    """On estimates, which are exact but for the noise, and without the minute of compilation."""
    params, target = ckks.preset(approximations.DEEP_PRESET), TARGETS["relu"]
    x = np.linspace(-4, 4, 513)
    estimate = ckks.estimate(params, x, scale=approximations.input_scale(params, target))
    for fit, row in zip(fits["relu"][-2:], rows["relu"][-2:], strict=True):
        found = approximations.evaluate(None, estimate, fit.approximation)
        assert (found.level, found.scale) == (0, params.scales[0])
        error = abs(found.values[:513] - np.maximum(x, 0))
        assert 0.9 * row["error"] < error.max() < 1.02 * row["error"]
        assert found.precision_bits > 20


def test_a_composite_encrypted():
    """A shallow one, at a scale at which nothing but a mistake could be seen."""
    params, target = ckks.insecure_parameters(128, 5, 55), TARGETS["relu"]
    scheme = approximations.make_scheme(params)
    composite = approx.composite("relu", (3, 3), target.interval)
    ciphertext = approximations.encrypt(scheme, target)
    with pipeline.stages(3) as timed:
        found = approximations.measure(scheme, ciphertext, composite, target, timed)
    assert found["level"] == params.depth - composite.depth
    assert found["noise"] < 1e-11
    check_noise(found)
    assert found["error"] <= approx.error(composite, "relu") * 1.001


def test_the_points_hold_the_kink_and_both_ends():
    params = ckks.insecure_parameters(64, 1)
    x = approximations.points(params, TARGETS["relu"])
    assert x.shape == (64,) and (x.min(), x.max()) == (-4, 4) and 0 in x


def test_the_table_and_the_picture_say_what_was_not_evaluated(fits, rows):
    results = {
        "functions": [
            {
                "function": "ReLU",
                "interval": [-4.0, 4.0],
                "rows": [row | {"encrypted": None} for row in rows["relu"]],
            }
        ]
    }
    (note,) = approximations_table._missing(results)
    assert "--deep" in note
    text = approximations_table._function(results["functions"][0])
    assert text[2].split() == ["least", "squares", "3", "2", "3.75e-01", "5.00e-01", "1.44e-01", *"-----"]
    assert text[3].split() == ["Taylor", "3", *"---------"]
    assert len({len(line) for line in text}) == 1
    assert set(approximations_picture.STYLES) == {method.name for method in METHODS}


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"functions": ()}, "names none"),
        ({"functions": ("tanh",), "deep": True}, "add relu"),
        ({"insecure_log_degree": 20}, "from 6 to 13"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(wrong, message):
    with pytest.raises(SystemExit, match=message):
        approximations.main(approximations.Arguments(cache=None, **wrong))


@pytest.mark.parametrize("option", ["plot", "json"])
def test_a_missing_folder_is_found_at_once(tmp_path, option):
    arguments = approximations.Arguments(cache=None, **{option: tmp_path / "missing" / "file"})
    with pytest.raises(SystemExit, match="no folder"):
        approximations.main(arguments)
