"""Arithmetic: the right numbers, with as much noise as predicted and no less, on every path."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks.parameters import Scale, deviations


def bits_off(found: float, predicted: float) -> float:
    return abs(np.log2(found / predicted))


def check_noise(scheme, ciphertext, expected, predicted, within: float = 0.35) -> None:
    """Two-sided: too little noise is as wrong as too much. N = 256 leaves some spread."""
    assert bits_off(scheme.deviation(ciphertext, expected), predicted) < within


def fresh(scheme) -> float:
    return deviations.fresh_deviation(scheme.params.ring)


def size(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.abs(values) ** 2)))


def product_noise(scheme, x, y, scale: float, dropped: float) -> float:
    """A product of fresh ciphertexts after relinearisation and one rescale."""
    crossed = fresh(scheme) * scale * np.hypot(size(x), size(y)) / dropped
    return float(np.hypot(crossed, deviations.rescale_deviation(scheme.params.ring)))


def dropped(params, level: int) -> int:
    return params.level_moduli(level)[-1]


OPERATIONS = {
    "add": (ckks.add, lambda x, y: x + y, np.sqrt(2)),
    "subtract": (ckks.subtract, lambda x, y: x - y, np.sqrt(2)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_sums(insecure, name):
    operation, reference, growth = OPERATIONS[name]
    x, y = insecure.numbers(20, seed=1), insecure.numbers(20, seed=2)
    first, second = insecure.encrypt(x), insecure.encrypt(y)
    result = operation(first, second)
    check_noise(insecure, result, reference(x, y), growth * fresh(insecure), 0.15)
    with_plain = operation(first, ckks.encode(insecure.params, y))
    # the plaintext's own rounding adds to that of the other
    check_noise(insecure, with_plain, reference(x, y), fresh(insecure), 0.15)
    assert result.level == with_plain.level == first.level
    assert result.scale == first.scale


def test_negation_is_exact(insecure):
    x = insecure.numbers(2)
    ciphertext = insecure.encrypt(x)
    assert (insecure.decrypt(ckks.negate(ciphertext)) == -insecure.decrypt(ciphertext)).all()


@pytest.mark.parametrize("name", ["multiply", "square"])
def test_products_relinearised_and_rescaled(insecure, name):
    x = insecure.numbers(20, seed=1)
    y = x if name == "square" else insecure.numbers(20, seed=2)
    first = insecure.encrypt(x)
    if name == "square":
        result = ckks.square(insecure.keys, first)
        crossed = np.sqrt(2)  # twice the same noise, not two independent ones
    else:
        result = ckks.multiply(insecure.keys, first, insecure.encrypt(y))
        crossed = 1.0
    params = insecure.params
    assert (result.level, result.components) == (3, 2)
    assert result.scale == params.scales[3]
    own = crossed * fresh(insecure) * float(first.scale) * np.hypot(size(x), size(y))
    rounding = deviations.rescale_deviation(params.ring)
    check_noise(insecure, result, x * y, np.hypot(own / dropped(params, 4), rounding))


def test_tensor_relinearise_rescale_in_three_steps(insecure):
    x, y = insecure.numbers(20, seed=1), insecure.numbers(20, seed=2)
    first, second = insecure.encrypt(x), insecure.encrypt(y)
    tensor = ckks.evaluation.tensor(first, second)
    assert (tensor.components, tensor.level) == (3, 4)
    assert tensor.scale == first.scale * second.scale
    crossed = fresh(insecure) * float(first.scale) * np.hypot(size(x), size(y))
    check_noise(insecure, tensor, x * y, crossed, 0.15)
    small = ckks.relinearise(insecure.keys, tensor)
    assert (small.components, small.level, small.scale) == (2, 4, tensor.scale)
    check_noise(insecure, small, x * y, crossed, 0.15)
    result = ckks.rescale(small)
    assert result.scale == insecure.params.scales[3]
    predicted = product_noise(insecure, x, y, float(first.scale), dropped(insecure.params, 4))
    check_noise(insecure, result, x * y, predicted)
    assert ckks.relinearise(insecure.keys, small) is small
    assert ckks.relinearise(insecure.keys, small, target_level=4) is small


def test_square_tensor_is_the_tensor_with_itself(insecure):
    x = insecure.encrypt(insecure.numbers(2))
    assert (ckks.evaluation.square_tensor(x).data == ckks.evaluation.tensor(x, x).data).all()
    assert ckks.evaluation.square_tensor(x).scale == ckks.evaluation.tensor(x, x).scale


def test_products_at_every_level_down_to_the_last(insecure_real):
    x = insecure_real.numbers()
    ciphertext, expected = insecure_real.encrypt(x), x
    for level in (3, 2, 1, 0):
        ciphertext = ckks.square(insecure_real.keys, ciphertext)
        expected = expected**2
        assert ciphertext.level == level
        assert ciphertext.scale == insecure_real.params.scales[level]
        assert abs(insecure_real.decrypt(ciphertext) - expected).max() < 2e-3


@pytest.mark.filterwarnings("ignore:not even integers")  # the scale becomes 1
def test_rescale_divides_the_scale_alone(insecure):
    x = insecure.numbers(20)
    params = insecure.params
    high = insecure.encrypt(x, scale=Scale.of(2.0**52))
    for target in (3, 2, 0):
        result = ckks.rescale(high, target)
        ratio = np.prod([float(dropped(params, level)) for level in range(4, target, -1)])
        assert result.scale.bits == pytest.approx(52 - np.log2(ratio), abs=1e-9)
        own = fresh(insecure) / ratio
        rounding = deviations.rescale_deviation(params.ring)
        if target:
            check_noise(insecure, result, x, np.hypot(own, rounding))
    assert (ckks.rescale(high, 3).data == ckks.rescale(high).data).all()


def test_drop_level_is_exact(insecure):
    ciphertext = insecure.encrypt(insecure.numbers(2))
    lower = ckks.drop_level(ciphertext, 1)
    assert (lower.level, lower.scale, lower.data.shape[-2]) == (1, ciphertext.scale, 2)
    np.testing.assert_allclose(insecure.decrypt(lower), insecure.decrypt(ciphertext), rtol=0, atol=1e-12)


def test_multiply_plain(insecure):
    x, y = insecure.numbers(20, seed=1), insecure.numbers(20, seed=2)
    ciphertext = insecure.encrypt(x)
    product = ckks.multiply_plain(ciphertext, ckks.encode(insecure.params, y, level=3))
    assert product.level == 3
    assert product.scale == ciphertext.scale * insecure.params.scales[3]
    weight = float(insecure.params.scales[3])
    rounding = deviations.slot_deviation(insecure.params.ring, 1 / 12) * float(ciphertext.scale)
    own = np.hypot(fresh(insecure) * weight * size(y), rounding * size(x))
    check_noise(insecure, product, x * y, own, 0.15)


def test_multiply_scalar_lands_on_the_lower_scale(insecure):
    x = insecure.numbers(20)
    ciphertext = insecure.encrypt(x)
    rounding = deviations.rescale_deviation(insecure.params.ring)
    assert (ckks.multiply_scalar(ciphertext, 0.0).data == 0).all()
    for value in (0.37, -1.5, 1):
        result = ckks.multiply_scalar(ciphertext, value)
        assert result.level == 3
        assert result.scale == insecure.params.scales[3]
        predicted = np.hypot(rounding, fresh(insecure) * abs(value))
        check_noise(insecure, result, x * value, predicted)


def test_multiply_integer_is_exact(insecure):
    x = insecure.encrypt(insecure.numbers(2))
    for factor in (0, 1, -3, 1000):
        result = ckks.evaluation.multiply_integer(x, factor)
        assert (result.level, result.scale) == (x.level, x.scale)
        np.testing.assert_allclose(insecure.decrypt(result), factor * insecure.decrypt(x), rtol=0, atol=1e-10)


def test_match_scale_and_align(insecure):
    x = insecure.numbers(20)
    high, low = insecure.encrypt(x), insecure.encrypt(x, level=1)
    matched = ckks.evaluation.match_scale(high, 1, low.scale)
    assert (matched.level, matched.scale) == (1, low.scale)
    rounding = deviations.rescale_deviation(insecure.params.ring)
    check_noise(insecure, matched, x, np.hypot(rounding, fresh(insecure)))
    for pair in (ckks.evaluation.align(high, low), ckks.evaluation.align(low, high)):
        assert {c.level for c in pair} == {1}
        assert {c.scale for c in pair} == {low.scale}
        for ciphertext in pair:
            assert abs(insecure.decrypt(ciphertext) - x).max() < 1e-3
    assert ckks.evaluation.align(low, high)[0] is not ckks.evaluation.align(high, low)[0]
    assert abs(insecure.decrypt(ckks.subtract(low, high))).max() < 1e-3


def test_operands_of_different_levels(insecure_real):
    x, y = insecure_real.numbers(seed=1), insecure_real.numbers(seed=2)
    high, low = insecure_real.encrypt(x), insecure_real.encrypt(y, level=2)
    for result, expected in (
        (ckks.add(high, low), x + y),
        (ckks.subtract(low, high), y - x),
        (ckks.multiply(insecure_real.keys, high, low), x * y),
        (ckks.multiply(insecure_real.keys, low, high), x * y),
    ):
        assert abs(insecure_real.decrypt(result) - expected).max() < 1e-3


def test_sums_of_two_and_three_components(insecure_real):
    x, y = insecure_real.numbers(seed=1), insecure_real.numbers(seed=2)
    tensor = ckks.evaluation.tensor(insecure_real.encrypt(x), insecure_real.encrypt(y))
    plain = ckks.encode(insecure_real.params, x, scale=tensor.scale)
    two = insecure_real.encrypt(y, scale=tensor.scale)
    assert abs(insecure_real.decrypt(ckks.add(tensor, plain)) - (x * y + x)).max() < 1e-3
    for result in (ckks.add(tensor, two), ckks.add(two, tensor)):
        assert result.components == 3
        assert abs(insecure_real.decrypt(result) - (x * y + y)).max() < 1e-3
    assert abs(insecure_real.decrypt(ckks.subtract(two, tensor)) - (y - x * y)).max() < 1e-3


def test_linear_combinations(insecure):
    x = insecure.numbers(6)
    ciphertext = insecure.encrypt(x)
    generator = np.random.default_rng(5)
    weights = generator.integers(-500, 501, (1, 4, 6)).astype(np.int32)
    scale = Scale.of(2.0**9)
    result = ckks.linear_combinations(weights, ciphertext, scale, 500)
    expected = weights[0] / 2.0**9 @ x
    assert result.batch == (4,)
    assert result.scale == ciphertext.scale * scale
    growth = np.sqrt(np.mean((weights.astype(float) ** 2).sum(-1)))
    check_noise(insecure, result, expected, fresh(insecure) * growth, 0.2)


def test_linear_combinations_of_squares_with_bias_and_entries(insecure_real):
    params = insecure_real.params
    x = insecure_real.numbers(3)
    ciphertext = insecure_real.encrypt(x)
    weights = np.array([[[3, -2]], [[1, 7]]], np.int32)
    entries = np.array([[[0, 1], [2, -1]], [[1, -1], [1, 0]]], np.int32)
    scale = Scale.of(4)
    total = ciphertext.scale * ciphertext.scale * scale
    constants = [0.5, -1.0, 0.0, 2.0]
    bias = np.array(
        [[round(c * total.fraction()) % q for q in ciphertext.moduli] for c in constants], np.uint32
    )
    result = ckks.linear_combinations(weights, ciphertext, scale, 7, entries=entries, bias=bias, square=True)
    assert (result.components, result.scale) == (3, total)
    padded = np.concatenate([x**2, np.zeros((1, params.slots))])
    expected = np.einsum("gok,gkps->gops", weights / 4, padded[entries]).reshape(4, -1)
    expected = expected + np.array(constants)[:, None]
    assert abs(insecure_real.decrypt(result) - expected).max() < 1e-3
    small = ckks.relinearise(insecure_real.keys, result, target_level=3)
    assert abs(insecure_real.decrypt(small) - expected).max() < 1e-3


def test_jit_and_vmap_give_the_same_bits(insecure_real):
    keys = insecure_real.keys
    x = insecure_real.encrypt(insecure_real.numbers(2, seed=1))
    y = insecure_real.encrypt(insecure_real.numbers(2, seed=2))
    plaintext = ckks.encode(insecure_real.params, insecure_real.numbers(seed=3))

    def circuit(x, y):
        tensor = ckks.add(ckks.evaluation.tensor(x, y), ckks.evaluation.square_tensor(y))
        product = ckks.relinearise(keys, tensor, target_level=3)
        other = ckks.rescale(ckks.multiply_plain(ckks.subtract(x, ckks.negate(y)), plaintext))
        return ckks.add(product, ckks.multiply(keys, product, ckks.multiply_scalar(y, 0.3))), other

    expected = circuit(x, y)
    whole = jax.jit(circuit)(x, y)
    axes = x.replace(data=0, key_id=None)
    each = jax.vmap(circuit, in_axes=(axes, axes), out_axes=0)(x, y)
    for first, second, third in zip(expected, whole, each, strict=True):
        assert (first.data == second.data).all()
        assert (first.data == third.data).all()
        assert first.scale == second.scale == third.scale


@pytest.mark.nightly
def test_at_secure_parameters(secure):
    """128-bit security: fresh, sum, product and square, each as noisy as predicted."""
    params = secure.params
    assert params.security >= 128
    x, y = secure.numbers(2, seed=1), secure.numbers(2, seed=2)
    first, second = secure.encrypt(x), secure.encrypt(y)
    check_noise(secure, ckks.add(first, second), x + y, np.sqrt(2) * fresh(secure), 0.1)
    result = ckks.multiply(secure.keys, first, second)
    own = dropped(params, 2)
    predicted = product_noise(secure, x, y, float(first.scale), own)
    check_noise(secure, result, x * y, predicted, 0.1)
    final = ckks.square(secure.keys, result)
    error = secure.decrypt(final) - (x * y) ** 2
    bits = -np.log2(error.std())
    assert 14 - 0.2 < bits < 14 + 2  # asked of for_depth: 14 bits at the output


def test_running_out_of_levels(insecure_real):
    keys, zero = insecure_real.keys, insecure_real.encrypt(np.zeros(4), level=0)
    for name, call in {
        "multiply": lambda: ckks.multiply(keys, zero, zero),
        "square": lambda: ckks.square(keys, zero),
        "rescale": lambda: ckks.rescale(zero),
        "multiply_scalar": lambda: ckks.multiply_scalar(zero, 2.0),
    }.items():
        with pytest.raises(ValueError, match=f"{name} needs one level and none is left.* depth 4"):
            call()
    with pytest.raises(ValueError, match="at level 0 was to be raised to level 2"):
        ckks.drop_level(zero, 2)


def test_targets_that_are_not_below(insecure_real):
    x = insecure_real.encrypt(np.zeros(4), level=2)
    for target in (2, 3, -1):
        with pytest.raises(ValueError, match="only goes down"):
            ckks.rescale(x, target)
    for ciphertext in (x, ckks.evaluation.tensor(x, x)):
        with pytest.raises(ValueError, match=r"from level 2 to 3 .* only goes down"):
            ckks.relinearise(insecure_real.keys, ciphertext, target_level=3)


def test_relinearisation_needs_its_key(insecure_real):
    secret, x = insecure_real.secret, insecure_real.encrypt(np.zeros(4))
    tensor = ckks.evaluation.tensor(x, x)
    without = ckks.evaluation_keys(ckks.random_key(), secret)
    with pytest.raises(ValueError, match=r"relinearisation at level 4 .* have none"):
        ckks.relinearise(without, tensor)
    low = ckks.evaluation_keys(ckks.random_key(), secret, relinearise=True, level=2)
    with pytest.raises(ValueError, match=r"have one for level 2 and below"):
        ckks.multiply(low, x, x)
    stranger = ckks.secret_key(ckks.random_key(), insecure_real.params)
    foreign = ckks.evaluation_keys(ckks.random_key(), stranger, relinearise=True)
    with pytest.raises(ValueError, match="different secret keys were combined"):
        ckks.relinearise(foreign, tensor)


def test_three_components_are_not_multiplied(insecure_real):
    x = insecure_real.encrypt(np.zeros(4))
    tensor = ckks.evaluation.tensor(x, x)
    with pytest.raises(ValueError, match=r"3 and 2 components .* Relinearise first"):
        ckks.evaluation.tensor(tensor, x)
    with pytest.raises(ValueError, match=r"3 components .* Relinearise first"):
        ckks.evaluation.square_tensor(tensor)


def test_scales_that_cannot_be_aligned(insecure_real):
    x = insecure_real.encrypt(np.zeros(4))
    with pytest.raises(ValueError, match=r"scales 2\*\*26.000 and 2\*\*25.000, .* no level is left"):
        ckks.add(x, insecure_real.encrypt(np.zeros(4), scale=Scale.of(2.0**25)))
    with pytest.raises(ValueError, match=r"encode a plaintext with scale=ciphertext\.scale"):
        ckks.subtract(x, ckks.encode(insecure_real.params, np.zeros(4), scale=Scale.of(2.0**20)))
    high = insecure_real.encrypt(np.zeros(4), scale=Scale.of(2.0**80))
    with pytest.raises(ValueError, match="rescale it first"):
        ckks.evaluation.match_scale(high, 3, Scale.of(2.0**20))


def test_strangers_are_not_combined(insecure_real, insecure_complex):
    x, other = insecure_real.encrypt(np.zeros(4)), insecure_complex.encrypt(np.zeros(4))
    stranger = ckks.secret_key(ckks.random_key(), insecure_real.params)
    plaintext = ckks.encode(insecure_real.params, np.zeros(4))
    foreign = ckks.encrypt(ckks.random_key(), stranger, plaintext)
    for operation in (ckks.add, ckks.subtract, ckks.evaluation.tensor):
        with pytest.raises(ValueError, match="different parameters"):
            operation(x, other)
        with pytest.raises(ValueError, match="different secret keys"):
            operation(x, foreign)
    with pytest.raises(ValueError, match="different parameters"):
        ckks.multiply_plain(x, ckks.encode(insecure_complex.params, np.zeros(4)))


def test_weights_beyond_their_bound_are_refused(insecure_real):
    x = insecure_real.encrypt(np.zeros((2, 4)))
    weights = jnp.array([[[5, -6]]], jnp.int32)
    with pytest.raises(ValueError, match="weights up to 6 with a bound of 5"):
        ckks.linear_combinations(weights, x, Scale.of(1), 5)


def test_levels_that_do_not_exist(insecure_real):
    """A negative level would be read as one from the top."""
    for x in (insecure_real.encrypt(np.zeros(4)), ckks.estimate(insecure_real.params, np.zeros(4))):
        for level in (-1, -5, 5):
            with pytest.raises(
                ValueError, match=f"level {level} was asked for; these parameters have levels"
            ):
                ckks.drop_level(x, level)
        for level in (-1, 4, 5):
            with pytest.raises(
                ValueError, match=f"to level {level} and another scale; match_scale takes at least"
            ):
                ckks.evaluation.match_scale(x, level, x.scale)
        with pytest.raises(ValueError, match="only bootstrapping raises a level"):
            ckks.drop_level(ckks.drop_level(x, 2), 3)
        with pytest.raises(ValueError, match=r"from level 4 to -1 was asked for"):
            ckks.relinearise(insecure_real.keys, x, target_level=-1)
        with pytest.raises(ValueError, match="which holds less than"):
            ckks.evaluation.match_scale(x, 3, Scale.of(2**300))


def test_domains_are_not_mixed(insecure_complex):
    """Residues are numbers in either domain: the result would be another polynomial."""
    keys = ckks.evaluation_keys(
        ckks.random_key(), insecure_complex.secret, relinearise=True, rotations=(1,), conjugate=True
    )
    x = insecure_complex.encrypt(insecure_complex.numbers())
    y = x.replace(domain="coefficient")
    plaintext = ckks.encode(x.params, insecure_complex.numbers())
    calls = [
        lambda: ckks.add(x, y),
        lambda: ckks.subtract(y, plaintext),
        lambda: ckks.evaluation.tensor(x, y),
        lambda: ckks.multiply(keys, y, y),
        lambda: ckks.square(keys, y),
        lambda: ckks.multiply_plain(y, plaintext),
        lambda: ckks.rescale(y),
        lambda: ckks.multiply_scalar(y, 2.0),
        lambda: ckks.rotate(keys, y, 1),
        lambda: ckks.rotate_hoisted(keys, y, [1]),
        lambda: ckks.conjugate(keys, y),
        lambda: ckks.evaluation.multiply_by_imaginary_unit(y),
        lambda: ckks.relinearise(keys, ckks.evaluation.tensor(x, x).replace(domain="coefficient")),
    ]
    for call in calls:
        with pytest.raises(
            ValueError, match="in the coefficient domain was asked for; it works in the evaluation"
        ):
            call()
    assert ckks.add(y, y).domain == "coefficient"


def test_batches_that_do_not_broadcast_are_refused(insecure_real):
    batches = {
        shape: insecure_real.encrypt(np.zeros((*shape, 4))) for shape in ((), (2,), (3,), (2, 1), (2, 3))
    }
    plain = {shape: ckks.encode(insecure_real.params, np.zeros((*shape, 4))) for shape in batches}
    for first, x in batches.items():
        for second, y in batches.items():
            try:
                expected = np.broadcast_shapes(first, second)
            except ValueError:
                for operation in (ckks.add, ckks.subtract, ckks.evaluation.tensor):
                    with pytest.raises(
                        ValueError, match=rf"batches of shape {re.escape(f'{first} and {second}')}"
                    ):
                        operation(x, y)
                with pytest.raises(ValueError, match="their trailing axes must be equal or 1"):
                    ckks.multiply_plain(x, plain[second])
                with pytest.raises(ValueError, match="their trailing axes must be equal or 1"):
                    ckks.add(x, plain[second])
            else:
                assert ckks.add(x, y).batch == ckks.evaluation.tensor(x, y).batch == expected
                assert ckks.multiply_plain(x, plain[second]).batch == expected


def test_combinations_of_what_does_not_fit_are_refused(insecure_real):
    x = insecure_real.encrypt(np.zeros((2, 4)))
    weights = np.ones((1, 3, 2), np.int32)
    entries = np.zeros((1, 2, 1), np.int32)
    bias = np.zeros((3, len(x.moduli)), np.uint32)
    cases = [
        (weights.astype(np.float32), x, {}, TypeError, "weights of float32"),
        (weights[0], x, {}, TypeError, r"weights of int32 \(3, 2\)"),
        ("weights", x, {}, TypeError, "given str"),
        (weights[..., :1], x, {}, ValueError, "for 1 groups of 2 terms"),
        (weights, x.replace(data=x.data[0]), {}, ValueError, r"ciphertexts of batch \(\)"),
        (weights, x.replace(data=x.data[:0]), {}, ValueError, r"ciphertexts of batch \(0,\)"),
        (weights, x, {"entries": entries + 2}, ValueError, "entries from 2 to 2 of a batch of 2"),
        (weights, x, {"entries": entries - 2}, ValueError, "an entry is 0 to 1, or -1 for none"),
        (weights, x, {"entries": entries[0]}, TypeError, r"entries of int32 \(2, 1\)"),
        (weights, x, {"entries": entries.astype(float)}, TypeError, "entries of float64"),
        (weights, x, {"bias": bias[:1]}, TypeError, r"a bias of uint32 \(1, 5\)"),
        (weights, x, {"bias": bias.astype(np.int32)}, TypeError, "the residues of a number for each result"),
    ]
    for given, ciphertext, options, kind, message in cases:
        with pytest.raises(kind, match=message):
            ckks.linear_combinations(given, ciphertext, 1.0, 1, **options)
    found = ckks.linear_combinations(weights, x, 2, 1, entries=entries, bias=bias)
    assert found.scale == x.scale * 2


def test_sums_of_slots_that_make_no_sense_are_refused(insecure_real):
    x = insecure_real.encrypt(np.zeros(4))
    for stride in (0, -1):
        with pytest.raises(
            ValueError, match=f"at distance {stride} was asked for; the stride must be 1 or more"
        ):
            ckks.inner_sum(insecure_real.keys, x, stride=stride)
    for count in (0, -2, 3, 512):
        with pytest.raises(ValueError, match="must be a power of two"):
            ckks.inner_sum(insecure_real.keys, x, count)
