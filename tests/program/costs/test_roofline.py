"""Bands of seconds: by hand for small counts, and beside published bootstraps."""

import math

import pytest

from fhejax.ckks.counts import OperationCounts
from fhejax.program.costs import MACHINES, band
from fhejax.program.costs.published import PUBLISHED, bootstrap_counts, calibration_of, calibrations

DEGREE = 2**16


def test_units_overlap_or_follow_one_another():
    counts = OperationCounts(transforms=100, conversions=600, key_products=100, products=100, permuted=50)
    found = band(counts, MACHINES["ARK"], DEGREE)
    each = 100 * DEGREE / 1024e9
    assert found.units["transforms"] == pytest.approx(each)
    assert found.units["conversions"] == pytest.approx(each)
    assert found.units["products"] == pytest.approx(each)
    assert found.units["automorphisms"] == pytest.approx(each / 2)
    assert (found.lower, found.upper) == pytest.approx((each, 3.5 * each))


def test_neither_end_is_below_the_bytes():
    counts = OperationCounts(transforms=1, key_limbs=10, plaintext_limbs=20, ciphertext_limbs=30)
    found = band(counts, MACHINES["ARK"], DEGREE)
    assert found.bytes == 60 * DEGREE * 8
    assert found.lower == found.upper == pytest.approx(found.bytes / 1e12)
    assert found.bound == "memory"
    assert band(counts, MACHINES["SHARP"], DEGREE).bytes == 55 * DEGREE * 4.5  # it makes half of a key


def test_plaintexts_come_in_three_forms():
    counts = OperationCounts(plaintexts=4, plaintext_limbs=40, distinct_plaintexts=1, distinct_limbs=10)
    ark = MACHINES["ARK"]
    limb = DEGREE * 8
    found = {form: band(counts, ark, DEGREE, form) for form in ("loaded", "one limb", "numbers")}
    assert {form: b.bytes / limb for form, b in found.items()} == {"loaded": 40, "one limb": 4, "numbers": 1}
    made = {form: b.units["transforms"] * 1024e9 / DEGREE for form, b in found.items()}
    assert made == pytest.approx({"loaded": 0, "one limb": 40, "numbers": 10})


def test_a_processor_has_multipliers_and_passes_over_residues():
    counts = OperationCounts(transforms=10, conversions=20, key_products=40, products=30, permuted=5)
    found = band(counts, MACHINES["RTX 5090"], DEGREE)
    busy = DEGREE * (10 * 8 + 10 + 20 + 30) / 6.55e12
    assert found.lower == pytest.approx(busy, rel=1e-3)
    traffic = DEGREE * 4 * (4 * 10 + 40 + 30 + 2 * 5) / (1.792e12 * 4.1 / 4.8)
    assert found.upper == pytest.approx(busy + traffic, rel=1e-3)
    with_launches = band(counts, MACHINES["RTX 5090"], DEGREE, launches=1000)
    assert with_launches.upper - found.upper == pytest.approx(1.2e-3)


def test_what_is_not_known_has_no_end():
    counts = OperationCounts(transforms=10, key_limbs=10)
    falcon, heracles = (band(counts, MACHINES[name], DEGREE) for name in ("Falcon", "Heracles"))
    assert falcon.lower == pytest.approx(10 * DEGREE * 4.5 / 1e12)
    assert falcon.upper is None
    assert heracles.lower is heracles.upper is None
    assert heracles.bound == "unknown"


@pytest.mark.parametrize(
    ("name", "lower", "upper"), [("ARK", 1.34, 3.19), ("SHARP", 1.59, 3.01), ("CraterLake", 4.50, 4.50)]
)
def test_published_bootstraps_are_met(name, lower, upper):
    """The ends are those of an independent count; the published time is within 1.25 of the upper one."""
    found = calibration_of(MACHINES[name])
    assert (found.band.lower, found.band.upper) == pytest.approx((lower * 1e-3, upper * 1e-3), rel=0.01)
    assert 1 / 1.25 < found.over_upper < 1.25


def test_bootstraps_on_gpus_lie_in_their_bands_but_for_another_library():
    found = {c.machine.name: c for c in calibrations() if c.machine.kind == "gpu"}
    assert {name for name, c in found.items() if not c.is_within} == {"B200"}
    assert len(found) == 7


def test_what_is_not_met_is_known():
    """FAST switches keys in other ways too, and the chain of BTS is inferred."""
    found = {c.machine.name: c.over_upper for c in calibrations()}
    assert 0.45 < found["FAST"] < 0.55
    assert 1.4 < found["BTS"] < 1.6


def test_bootstraps_spend_their_chain():
    for published in PUBLISHED:
        counts = bootstrap_counts(published)
        spent = 3 * published.dropped[0] + 9 * published.dropped[1] + 3 * published.dropped[2]
        assert spent < published.top
        assert counts.tensors == 30
        assert counts.plaintexts == 2 * (32 + 63 + 63)
        assert not math.isnan(counts.transforms)
