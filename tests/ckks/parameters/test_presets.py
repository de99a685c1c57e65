"""Presets: what their names claim, and that nothing greater would have been secure."""

import math
import re

import pytest

from fhejax import ckks
from fhejax.ckks import SecurityError
from fhejax.ckks.parameters import PRESETS, ParameterOptions, make_parameters, presets
from fhejax.ckks.parameters.security import maximum_modulus_bits

NAMES = list(PRESETS)
NAME = re.compile(r"(real|complex)-n(\d+)-(\d+)bit-depth(\d+)-scale(\d+)")


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_what_its_name_says(name):
    kind, log_degree, security, depth, scale = NAME.fullmatch(name).groups()
    params = ckks.preset(name)
    assert params.ring.degree == 2 ** int(log_degree)
    assert params.ring.conjugate_invariant == (kind == "real")
    assert params.depth == int(depth)
    assert params.security == int(security) == 128
    assert not params.insecure
    assert all(abs(s.bits - int(scale)) < 1.6 for s in params.scales)
    assert ckks.preset(name) is params


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_secure_with_p(name):
    params = ckks.preset(name)
    everything = params.moduli + params.special
    assert params.special
    assert math.prod(everything) <= 2 ** maximum_modulus_bits(params.ring.degree)
    assert len(set(everything)) == len(everything)
    assert all(q < 2**30 and q % params.ring.root_order == 1 for q in everything)


@pytest.mark.parametrize("name", NAMES)
def test_one_more_level_would_not_be_secure(name):
    """Neither in three digits nor in four."""
    preset = PRESETS[name]
    limbs = _limbs_of_one_more_level(preset)
    for digits in (3, 4):
        with pytest.raises(SecurityError, match="128-bit security was asked for"):
            _one_more_level(preset, -(-limbs // digits))


def _one_more_level(preset: presets.Preset, digit_size: int, **options) -> ckks.Parameters:
    rational = preset.scale_bits in (35, 40, 45)
    options = ParameterOptions(rational, digit_size=digit_size, **options)
    return make_parameters(ckks.preset(preset.name).ring, preset.depth + 1, preset.scale_bits, options)


def _limbs_of_one_more_level(preset: presets.Preset) -> int:
    return len(_one_more_level(preset, 1, key_switching=False, insecure=True).moduli)


@pytest.mark.parametrize("name", NAMES)
def test_at_most_four_digits(name):
    params = ckks.preset(name)
    assert len(params.digit_ranges(params.depth)) <= 4


def test_every_ring_has_some_of_each_kind():
    for log_degree in range(12, 18):
        for kind in ("real", "complex"):
            found = [name for name in NAMES if name.startswith(f"{kind}-n{log_degree}-")]
            assert len(found) >= 2
    assert len(set(NAMES)) == len(NAMES)


def test_an_unknown_name_is_refused_with_those_closest():
    with pytest.raises(
        ValueError, match=r"'real-n14-128bit-depth8-scale40' .* real-n14-128bit-depth5-scale40"
    ):
        ckks.preset("real-n14-128bit-depth8-scale40")
    with pytest.raises(ValueError, match="there is none of that name; the closest of"):
        ckks.preset("")
    with pytest.raises(TypeError):
        PRESETS["mine"] = None


def test_parameters_print_the_bytes_of_their_keys():
    params = ckks.preset("real-n13-128bit-depth5-scale25")
    secret = ckks.secret_key(ckks.random_key(), params)
    keys = ckks.evaluation_keys(ckks.random_key(), secret, relinearise=True, rotations=(1,))
    size = keys.relinearisation.wire_bytes
    assert size == keys.rotations[5].wire_bytes == params.switching_key_bytes()
    assert f"relinearisation key {size / 1e6:.2f} MB, rotation key {size / 1e6:.2f} MB" in repr(params)
    for part in ("N=2**13", "log2 QP=213.1 (limit 214)", "depth=5", "scale=2**25.0", "128-bit security"):
        assert part in repr(params)
    assert "no keys" in repr(ckks.insecure_parameters(16, 1, key_switching=False))
