"""The order in which steps are run: sources first, arguments late, drops early."""

import jax
import jax.numpy as jnp
import pytest

import fhejax
from fhejax.program.run.execution_order import execution_order


def step(weights, bias, x, y):
    """One of gradient descent, two layers."""

    def loss(weights):
        hidden = (x @ weights[0] + bias[None]) ** 2
        return 0.5 * jnp.mean(jnp.sum((hidden @ weights[1] - y) ** 2, -1))

    return jax.tree.map(lambda w, g: w - 0.125 * g, weights, jax.grad(loss)(weights))


@pytest.fixture(scope="module")
def plan():
    def encrypted(*shape):
        return fhejax.Encrypted(shape, range=(-0.5, 0.5), batch_axis=None)

    arguments = (
        [encrypted(8, 6), encrypted(6, 4)],
        encrypted(6),
        fhejax.Encrypted((16, 8)),
        fhejax.Encrypted((16, 4)),
    )
    return fhejax.compile(
        step, *arguments, packing="sample-per-slot", bootstrapping=False, insecure_log_degree=9
    ).plan


def largest_held(plan, order):
    """The residues, in units of N, that the registers held at once have at most."""
    last = {}
    for place, number in enumerate(order):
        last |= dict.fromkeys((number, *plan.steps[number].sources), place)
    last |= dict.fromkeys(plan.outputs, len(order))
    held, most = {}, 0
    for place, number in enumerate(order):
        made = plan.steps[number]
        held[number] = made.size * made.components * len(plan.params.level_moduli(int(made.level)))
        most = max(most, sum(held.values()))
        held = {register: size for register, size in held.items() if last[register] > place}
    return most


def test_each_step_comes_once_and_after_its_sources(plan):
    order = execution_order(plan.steps, plan.outputs)
    assert sorted(order) == list(range(len(plan.steps)))
    for place, number in enumerate(order):
        assert set(plan.steps[number].sources) <= set(order[:place])


def test_weights_are_not_held_at_the_level_of_the_forward_pass(plan):
    order = execution_order(plan.steps, plan.outputs)
    weights = plan.steps[0]
    assert weights.operation == "input" and weights.size == 48
    readers = [number for number, made in enumerate(plan.steps) if 0 in made.sources]
    forward, *drops = sorted(readers, key=order.index)
    assert plan.steps[forward].operation == "inner_product"
    assert [plan.steps[number].operation for number in drops] == ["drop"] * len(drops)
    after = order.index(forward) + 1
    assert set(order[after : after + len(drops)]) == set(drops)
    assert largest_held(plan, order) < 0.8 * largest_held(plan, range(len(plan.steps)))


def test_registers_that_are_wanted_are_not_dropped_early(plan):
    """They are held to the end in any case, so that early copies would only add to them."""
    with_weights = (*plan.outputs, 0)
    order = execution_order(plan.steps, with_weights)
    drops = [
        number for number, made in enumerate(plan.steps) if 0 in made.sources and made.operation == "drop"
    ]
    assert drops
    for number in drops:
        reader = next(n for n, made in enumerate(plan.steps) if number in made.sources)
        assert order.index(reader) - order.index(number) <= 2
