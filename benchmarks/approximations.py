"""How long fits take: the table of published errors, and many layers at once.

    python -m benchmarks.approximations

The golden errors are those of the tests. Every fit is checked against its printed digits first, then all are
timed together; so are 32 fits of degree 15 under vmap and jit, and their derivatives by interval and
parameter, checked against the fit on the host.
"""

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks.golden_errors import GENERAL, GENERAL_DEGREES, SYMMETRIC, SYMMETRIC_DEGREES, agrees
from benchmarks.machine import describe_machine, median_time, write_result
from fhejax.approx import minimax

Fit = tuple[str, int, tuple[float, float]]


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
    """Warm seconds of all fits whose errors are published, and the worst ratio of errors above 1e-8."""
    fits = published()
    for fit, printed in fits.items():
        check_digits(fit, printed)
    start = time.perf_counter()
    found = [minimax(*fit).certificate for fit in fits]
    seconds = time.perf_counter() - start
    worst = max(certificate.ratio for certificate in found if certificate.error > 1e-8)
    return {"fits": len(found), "seconds": seconds, "worst_ratio": worst}


def published() -> dict[Fit, str]:
    """The printed error of every fit."""
    rows = [(f, (-b, b), SYMMETRIC_DEGREES, row) for (f, b), row in SYMMETRIC.items()]
    rows += [(f, (a, b), GENERAL_DEGREES, row) for (f, a, b), row in GENERAL.items()]
    return {
        (function, degree, interval): printed
        for function, interval, degrees, row in rows
        for degree, printed in zip(degrees, row.split(), strict=True)
    }


def check_digits(fit: Fit, printed: str) -> None:
    """Compare a fit with its printed error."""
    certificate = minimax(*fit).certificate
    if not agrees(certificate, printed):
        function, degree, interval = fit
        raise AssertionError(
            f"The best error of {function} on {interval} at degree {degree} is {printed}, and the fit's is "
            f"{certificate.error} with a ratio of {certificate.ratio}."
        )


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
        "{fits} published fits: {seconds:.2f} s warm, worst ratio 1 + {excess:.1e}".format(
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
