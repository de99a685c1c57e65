"""The networks: shapes, counts, modes, and that inference is polynomial."""

import warnings

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fhejax.nn import HCNN, MLP, CryptoNets, Digits

NETWORKS = {
    # name: (class, parameters, multiply-adds, squares)
    "CryptoNets": (CryptoNets, 5 * 26 + 846 * 100 + 101 * 10, 106_625, 945),
    "HCNN": (HCNN, 5 * 26 + 126 * 50 + 801 * 10, 126_000, 1_520),
    "MLP": (MLP, 485 * 128 + 129 * 10, 63_232, 128),
    "Digits": (Digits, 16 * 10 + 2 * 16 + 3 * 16 + 145 * 32 + 33 * 10, 10_112, 32),
}


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS.keys())
def case(request):
    network, *counts = request.param
    return network(rngs=nnx.Rngs(0)), *counts


def images_for(network, count=3):
    shape = (count, *network.image_shape)
    return np.random.default_rng(0).random(shape, np.float32)


def equations(jaxpr):
    for equation in jaxpr.eqns:
        inner = list(jax.extend.core.jaxprs_in_params(equation.params))
        yield from (found for jaxpr in inner for found in equations(jaxpr))
        if not inner:
            yield equation


def test_logits_are_float32_batch_first_under_jit_and_vmap(case):
    network = nnx.view(case[0], use_running_average=True)
    images = images_for(network)
    logits = network(images)
    assert logits.shape == (3, 10) and logits.dtype == jnp.float32
    np.testing.assert_allclose(jax.jit(network)(images), logits, rtol=1e-4, atol=1e-5)
    stacked = jax.vmap(network)(jnp.stack([images, images[::-1]]))
    np.testing.assert_allclose(stacked[1], logits[::-1], rtol=1e-4, atol=1e-5)


def test_parameter_count(case):
    parameters = nnx.state(case[0], nnx.Param)
    assert sum(leaf.size for leaf in jax.tree.leaves(parameters)) == case[1]


def test_inference_is_polynomial_with_known_counts(case):
    network = nnx.view(case[0], use_running_average=True)
    jaxpr = jax.make_jaxpr(network)(images_for(network, 1)).jaxpr
    found = list(equations(jaxpr))
    names = {equation.primitive.name for equation in found}
    assert not names & {"max", "min", "abs", "select_n", "exp", "log", "reduce_max", "sqrt"}
    products = 0
    for equation in found:
        if equation.primitive.name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            products += int(np.prod(equation.outvars[0].aval.shape) * np.prod(kernel[:-1]))
        if equation.primitive.name == "dot_general":
            products += equation.outvars[0].aval.size * equation.invars[0].aval.shape[1]
    squares = sum(
        equation.outvars[0].aval.size
        for equation in found
        if equation.primitive.name in ("mul", "square")
        and len({id(operand) for operand in equation.invars}) == 1
    )
    assert (products, squares) == case[2:]


def test_view_warns_of_nothing_and_leaves_the_model(case):
    model = case[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict = nnx.view(model, use_running_average=True)
        predict(images_for(model))
    modes = [node for _, node in nnx.iter_modules(predict) if isinstance(node, nnx.BatchNorm)]
    assert all(node.use_running_average for node in modes)
    modes = [node for _, node in nnx.iter_modules(model) if isinstance(node, nnx.BatchNorm)]
    assert not any(node.use_running_average for node in modes)


def test_view_still_refuses_what_nobody_knows():
    with pytest.raises(ValueError, match="momentum"):
        nnx.view(CryptoNets(rngs=nnx.Rngs(0)), momentum=3)


def test_other_shapes_are_refused(case):
    network = nnx.view(case[0], use_running_average=True)
    with pytest.raises(ValueError, match=r"classifies images of shape .* found \(2, 9, 8, 1\)"):
        network(np.zeros((2, 9, 8, 1), np.float32))
    with pytest.raises(ValueError, match="batch first"):
        network(np.zeros(network.image_shape, np.float32))


def test_cryptonets_pads_on_top_and_left():
    model = CryptoNets(rngs=nnx.Rngs(1))
    image = np.random.default_rng(1).random((28, 28))
    padded = np.zeros((29, 29))
    padded[1:, 1:] = image
    kernel = np.asarray(model.convolution.kernel[...], np.float64)[:, :, 0]
    expected = np.array(
        [
            [np.tensordot(padded[r : r + 5, c : c + 5], kernel, 2) for c in range(0, 25, 2)]
            for r in range(0, 25, 2)
        ]
    )
    found = model.convolution(image[None, :, :, None].astype(np.float32))
    assert found.shape == (1, 13, 13, 5)
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_mlp_sees_the_central_pixels_only():
    model = MLP(rngs=nnx.Rngs(0))
    images = images_for(model, 1)
    border = images.copy()
    border[:, 3:25, 3:25] = 0
    np.testing.assert_array_equal(model(images), model(images - border))
