"""A new operation: one file for what it is, one rule for how it is done, and one line in each table."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import Primitive
from jax.interpreters import mlir
from traced_functions import check_clear, encrypted, refusals

from fhejax.program.packing.sample_per_slot.rules import RULES
from fhejax.program.tensor import operations
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.primitives import PRIMITIVES

swap_p = Primitive("swap_ends")
swap_p.def_abstract_eval(lambda x: x)
mlir.register_lowering(
    swap_p,
    mlir.lower_fun(
        lambda x: jnp.concatenate([x[..., -1:], x[..., 1:-1], x[..., :1]], -1), multiple_results=False
    ),
)


@dataclasses.dataclass(frozen=True, eq=False)
class SwappedEnds(Operation):
    """The array whose first and last entries along the last axis have changed places."""

    def evaluate(self, values):
        (value,) = values
        return swapped(value)


def swapped(array):
    return array[..., [-1, *range(1, array.shape[-1] - 1), 0]]


def swap_ends(builder, operands, params):
    (x,) = operands
    return builder.append(SwappedEnds((x.number,), x.shape, builder.label))


def swap_rule(builder, operation, sources):
    (x,) = sources
    if x.batch_axis == len(operation.shape) - 1:
        raise ValueError("a swap of samples, each of which lies in a slot of its own")
    return x.view(swapped)


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(PRIMITIVES, "swap_ends", swap_ends)
    monkeypatch.setitem(RULES, SwappedEnds, swap_rule)


def test_a_new_operation_takes_one_line_in_each_table(registered):
    check_clear(lambda x: swap_p.bind(x * 2) ** 2 + x, encrypted((4, 5)))
    text = refusals(lambda x: swap_p.bind(x), encrypted((4, 5), 1))
    assert "test_rules.py" in text and "swap_ends: a swap of samples" in text


def test_without_the_line_it_is_refused():
    assert "swap_ends: it has no rule" in refusals(lambda x: swap_p.bind(x), encrypted((4, 5)))


def subclasses(kind):
    return {kind, *(below for child in kind.__subclasses__() for below in subclasses(child))}


def test_every_operation_has_a_rule_or_is_an_argument():
    kinds = {k for k in subclasses(Operation) if k.__module__.startswith(operations.__name__)}
    assert {k.__name__ for k in kinds} == {k.__name__ for k in RULES} | {"Argument"}


def test_operations_hold_nothing_that_names_a_batch():
    fields = {f.name for k in subclasses(Operation) for f in dataclasses.fields(k)}
    assert not any("batch" in name or "slot" in name for name in fields)
    assert np.ndim(jax.eval_shape(swap_p.bind, jnp.ones((2, 3)))) == 2
