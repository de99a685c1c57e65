"""Sizes of all sections: those of the card's table, and small ones for any other machine."""

import dataclasses
from collections.abc import Callable
from typing import Any

from fhejax import ckks


@dataclasses.dataclass(frozen=True)
class Shape:
    """A transform's: log2 N, limbs, polynomials, and the seconds that are to be reached in a loop."""

    log_degree: int
    limbs: int
    polynomials: int = 1
    bar: float | None = None

    def __str__(self) -> str:
        several = f"{self.polynomials} x " if self.polynomials > 1 else ""
        return f"2^{self.log_degree}, {several}{self.limbs} limbs"


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What each section works on.

    Attributes:
        transforms: shapes.
        turns: transforms in the loop that is timed.
        layouts: pairs of a tile and values a thread, of the kernels, tried on the first shape.
        matrix: log2 N, limbs, rows and columns of a matrix product, and its tiles.
        conversion: log2 N, source and target limbs of a base conversion.
        parameters: of the scheme's operations.
        bars: seconds for them.
        bootstrap: parameters of a bootstrap.
        bootstrap_bar: seconds for it.
        costs: the shape of what the planner's costs are measured on, beyond what caches hold.
        tiles: features, samples and options of a training step.
        networks: what a section of this name compiles, and the seconds for it.
    """

    transforms: tuple[Shape, ...]
    turns: int
    layouts: tuple[tuple[int, int], ...]
    matrix: tuple[int, int, int, int, tuple[int, ...]]
    conversion: tuple[int, int, int]
    parameters: Callable[[], Any]
    bars: dict[str, float]
    bootstrap: Callable[[], Any]
    bootstrap_bar: float | None
    costs: Shape
    tiles: tuple[int, int, dict[str, Any]]
    networks: dict[str, tuple[str, float | None]]


CARD = Sizes(
    transforms=(
        Shape(16, 48, 1, 35e-6),
        Shape(16, 4),
        Shape(13, 4),
        Shape(13, 48),
        Shape(16, 12, 8),
        Shape(17, 48),
    ),
    turns=24,
    layouts=((16, 32), (16, 16), (32, 32), (32, 16), (8, 32), (8, 16)),
    matrix=(13, 5, 100, 845, (128, 1024, 8192)),  # the first dense layer of CryptoNets
    conversion=(16, 12, 46),
    parameters=lambda: ckks.preset("complex-n16-128bit-depth32-scale40"),
    bars={"rotate": 0.5e-3, "multiply, relinearise, rescale": 0.55e-3},
    bootstrap=lambda: ckks.BootstrappingParameters.for_levels(13),
    bootstrap_bar=40e-3,
    costs=Shape(13, 48, 64),
    tiles=(16, 64, {}),
    networks={"cryptonets": ("cryptonets", 8e-3), "hcnn": ("hcnn", 16e-3), "mlp": ("mlp", 4e-3)},
)
DRY = Sizes(
    transforms=(Shape(6, 2, 3),),
    turns=2,
    layouts=((4, 4),),
    matrix=(6, 2, 3, 5, (16, 64)),
    conversion=(6, 2, 3),
    parameters=lambda: ckks.insecure_parameters(64, 2, 28.0),
    bars={"rotate": 0.5e-3, "multiply, relinearise, rescale": 0.55e-3},
    bootstrap=lambda: ckks.BootstrappingParameters.for_levels(1, degree=64, insecure=True, failure_bits=20),
    bootstrap_bar=None,
    costs=Shape(6, 2, 3),
    tiles=(3, 6, {"insecure_log_degree": 6}),
    networks={"mlp": ("small", None)},
)
