"""ResNet-18 with random weights: its plan and simulation, and a block, in rings without security."""

import jax
import numpy as np
import pytest
from flax import nnx

from experiments import resnet18, resnet18_memory
from fhejax import nn

TINY = resnet18.Arguments(
    image_size=8, width=3, classes=4, cache=None, insecure_log_degree=6, precision_bits=5, bootstrapping=False
)


class Tiny(nn.Network):
    """A network that begins as ResNet-18 does, with one block."""

    def __init__(self, activation, *, width, classes, image_shape, rngs):
        self.image_shape = image_shape
        around = ((3, 3), (3, 3))
        self.first = nnx.Conv(3, width, (7, 7), strides=(2, 2), padding=around, use_bias=False, rngs=rngs)
        self.activation = activation(width)
        self.block = nn.ProjectedBlock(width, 2 * width, 2, activation, rngs=rngs)
        self.output = nnx.Linear(2 * width, classes, rngs=rngs)

    def layers(self):
        mean = nn.residual_networks.image_mean
        return (self.first, self.activation, self.block, mean, self.output)


@pytest.mark.filterwarnings("ignore:.*insecure")
def test_a_network_is_planned_and_simulated(monkeypatch, capsys):
    monkeypatch.setattr(nn, "ResNet18", Tiny)
    found = resnet18.main(TINY)
    assert set(found["predicted_seconds"]) == set(resnet18.DEVICES)
    assert found["widest_ciphertexts"] > 1 and not found["bootstraps"]
    assert 0.25 < found["simulated_error"] / found["predicted_error"] < 4
    assert "random weights" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:.*insecure")
def test_a_block_that_takes_too_much_memory_is_refused_before_there_are_keys(monkeypatch):
    arguments = resnet18.Arguments(
        block=True, image_size=7, width=3, memory=1e9, cache=None, insecure_log_degree=6, precision_bits=5
    )
    monkeypatch.setattr(resnet18.fhejax.Program, "keygen", lambda self: pytest.fail("keys were made"))
    with pytest.raises(SystemExit, match="--memory allows"):
        resnet18.main(arguments)


def test_the_weights_of_a_network_are_its_memory():
    network, images = resnet18.prepared(resnet18.Block(2, 4, rngs=nnx.Rngs(0)))
    program = resnet18.compiled(network, images, resnet18.Arguments(insecure_log_degree=4), False)
    found = resnet18_memory.predicted_bytes(program.plan, program.leaves)
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(program.leaves))
    assert found > resnet18_memory.PROCESS + held + program.plan.manifest.bytes(program.params).memory
    np.testing.assert_allclose(program.clear(images[:1]), network(images[:1]), atol=1e-4)
