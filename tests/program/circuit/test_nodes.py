"""Every kind of node: gradients and intervals against its values, and a new kind in one class."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csr_array

from fhejax import ckks
from fhejax.ckks.parameters import ParameterOptions, make_parameters
from fhejax.program.circuit import nodes
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.graph import Graph, Output
from fhejax.program.circuit.lowering.levels import Levels
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.node_lowering import lower
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.lowering.state import after
from fhejax.program.circuit.node import Evaluation, SingleSource
from fhejax.program.circuit.nodes.carried_values import CarriedTerm
from fhejax.program.circuit.nodes.in_slots.block_matrix import SparseBlocks
from fhejax.program.circuit.nodes.in_slots.plane_map import PlaneMap
from fhejax.program.circuit.nodes.in_slots.slot_matrix import SlotMatrix
from fhejax.program.circuit.ranges import bounds
from fhejax.program.circuit.sensitivity import noise_gains
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.step_files import KINDS
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.views import View
from fhejax.program.run.execution import run
from fhejax.ring import Ring

SIZE, COLUMNS = 4, 6


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape)


def entries(*shape, seed=0):
    return np.random.default_rng(seed).integers(-1, SIZE, shape).astype(np.int32)


def slot_matrix(seed=0):
    """From SIZE slots to twice as many, half of the coefficients zero."""
    matrix = numbers(2 * SIZE, SIZE, seed=seed)
    return SlotMatrix(csr_array(np.where(matrix > 0, 2 * matrix - 1, 0.0)))


def block_matrix(seed=0):
    """From 2 ciphertexts of 2 slots to 3 of 4, half of the coefficients zero."""
    matrix = numbers(12, SIZE, seed=seed)
    return SparseBlocks((4, 2), (3, 2), csr_array(np.where(matrix > 0, 2 * matrix - 1, 0.0)))


def plane_map(seed=0):
    """From 2 planes of 2 slots to 3, by taps with masks: one of the same slot, one of the next."""
    return PlaneMap(2, (0, 1), numbers(2, 3, 2, seed=seed), numbers(2, 2, seed=seed + 1))


NODES = {
    "linear": nodes.Linear(0, entries(2, 3, 2), numbers(2, 2, 3), numbers(8), False, ""),
    "square": nodes.ElementwiseSquare(0, numbers(SIZE), SIZE, ""),
    "product": nodes.ElementwiseProduct((0, 1), (None, numbers(SIZE)), SIZE, ""),
    "inner product": nodes.InnerProduct(
        (0, 1), (numbers(SIZE), None), (entries(3, 5), entries(3, 5, seed=1)), ""
    ),
    "combination": nodes.Combine((0, 1), (None, numbers(SIZE)), SIZE, ""),
    "concatenation": nodes.Concatenate((1, 0), 2 * SIZE, ""),
    "gather": nodes.Gather(0, entries(7), 7, ""),
    "summand": nodes.Summand(0, numbers(SIZE), True, False, SIZE, ""),
    "slot transform": nodes.SlotTransform((0, 1), (slot_matrix(), slot_matrix(seed=1)), numbers(8), ""),
    "block transform": nodes.BlockTransform(
        (0, 1), (block_matrix(), block_matrix(seed=1)), numbers(12), 4, 3, ""
    ),
    "plane transform": nodes.PlaneTransform((0, 1), (plane_map(), plane_map(seed=1)), numbers(6), 2, 3, ""),
    "slot sum": nodes.SlotSum(0, SIZE, ""),
    "bootstrap": nodes.Bootstrap(0, SIZE, ""),
    "carried values": nodes.CarriedValues(
        (CarriedTerm(0, entries(3), numbers(3)), CarriedTerm(1, entries(5, seed=1), numbers(5, seed=8))),
        numbers(8),
        np.full(8, -100.0),
        np.full(8, 100.0),
        False,
        "",
    ),
    "rotated sum": nodes.RotatedSum(0, (1, -2), 1, ""),
    "rotations": nodes.Rotations(0, (1, -2), ""),
    "stepped sum": nodes.SteppedSum((0, 1, 0), -1, ""),
    "masked sum": nodes.MaskedSum((0, 1), (numbers(SIZE), numbers(SIZE, seed=9)), "", numbers(SIZE, seed=3)),
    "sum of products": nodes.SumOfProducts(((0, 1), (1, 1)), ((numbers(SIZE), None), (None, None)), ""),
    "ciphertext of": nodes.CiphertextOf(0, 1, 2, ""),
    "carried slots": nodes.CarriedSlots((1, 0), np.full(8, -100.0), np.full(8, 100.0), ""),
}
SLOTS = {"samples": None, "slots": Slots(np.arange(COLUMNS) < 5, 3, COLUMNS)}


def test_every_kind_is_here():
    kinds = {getattr(nodes, name) for name in nodes.__all__} - {nodes.Input}
    assert {type(node) for node in NODES.values()} == kinds
    assert len({kind.operation for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("columns", SLOTS)
@pytest.mark.parametrize("name", NODES)
def test_gradients_are_those_of_the_values(name, columns):
    """Nodes are of degree two at most, so that central differences are exact."""
    node, slots = NODES[name], SLOTS[columns]
    values = [numbers(SIZE, COLUMNS, seed=1), numbers(SIZE, COLUMNS, seed=2)]
    direction = [numbers(SIZE, COLUMNS, seed=4), numbers(SIZE, COLUMNS, seed=5)]

    def moved(sign):
        given = [value + sign * step for value, step in zip(values, direction, strict=True)]
        return node.evaluate(Evaluation(given, (), None, slots))

    adjoint = numbers(len(moved(1)), COLUMNS, seed=3)
    wanted = np.vdot(adjoint, moved(1) - moved(-1)) / 2
    found = sum(np.vdot(part, direction[s]) for s, part in node.adjoints(values, adjoint, slots))
    assert found == pytest.approx(wanted, abs=1e-12)


def rows(values, entries):
    return jnp.concatenate([values, jnp.zeros((1, COLUMNS))])[np.where(entries < 0, SIZE, entries)]


def linear(node, values, slots):
    patches = rows(values[0], node.entries)
    return jnp.einsum("gok,gkps->gops", node.weights, patches).reshape(8, -1) + node.bias[:, None]


def inner_product(node, values, slots):
    first, second = (
        rows(values[0] + node.shifts[0][:, None], node.entries[0]),
        rows(values[1], node.entries[1]),
    )
    return jnp.einsum("oks,oks->os", first, second)


def summand(node, values, slots):
    terms = values[0] + node.shift[:, None]
    return terms if slots is None else terms * slots.live.astype(np.float64)[None]


def slot_sum(node, values, slots):
    if slots is None:
        return jnp.broadcast_to(values[0].sum(1, keepdims=True), values[0].shape)
    return sum((jnp.roll(values[0], -k, 1) for k in range(slots.period)), jnp.zeros(values[0].shape))


def carried_values(node, values, slots):
    parts = [term.weights[:, None] * rows(values[term.source], term.entries) for term in node.terms]
    return jnp.concatenate(parts) + node.shift[:, None]


def slot_transform(node, values, slots):
    pairs = zip(node.matrices, values, strict=True)
    return sum((m.matrix.toarray() @ v for m, v in pairs), jnp.asarray(node.bias)[:, None])


def rotated_sum(node, values, slots):
    total = values[0]
    for distance in node.distances:
        total = total + jnp.roll(total, -distance, 0)
    return total


def plane_transform(node, values, slots):
    """Planes of all columns one after the other, as they lie in the slots."""
    total = jnp.asarray(node.bias)[:, None]
    for one, value in zip(node.maps, values, strict=True):
        lanes = value.reshape(2, 2, COLUMNS).transpose(0, 2, 1).reshape(2, -1)
        for tap, distance in enumerate(one.distances):
            masked = jnp.roll(lanes, -distance, 1) * np.tile(one.masks[tap], COLUMNS)[None]
            planes = (one.weights[tap] @ masked).reshape(3, COLUMNS, 2)
            total = total + planes.transpose(0, 2, 1).reshape(6, COLUMNS)
    return total


IN_JAX = {
    "plane transform": plane_transform,
    "rotated sum": rotated_sum,
    "rotations": lambda node, values, slots: jnp.concatenate(
        [jnp.roll(values[0], -distance, 0) for distance in node.distances]
    ),
    "stepped sum": lambda node, values, slots: (
        values[0] + jnp.roll(values[1], 1, 0) + jnp.roll(values[0], 2, 0)
    ),
    "masked sum": lambda node, values, slots: sum(
        (v[:, None] * x for v, x in zip(node.vectors, values, strict=True)), node.added[:, None]
    ),
    "sum of products": lambda node, values, slots: (
        (values[0] + node.shifts[0][0][:, None]) * values[1] + values[1] * values[1]
    ),
    "ciphertext of": lambda node, values, slots: values[0][2:],
    "carried slots": lambda node, values, slots: jnp.concatenate([values[1], values[0]]),
    "carried values": carried_values,
    "slot transform": slot_transform,
    "block transform": slot_transform,
    "linear": linear,
    "square": lambda node, values, slots: (values[0] + node.shift[:, None]) ** 2,
    "product": lambda node, values, slots: values[0] * (values[1] + node.shifts[1][:, None]),
    "inner product": inner_product,
    "combination": lambda node, values, slots: values[0] + node.weights[1][:, None] * values[1],
    "concatenation": lambda node, values, slots: jnp.concatenate([values[1], values[0]]),
    "gather": lambda node, values, slots: rows(values[0], node.entries),
    "summand": summand,
    "slot sum": slot_sum,
    "bootstrap": lambda node, values, slots: values[0],
}


@pytest.mark.parametrize("columns", SLOTS)
@pytest.mark.parametrize("name", NODES)
def test_gradients_are_those_of_jax(name, columns):
    node, slots = NODES[name], SLOTS[columns]
    values = [numbers(SIZE, COLUMNS, seed=1), numbers(SIZE, COLUMNS, seed=2)]
    adjoint = numbers(len(node.evaluate(Evaluation(values, (), None, slots))), COLUMNS, seed=3)
    found = [np.zeros((SIZE, COLUMNS)) for _ in values]
    for source, part in node.adjoints(values, adjoint, slots):
        found[source] = found[source] + part
    with jax.enable_x64(True):
        result, pull = jax.vjp(lambda given: IN_JAX[name](node, given, slots), list(map(jnp.asarray, values)))
        (wanted,) = pull(jnp.asarray(adjoint))
    np.testing.assert_allclose(node.evaluate(Evaluation(values, (), None, slots)), result, atol=1e-12)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("name", NODES)
def test_values_lie_in_their_intervals(name):
    node = NODES[name]
    centre, radius = numbers(2, SIZE, 1, seed=6), abs(numbers(2, SIZE, 1, seed=7))
    known = [(c[:, 0] - r[:, 0], c[:, 0] + r[:, 0]) for c, r in zip(centre, radius, strict=True)]
    low, high = node.interval(known, COLUMNS)
    for seed in range(50):
        values = centre + radius * np.random.default_rng(seed).choice([-1, 1], (2, SIZE, COLUMNS))
        found = node.evaluate(Evaluation(list(values), ()))
        assert (low[:, None] - 1e-12 <= found).all() and (found <= high[:, None] + 1e-12).all()


@dataclasses.dataclass(frozen=True)
class NegationStep(Step):
    operation: ClassVar[str] = "negate"

    def run(self, call):
        return ckks.negate(call.sources[0])


@dataclasses.dataclass(frozen=True, eq=False)
class Negation(SingleSource):
    """All that a new kind of node takes."""

    source: int
    size: int
    label: str

    def interval(self, known, batch):
        low, high = known[self.source]
        return -high, -low

    def evaluate(self, given):
        return -given.values[self.source]

    def adjoints(self, values, adjoint, slots):
        yield self.source, -adjoint

    def lower(self, lowering, number):
        step = NegationStep(*after(lowering.registers[self.source]), node=number, label=self.label)
        return lowering.emit(step)

    def is_zero_without_sample(self, zero):
        return zero(self.source, None)


def test_a_new_kind_of_node_is_one_class():
    graph_nodes = (nodes.Input(0, 2, -1.0, 2.0, "x"), Negation(0, 2, "minus"))
    view = View(1, np.arange(2), np.ones(2), np.zeros(2), 0, 3)
    graph = Graph(graph_nodes, (Output(view, (3, 2), np.float32),), (), None, None, 3)
    assert bounds(graph) == (2.0, 2.0)
    x = numbers(2, 3)
    values = evaluate_graph(graph, [x])
    np.testing.assert_array_equal(values[1], -x)
    np.testing.assert_allclose(noise_gains(graph, values, view), [1.0, 1.0])
    ring = Ring(2**6, conjugate_invariant=True)
    params = make_parameters(ring, 1, 30, ParameterOptions(insecure=True))
    settings = Settings(ring, 28, 10, 28, 30)
    lowered: Lowered = lower(graph, bounds(graph), settings, Levels(params, params.depth))
    key, other, third = jax.random.split(ckks.random_key(), 3)
    secret = ckks.secret_key(key, params)
    plain = ckks.encode(params, np.tile(x[0], 64)[:64], scale=2.0**28)
    ciphertext = ckks.encrypt(other, secret, plain)
    batch = ciphertext.replace(data=jnp.stack([ciphertext.data] * 2))
    keys = ckks.evaluation_keys(third, secret)
    steps = tuple(step.placed(1) for step in lowered.steps)
    ((found,),) = run(steps, (), keys, [lambda: (batch,)], 1, (lowered.registers[1].step,))
    decrypted = ckks.decode(ckks.decrypt(secret, found.replace(data=found.data[0])))
    np.testing.assert_allclose(decrypted[:3], -x[0], atol=1e-4)
