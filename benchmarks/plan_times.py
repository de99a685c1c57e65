"""What `fhejax.compile` takes of a processor: `python -m benchmarks.plan_times [--save]`.

Planning is Python's and NumPy's work: tracing, lowering, the search for scales and parameters, and encoding
of weights. Each function is compiled twice in this process; CPU seconds say more than the clock where other
programs run, and the first time includes what JAX compiles for encoding.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import tyro
from flax import nnx

import fhejax
from benchmarks.machine import write_result
from fhejax import approx

Function = tuple[Callable[[jax.Array], jax.Array], fhejax.Encrypted]


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to measure.

    Attributes:
        functions: some of the names in FUNCTIONS; all of them by default.
        save: write benchmarks/results/plan_times.json.
    """

    functions: tuple[str, ...] = ()
    save: bool = False


def one_polynomial() -> Function:
    """A sigmoid of degree 15, alone."""
    sigmoid = approx.chebyshev("sigmoid", 15, (-6.0, 6.0))
    return sigmoid, fhejax.Encrypted((64, 4), range=(-6, 6))


def cryptonets() -> Function:
    """CryptoNets for 8,192 images."""
    model = nnx.view(fhejax.nn.CryptoNets(rngs=nnx.Rngs(0)), use_running_average=True)
    return model, fhejax.Encrypted((8192, 28, 28, 1), range=(0, 1))


def quadratic_layers(layers: int = 20, width: int = 4) -> Function:
    """Dense layers with a square after each, whose values stay below one."""
    weights = np.random.default_rng(0).uniform(-1, 1, (layers, width, width)).astype(np.float32) / width

    def network(x: jax.Array) -> jax.Array:
        for weight in weights:
            x = 0.5 * (x @ weight) ** 2 + 0.5 * x
        return x

    return network, fhejax.Encrypted((64, width), range=(-1, 1))


def loop_of_terms(terms: int = 300) -> Function:
    """A sum that Python's loop writes term by term."""

    def total(x: jax.Array) -> jax.Array:
        return sum((x[:, column] ** 2 for column in range(1, terms)), x[:, 0] ** 2)

    return total, fhejax.Encrypted((64, terms), range=(-1, 1))


FUNCTIONS: dict[str, tuple[Callable[[], Function], float]] = {  # with the seconds that it may take
    "polynomial of degree 15": (one_polynomial, 0.3),
    "CryptoNets, 8,192 images": (cryptonets, 1.0),
    "20 quadratic layers": (quadratic_layers, 5.0),
    "loop of 300 terms": (loop_of_terms, 2.0),
}


def processor_seconds(function: Callable[[jax.Array], jax.Array], argument: fhejax.Encrypted) -> float:
    """CPU seconds of one compile."""
    start = time.process_time()
    fhejax.compile(function, argument)
    return time.process_time() - start


def main(arguments: Arguments) -> dict[str, Any]:
    """Measure, print, and save on request."""
    if unknown := set(arguments.functions) - set(FUNCTIONS):
        raise SystemExit(f"functions {sorted(unknown)} were asked for; there are {', '.join(FUNCTIONS)}.")
    results: dict[str, Any] = {}
    print(f"{'CPU seconds of compile':28}{'first':>8}{'again':>8}{'at most':>9}")
    for name in arguments.functions or FUNCTIONS:
        make, most = FUNCTIONS[name]
        function, argument = make()
        first, again = (processor_seconds(function, argument) for _ in range(2))
        results[name] = {"first": first, "again": again, "at most": most}
        print(f"{name:28}{first:8.2f}{again:8.2f}{most:9.1f}", flush=True)
    if arguments.save:
        write_result("plan_times", results)
    return results


if __name__ == "__main__":
    main(tyro.cli(Arguments))
