"""The conversion of folded residual networks, against the formula, and the weights that are committed."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

import fhejax
from experiments import resnet_weights
from fhejax import nn
from fhejax.program.tensor.trace import trace


def folded(depth=14, width=2):
    """Plain arrays of a small network, drawn at random."""
    generator = np.random.default_rng(0)
    arrays, before, third = {}, 3, (depth - 2) // 3
    for index in range(depth - 1):
        after = width << max(0, index - 1) // third
        kernel = generator.normal(size=(3, 3, before, after)) / np.sqrt(9 * before)
        arrays[f"conv{index}.kernel"] = kernel
        arrays |= {f"act{index}.{name}": generator.normal(size=after) / 3 for name in "abc"}
        before = after
    arrays |= {"dense.kernel": generator.normal(size=(before, 10)), "dense.bias": generator.normal(size=10)}
    arrays |= {"input.mean": np.full(3, 0.5), "input.deviation": np.full(3, 0.25), "input.chroma": np.ones(1)}
    return {name: np.float32(array) for name, array in arrays.items()}


def convolve(x, kernel, stride=1):
    order = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), ((1, 1),) * 2, dimension_numbers=order)


def formula(arrays, x, depth=14):
    """The network, written from its definition."""

    def activation(index, z):
        a, b, c = (arrays[f"act{index}.{name}"].reshape(1, 1, 1, -1) for name in "abc")
        return (a * z + b) * z + c

    x = activation(0, convolve(x, arrays["conv0.kernel"]))
    third = (depth - 2) // 3
    for index in range(1, depth - 1, 2):
        stride = 2 if index in (1 + third, 1 + 2 * third) else 1
        inner = activation(index, convolve(x, arrays[f"conv{index}.kernel"], stride))
        inner = convolve(inner, arrays[f"conv{index + 1}.kernel"])
        missing = (inner.shape[-1] - x.shape[-1]) // 2
        shortcut = jnp.pad(x[:, ::stride, ::stride], ((0, 0),) * 3 + ((missing, missing),))
        x = activation(index + 1, inner + shortcut)
    return x.mean((1, 2)) @ arrays["dense.kernel"] + arrays["dense.bias"].reshape(1, -1)


def test_logits_are_those_of_the_formula(tmp_path, capsys):
    source, output = tmp_path / "folded", tmp_path / "weights"
    arrays = folded()
    safetensors.numpy.save_file(arrays, source)
    resnet_weights.main(resnet_weights.Arguments(source, output))
    assert "14 layers" in capsys.readouterr().out
    network = nn.load_weights(nn.ResNet(14, width=2, rngs=nnx.Rngs(3)), output)
    x = np.random.default_rng(1).normal(size=(3, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(nn.inference_view(network)(x), formula(arrays, x), rtol=1e-4, atol=1e-4)
    assert nn.load_preparation(output) == nn.Preparation((0.5,) * 3, (0.25,) * 3, 1.0)


@pytest.mark.parametrize("name", ["act3.a", "conv5.kernel", "input.mean", "dense.bias"])
def test_what_is_no_such_network_is_said(tmp_path, name):
    source = tmp_path / "folded"
    arrays = folded()
    safetensors.numpy.save_file({key: array for key, array in arrays.items() if key != name}, source)
    with pytest.raises(SystemExit, match="is no folded residual network"):
        resnet_weights.main(resnet_weights.Arguments(source, tmp_path / "weights"))
    safetensors.numpy.save_file(arrays | {name: arrays[name][:1]}, source)
    with pytest.raises(SystemExit, match="is no folded residual network"):
        resnet_weights.main(resnet_weights.Arguments(source, tmp_path / "weights"))
    assert not (tmp_path / "weights").exists()


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(SystemExit, match="is no folded residual network"):
        resnet_weights.main(resnet_weights.Arguments(tmp_path / "missing", tmp_path / "weights"))
    with pytest.raises(SystemExit, match="no folder"):
        resnet_weights.main(resnet_weights.Arguments(tmp_path / "x", tmp_path / "missing" / "weights"))


def test_the_committed_network_is_polynomial_and_tells_colours():
    path = Path(resnet_weights.__file__).parent / "weights" / "resnet20.safetensors"
    assert path.stat().st_size < 1_200_000
    network = nn.inference_view(nn.load_weights(nn.ResNet20(rngs=nnx.Rngs(0)), path))
    preparation = nn.load_preparation(path)
    assert preparation.chroma == 1.5 and preparation.range == pytest.approx((-1.989, 2.127), abs=1e-3)
    images = np.full((1, 32, 32, 3), 127, np.uint8)
    assert np.abs(network(preparation(images))).max() < 30
    argument = fhejax.Encrypted((1, 32, 32, 3), range=preparation.range)
    traced = trace(network, [argument], jax.tree.structure((0,)), batch=1, plain=[])
    kinds = [type(operation).__name__ for operation in traced.operations]
    assert kinds.count("Polynomial") == 19
