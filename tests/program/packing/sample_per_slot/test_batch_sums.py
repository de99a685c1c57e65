"""Sums over the batch: which slots are masked, what they cost in keys, and what comes out encrypted."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from circuits import compiled, data, weights
from hypothesis import given, settings
from hypothesis import strategies as st
from small_programs import LOG_DEGREE, SLOTS, check, run, shared, small
from traced_functions import check_clear, constant, encrypted, traced

import fhejax
from fhejax import ckks
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.node import Evaluation
from fhejax.program.circuit.nodes import SlotSum, Summand
from fhejax.program.circuit.sensitivity import noise_gains
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.values import window_sums
from fhejax.program.packing.sample_per_slot.slots import in_slots

SUMS = {
    "sum": lambda x: x.sum(0),
    "mean": lambda x: x.mean(0, keepdims=True),
    "of everything": lambda x: (2 * x + 1).sum(),
    "of squares": lambda x: (x**2).sum((0, 2)),
    "centred": lambda x: x - x.mean(0, keepdims=True),
    "variance": lambda x: ((x - x.mean(0, keepdims=True)) ** 2).mean(0),
    "of a padding": lambda x: jnp.pad(x, ((0, 0), (1, 0), (0, 2)), constant_values=0.5).sum(0),
    "of a repetition": lambda x: jnp.tile(x[:, :1], (1, 4, 1)).sum((0, 2)),
    "of some": lambda x: x[:, 1, ::2].sum(0),
    "of scaled entries": lambda x: (x * constant(1, 2, 3) + constant(1, 2, 1)).sum(0),
    "of zeros": lambda x: (x * jnp.array([[[0.0], [1.0]]])).sum(0),
    "of nothing": lambda x: (x - x + 1).sum(0),
    "by ones": lambda x: jnp.einsum("b,bij->ij", jnp.ones(x.shape[0]), x),
    "by ones and weights": lambda x: jnp.einsum("bi,bij->j", jnp.ones((x.shape[0], 1)) * constant(1, 2), x),
    "by a matrix of ones": lambda x: jnp.ones((5, x.shape[0])) @ x[:, 0],
    "of a transpose": lambda x: x.T.sum(2),
    "twice": lambda x: (x.mean(0, keepdims=True) * x).sum((0, 1)),
    "broadcast": lambda x: jnp.broadcast_to(x.sum(0)[None], x.shape) * x,
    "gradient": jax.grad(lambda x: (x.mean(0) ** 2).sum()),
}


@pytest.mark.parametrize("batch", [1, 8, 11])
@pytest.mark.parametrize("name", SUMS)
def test_sums_in_the_clear(name, batch):
    check_clear(SUMS[name], encrypted((batch, 2, 3)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2), st.lists(st.booleans(), min_size=3, max_size=3), st.booleans())
def test_sums_over_any_axes(axis, summed, shifted):
    axes = tuple(d for d in range(3) if summed[d])
    check_clear(lambda x: jnp.sum(x + 0.5 if shifted else 2 * x, axes), encrypted((3, 4, 5), axis))


def summand(function, *arguments):
    (node,) = [n for n in traced(function, *arguments).nodes if isinstance(n, Summand)]
    return node


FLAGS = {  # (masked, needs the whole batch) for a batch that is no power of two; for one that is
    "zeros are summed as they are": (lambda x: x.sum(0), (0, 0), (0, 0)),
    "products of zeros too": (lambda x: ((x + 1) * x[:, ::-1]).sum(0), (0, 0), (0, 0)),
    "not what is shifted": (lambda x: ((x + 1) ** 2).sum(0), (1, 0), (0, 1)),
    "nor a shift of the sum": (lambda x: (x + 1).sum(0), (1, 0), (0, 1)),
    "nor a sum with a shared value": (lambda x: (x - x.sum(0, keepdims=True)).sum(), None, None),
}


@pytest.mark.parametrize("name", FLAGS)
def test_masks_where_they_are_needed(name):
    function, odd, even = FLAGS[name]
    for batch, expected in ((6, odd), (8, even)):
        if expected is None:
            last = [n for n in traced(function, encrypted((batch, 2))).nodes if isinstance(n, Summand)][-1]
            assert (last.masked, last.whole) == (batch == 6, batch == 8)
        else:
            node = summand(function, encrypted((batch, 2)))
            assert (node.masked, node.whole) == tuple(map(bool, expected))


def test_ranges_without_zero_are_masked():
    assert summand(lambda x: x.sum(0), encrypted((6, 2), low=1, high=2)).masked
    assert not summand(lambda x: x.sum(0), encrypted((6, 2), low=0, high=2)).masked


def test_each_entry_is_summed_once():
    graph = traced(lambda x: jnp.tile(x[:, :1], (1, 5)).sum(0), encrypted((4, 3)))
    assert [n.size for n in graph.nodes if isinstance(n, SlotSum)] == [1]


@pytest.mark.parametrize("length", [1, 2, 4, 8])
def test_window_sums(length):
    values = np.random.default_rng(0).normal(size=(2, 8))
    expected = [[sum(row[(j + i) % 8] for i in range(length)) for j in range(8)] for row in values]
    np.testing.assert_allclose(window_sums(values, length), expected, atol=1e-12)


def everything(x, w):
    y = (x @ w + 0.25) ** 2
    z = jnp.concatenate([x, y * (x - x.mean(0, keepdims=True))], 1) @ weights(6, 2)
    return {"shared": (z * y[:, :2]).sum(0), "each": z + z.mean(0, keepdims=True) ** 2}


@pytest.mark.parametrize("batch", [3, 4])
def test_derivatives_of_every_node(batch):
    """The gains of noise against the Jacobian by finite differences, slot by slot."""
    graph = traced(everything, encrypted((batch, 3)), encrypted((3, 3), None))
    generator = np.random.default_rng(0)
    sample = [generator.uniform(-1, 1, (3, batch)), np.repeat(generator.uniform(-1, 1, (9, 1)), batch, 1)]
    arguments, slots = in_slots(graph, sample, 8)
    values = evaluate_graph(graph, arguments, slots=slots)
    for output in graph.outputs:
        view = output.value
        gains = noise_gains(graph, values, view, slots)
        for number in range(len(graph.nodes)):
            expected = _gain_by_differences(graph, arguments, slots, view, number)
            tolerance = 1e-4 if view.batch_axis is None else 0.3  # of random signs
            assert gains[number] == pytest.approx(expected, rel=tolerance, abs=1e-6)


def _gain_by_differences(graph, arguments, slots, view, number, step=1e-4):
    """Root mean square over the result of the deviation that noise in a ciphertext's ring gives."""
    columns = len(slots.live)
    mean = np.eye(columns) - (1 - np.sqrt(0.5)) / columns  # the constant has half the others' variance
    total = 0.0
    for entry in range(graph.nodes[number].size):
        for direction in mean:
            found = [
                _with_disturbed(graph, arguments, slots, number, entry, sign * step * direction)[view.node]
                for sign in (1, -1)
            ]
            slope = view.multiplier[..., None] * (found[0] - found[1])[view.entries] / (2 * step)
            slope = slope.mean(-1) if view.batch_axis is None else slope
            total += np.mean(slope**2)
    return np.sqrt(total)


def _with_disturbed(graph, arguments, slots, number, entry, amounts):
    """Values of all nodes where one entry of one node is moved by as much in each slot."""
    moved = np.zeros((graph.nodes[number].size, len(amounts)))
    moved[entry] = amounts
    values = []
    for index, node in enumerate(graph.nodes):
        found = node.evaluate(Evaluation(values, arguments, None, slots))
        values.append(found + moved if index == number else found)
    return values


def statistics(x, w):
    return {
        "sum": x.sum(0),
        "power": ((x + 1) ** 2).mean(),
        "centred": (x - x.mean(0, keepdims=True)) * w[None],
        "correlation": x.T @ (x @ w - 1),
    }


@pytest.fixture(scope="module")
def masked():
    program = small(statistics, fhejax.Encrypted((13, 3)), shared(3))
    return program, *program.keygen()


@pytest.mark.parametrize("samples", [13, 9, 1])
def test_masked_sums_count_the_samples_that_are_there(masked, samples):
    program, secret, keys = masked
    x, w = data(samples, 3), data(3)
    padded = np.zeros((13, 3), np.float32)
    padded[:samples] = x
    expected = statistics(padded, w)  # a mean divides by what was planned
    expected["power"] -= (13 - samples) / 13
    expected["correlation"] = x.T @ (x @ w - 1)
    expected["centred"] = expected["centred"][:samples]
    found = run(program, secret, keys, x, w)
    check(found, expected)
    check(program.clear(x, w), expected, 18)
    check(program.simulate(x, w), expected)


def test_a_program_that_masks_shows_it(masked):
    program, _, keys = masked
    assert program.plan.rotations == (1, 2, 4, 8)
    assert not program.plan.whole_batch
    assert len(keys.rotations) == 4
    report = program.report()
    assert "relinearisation and rotations by 1, 2, 4, 8 to the server" in report
    assert "slot_sum of 16" in report and " mask " in report


def test_key_bytes_count_each_key_at_its_own_level(masked):
    program, _, keys = masked
    assert program.plan.manifest.bytes(program.params).wire == keys.wire_bytes
    levels = {key.level for key in keys.rotations.values()}
    assert levels == {program.plan.manifest.levels[distance] for distance in (1, 2, 4, 8)}


def test_verification_of_sums(masked):
    program, *_ = masked
    found = program.verify(data(9, 3), data(3))
    assert found.bits > 9
    assert {"slot_sum", "mask"} & {layer.operation for layer in found.layers}


def test_a_missing_rotation_key(masked):
    program, secret, keys = masked
    without = dataclasses.replace(keys, rotations={})
    with pytest.raises(ValueError, match=r"rotation by 1.*needs its key"):
        program(without, *program.encrypt(secret, data(13, 3), data(3)))


def test_a_full_batch_needs_no_mask_and_every_sample():
    program = small(lambda x: ((x + 1) ** 2).sum(0), fhejax.Encrypted((16, 2)))
    assert program.plan.whole_batch
    assert not any(step.operation == "mask" for step in program.plan.steps)
    assert "all 16 samples must be there" in program.report()
    secret, _ = program.keygen()
    for call in (lambda x: program.encrypt(secret, x), program.clear, program.simulate):
        with pytest.raises(ValueError, match=r"12 samples.*planned for 16.*give all 16"):
            call(data(12, 2))


def test_several_blocks_are_summed_together():
    batch = 2 * SLOTS + 5

    def function(x, w):
        return (x @ w) ** 2 - x.mean(), x.sum(0), w * 2

    program = small(function, fhejax.Encrypted((batch, 2)), shared(2))
    assert program.plan.blocks == 3
    assert program.plan.rotations == tuple(2**i for i in range(LOG_DEGREE))
    secret, keys = program.keygen()
    w = data(2)
    arrays = program.encrypt(secret, data(batch, 2), w)
    assert [a.data.shape[0] for a in arrays] == [3, 1]
    for samples in (batch, SLOTS + 1):
        x = data(samples, 2)
        expected = function(x, w)
        expected = ((x @ w) ** 2 - x.sum() / (2 * batch), *expected[1:])
        check(run(program, secret, keys, x, w), expected)


def test_samples_repeat_through_the_slots():
    program = small(lambda x, w: (x * w[None], x.sum(0)), fhejax.Encrypted((5, 1)), shared(1))
    secret, _ = program.keygen()
    x, w = program.encrypt(secret, data(5, 1), data(1))
    slots = np.asarray(ckks.decode(ckks.decrypt(secret, x.flat(0))))[0]
    expected = np.tile(np.pad(data(5, 1)[:, 0], (0, 3)), SLOTS // 8)
    np.testing.assert_allclose(slots, expected, atol=0.01)
    slots = np.asarray(ckks.decode(ckks.decrypt(secret, w.flat(0))))[0]
    np.testing.assert_allclose(slots, np.full(SLOTS, data(1)[0]), atol=0.01)


def test_sums_under_jit():
    program = small(lambda x: x.sum(0), fhejax.Encrypted((2, 3)))
    secret, keys = program.keygen()
    x = program.encrypt(secret, data(2, 3))
    np.testing.assert_array_equal(program(keys, x).data, jax.jit(program)(keys, x).data)


def test_noise_is_within_a_quarter_bit_of_its_prediction():
    """Of a mean of products, whose noise the mean over all slots halves where it is their own mean."""
    batch = SLOTS
    x, w = data(batch, 8), data(8)
    program = small(
        lambda x, w: ((x * w[None]).mean(0), x * x.mean(0, keepdims=True), w + 1),
        fhejax.Encrypted((batch, 8)),
        shared(8),
        sample=(x, w),
    )
    secret, keys = program.keygen()
    fixed = program.simulate(x, w)
    errors = [
        [f - s for f, s in zip(run(program, secret, keys, x, w), fixed, strict=True)] for _ in range(24)
    ]
    for found, predicted in zip(zip(*errors, strict=True), program.plan.predicted_noise, strict=True):
        measured = np.sqrt(np.mean(np.square(found)))
        assert abs(np.log2(measured / predicted)) < 0.25


def test_slots_of_a_layout():
    graph = traced(lambda x: (x + 1).sum(0), encrypted((3, 1), low=1, high=2))
    arguments, slots = in_slots(graph, [np.full((1, 3), 0.5)], 16)
    assert isinstance(slots, Slots)
    assert (slots.period, slots.width) == (4, 8)
    np.testing.assert_array_equal(arguments[0], [[0.5, 0.5, 0.5, -1.0] * 2])
    np.testing.assert_array_equal(slots.live, [True, True, True, False] * 2)


def test_margins_need_a_sample():
    with pytest.raises(ValueError, match="none was given"):
        compiled(lambda x: x, fhejax.Encrypted((4, 2)), margin=4)
    for margin in (0.5, np.inf, np.nan):
        with pytest.raises(ValueError, match="finite and 1 or more"):
            compiled(lambda x: x, fhejax.Encrypted((4, 2)), margin=margin, sample=data(4, 2))
