"""The conversion of a folded shallow network, against the formula."""

import itertools

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from experiments import shallow_weights
from fhejax import nn

FEATURES = (3, 32, 64, 64, 128)


def folded():
    """Plain arrays of a network, drawn at random."""
    generator = np.random.default_rng(0)
    arrays = {}
    for index, (before, after) in enumerate(itertools.pairwise(FEATURES)):
        kernel = generator.normal(size=(3, 3, before, after)) / np.sqrt(9 * before)
        arrays[f"conv{index}.kernel"] = kernel
        arrays |= {f"act{index}.{name}": generator.normal(size=after) / 3 for name in "abc"}
    arrays |= {
        "dense.kernel": generator.normal(size=(2048, 10)) / 45,
        "dense.bias": generator.normal(size=10),
    }
    arrays |= {"input.mean": np.full(3, 0.5), "input.deviation": np.full(3, 0.25), "input.chroma": np.ones(1)}
    return {name: np.float32(array) for name, array in arrays.items()}


def formula(arrays, x):
    """The network, written from its definition."""
    order = ("NHWC", "HWIO", "NHWC")
    for index, pooled in enumerate((True, False, True, True)):
        kernel = arrays[f"conv{index}.kernel"]
        z = jax.lax.conv_general_dilated(x, kernel, (1, 1), ((1, 1),) * 2, dimension_numbers=order)
        a, b, c = (arrays[f"act{index}.{name}"].reshape(1, 1, 1, -1) for name in "abc")
        x = (a * z + b) * z + c
        if pooled:
            count, height, width, channels = x.shape
            x = x.reshape(count, height // 2, 2, width // 2, 2, channels).mean((2, 4))
    return x.reshape(len(x), -1) @ arrays["dense.kernel"] + arrays["dense.bias"].reshape(1, -1)


def test_logits_are_those_of_the_formula(tmp_path, capsys):
    source, output = tmp_path / "folded", tmp_path / "weights"
    safetensors.numpy.save_file(folded(), source)
    shallow_weights.main(shallow_weights.Arguments(source, output))
    assert "4 convolutions" in capsys.readouterr().out
    network = nn.load_weights(nn.ShallowCifar(rngs=nnx.Rngs(3)), output)
    x = np.random.default_rng(1).normal(size=(3, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(nn.inference_view(network)(x), formula(folded(), x), rtol=1e-3, atol=1e-3)
    assert nn.load_preparation(output) == nn.Preparation((0.5,) * 3, (0.25,) * 3, 1.0)


@pytest.mark.parametrize("name", ["act3.a", "conv2.kernel", "input.mean", "dense.bias"])
def test_what_is_no_such_network_is_said(tmp_path, name):
    source = tmp_path / "folded"
    arrays = folded()
    safetensors.numpy.save_file({key: array for key, array in arrays.items() if key != name}, source)
    with pytest.raises(SystemExit, match="is no folded shallow network"):
        shallow_weights.main(shallow_weights.Arguments(source, tmp_path / "weights"))
    safetensors.numpy.save_file(arrays | {name: arrays[name][:1]}, source)
    with pytest.raises(SystemExit, match="is no folded shallow network"):
        shallow_weights.main(shallow_weights.Arguments(source, tmp_path / "weights"))
    assert not (tmp_path / "weights").exists()
