"""The kernels under everything, one by one: what the planner's costs and the choice of method rest on.

    python -m benchmarks.kernels [--degree 8192] [--limbs 4]

Each is checked against exact integers first, then timed: the transform both ways (microseconds a limb),
the exact modular matrix product by method and tile (1e9 multiply-adds a second), squares, and
relinearisation.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks.machine import describe_machine, median_time, write_result
from fhejax import ckks
from fhejax.ring import Ring, inverse_ntt, modular_matrix_product, ntt, ntt_primes
from fhejax.ring.platform import current_device
from fhejax.ring.transform import METHODS

_ROWS, _COLUMNS = 100, 845  # CryptoNets' first dense layer


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Sizes.

    Attributes:
        degree: N of the conjugate-invariant ring.
        limbs: primes near 2**30.
        repeats: timed calls after the first.
        save: write benchmarks/results/kernels.json.
    """

    degree: int = 8192
    limbs: int = 4
    repeats: int = 5
    save: bool = True


def residues(generator: np.random.Generator, shape: tuple[int, ...], moduli: tuple[int, ...]) -> Any:
    """Random residues [*shape, limb, N]."""
    *lead, degree = shape
    return jnp.asarray(
        np.stack([generator.integers(0, q, (*lead, degree)) for q in moduli], -2).astype(np.uint32)
    )


def transforms(ring: Ring, moduli: tuple[int, ...], repeats: int) -> dict[str, float]:
    """Microseconds a limb, 64 polynomials at once; the inverse must give back what went in."""
    x = residues(np.random.default_rng(0), (64, ring.degree), moduli)
    if not bool((inverse_ntt(ntt(x, ring, moduli), ring, moduli) == x).all()):
        raise AssertionError("inverse_ntt(ntt(x)) is not x.")
    return {
        f"{name}, {method}": _transform_time(f, x, ring, moduli, method, repeats)
        for name, f in (("ntt", ntt), ("inverse ntt", inverse_ntt))
        for method in METHODS
        # On a CPU the steps of the kernels are run on whole arrays, which nothing else does.
        if method != "pallas" or current_device().kind != "cpu"
    }


def _transform_time(
    transform: Any, x: jax.Array, ring: Ring, moduli: tuple[int, ...], method: str, repeats: int
) -> float:
    _, median, _ = median_time(lambda: transform(x, ring, moduli, method=method), repeats)
    return median / x.size * ring.degree * 1e6


def check_product(weights: np.ndarray, x: jax.Array, found: jax.Array, moduli: tuple[int, ...]) -> None:
    """A few columns against Python integers."""
    for limb, q in enumerate(moduli):
        column = [int(v) for v in np.asarray(x[:, 0, limb, 7])]
        expected = sum(int(w) * v for w, v in zip(weights[0, 3], column, strict=True)) % q
        if expected != int(found[0, 3, 0, 0, limb, 7]):
            raise AssertionError("the modular matrix product is not exact.")


def products(ring: Ring, moduli: tuple[int, ...], repeats: int) -> dict[str, float]:
    """1e9 modular multiply-adds a second by method and tile, two components."""
    generator = np.random.default_rng(1)
    x = residues(generator, (_COLUMNS, 2, ring.degree), moduli)
    weights = generator.integers(-1023, 1024, (1, _ROWS, _COLUMNS)).astype(np.int32)
    work = weights.size * x[0].size / 1e9
    rates = {}
    for method, tile in (("float64", 64), ("float64", 128), ("float64", 512), ("int8", 128)):
        if method == "int8" and current_device().kind == "cpu":
            continue  # naive loops where there is no int8 matrix unit: minutes
        call = _product_call(weights, x, moduli, method, tile)
        check_product(weights, x, call(), moduli)
        rates[f"{method}, tile {tile}"] = work / median_time(call, repeats)[1]
    return rates


def _product_call(weights: Any, x: Any, moduli: Any, method: str, tile: int) -> Any:
    return lambda: modular_matrix_product(weights, x, moduli, 1023, tile=tile, method=method)


def relinearisation(degree: int, limbs: int, repeats: int) -> dict[str, float]:
    """Milliseconds for one ciphertext, of 16 in a batch."""
    params = ckks.insecure_parameters(degree, limbs - 1, 28.0)
    first, second, third = jax.random.split(ckks.random_key(), 3)
    secret = ckks.secret_key(first, params)
    keys = ckks.evaluation_keys(second, secret, relinearise=True)
    x = ckks.encrypt(third, secret, ckks.encode(params, np.ones((16, params.slots)) / 2))
    squares = ckks.evaluation.square_tensor(x)
    times = {
        "square (tensor)": lambda: ckks.evaluation.square_tensor(x),
        "relinearise": lambda: ckks.relinearise(keys, squares),
        "relinearise and rescale": lambda: ckks.relinearise(keys, squares, target_level=squares.level - 1),
    }
    return {name: median_time(f, repeats)[1] / 16 * 1e3 for name, f in times.items()}


def main(arguments: Arguments) -> dict[str, Any]:
    """Check, time, print and keep."""
    ring = Ring(arguments.degree, conjugate_invariant=True)
    moduli = ntt_primes(30.0, ring.root_order, arguments.limbs)
    results = {
        "transforms, microseconds a limb": transforms(ring, moduli, arguments.repeats),
        "matrix product, 1e9 multiply-adds a second": products(ring, moduli, arguments.repeats),
        "milliseconds a ciphertext": relinearisation(arguments.degree, arguments.limbs, arguments.repeats),
    }
    print(describe_machine())
    for title, rows in results.items():
        print(f"\n{title} (N = {arguments.degree}, {arguments.limbs} limbs)")
        for name, value in rows.items():
            print(f"  {name:28}{value:10.2f}")
    if arguments.save:
        write_result("kernels", {"arguments": dataclasses.asdict(arguments), **results})
    return results


if __name__ == "__main__":
    main(tyro.cli(Arguments))
