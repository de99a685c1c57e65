"""Weights survive the file, and nothing else gets in."""

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from fhejax import nn


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_round_trip(tmp_path, dtype):
    model = nn.Digits(rngs=nnx.Rngs(1))
    path = tmp_path / "digits.safetensors"
    nn.save_weights(model, path, dtype)
    other = nn.Digits(rngs=nnx.Rngs(2))
    loaded = nn.load_weights(other, path)
    assert np.any(loaded.output.kernel[...] != other.output.kernel[...])

    def same(found, given):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, np.asarray(given).astype(dtype).astype(np.float32))

    jax.tree.map(same, nnx.state(loaded), nnx.state(model))
    assert [file.name for file in tmp_path.iterdir()] == ["digits.safetensors"]


def test_names_are_paths(tmp_path):
    nn.save_weights(nn.MLP(rngs=nnx.Rngs(0)), tmp_path / "mlp")
    names = safetensors.numpy.load_file(tmp_path / "mlp").keys()
    assert set(names) == {"hidden.kernel", "hidden.bias", "output.kernel", "output.bias"}


def test_other_files_are_refused(tmp_path):
    model, path = nn.MLP(rngs=nnx.Rngs(0)), tmp_path / "weights"
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        nn.load_weights(model, path)
    nn.save_weights(model, path)
    with pytest.raises(ValueError, match="does not hold the weights of HCNN: missing"):
        nn.load_weights(nn.HCNN(rngs=nnx.Rngs(0)), path)
    arrays = safetensors.numpy.load_file(path)
    path.write_bytes(safetensors.numpy.save(arrays | {"output.bias": np.zeros(9, np.float32)}))
    with pytest.raises(ValueError, match=r"output.bias in .* has shape \(9,\), but MLP needs"):
        nn.load_weights(model, path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        nn.load_weights(model, path)


def test_a_refused_save_leaves_the_old_file(tmp_path):
    model, path = nn.MLP(rngs=nnx.Rngs(0)), tmp_path / "weights"
    nn.save_weights(model, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="float32 or float16, not int8"):
        nn.save_weights(model, path, np.int8)
    model.output.bias[...] = model.output.bias[...] + 1e6
    with pytest.raises(ValueError, match=r"output\.bias is not finite as float16"):
        nn.save_weights(model, path, np.float16)
    with pytest.raises(FileNotFoundError, match="no folder"):
        nn.save_weights(model, tmp_path / "missing" / "weights")
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_random_streams_stay_out(tmp_path):
    def noisy(seed):
        return nn.PolynomialActivation(2, noise=lambda c: 0.01 * c @ c, rngs=nnx.Rngs(seed))

    nn.save_weights(noisy(0), tmp_path / "noisy.safetensors")
    assert list(safetensors.numpy.load_file(tmp_path / "noisy.safetensors")) == ["coefficients"]
    loaded, original = nn.load_weights(noisy(1), tmp_path / "noisy.safetensors"), noisy(1)
    x = np.linspace(-1, 1, 9, dtype=np.float32)
    assert (loaded(x) == original(x)).all() and (loaded(x) != noisy(2)(x)).all()
