"""Training steps in tiles, in the clear, whatever the network, the batch and the ring."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tile_steps import (
    MOMENTUM,
    arguments_of,
    check,
    circuit_of,
    evaluated,
    key_switches,
    mean_squared_error,
    step,
    values_of,
)

import fhejax as fhe
from fhejax.program.compiler import described_arguments
from fhejax.program.levels.carry import with_carry
from fhejax.program.packing.packings import packed
from fhejax.program.tensor.trace import trace

SIZES = [(8, 4, 3), (5, 3), (12, 8, 4, 3), (4, 7, 5, 2), (6, 1), (3, 9, 4, 6, 2)]


@pytest.mark.parametrize("slots", [128, 512, 4096])
@pytest.mark.parametrize("batch", [8, 6, 33])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_step_in_any_ring(sizes, batch, slots):
    """Axes that fill slots and that do not, samples that are no power of two, several ciphertexts a value."""
    check(step, arguments_of(sizes, batch), slots)


def test_two_steps_in_one_call():
    """Weights after the first are cleaned and copied to all samples, so that one bootstrap serves both."""

    def twice(params, momentum, first, second):
        return step(*step(params, momentum, *first), *second)

    params, momentum, x, y = arguments_of((8, 4, 3), 6)
    check(twice, (params, momentum, (x, y), (x, y)), 512)


@pytest.mark.parametrize(("sizes", "batch"), [((8, 4, 3), 33), ((5, 3), 6), ((6, 1), 16)])
def test_a_step_where_hardly_anything_has_room(sizes, batch):
    check(step, arguments_of(sizes, batch), 64)


def test_a_weight_has_room_in_one_ciphertext():
    with pytest.raises(ValueError, match="no place was found for arrays in 64 slots"):
        circuit_of(step, arguments_of((12, 8, 3), 8), 64)


def test_carried_results_lie_where_the_arguments_do():
    described = arguments_of((8, 4, 3), 6)
    graph = check(step, described, 512, carry=(0, 1))
    carried = with_carry(graph, matched_pairs_of(graph))
    values = values_of(described)
    for _ in range(3):
        _, found = evaluated(carried, values)
        values = step(*values)[:2] + values[2:]
        for one, other in zip(found, jax.tree.leaves(values[:2]), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
    assert sum(type(node).__name__ == "CarriedSlots" for node in carried.nodes) == 1


def matched_pairs_of(graph):
    return tuple((n, n) for n in range(len(graph.outputs)))


def test_key_switches_of_the_paper_s_network():
    """64-32-16-10 with biases and 60 samples; in the layout of one feature a ciphertext they are 19,590."""
    graph = circuit_of(step, arguments_of((64, 32, 16, 10), 60), 2**15, carry=(0, 1))
    assert key_switches(graph) == 142


def sigmoid(z):
    return 0.5 + 0.197 * z - 0.004 * z**3


def logistic_step(weights, velocity, x, y):
    gradient = x.T @ (sigmoid(x @ velocity) - y) / len(x)
    moved = velocity - 0.5 * gradient
    return moved, moved + MOMENTUM * (moved - weights)


@pytest.mark.parametrize(("features", "batch", "slots"), [(12, 14, 256), (12, 14, 64), (5, 32, 1024)])
def test_logistic_regression(features, batch, slots):
    own = {"range": (-1, 1), "batch_axis": None}
    weights = fhe.Encrypted((features,), **own)
    x, y = fhe.Encrypted((batch, features)), fhe.Encrypted((batch,), range=(0, 1))
    check(logistic_step, (weights, weights, x, y), slots)


def biased_step(model, velocity, x, y):
    """A logistic step with a bias, whose gradient has the sigmoid's constant in it."""

    def gradient(weights, bias):
        error = sigmoid(x @ weights + bias) - y
        return x.T @ error / len(x), jnp.sum(error) / len(x)

    moved = jax.tree.map(lambda v, g: v - 0.5 * g, velocity, gradient(*velocity))
    return moved, jax.tree.map(lambda m, w: m + MOMENTUM * (m - w), moved, model)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize(("features", "batch", "slots"), [(12, 14, 256), (12, 14, 64), (5, 32, 1024)])
def test_constants_are_added_to_what_is_carried(features, batch, slots, steps):
    own = {"range": (-1, 1), "batch_axis": None}
    model = fhe.Encrypted((features,), **own), fhe.Encrypted((), **own)
    x, y = fhe.Encrypted((batch, features)), fhe.Encrypted((batch,), range=(0, 1))

    def several(model, velocity, batches):
        for batch in batches:
            model, velocity = biased_step(model, velocity, *batch)
        return model, velocity

    described = model, model, ((x, y),) * steps
    graph = check(several, described, slots, carry=(0, 1))
    carried = with_carry(graph, matched_pairs_of(graph))
    values = values_of(described)
    for _ in range(2):
        _, found = evaluated(carried, values)
        values = several(*values) + values[2:]
        for one, other in zip(found, jax.tree.leaves(values[:2]), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_key_switches_of_logistic_regression():
    own = {"range": (-1, 1), "batch_axis": None}
    weights = fhe.Encrypted((196,), **own)
    x, y = fhe.Encrypted((1024, 196)), fhe.Encrypted((1024,), range=(0, 1))
    assert key_switches(circuit_of(logistic_step, (weights, weights, x, y), 2**15, carry=(0, 1))) <= 90


def predictions(params, x):
    (weights, bias), (last, _) = params
    hidden = x @ weights + bias[None]
    return (hidden * hidden + hidden) @ last, 0.5 * hidden - 0.25


@pytest.mark.parametrize("slots", [64, 1024])
def test_results_with_samples(slots):
    """They may take several ciphertexts, and have factors and terms that no ciphertext was spent on."""

    def both(params, x):
        outputs, hidden = predictions(params, x)
        return outputs + params[1][1][None], hidden

    params, _, x, _ = arguments_of((6, 5, 3), 12)
    check(both, (params, x), slots)


def masked_loss(weights, x, y):
    mask = jnp.asarray([1.0, 0.5, 0.0, 2.0, 1.0, 1.0], x.dtype)
    return jnp.mean(((x @ weights - y) * mask) ** 2)


def test_plain_factors_along_axes():
    """Weights of samples, and a decay of weights beside the gradient."""

    def decayed(weights, x, y):
        return 0.99 * weights - 0.1 * jax.grad(masked_loss)(weights, x, y)

    weights = fhe.Encrypted((5,), batch_axis=None)
    check(decayed, (weights, fhe.Encrypted((6, 5)), fhe.Encrypted((6,))), 128)


def test_gradients_alone_are_results_too():
    params, _, x, y = arguments_of((6, 4, 3), 7)
    check(jax.grad(mean_squared_error), (params, x, y), 256)


REFUSED = {
    "split samples": (lambda w, x: (x @ w).reshape(2, 4, 3), "a reshape splits the axis of the samples"),
    "reshape": (lambda w, x: (x @ w).reshape(3, 8).T + (x @ w), "at places that do not fit, 3 and 8 of 24"),
    "plain matrix": (lambda w, x: (x @ w) @ np.ones((3, 2), np.float32), "a product with a plain matrix"),
    "slice": (lambda w, x: (x @ w)[:, :2], "a slice, which packing='tiles' has no rule for"),
    "gram": (lambda w, x: (x.T @ x) @ w, "two axes that run along together, such as those of x.T @ x"),
    "unused": (lambda w, x: 2 * x, "argument 0 decides no result"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_what_to_do(name):
    function, message = REFUSED[name]
    described = fhe.Encrypted((5, 3), batch_axis=None), fhe.Encrypted((8, 5))
    with pytest.raises(ValueError, match=message):
        circuit_of(function, described, 256)


def loss_alone(weights, x, y):
    return jnp.mean((x @ weights - y) ** 2)


OTHERS = {
    "loss and gradient": jax.value_and_grad(loss_alone),
    "decay": jax.grad(lambda w, x, y: loss_alone(w, x, y) + 0.1 * jnp.sum(w**2)),
    "tied weights": jax.grad(lambda w, x, y: jnp.mean(((x @ w) @ w.T - x) ** 2) + jnp.mean((x @ w) * y)),
    "means over samples": lambda w, x, y: (x - x.mean(0, keepdims=True)) @ w + y.sum(0)[None],
    "variances": lambda w, x, y: (((x - x.mean(0, keepdims=True)) ** 2).mean(0), w * w, y**3 - 0.5 * y),
    "plain choice": lambda w, x, y: jnp.where(np.arange(5)[None] < 2, x, 0.0) @ w + y,
    "sums over features": lambda w, x, y: (x.sum(1), y.sum(), w.sum(0)),
}


@pytest.mark.parametrize("slots", [64, 1024])
@pytest.mark.parametrize("name", OTHERS)
def test_other_functions_of_batches(name, slots):
    described = fhe.Encrypted((5, 3), batch_axis=None), fhe.Encrypted((6, 5)), fhe.Encrypted((6, 3))
    with jax.numpy_rank_promotion("allow"):
        check(OTHERS[name], described, slots)


@pytest.mark.parametrize("slots", [64, 512])
@pytest.mark.parametrize("batch", [6, 33])
def test_a_sum_over_samples_of_what_is_the_same_for_all(batch, slots):
    """One factor has no samples, and the other has more than zero where samples are missing."""

    def summed(weights, same, bias, x):
        return jnp.broadcast_to(same[:, None], (4, batch)) @ (x @ weights + bias[None])

    shapes = (5, 3), (4,), (3,)
    described = [fhe.Encrypted(shape, batch_axis=None) for shape in shapes]
    check(summed, (*described, fhe.Encrypted((batch, 5))), slots)


def test_a_sum_that_no_factor_runs_along():
    def repeated(first, second, x):
        return jnp.broadcast_to(first[:, None], (3, 7)) @ jnp.broadcast_to(second[None], (7, 1)) + x.sum()

    described = fhe.Encrypted((3,), batch_axis=None), fhe.Encrypted((1,), batch_axis=None)
    check(repeated, (*described, fhe.Encrypted((6, 5))), 128)


def test_ranges_without_zero():
    """What is encrypted is the distance from the middle of the range."""
    weights, x = fhe.Encrypted((5, 3), range=(1, 4), batch_axis=None), fhe.Encrypted((6, 5), range=(2, 8))
    check(lambda w, x: x @ w, (weights, x), 256)


def test_a_batch_and_two_fields_are_needed():
    weights = fhe.Encrypted((4, 4), batch_axis=None)
    with pytest.raises(ValueError, match="there are none"):
        flat, nesting = described_arguments((weights,))
        packed(trace(lambda w: w * w, flat, nesting, 1, []), "tiles")
    with pytest.raises(ValueError, match=r"two axes that run along together|circle"):
        circuit_of(lambda w, x: x @ w + x, (weights, fhe.Encrypted((8, 4))), 256)
    with pytest.raises(ValueError, match="there is one sample"):
        circuit_of(lambda w, x: x @ w, (weights, fhe.Encrypted((1, 4))), 256)


def test_axes_that_meet_in_an_odd_circle():
    """Two of three lie in one field, side by side."""
    weights = fhe.Encrypted((4, 4), batch_axis=None)
    described = (weights,) * 3 + (fhe.Encrypted((6, 4)),)
    check(jax.grad(lambda u, v, w, x: jnp.sum((x @ u @ v @ w + x) ** 2) / 64), described, 256)


def test_weights_of_three_axes():
    deep = fhe.Encrypted((2, 3, 4), batch_axis=None)
    check(lambda w, x: jnp.einsum("bi,ijk->bjk", x, w), (deep, fhe.Encrypted((8, 2))), 256)


def test_plain_arguments_are_refused():
    with pytest.raises(ValueError, match="argument 0 is plain"):
        fhe.compile(lambda w, x: x * w[None], fhe.Plain((3,)), fhe.Encrypted((8, 3)), packing="tiles")
