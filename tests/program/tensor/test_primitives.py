"""Every rule against the function itself: exactly in the clear, closely in fixed point."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from traced_functions import check_clear, constant, encrypted, values_of

import fhejax
from fhejax import approx

LOG_DEGREE = 7
RANDOM = np.random.default_rng(3)


ELEMENTWISE = {
    "add scalar": lambda x: x + 2.5,
    "add constant": lambda x: x + constant(3, 1),
    "scalar minus": lambda x: 1.5 - x,
    "minus itself": lambda x: x - x,
    "twice": lambda x: x + x,
    "multiply": lambda x: x * constant(3, 1),
    "multiply by zeros": lambda x: (x * jnp.zeros((3, 1))) * x + 1.0,
    "square of some zeros": lambda x: (x * jnp.array([[1.0], [0.0], [2.0]]) + 1.0) ** 2,
    "divide": lambda x: x / (2.0 + jnp.abs(constant(3, 1))),
    "negate": lambda x: -x,
    "square": jnp.square,
    "square of an affine value": lambda x: (2 * x + constant(3, 1)) ** 2,
    "product": lambda x: x * (x + 1),
    "product of two affine values": lambda x: (x + constant(3, 1)) * (1 - 2 * x),
    "product with a flip": lambda x: x * jnp.flip(x, 0) if x.ndim > 1 else x * x,
    "where": lambda x: jnp.where(constant(3, 1) > 0, x, 0.5),
    "where of two": lambda x: jnp.where(constant(3, 1) > 0, x, x * x),
    "where infinite": lambda x: jnp.where(jnp.zeros((3, 1), bool), jnp.inf, x),
    "convert": lambda x: x.astype(jnp.bfloat16).astype(jnp.float32) * 0 + x,
    "stop gradient": lambda x: lax.stop_gradient(x) * 2,
    "reduce precision": lambda x: lax.reduce_precision(x, 8, 23) + 1,
    "jit": jax.jit(lambda x: jax.jit(lambda y: y * 2)(x) + 1),
    "checkpoint": lambda x: jax.checkpoint(lambda y: y**2)(x),
    "cube": lambda x: x**3,
    "whole exponent": lambda x: x**2.0 + x ** jnp.float32(3),
    "exponent zero": lambda x: x**0 + x + x**0.0,
    "where not nan": lambda x: jnp.where(jnp.ones((3, 1), bool), x, jnp.nan),
    "fifth": lambda x: x**5,
    "seventh": lambda x: x**7,
    "difference of squares": lambda x: (x + 1) ** 2 - (x - 1) ** 2,
    "gradient": jax.vmap(jax.vmap(jax.grad(lambda x: x**3 + 2 * x**2))),
}


@pytest.mark.parametrize("batch_axis", [0, 1, None])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name, batch_axis):
    function = ELEMENTWISE[name]
    if batch_axis == 0:
        shape, apply = (4, 3), lambda x: function(x.T).T
    else:
        shape, apply = (3, 4), function
    check_clear(apply, encrypted(shape, batch_axis))


@pytest.mark.parametrize("exponent", range(1, 17))
def test_powers_take_the_least_depth(exponent):
    from fhejax.program.circuit.graph import depth

    graph = check_clear(lambda x: x**exponent, encrypted((4, 2)))
    assert depth(graph) == (exponent - 1).bit_length()


STRUCTURE = {
    "reshape": lambda x: x.reshape(4, 6),
    "flatten and back": lambda x: x.reshape(4, -1).reshape(4, 3, 2),
    "transpose": lambda x: x.transpose(2, 0, 1),
    "swap": lambda x: jnp.swapaxes(x, 1, 2) * 2,
    "broadcast": lambda x: jnp.broadcast_to(x[:, None], (4, 5, 2, 3)),
    "expand": lambda x: jnp.expand_dims(x, (0, 3)),
    "expand and squeeze": lambda x: jnp.squeeze(x[:, :, None] + 1, 2),
    "slice": lambda x: x[:, 1:, ::2],
    "index": lambda x: x[:, 1, -1],
    "reverse": lambda x: x[:, ::-1],
    "flip of both": lambda x: jnp.flip(x, (1, 2)),
    "pad": lambda x: lax.pad(x + 1, 0.5, [(0, 0, 0), (2, -1, 1), (1, 0, 0)]),
    "crop": lambda x: lax.pad(x, 7.0, [(0, 0, 0), (-1, 2, 0), (0, -2, 2)]),
    "concatenate": lambda x: jnp.concatenate([x, x * 2, jnp.ones((4, 1, 3))], 1),
    "concatenate nodes": lambda x: jnp.concatenate([x, x**2, x[:, :1] * x[:, 1:]], 1),
    "stack": lambda x: jnp.stack([x, x + 1, x**2], 2),
    "split": lambda x: jnp.split(x, 3, 2)[1] * 2,
    "roll": lambda x: jnp.roll(x, 1, 2),
    "difference": lambda x: jnp.diff(x, axis=2),
    "cumulative sum": lambda x: jnp.cumsum(x, 1),
    "cumulative sum from the end": lambda x: lax.cumsum(x + 1, 2, reverse=True),
    "cumulative sum of squares": lambda x: jnp.cumsum(x**2 * constant(1, 2, 3), 2),
    "reversal": lambda x: lax.rev(x, (1, 2)),
    "mean": lambda x: jnp.mean(x, (1, 2)),
    "variance": lambda x: jnp.var(x, 2),
    "pad with edges": lambda x: jnp.pad(x, ((0, 0), (1, 2), (1, 0)), mode="edge"),
    "pad by reflection": lambda x: jnp.pad(x, ((0, 0), (0, 0), (1, 2)), mode="reflect"),
    "pad in circles": lambda x: jnp.pad(x, ((0, 0), (1, 0), (1, 0)), mode="wrap"),
    "empty part": lambda x: jnp.concatenate([x[:, :0], x, jnp.ones((4, 0, 3))], 1),
    "empty sum": lambda x: x + x[:, :0].sum(1, keepdims=True) + jnp.zeros((4, 1, 0)) @ jnp.ones((0, 3)),
    "empty result": lambda x: (x[:, :, 3:] ** 2, x * 2),
    "tile": lambda x: jnp.tile(x, (1, 2, 1)),
    "repeat": lambda x: jnp.repeat(x[:, None], 2, 1),
    "move": lambda x: jnp.moveaxis(x, 0, -1),
    "squared slices": lambda x: (x[:, 0] + 1) ** 2 + x[:, 1],
    "square of a pad": lambda x: (jnp.pad(x, ((0, 0), (1, 1), (0, 0)), constant_values=2.0)) ** 2,
    "product of repeats": lambda x: jnp.tile(x[:, :1], (1, 2, 1)) * x,
    "add a slice": lambda x: x[:, :1] + x,
    "product of all": lambda x: jnp.prod(x, 2) + jnp.prod(x + 1, (1, 2))[:, None],
    "window sum by a function": lambda x: lax.reduce_window(
        x, 0.0, lambda a, b: a + b, (1, 1, 2), (1, 1, 1), "SAME"
    ),
    "barrier": lambda x: lax.optimization_barrier((x, x**2))[1],
    "known branch": lambda x: lax.cond(constant(3)[0] > 9, jnp.negative, jnp.square, x),
    "switch": lambda x: lax.switch(1, [jnp.negative, jnp.square], x),
    "diagonal": lambda x: jax.vmap(jnp.diagonal)(x[:, :, :2] * x[:, :1, 1:]),
}
POSITIONS = np.array([2, 0, 1, 1])
INDEXED = {
    "take": lambda x: jnp.take(x + 1, POSITIONS, axis=2),
    "take of squares": lambda x: jnp.take(x**2, POSITIONS, axis=2) ** 2,
    "take by rows of positions": lambda x: x[:, :, np.array([[0, 2], [1, 1]])],
    "take pairs": lambda x: x[:, np.array([0, 1, 1]), POSITIONS[1:]],
    "take the nearest": lambda x: jnp.take(x, np.array([0, 9]), axis=2, mode="clip"),
    "take with a fill": lambda x: jnp.take(x, np.array([0, 9]), axis=2, mode="fill", fill_value=2.5) ** 2,
    "take along": lambda x: jnp.take_along_axis(x, np.zeros((4, 2, 5), int) + 1, 2),
    "computed position": lambda x: x[:, jnp.argmax(constant(2)), jnp.array(1)],
    "dynamic slice": lambda x: lax.dynamic_slice(x, (0, 1, 2), (4, 1, 2)),
    "dynamic index": lambda x: lax.dynamic_index_in_dim(x, -1, 2),
    "dynamic update": lambda x: lax.dynamic_update_slice(x, jnp.ones((4, 2, 2)), (0, 0, 9)),
    "dynamic update by itself": lambda x: lax.dynamic_update_slice(x, x[:, :1, 1:] ** 2, (0, 1, 0)),
    "set a number": lambda x: x.at[:, 1, 0].set(0.5) ** 2,
    "set itself": lambda x: x.at[:, 0].set(x[:, 1] * 3 + 1),
    "set a product": lambda x: x.at[:, :, POSITIONS[:2]].set(x[:, :, 1:] ** 2),
    "set in zeros": lambda x: jnp.zeros((4, 2, 6)).at[:, :, np.array([5, 1, 3])].set(x),
    "set beyond the end": lambda x: x.at[:, :, np.array([1, 9])].set(7.0),
    "add": lambda x: (x + 1).at[:, :, POSITIONS].add(1.5),
    "add itself": lambda x: x.at[:, :, POSITIONS[:3]].add(x + 1),
    "add several in one place": lambda x: x.at[:, :, np.array([0, 0, 0])].add(2 * x),
    "subtract": lambda x: x.at[:, :, POSITIONS[1:]].subtract(x**2),
    "multiply": lambda x: x.at[:, :, POSITIONS].multiply(jnp.float32(2.0)),
    "multiply by itself": lambda x: x.at[:, :, POSITIONS[:2]].multiply(x[:, :, :2] + 1),
    "segment sum": lambda x: jax.vmap(lambda v: jax.ops.segment_sum(v, np.array([1, 1]), 3))(x),
    "insert": lambda x: jnp.insert(x, 1, 0.0, axis=2),
    "gradient of take": jax.grad(lambda x: jnp.sum(jnp.take(x, POSITIONS, axis=2) ** 2)),
}


@pytest.mark.parametrize("name", STRUCTURE)
def test_structure(name):
    check_clear(STRUCTURE[name], encrypted((4, 2, 3)))


@pytest.mark.parametrize("name", STRUCTURE)
def test_structure_of_a_shared_value(name):
    check_clear(STRUCTURE[name], encrypted((4, 2, 3), None))


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(3)), st.integers(0, 2), st.lists(st.booleans(), min_size=3, max_size=3))
def test_structure_anywhere(order, axis, flips):
    """A transpose, a flip, a slice, a pad and a reshape around a batch axis in any place."""
    shape = (3, 4, 5)
    flipped = [d for d in range(3) if flips[d] and d != axis]

    def function(x):
        x = jnp.flip(x, flipped) if flipped else x
        x = x[tuple(slice(None) if d == axis else slice(1, None) for d in range(3))]
        x = jnp.pad(x, [(0, 0) if d == axis else (1, 2) for d in range(3)])
        return jnp.expand_dims(x.transpose(order), 1) * 2 + 1

    check_clear(function, encrypted(shape, axis))


@pytest.mark.parametrize("batch_axis", [0, None])
@pytest.mark.parametrize("name", INDEXED)
def test_indexing(name, batch_axis):
    check_clear(lambda x: INDEXED[name](jnp.asarray(x)), encrypted((4, 2, 3), batch_axis))


@pytest.mark.parametrize("name", ["take", "set itself", "add itself", "multiply by itself", "segment sum"])
@pytest.mark.parametrize("axis", [1, 2])
def test_indexing_beside_a_batch_in_another_place(name, axis):
    shape = {1: (2, 4, 3), 2: (2, 3, 4)}[axis]

    def function(x):
        return jnp.moveaxis(INDEXED[name](jnp.moveaxis(x, axis, 0)), 0, axis)

    check_clear(function, encrypted(shape, axis))
    indexed = (lambda x: x[np.array([1, 1, 0])] * 2, lambda x: x.at[0].add(x[1]))
    for function in indexed:
        check_clear(lambda x, f=function: f(jnp.asarray(x)), encrypted(shape, axis))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-5, 4), min_size=1, max_size=9), st.sampled_from(["set", "add", "multiply"]))
def test_scatters_of_any_positions(positions, name):
    positions = np.unique(np.mod(positions, 5)) if name != "add" else np.array(positions)
    update = jnp.broadcast_to(constant(1, len(positions)), (4, len(positions)))
    check_clear(lambda x: getattr(jnp.asarray(x).at[:, positions], name)(update), encrypted((4, 5)))


def test_a_batch_of_one_is_indexed_like_any_axis():
    check_clear(lambda x: x[np.array([0, 0])] * jnp.take(x, POSITIONS[:1], axis=1), encrypted((1, 4)))


DOTS = [
    ("bi,io->bo", (4, 5), (5, 3), 0),
    ("oi,bi->bo", (4, 5), (3, 5), 0),
    ("oi,bi->ob", (4, 5), (3, 5), 0),
    ("ib,io->bo", (5, 4), (5, 3), 1),
    ("ib,io->ob", (5, 4), (5, 3), 1),
    ("bij,jk->bik", (4, 2, 5), (5, 3), 0),
    ("bij,ij->b", (4, 2, 5), (2, 5), 0),
    ("bgi,gio->bgo", (4, 2, 5), (2, 5, 3), 0),
    ("gbi,gio->gbo", (2, 4, 5), (2, 5, 3), 1),
    ("gib,gio->obg", (2, 5, 4), (2, 5, 3), 2),
    ("bihj,gij->bgh", (4, 2, 3, 5), (6, 2, 5), 0),
    ("ij,jk->ik", (4, 5), (5, 3), None),
    ("gij,gjk->gik", (2, 4, 5), (2, 5, 3), None),
    ("bi,o->bio", (4, 5), (3,), 0),
]


@pytest.mark.parametrize("plain_first", [False, True])
@pytest.mark.parametrize("case", DOTS, ids=lambda c: f"{c[0]}@{c[3]}")
def test_dot_general(case, plain_first):
    equation, shape, weights, axis = case
    left, right, out = *equation.split("->")[0].split(","), equation.split("->")[1]
    if equation.startswith("oi"):
        left, right = right, left

    def function(x):
        kernel = constant(*weights)
        if plain_first:
            return jnp.einsum(f"{right},{left}->{out}", kernel, x)
        return jnp.einsum(f"{left},{right}->{out}", x, kernel)

    check_clear(function, encrypted(shape, axis))
    check_clear(lambda x: function(2 * x + 1) + 1, encrypted(shape, axis))


def test_dot_after_per_entry_factors_and_padding():
    def function(x):
        x = jnp.pad(x * constant(1, 3) + 1, ((0, 0), (1, 0)), constant_values=3.0)
        return x @ constant(4, 2)

    check_clear(function, encrypted((4, 3)))


@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("padding", ["SAME", "VALID", ((1, 2), (0, 3)), ((-1, 1), (2, -1))])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_convolution(strides, padding, layout):
    shape = (2, 6, 7, 3) if layout == "NHWC" else (2, 3, 6, 7)
    kernel = constant(3, 2, 3, 4)

    def function(x):
        return lax.conv_general_dilated(
            x, kernel, strides, padding, dimension_numbers=(layout, "HWIO", layout)
        )

    check_clear(function, encrypted(shape))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([1, 2, 4]),
    st.tuples(st.integers(1, 2), st.integers(1, 3)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.tuples(st.integers(1, 3), st.integers(1, 2)),
    st.sampled_from([("NHWC", "HWIO", "NCHW"), ("NCHW", "OIHW", "NHWC"), ("CHWN", "IHWO", "NHWC")]),
    st.booleans(),
)
def test_convolutions_of_every_kind(groups, strides, dilation, base, layout, shared):
    sizes = {"N": 1 if shared else 3, "C": 4, "H": 5, "W": 6}
    shape = tuple(sizes[c] for c in layout[0])
    kernel_sizes = {"H": 2, "W": 3, "I": 4 // groups, "O": 8}
    kernel = constant(*(kernel_sizes[c] for c in layout[1]))

    def function(x):
        return lax.conv_general_dilated(
            x + 0.5,
            kernel,
            strides,
            ((1, 0), (2, 1)),
            lhs_dilation=base,
            rhs_dilation=dilation,
            dimension_numbers=layout,
            feature_group_count=groups,
        )

    check_clear(function, encrypted(shape, None if shared else layout[0].index("N")))


def test_convolution_in_one_dimension_and_after_batch_norm():
    kernel = constant(3, 2, 4)
    norm = 1 + jnp.abs(constant(2))

    def function(x):
        return lax.conv_general_dilated(
            x * norm[None, None] + 1, kernel, (2,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")
        )

    check_clear(function, encrypted((3, 9, 2)))


@pytest.mark.parametrize("axes", [1, 2, (1, 2), (1, 3), -1])
def test_sums(axes):
    check_clear(lambda x: jnp.sum(x * constant(1, 2, 1, 4), axes), encrypted((3, 2, 5, 4)))
    check_clear(lambda x: jnp.mean(x + 1, axes, keepdims=True), encrypted((3, 2, 5, 4)))


def test_sums_beside_a_batch_in_the_middle():
    check_clear(lambda x: jnp.sum(x, (0, 2)), encrypted((3, 4, 5), 1))
    check_clear(lambda x: jnp.sum(x), encrypted((3, 5), None))
    check_clear(lambda x: jnp.sum(x) * x, encrypted((3, 5), None))


@pytest.mark.parametrize("padding", ["VALID", "SAME"])
@pytest.mark.parametrize("strides", [(2, 2), (1, 2), None])
@pytest.mark.parametrize("count", [True, False])
def test_average_pooling(padding, strides, count):
    def pool(x):
        with jax.numpy_dtype_promotion("standard"):  # Flax divides by an integer
            return nnx.avg_pool(x, (2, 3), strides, padding, count_include_pad=count)

    check_clear(pool, encrypted((2, 5, 6, 3)))
    check_clear(lambda x: pool((x * (1 + jnp.arange(3.0)[None, None, None])) ** 2), encrypted((2, 5, 6, 3)))


def test_dilated_window_sum():
    def function(x):
        return lax.reduce_window(
            x, 0.0, lax.add, (1, 2, 2), (1, 1, 2), ((0, 0), (1, 0), (0, 2)), (1, 2, 1), (1, 1, 2)
        )

    check_clear(function, encrypted((3, 5, 6)))
    check_clear(lambda x: function(jnp.transpose(x, (1, 0, 2))), encrypted((5, 3, 6), 1))


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4, 5, 7, 9])
@pytest.mark.parametrize("channels", [(), (3,), (2, 3), (2, 1)])
def test_polynomials(degree, channels):
    coefficients = np.random.default_rng(degree).normal(size=(*channels, degree + 1))
    polynomial = approx.Polynomial.from_chebyshev(coefficients, (-2.0, 3.0))
    check_clear(polynomial, encrypted((4, 2, 3)))
    check_clear(lambda x: polynomial(x * (1 + jnp.arange(3.0)[None, None]) - 0.5), encrypted((4, 2, 3)))


def test_polynomial_of_odd_and_mixed_degrees():
    table = np.array([[0.5, 1.0, 0.0, 0.25], [0.1, 0.0, 0.5, 0.0], [1.0, 2.0, 0.0, 0.0]])
    check_clear(approx.Polynomial.from_chebyshev(table, (-1.0, 1.0)), encrypted((4, 3)))


def test_polynomial_gradient():
    polynomial = approx.chebyshev("tanh", 5, (-2.0, 2.0))
    check_clear(lambda x: jax.grad(lambda y: polynomial(y).sum())(x), encrypted((4, 3)))


def test_batch_norm_for_inference():
    model = nnx.Sequential(
        nnx.Conv(2, 4, (3, 3), rngs=nnx.Rngs(0)),
        nnx.BatchNorm(4, rngs=nnx.Rngs(1)),
        jnp.square,
        lambda x: nnx.avg_pool(x, (2, 2), (2, 2), count_include_pad=False),
        lambda x: x.reshape(x.shape[0], -1),
        nnx.Linear(16, 3, rngs=nnx.Rngs(2)),
    )
    model.layers[1].mean[...] = constant(4)
    model.layers[1].var[...] = jnp.abs(constant(4)) + 0.5
    view = nnx.view(model, use_running_average=True)
    check_clear(view, encrypted((3, 4, 4, 2)))


@jax.custom_vjp
def cubic(x):
    return x**3


cubic.defvjp(lambda x: (cubic(x), x), lambda x, g: (3 * x**2 * g,))


@jax.custom_jvp
def quadratic(x):
    return x**2 + 1


quadratic.defjvp(lambda p, t: (quadratic(*p), 2 * p[0] * t[0]))


def test_calls_are_inlined():
    @jax.jit
    def inner(x, w):
        return quadratic(cubic(x) * w)

    check_clear(lambda x: inner(x, constant(3)[None]), encrypted((4, 3)))
    check_clear(lambda x: jax.vmap(lambda y: quadratic(y) @ constant(3, 2))(x), encrypted((4, 3)))


def test_plain_subexpressions_are_computed_in_the_clear():
    def function(x):
        weights = jnp.sort(jnp.exp(constant(3, 3)), 0)
        weights, _ = lax.scan(lambda w, _: (jnp.tanh(w), None), weights, length=3)
        weights = lax.cond(weights.sum() > 0, lambda w: w, lambda w: -w, weights)
        return x @ weights, weights, jnp.argmax(weights)

    graph = check_clear(function, encrypted((4, 3)))
    assert len(graph.nodes) == 2


def test_several_arguments():
    x, y, w = encrypted((4, 3)), encrypted((3, 4), 1, -2, 2), encrypted((3,), None)
    check_clear(lambda x, y: x * y.T + x - 2 * y.T, x, y)
    check_clear(lambda x, w: (x * w[None], x + w[None], x - 2 * w[None]), x, w)
    check_clear(lambda x, y, w: ((x + y.T) * w[None] + w.sum(), x @ constant(3, 2)), x, y, w)
    check_clear(lambda x, w: jnp.concatenate([x, jnp.broadcast_to(w[None], (4, 3))], 1), x, w)
    check_clear(lambda w, x: jnp.concatenate([jnp.broadcast_to(w[None], (4, 3)), x], 1), w, x)


def test_a_batch_of_one():
    one = encrypted((1, 4))
    check_clear(lambda x: x[0], one)
    check_clear(lambda x: jnp.broadcast_to(x, (5, 4)) * 2, one)
    check_clear(lambda x: x + jnp.ones((5, 4)), one)
    check_clear(lambda x: x.reshape(4), one)
    check_clear(lambda x: jnp.concatenate([x, 2 * x, jnp.ones((2, 4))]) ** 2, one)
    check_clear(lambda x: jnp.pad(x, ((1, 2), (0, 1)), constant_values=2.0), one)
    check_clear(lambda x: jnp.tile(x[::-1], (3, 2)) + jnp.cumsum(x, 0)[:, :1], one)
    check_clear(lambda x: jnp.cumsum(x, 1) + x[:, ::-1], one)
    check_clear(lambda x: x + x.T, one)
    check_clear(lambda x: jnp.squeeze(x)[None] * x + x, one)
    check_clear(lambda x: x.reshape(2, 2).T.reshape(1, 4) @ constant(4, 2), one)


def test_mixed_nested_results():
    def function(x):
        return {"a": [x, 2 * x + 1], "b": (jnp.arange(3), x**2), "c": jnp.float32(1.5)}

    graph = check_clear(function, encrypted((4, 3)))
    assert len(graph.outputs) == 5


SIMULATED = {
    "linear": lambda x: x @ constant(6, 3),
    "square": lambda x: (x @ constant(6, 4) + 1) ** 2 @ constant(4, 2),
    "product": lambda x: x[:, :3] * x[:, 3:],
    "polynomial 3": lambda x: approx.chebyshev("tanh", 3, (-2.0, 2.0))(x),
    "polynomial 7": lambda x: approx.chebyshev("sigmoid", 7, (-3.0, 3.0))(x @ constant(6, 3) * 0.2),
    "residual": lambda x: x + (x @ constant(6, 6)) ** 2,
    "concatenate": lambda x: jnp.concatenate([x, x**2, (x @ constant(6, 2)) ** 2], 1),
    "affine": lambda x: 3 * x + 1,
}


@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize("batch_axis", [0, 1])
def test_programs(name, batch_axis):
    shape = (16, 6) if batch_axis == 0 else (6, 16)
    function = SIMULATED[name] if batch_axis == 0 else (lambda x: SIMULATED[name](x.T).T)
    argument = encrypted(shape, batch_axis)
    program = fhejax.compile(function, argument, insecure_log_degree=LOG_DEGREE)
    x = values_of(argument)
    expected = np.asarray(function(x))
    np.testing.assert_allclose(program.clear(x), expected, atol=1e-5, rtol=1e-4)
    error = np.sqrt(np.mean((program.simulate(x) - expected) ** 2) / np.mean(expected**2))
    assert error < 2.0**-9.5
    assert program.simulate(x).dtype == program.clear(x).dtype == np.float64
    few = np.take(x, range(5), batch_axis)
    np.testing.assert_allclose(
        program.clear(few), np.take(expected, range(5), batch_axis), atol=1e-5, rtol=1e-4
    )
