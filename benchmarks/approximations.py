"""How long fits take: the table of published errors, and many layers at once.

    python -m benchmarks.approximations

The golden errors are those of the tests; every fit is checked against its printed digits there. Here they are
timed together, then 32 fits of degree 15 under vmap and jit, and their derivatives by interval and
parameter, each checked against the fit on the host first.
"""

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks.machine import describe_machine, median_time, write_result
from fhejax.approx import minimax

DEGREES = (3, 5, 7, 13, 15, 27, 31, 59, 63)
SYMMETRIC = (
    ("relu", 1),
    ("sigmoid", 5),
    ("sigmoid", 8),
    ("sigmoid", 16),
    ("tanh", 4),
    ("tanh", 8),
    ("gelu", 4),
    ("gelu", 8),
    ("gelu", 16),
    ("silu", 8),
    ("softplus", 8),
)
GENERAL = (
    ("exp", -8, 0),
    ("exp", -16, 0),
    ("reciprocal", 0.1, 1),
    ("reciprocal", 0.01, 1),
    ("rsqrt", 0.1, 1),
    ("rsqrt", 0.01, 1),
    ("sqrt", 0, 1),
    ("log", 0.1, 1),
)


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Sizes.

    Attributes:
        layers: fits at once.
        degree: of each.
        repeats: timed calls after the first.
        save: write benchmarks/results/approximations.json.
    """

    layers: int = 32
    degree: int = 15
    repeats: int = 5
    save: bool = False


def table() -> dict[str, float]:
    """Seconds of all fits whose errors are published, and the worst ratio where the error is above 1e-8."""
    start = time.perf_counter()
    symmetric = [(f, d, (-b, b)) for f, b in SYMMETRIC for d in DEGREES]
    general = [(f, d, (a, b)) for f, a, b in GENERAL for d in (3, 7, 15, 31)]
    found = [minimax(*fit).certificate for fit in symmetric + general]
    seconds = time.perf_counter() - start
    worst = max(certificate.ratio for certificate in found if certificate.error > 1e-8)
    return {"fits": len(found), "seconds": seconds, "worst_ratio": worst}


def scaled_silu(x: jax.Array, slope: jax.Array) -> jax.Array:
    """x sigmoid(slope x)."""
    return x * jax.nn.sigmoid(slope * x)


def layers(arguments: Arguments) -> dict[str, float]:
    """Seconds of all layers' fits at once, and of these with their derivatives."""

    def fit(bound: jax.Array, slope: jax.Array) -> Any:
        polynomial = minimax(scaled_silu, arguments.degree, (-bound, bound), parameters=(slope,))
        return polynomial.certificate.error

    count = arguments.layers
    bounds, slopes = jnp.linspace(2, 10, count), jnp.linspace(1, 2, count)
    fits = jax.jit(jax.vmap(fit))
    derivatives = jax.jit(jax.vmap(jax.value_and_grad(fit, argnums=(0, 1))))
    check(arguments, np.asarray(fits(bounds, slopes)), bounds, slopes)
    _, warm, _ = median_time(lambda: fits(bounds, slopes), arguments.repeats)
    _, both, _ = median_time(lambda: derivatives(bounds, slopes), arguments.repeats)
    return {"fits": count, "degree": arguments.degree, "warm": warm, "warm_with_derivatives": both}


def check(arguments: Arguments, errors: np.ndarray, bounds: jax.Array, slopes: jax.Array) -> None:
    """Compare three of them with the fit on the host."""
    for index in (0, len(errors) // 2, len(errors) - 1):
        bound, slope = float(bounds[index]), float(slopes[index])
        host = minimax(scaled_silu, arguments.degree, (-bound, bound), parameters=(slope,)).certificate
        if not np.isclose(errors[index], host.error, rtol=1e-4, atol=1e-7):
            raise AssertionError(f"Under vmap the error is {errors[index]}, on the host {host.error}.")


def main(arguments: Arguments) -> dict[str, Any]:
    """Measure, print, write."""
    found = {"table": table(), "layers": layers(arguments)}
    print(describe_machine())
    print(
        "{fits} published fits: {seconds:.2f} s, worst ratio 1 + {excess:.1e}".format(
            **found["table"], excess=found["table"]["worst_ratio"] - 1
        )
    )
    print(
        "{fits} fits of degree {degree} under vmap: {warm:.3f} s warm, {warm_with_derivatives:.3f} s with "
        "their derivatives".format(**found["layers"])
    )
    if arguments.save:
        write_result("approximations", found)
    return found


if __name__ == "__main__":
    main(tyro.cli(Arguments))
