"""Random affine and quadratic networks, for tests that no program is ever wrong in silence.

One number makes an example: arguments of very different ranges, weights closed over or given with the call,
layers, outputs, and how well all of that is conditioned.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fhejax
from benchmarks.random_layers import Layer, evaluate, layer_bound, layer_value

LOG_DEGREE = 5
BATCHES = (32, 24, 20, 40)
PRECISIONS = (6.0, 8.0, 10.0, 12.0)
DTYPES = {
    "float16": jnp.float16,
    "bfloat16": jnp.bfloat16,
    "float32": jnp.float32,
    "float64": jnp.float64,
}
SMALLEST = {"float16": 1e-4, "bfloat16": 1e-36, "float32": 1e-36, "float64": 1e-200}
LARGEST = {"float16": 1e4, "bfloat16": 1e36, "float32": 1e36, "float64": 1e200}
RANGES = (1e-9, 2.0**50)
FACTORS = (1e-8, 1e8)
_DRAWS = 8  # of arguments, for the typical size of outputs
_LARGEST_END = 1e20  # of a polynomial's interval
_ROUNDING = 2.0**-40  # of a value of float64, at most: what is smaller is zero
_PROBE = 2.0**-24  # of a value's bound: the errors by which the condition is measured


@dataclasses.dataclass(frozen=True, eq=False)
class Weight:
    """A weight of a network.

    Attributes:
        values: in the example's type.
        bound: the magnitude that a plain argument may have; None for a weight that is closed over.
    """

    values: np.ndarray
    bound: float | None = None

    @property
    def magnitude(self) -> np.ndarray:
        """The largest magnitude that a planner has to reckon with, in float64."""
        exact = np.abs(self.values.astype(np.float64))
        return exact if self.bound is None else np.full(exact.shape, self.bound)


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """A network, its arguments, and what is asked of it.

    Attributes:
        seed: makes the same example again.
        dtype: name of the type that the function is traced with.
        arguments: descriptions of the encrypted ones, all as matrices.
        weights: closed over or plain arguments.
        layers: in order.
        outputs: numbers of the values that are returned.
        precision_bits: asked for.
    """

    seed: int
    dtype: str
    arguments: tuple[fhejax.Encrypted, ...]
    weights: tuple[Weight, ...]
    layers: tuple[Layer, ...]
    outputs: tuple[int, ...]
    precision_bits: float

    @property
    def plain(self) -> list[fhejax.Plain]:
        """Descriptions of the weights that come with the call."""
        return [
            fhejax.Plain(w.values.shape, (-w.bound, w.bound), DTYPES[self.dtype])
            for w in self.weights
            if w.bound is not None
        ]

    @property
    def plain_values(self) -> list[np.ndarray]:
        """Values of the weights that come with the call."""
        return [w.values for w in self.weights if w.bound is not None]

    @property
    def function(self) -> Callable:
        """The JAX function of the encrypted arguments, then of the plain ones."""
        count = len(self.arguments)
        known = [None if w.bound is not None else jnp.asarray(w.values) for w in self.weights]

        def network(*given: Any) -> Any:
            called = iter(given[count:])
            weights = [next(called) if w is None else w for w in known]
            values = evaluate(jnp, self.layers, given[:count], weights)
            results = [values[o] for o in self.outputs]
            return results[0] if len(results) == 1 else results

        return network

    def data(self, draw: int = 0) -> list[np.ndarray]:
        """Values of the encrypted arguments, uniform in their ranges."""
        generator = np.random.default_rng([self.seed, 1, draw])
        return [generator.uniform(*a.range, a.shape) for a in self.arguments]

    def reference(self, data: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs in float64."""
        weights = [w.values.astype(np.float64) for w in self.weights]
        values = evaluate(np, self.layers, data, weights)
        return [values[o] for o in self.outputs]

    def sizes(self) -> list[float]:
        """The root mean square of each output over several draws of the arguments."""
        draws = [self.reference(self.data(1 + draw)) for draw in range(_DRAWS)]
        return [root_mean_square(np.stack(same)) for same in zip(*draws, strict=True)]

    def condition_bits(self) -> float:
        """The bits that the worst output loses, where every value errs by a part of the largest it can be.

        Many of them mean that a program has to be refused, for no numbers of fixed size compute it well.
        """
        generator = np.random.default_rng([self.seed, 2])
        weights = [w.values.astype(np.float64) for w in self.weights]
        magnitudes = [w.magnitude for w in self.weights]
        bounds = [np.full((1, a.shape[1]), np.abs(a.range).max()) for a in self.arguments]
        exact = self.data()

        def wrong(value: np.ndarray, bound: np.ndarray) -> np.ndarray:
            return value + _PROBE * bound * generator.normal(size=value.shape)

        values = [wrong(x, b) for x, b in zip(exact, bounds, strict=True)]
        for layer in self.layers:
            bounds.append(layer_bound(layer, bounds, magnitudes))
            values.append(wrong(layer_value(np, layer, values, weights), bounds[-1]))
        pairs = zip(self.reference(exact), (values[o] for o in self.outputs), self.sizes(), strict=True)
        return math.log2(max(root_mean_square(f - r) / size for r, f, size in pairs) / _PROBE)

    def __str__(self) -> str:
        ranges = ", ".join(
            f"{'x'.join(map(str, a.shape))} in ({a.range[0]:.3g}, {a.range[1]:.3g})"
            f"{' shared' if a.batch_axis is None else ''}"
            for a in self.arguments
        )
        plain = "".join(f"; plain {p.shape} to {p.range[1]:.3g}" for p in self.plain)
        layers = "; ".join(f"{layer.kind}{list(layer.sources)}" for layer in self.layers)
        return (
            f"{self.dtype}, {self.precision_bits:g} bits: {ranges}{plain}: {layers} -> {list(self.outputs)}"
        )


def root_mean_square(values: np.ndarray) -> float:
    """The root mean square of all entries, without overflow on the way."""
    largest = float(np.abs(values).max(initial=0.0))
    return largest * float(np.sqrt(np.mean((values / largest) ** 2))) if largest else 0.0


def make_example(seed: int) -> Example:
    """The example of a seed."""
    return _Draft(seed).example()


class _Draft:
    """An example while it is drawn, with values on which the next weights are chosen."""

    def __init__(self, seed: int) -> None:
        self.seed, self.generator = seed, np.random.default_rng([seed, 0])
        self.dtype = str(self.generator.choice(list(DTYPES), p=[0.15, 0.1, 0.5, 0.25]))
        self.batch = int(self.generator.choice(BATCHES))
        self.gives_weights = self.generator.random() < 0.25
        self.is_wild = self.generator.random() < 0.4  # factors of any size, not those that fit
        self.arguments = [self._argument(int(self.generator.integers(1, 4)))]
        if self.generator.random() < 0.3:
            self.arguments.append(self._argument(self.arguments[0].shape[1], self.generator.random() < 0.3))
        self.values = [self.generator.uniform(*a.range, a.shape) for a in self.arguments]
        self.weights: list[Weight] = []
        self.layers: list[Layer] = []

    def example(self) -> Example:
        """The whole: one to five layers, at most three of which are not affine, and one to three outputs."""
        count, products = int(self.generator.integers(1, 6)), 0
        while len(self.layers) < count:
            makers = [self._dense, self._factors, self._rearranged, self._residual]
            if products < 3:
                makers += [self._square, self._product, self._powers, self._polynomial]
            makers += [self._batch_sum] * (self.generator.random() < 0.3)
            maker = makers[self.generator.integers(len(makers))]
            before = len(self.layers)
            maker()
            products += maker in makers[4:] and len(self.layers) > before
        last, first = len(self.values) - 1, len(self.arguments)
        others = self.generator.choice(np.arange(first, last), min(2, last - first), replace=False)
        more = [int(o) for o in others if self.generator.random() < 0.3]
        return Example(
            self.seed,
            self.dtype,
            tuple(self.arguments),
            tuple(self.weights),
            tuple(self.layers),
            (*more, last),
            float(self.generator.choice(PRECISIONS)),
        )

    def _argument(self, size: int, shared: bool = False) -> fhejax.Encrypted:
        largest = _log_uniform(self.generator, *RANGES)
        kind = self.generator.choice(["centred", "positive", "negative", "offset"], p=[0.5, 0.2, 0.15, 0.15])
        part = 2.0 ** -self.generator.uniform(0, 5)
        sign = self.generator.choice([-1, 1])
        low, high = {
            "centred": (-largest, largest),
            "positive": (0.0, largest),
            "negative": (-largest, 0.0),
            "offset": tuple(sorted((sign * largest * (1 - part), sign * largest))),
        }[str(kind)]
        shape = (1 if shared else self.batch, size)
        return fhejax.Encrypted(shape, (float(low), float(high)), None if shared else 0, DTYPES[self.dtype])

    def _add(self, kind: str, sources: Sequence[int], weights: Sequence[int] = (), **options: Any) -> None:
        layer = Layer(kind, tuple(sources), tuple(weights), **options)
        exact = [w.values.astype(np.float64) for w in self.weights]
        self.values.append(layer_value(np, layer, self.values, exact))
        self.layers.append(layer)

    def _weight(self, shape: tuple[int, ...], size: float, given: bool = False) -> int:
        """The number of a new weight of about this size, in what the type can hold."""
        held = np.clip(size, SMALLEST[self.dtype], LARGEST[self.dtype])
        signs = self.generator.choice([-1.0, 1.0], shape)
        values = signs * held * self.generator.uniform(0.2, 1.0, shape)
        values = np.asarray(values).astype(DTYPES[self.dtype])
        if given and self.gives_weights:
            slack = self.generator.choice([1.0, 2.0, 30.0], p=[0.5, 0.3, 0.2])
            bound = float(slack * np.abs(values.astype(np.float64)).max())
            self.weights.append(Weight(values, min(bound, float(jnp.finfo(DTYPES[self.dtype]).max))))
        else:
            self.weights.append(Weight(values))
        return len(self.weights) - 1

    def _factor(self) -> float:
        """How much larger than usual a weight is."""
        return (
            _log_uniform(self.generator, *FACTORS) if self.is_wild else _log_uniform(self.generator, 0.5, 2)
        )

    def _unit(self, number: int) -> float:
        """The factor that makes a value about one."""
        return 1 / max(root_mean_square(self.values[number]), 1e-300)

    def _recent(self) -> int:
        """The number of a value, mostly the last."""
        count = len(self.values)
        return count - 1 if self.generator.random() < 0.7 else int(self.generator.integers(count))

    def _partner(self, number: int) -> int:
        """The number of a value of as many features."""
        width = self.values[number].shape[1]
        fitting = [i for i, v in enumerate(self.values) if v.shape[1] == width]
        return int(self.generator.choice(fitting))

    def _dense(self) -> None:
        source, width = self._recent(), int(self.generator.integers(1, 4))
        factor = self._factor()
        size = self.values[source].shape[1]
        matrix = self._weight((size, width), factor * self._unit(source) / math.sqrt(size), given=True)
        bias = self._weight((1, width), factor * self.generator.choice([0.1, 1.0, 3.0]), given=True)
        self._add("dense", [source], [matrix, bias])

    def _factors(self) -> None:
        source = self._recent()
        shape = (1, self.values[source].shape[1])
        spread = np.exp(self.generator.uniform(*np.log(FACTORS if self.is_wild else (0.05, 2.0)), shape))
        gamma = self._weight(shape, spread * self._unit(source), given=True)
        self._add("factors", [source], [gamma, self._weight(shape, spread * 0.3, given=True)])

    def _residual(self) -> None:
        source = self._recent()
        other = self._partner(source)
        if other == source:
            return
        shape = (1, self.values[source].shape[1])
        numbers = []
        for value in (source, other):
            spread = np.exp(self.generator.uniform(*np.log(FACTORS if self.is_wild else (0.05, 1.0)), shape))
            numbers.append(self._weight(shape, spread * self._unit(value), given=True))
        self._add("residual", [source, other], numbers)

    def _square(self) -> None:
        self._add("square", [self._recent()])

    def _product(self) -> None:
        source = self._recent()
        self._add("product", [source, self._partner(source)])

    def _powers(self) -> None:
        source, degree = self._recent(), int(self.generator.integers(2, 5))
        scale = self._weight((1, 1), self._unit(source))
        self._add("powers", [source], [scale, self._weight((1, degree + 1), self._factor(), given=True)])

    def _polynomial(self) -> None:
        source, degree = self._recent(), int(self.generator.integers(2, 8))
        scale = self._weight((1, 1), self._unit(source))
        x = self.values[source] * self.weights[scale].values.astype(np.float64)
        low, high = float(x.min()), float(x.max())
        if max(-low, high) > _LARGEST_END:
            return
        reach = 0.1 * (high - low) + 0.01 * abs(high) + 1e-3
        coefficients = self._weight((1, degree + 1), self._factor() / np.arange(1, degree + 2))
        self._add("polynomial", [source], [scale, coefficients], interval=(low - reach, high + reach))

    def _rearranged(self) -> None:
        source = self._recent()
        kind = str(self.generator.choice(["half", "reversal", "concatenation"]))
        other = int(self.generator.integers(len(self.values)))
        wide = self.values[source].shape[1] + self.values[other].shape[1] > 5
        rows = len(self.values[source]) == len(self.values[other])
        if kind != "concatenation":
            self._add(kind, [source])
        elif rows and not wide:
            self._add(kind, [source, other])

    def _batch_sum(self) -> None:
        source = self._recent()
        if len(self.values[source]) != self.batch:
            return
        kind, value = str(self.generator.choice(["batch mean", "centred"])), self.values[source]
        mean, largest = root_mean_square(value.mean(0)), root_mean_square(value)
        if kind == "batch mean" and mean <= _ROUNDING * largest:  # always zero, of which no part is an error
            return
        self._add(kind, [source])


def _log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def scoped(example: Example) -> Any:
    """The scope in which JAX has the example's type."""
    return jax.enable_x64(example.dtype == "float64")
