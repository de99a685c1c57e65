"""How costs grow: fits and byte formulas."""

import pytest

from benchmarks import ckks_growth


def test_a_power_law_gives_its_exponent():
    sizes = [3, 6, 12, 24]
    assert ckks_growth.fitted_exponent(sizes, [5e-3 * n**1.5 for n in sizes]) == pytest.approx(1.5)
    with pytest.raises(ValueError, match="two different sizes"):
        ckks_growth.fitted_exponent([4, 4], [1.0, 2.0])


def test_transform_size():
    assert ckks_growth.transform_size(ckks_growth.Point(1024, 3, {}, {}, {})) == 10240


@pytest.mark.parametrize("limbs", [3, 6, 12])
def test_parameters_have_the_limbs_asked_for_in_three_digits(limbs):
    params = ckks_growth.parameters(1 << 12, limbs)
    assert len(params.moduli) == limbs
    assert -(-limbs // params.digit_size) == 3
    assert params.depth == limbs - 1


@pytest.mark.nightly
def test_bytes_are_as_the_formula_says(capsys):
    point = ckks_growth.measure(256, 3, repeats=1)
    assert point.bytes_found == point.bytes_expected
    assert point.bytes_found["ciphertext"] == 4 * 2 * 3 * 256
    assert all(seconds > 0 for seconds in point.seconds.values())
    result = ckks_growth.sweep("one", [point], lambda p: p.limbs)
    assert result["exponents"] == {}
    assert "as the formula" in capsys.readouterr().out
