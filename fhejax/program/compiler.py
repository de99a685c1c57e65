"""`compile`: a JAX function to a `Program`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from fhejax.program.analyse import check_finite, fold_shifts
from fhejax.program.arguments import Encrypted, Plain, check_values, describe
from fhejax.program.circuit import Source
from fhejax.program.execute import encode_constants
from fhejax.program.graph import Tensor
from fhejax.program.oracles import sample_entries
from fhejax.program.plan import make_plan
from fhejax.program.program import Program
from fhejax.program.trace import Graph, trace

_SAMPLES = 64


def compile(
    function: Callable,
    *arguments: Any,
    precision_bits: float = 10.0,
    security: int = 128,
    sample: Any = None,
    insecure_log_degree: int | None = None,
) -> Program:
    """Turn a polynomial JAX function into a program on encrypted data.

    Args:
        function: any JAX function of arrays, or a Flax model in its inference view. Weights that it closes
            over are snapshotted.
        *arguments: one description for each argument (or a pytree of them): `Encrypted`, `Plain`, or a
            `jax.ShapeDtypeStruct`, which stands for `Encrypted` with its defaults.
        precision_bits: -log2 of the error that is left, relative to the outputs, both as root mean square.
        security: 128, 192 or 256.
        sample: a few typical arguments (one array, or a tuple), on which precision is predicted; by default
            uniform in the range. Ranges stay rigorous either way.
        insecure_log_degree: a ring this small, without security, for tests only; every report says so.

    Returns:
        A Program: `report()`, `keygen()`, `encrypt()`, a call, `decrypt()`, `simulate()`, `verify()`.

    Raises:
        NotPolynomialError: every operation that cannot be encrypted, with its line and a substitute.
        TooDeepError: no secure parameters hold the function.
    """
    described, nesting = jax.tree.flatten(
        arguments, is_leaf=lambda a: isinstance(a, (Encrypted, Plain, jax.ShapeDtypeStruct))
    )
    described = [describe(argument) for argument in described]
    if not any(isinstance(argument, Encrypted) for argument in described):
        raise ValueError(
            "compile was given no encrypted argument; describe at least one by fhejax.Encrypted(shape)."
        )
    plain = [a.placeholder(i) for i, a in enumerate(described) if isinstance(a, Plain)]
    graph = fold_shifts(trace(function, described, nesting, _batch(described), plain))
    if not any(isinstance(o.value, Tensor) for o in graph.outputs):
        raise ValueError("no result of the function depends on an encrypted argument; nothing to do.")
    check_finite(graph)
    plan, lowered = make_plan(
        graph,
        _sample(graph, sample),
        precision_bits=precision_bits,
        security=0 if insecure_log_degree else security,
        log_degree=insecure_log_degree,
    )
    leaves = encode_constants(lowered.constants, plan.params)
    return Program(leaves, plan, Source(function, nesting, graph, lowered))


def _batch(arguments: Sequence[Encrypted | Plain]) -> int:
    sizes = {
        a.shape[a.batch_axis] for a in arguments if isinstance(a, Encrypted) and a.batch_axis is not None
    }
    if len(sizes) > 1:
        raise ValueError(
            f"encrypted arguments have batches of {sorted(sizes)}; all samples of one call lie in the same "
            f"slots, so give every argument the same batch."
        )
    return sizes.pop() if sizes else 1


def _sample(graph: Graph, given: Any) -> list[np.ndarray]:
    """Typical arguments as entries, [size, sample] for each argument."""
    if given is not None:
        return _given_sample(graph, given if isinstance(given, tuple) else (given,))
    generator = np.random.default_rng(0)
    count = min(_SAMPLES, max(1, graph.batch)) if graph.batch > 1 else 1
    samples = []
    for argument in graph.arguments:
        if isinstance(argument, Plain):
            samples.append(np.zeros((0, 0)))
            continue
        axis = argument.batch_axis
        size = math.prod(s for d, s in enumerate(argument.shape) if d != axis)
        shape = (size, 1 if axis is None else count)
        values = generator.uniform(*argument.range, shape)
        samples.append(np.repeat(values, count, 1) if axis is None else values)
    return samples


def _given_sample(graph: Graph, given: tuple) -> list[np.ndarray]:
    encrypted = [a for a in graph.arguments if isinstance(a, Encrypted)]
    if len(given) != len(encrypted):
        raise ValueError(
            f"sample holds {len(given)} arrays, and the function has {len(encrypted)} encrypted arguments; "
            f"give one typical array for each, as a tuple."
        )
    checked = [check_values(a, v) for a, v in zip(encrypted, given, strict=True)]
    entries = iter(sample_entries(encrypted, checked))
    return [next(entries) if isinstance(a, Encrypted) else np.zeros((0, 0)) for a in graph.arguments]
