"""The weights in experiments/weights fit their networks and leave the headroom of training."""

from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from fhejax import nn

FOLDER = Path(__file__).parents[2] / "experiments" / "weights"
NETWORKS = {"cryptonets": nn.CryptoNets, "hcnn": nn.HCNN, "mlp": nn.MLP}


def committed(name, network):
    path = FOLDER / f"{name}.safetensors"
    model = nn.load_weights(network(rngs=nnx.Rngs(0)), path)
    assert path.stat().st_size < 500_000
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(nnx.state(model)))
    return nn.inference_view(model)


def simple_digits():
    images = np.zeros((4, 28, 28, 1), np.float32)
    images[0, 4:24, 13:16] = 1  # a vertical stroke
    images[1, 4:7, 8:20] = images[1, 4:24, 17:20] = 1  # a horizontal one above it, on its left
    images[2, 4:24, 8:20] = 1
    images[2, 7:21, 11:17] = 0  # the outline of a rectangle
    return images


@pytest.mark.parametrize("name", NETWORKS)
def test_committed_weights(name):
    predict = committed(name, NETWORKS[name])
    # Untrained, the bounds are tens of thousands of times the logits.
    assert nn.logit_magnitude(predict) < 20_000
    assert np.argmax(predict(simple_digits()), axis=-1)[:3].tolist() == [1, 7, 0]


def test_committed_weights_of_trained_quadratics():
    predict = committed("cryptodl", nn.CryptoDL)
    folded = nn.fold_batch_norm(predict)
    assert not any(isinstance(layer, nnx.BatchNorm) for layer in folded.layers())
    assert np.argmax(folded(simple_digits()), axis=-1)[:3].tolist() == [1, 7, 0]
    np.testing.assert_allclose(folded(simple_digits()), predict(simple_digits()), rtol=1e-3, atol=1e-3)
