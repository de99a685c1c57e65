"""One encrypted training step in tiles, and with one feature a ciphertext: times and key switches.

    python -m benchmarks.training_packings [--network 16-8-4] [--batch 60] [--packings tiles sample-per-slot]
    python -m benchmarks.training_packings --network 64-32-16-10 --momentum 0 --insecure-log-degree 12 --same

Both packings compute the same step of gradient descent, with Nesterov's momentum unless that is 0, by
`jax.grad` and optax, without bootstraps: at 128 bits, or both in one ring of a degree that is given, and with
--same in the same primes too, those of the plan for tiles; each then begins at the lowest level that it can.
With one feature a ciphertext the second line's network has 2,778 encrypted weights, which a secure ring of
its depth makes 15 GB, and momenta as much again. Every packing runs in a process of its own; the first call
compiles with XLA, and times are medians of warm ones. The error is that of the weights against the step in
the clear.
"""

import dataclasses
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import tyro

from benchmarks.machine import median_time, peak_memory_bytes, timed_stages, use_cache, write_result

RATE = 0.05


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to measure.

    Attributes:
        network: sizes of its layers.
        batch: samples of the step.
        momentum: of Nesterov's method; 0 is plain descent, which carries no momenta.
        insecure_log_degree: a ring of degree 2**this for both, WITHOUT ANY SECURITY.
        same: have all packings planned in the parameters that tiles find for themselves.
        packings: names, as of `fhejax.compile`.
        repeats: timed calls, after a first one that compiles.
        plan: predict alone, and call nothing.
        cache: folder of the compilation cache; none by default.
        save: write benchmarks/results/training_packings.json.
        single: (internal) measure one packing in this process and print JSON.
    """

    network: str = "16-8-4"
    batch: int = 60
    momentum: float = 0.9
    insecure_log_degree: int | None = None
    same: bool = False
    packings: tuple[str, ...] = ("tiles", "sample-per-slot")
    repeats: int = 2
    plan: bool = False
    cache: str = ""
    save: bool = True
    single: str = ""


def make_step(momentum: float) -> Callable[..., Any]:
    """A step on the mean square error, with activations z^2 + z: a function of parameters, momenta, x and y.

    Without momentum it has no momenta, among its arguments and results.
    """
    import jax
    import jax.numpy as jnp
    import optax

    def loss(params: Any, x: Any, y: Any) -> Any:
        value = x
        for weights, bias in params[:-1]:
            z = value @ weights + bias[None]
            value = z * z + z
        weights, bias = params[-1]
        return 0.5 * jnp.mean(jnp.sum((value @ weights + bias[None] - y) ** 2, -1))

    def with_momenta(params: Any, momenta: Any, x: Any, y: Any) -> Any:
        optimiser = optax.sgd(RATE, momentum=momentum, nesterov=True)
        state = optax.TraceState(momenta), optax.EmptyState()
        updates, state = optimiser.update(jax.grad(loss)(params, x, y), state, params)
        return optax.apply_updates(params, updates), state[0].trace

    def plain(params: Any, x: Any, y: Any) -> Any:
        updates, _ = optax.sgd(RATE).update(
            jax.grad(loss)(params, x, y), optax.sgd(RATE).init(params), params
        )
        return optax.apply_updates(params, updates)

    return with_momenta if momentum else plain


def measure(packing: str, arguments: Arguments) -> dict[str, Any]:
    """Every stage of one packing in this process, in seconds and bytes."""
    import jax
    import numpy as np

    import fhejax

    use_cache(arguments.cache)
    sizes = tuple(map(int, arguments.network.split("-")))
    generator = np.random.default_rng(0)
    shapes = [shape for pair in itertools.pairwise(sizes) for shape in (pair, pair[1:])]
    flat = [generator.normal(size=s) * 0.5 / np.sqrt(s[0]) for s in shapes]
    params = list(zip(*[iter(np.asarray(a, np.float32) for a in flat)] * 2, strict=True))
    momenta = jax.tree.map(lambda a: 0.1 * a, params)
    x = generator.uniform(-1, 1, (arguments.batch, sizes[0])).astype(np.float32)
    y = generator.uniform(0, 1, (arguments.batch, sizes[-1])).astype(np.float32)
    weights = jax.tree.map(lambda a: fhejax.Encrypted(a.shape, range=(-2, 2), batch_axis=None), params)
    step, carried = make_step(arguments.momentum), 2 if arguments.momentum else 1
    described = *(weights, weights)[:carried], fhejax.Encrypted(x.shape), fhejax.Encrypted(y.shape)
    values = *(params, momenta)[:carried], x, y
    seconds: dict[str, float] = {}
    stage = timed_stages(seconds)
    options = {"sample": tuple(jax.tree.leaves(values)), "margin": 4.0, "bootstrapping": False}
    ring = {"insecure_log_degree": arguments.insecure_log_degree}
    if arguments.same:
        tiles = fhejax.compile(step, *described, packing="tiles", **options, **ring)
        ring = {"parameters": tiles.params, "insecure": tiles.params.insecure}
    program = stage("plan", lambda: fhejax.compile(step, *described, packing=packing, **options, **ring))
    plan = program.plan
    rotations = sum(s.rotations_done + s.size * max(0, s.summed_slots.bit_length() - 1) for s in plan.steps)
    found = {
        "packing": packing,
        "ring": str(plan.params),
        "security": plan.security,
        "level": plan.top_level,
        "limbs": len(plan.params.level_moduli(plan.top_level)),
        "rotations": rotations,
        "relinearisations": sum(s.size for s in plan.steps if s.operation == "relinearise"),
        "predicted_seconds": plan.predicted_seconds,
        "predicted_errors": list(plan.predicted_errors),
    }
    if not arguments.plan:
        secret, keys = stage("keys", program.keygen)
        encrypted = stage("encrypt", lambda: program.encrypt(secret, *values))
        result = stage("first call", lambda: program(keys, *encrypted))
        _, seconds["call"], _ = median_time(lambda: program(keys, *encrypted), arguments.repeats)
        opened = jax.tree.leaves(program.decrypt(secret, result))
        wanted = jax.tree.leaves(step(*values))
        errors = [float(np.sqrt(np.mean((a - b) ** 2))) for a, b in zip(opened, wanted, strict=True)]
        found |= {"errors": errors, "peak_memory_bytes": peak_memory_bytes()}
    return found | {"seconds": seconds}


def main(arguments: Arguments) -> None:
    """Measure each packing in a process of its own, and print a table."""
    if arguments.single:
        print(json.dumps(measure(arguments.single, arguments)))
        return
    rows = []
    for packing in arguments.packings:
        command = [sys.executable, "-m", "benchmarks.training_packings", *sys.argv[1:], "--single", packing]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        row = json.loads(output.splitlines()[-1])
        rows.append(row)
        switches = row["rotations"] + row["relinearisations"]
        called = row["seconds"].get("call")
        took = "-"
        if called is not None:
            took = f"{called:.2f} s ({1e3 * called / switches:.2f} ms a key switch)"
        print(
            f"{packing:16} {switches:6} key switches from level {row['level']} ({row['limbs']} primes), "
            f"predicted {row['predicted_seconds']:.1f} s, a step {took}, {row['ring']}",
            flush=True,
        )
    if arguments.save and not arguments.plan:
        write_result(
            "training_packings", {"network": arguments.network, "batch": arguments.batch, "rows": rows}
        )


if __name__ == "__main__":
    main(tyro.cli(Arguments))
