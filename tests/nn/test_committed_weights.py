"""The weights in experiments/weights fit their networks and leave the headroom of training."""

from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from fhejax import nn

FOLDER = Path(__file__).parents[2] / "experiments" / "weights"
NETWORKS = {"cryptonets": nn.CryptoNets, "hcnn": nn.HCNN, "mlp": nn.MLP}


@pytest.mark.parametrize("name", NETWORKS)
def test_committed_weights(name):
    path = FOLDER / f"{name}.safetensors"
    model = nn.load_weights(NETWORKS[name](rngs=nnx.Rngs(0)), path)
    predict = nnx.view(model, use_running_average=True)
    assert path.stat().st_size < 500_000
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(nnx.state(model)))
    # Untrained, the bounds are tens of thousands of times the logits.
    assert nn.logit_magnitude(predict) < 20_000
    images = np.zeros((4, 28, 28, 1), np.float32)
    images[0, 4:24, 13:16] = 1  # a vertical stroke
    images[1, 4:7, 8:20] = images[1, 4:24, 17:20] = 1  # a horizontal one above it, on its left
    images[2, 4:24, 8:20] = 1
    images[2, 7:21, 11:17] = 0  # the outline of a rectangle
    assert np.argmax(predict(images), axis=-1)[:3].tolist() == [1, 7, 0]
