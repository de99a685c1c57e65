"""The table of packings: a new one is one function and one line."""

import jax.numpy as jnp
import numpy as np
import pytest
from traced_functions import encrypted, values_of

import fhejax
from fhejax.program.circuit.graph import Graph
from fhejax.program.packing.packings import PACKINGS, candidate_packings
from fhejax.program.packing.sample_per_slot.to_circuit import to_circuit
from fhejax.program.tensor.graph import TensorGraph


@pytest.fixture
def made(monkeypatch):
    """The circuits of a toy packing, which is sample-per-slot and remembers what it was asked for."""
    circuits = []

    def toy(graph: TensorGraph) -> Graph:
        circuits.append(to_circuit(graph))
        return circuits[-1]

    monkeypatch.setitem(PACKINGS, "toy", toy)
    return circuits


def test_a_new_packing_is_one_function_and_one_line(made):
    argument, weights = encrypted((8, 3)), fhejax.Plain((3,))
    program = fhejax.compile(
        lambda x, w: (x * w[None]) ** 2, argument, weights, packing="toy", insecure_log_degree=7
    )
    planned = len(made)  # for the values that are planned with, and others that bounds are made for
    assert planned >= 1 and ", toy, " in program.report()
    x, w = values_of(argument), np.float32([0.5, -0.25, 1.0])
    secret, keys = program.keygen()
    found = program.decrypt(secret, program(keys, program.encrypt(secret, x), w))
    np.testing.assert_allclose(found, (x * w) ** 2, atol=1e-2)
    assert len(made) == planned + 1, "plain arguments are packed as the program was"


def test_the_default_is_one_sample_in_each_slot():
    program = fhejax.compile(jnp.square, encrypted((8, 3)), insecure_log_degree=7)
    assert ", sample per slot, " in program.report()
    only = (("sample-per-slot",),)
    assert candidate_packings("auto", 8) == candidate_packings("sample-per-slot", 1) == only


def layer(weights, x):
    """A dense layer and its square."""
    return jnp.square(x @ weights)


def many_weights(columns):
    """Encrypted weights, each of which would be a ciphertext, and a batch."""
    weights = fhejax.Encrypted((16, columns), batch_axis=None)
    return weights, encrypted((4, 16))


def test_many_encrypted_weights_lie_in_tiles():
    options = {"insecure_log_degree": 10, "precision_bits": 6}
    program = fhejax.compile(layer, *many_weights(16), **options)
    assert program.source.packing == "tiles"
    assert "packings      tiles: " in program.report() and "sample per slot: not planned" in program.report()
    few = fhejax.compile(layer, *many_weights(2), **options)
    assert few.source.packing == "sample-per-slot"


def test_what_tiles_do_not_hold_has_one_sample_in_each_slot():
    def cube(weights, x):
        return jnp.sum(weights) * x**2

    rounds = candidate_packings("auto", 4, weights=256)
    assert rounds == (("tiles",), ("sample-per-slot",))
    described = fhejax.Encrypted((4, 4, 4, 4), batch_axis=None), encrypted((4, 2))
    program = fhejax.compile(cube, *described, insecure_log_degree=8, precision_bits=6)
    assert program.source.packing == "sample-per-slot" and "packings      tiles: " in program.report()


def test_for_one_sample_the_packing_of_less_predicted_time_is_taken():
    def layers(x):
        return jnp.square(x @ np.full((64, 16), 0.1, np.float32)) @ np.full((16, 4), 0.1, np.float32)

    one = fhejax.compile(layers, encrypted((1, 64)), insecure_log_degree=9, precision_bits=6, device="cpu")
    report = one.report()
    assert "packings      sample per slot: " in report and "multiplexed: " in report
    seconds = {found.name: found.seconds for found in one.source.considered}
    assert one.plan.predicted_seconds == min(seconds.values())
    assert one.source.packing == min(seconds, key=seconds.__getitem__)
    plain = fhejax.compile(jnp.multiply, encrypted((1, 3)), fhejax.Plain((1, 3)), insecure_log_degree=7)
    assert plain.source.packing == "sample-per-slot"
    assert "multiplexed: argument 1 is plain" in plain.report()


@pytest.mark.parametrize("name", ["plane", "", None, 3, ["auto"]])
def test_other_names_are_refused_in_a_sentence(name):
    with pytest.raises(ValueError, match="which is no packing; choose one of 'auto', 'sample-per-slot'"):
        fhejax.compile(jnp.square, encrypted((8, 3)), packing=name, insecure_log_degree=7)
