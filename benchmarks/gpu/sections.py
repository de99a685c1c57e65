"""The sections: each checks its results, then times them, and writes rows and notes on a sheet."""

import dataclasses
import functools
import inspect
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fhejax
from benchmarks.gpu import checks
from benchmarks.gpu.launches import kernels_of
from benchmarks.gpu.measuring import Sheet, require
from benchmarks.gpu.row_costs import costs, predicted_key_switch
from benchmarks.gpu.sizes import Shape, Sizes
from fhejax import ckks
from fhejax.ckks.bootstrapping import bootstrapping_circuit, bootstrapping_keys
from fhejax.ckks.encryption.opening import real_numbers
from fhejax.program.run.step_groups import step_groups
from fhejax.ring import (
    Ring,
    basis_conversion,
    inverse_ntt,
    matrix_product,
    modular_matrix_product,
    ntt,
    ntt_primes,
    platform,
    twiddles,
)
from fhejax.ring.compile_ahead import compile_ahead
from fhejax.ring.conversion import conversion_backend
from fhejax.ring.conversion.constants import conversion as constants_of_conversion
from fhejax.ring.platform import current_device
from fhejax.ring.transform import METHODS, chosen_method
from fhejax.ring.wide import wide

_BATCHES = {"cryptonets": 8192, "hcnn": 8192, "mlp": 10_000, "small": 64}
_WEIGHTS = Path(__file__).resolve().parents[2] / "experiments" / "weights"
_LAUNCHES = 100
_IN_A_ROW = 10


def device(sheet: Sheet, sizes: Sizes) -> None:
    """The bandwidth by copying, and the cost of one more kernel: what the planner computes costs from."""
    row = current_device()
    words = 1 << (16 if sizes.turns < 10 else 27)
    x = jnp.arange(words, dtype=jnp.uint32)
    copy = jax.jit(lambda x: x ^ np.uint32(1))
    sheet.time(f"copying {4 * words >> 10} KiB", lambda: copy(x), predicted=8 * words / row.bandwidth)

    @jax.jit
    def launches(x: jax.Array) -> jax.Array:
        for number in range(_LAUNCHES):
            x = jax.lax.optimization_barrier(x * np.uint32(3) + np.uint32(number))
        return x

    small = x[:1024]
    sheet.time("one more kernel", lambda: launches(small), in_one=_LAUNCHES, predicted=row.launch)
    sheet.notes["transform"] = chosen_method(Ring(2**13))


def transforms(sheet: Sheet, sizes: Sizes) -> None:
    """Each method at each shape, both ways: checked against butterflies, then timed in a loop and alone."""
    for shape in sizes.transforms:
        ring = Ring(2**shape.log_degree)
        moduli = ntt_primes(29.9, ring.root_order, shape.limbs)
        x = checks.residues((shape.polynomials, ring.degree), moduli)
        expected = {f: f(x, ring, moduli, method="butterflies") for f in (ntt, inverse_ntt)}
        for method in METHODS:
            if method == "pallas" and chosen_method(Ring(2**12)) != "pallas" and sizes.turns > 10:
                continue  # on a card that has no kernels
            for function, values in expected.items():
                found = function(x, ring, moduli, method=method)
                require((found == values).all(), f"{function.__name__} by {method} differs at {shape}.")
                _time_transform(sheet, sizes, shape, (ring, moduli, method), function, x)


def _time_transform(
    sheet: Sheet,
    sizes: Sizes,
    shape: Shape,
    of: tuple[Ring, tuple[int, ...], str],
    function: Any,
    x: jax.Array,
) -> None:
    ring, moduli, method = of
    constants = twiddles(ring, moduli, method=method)
    name = f"{'inverse' if function is inverse_ntt else 'forward'} {shape}, {method}"
    stages = x.size * shape.log_degree * current_device().costs.stage / 1e9
    looped = _looped(lambda x, t: function(x, t, moduli), sizes.turns)
    chosen = method == chosen_method(ring)
    sheet.time(
        f"{name}, in a loop",
        lambda: looped(x, constants),
        in_one=sizes.turns,
        predicted=stages if chosen else None,
        bar=shape.bar if chosen else None,
    )
    sheet.time(f"{name}, alone", lambda: function(x, constants, moduli))


def _looped(
    function: Callable[[jax.Array, Any], jax.Array], turns: int
) -> Callable[[jax.Array, Any], jax.Array]:
    """The function so many times, in one executable: what it costs within a larger one."""
    return jax.jit(lambda x, t: jax.lax.fori_loop(0, turns, lambda _, y: function(y, t), x))


def layouts(sheet: Sheet, sizes: Sizes) -> None:
    """The kernels with other tiles and threads: what `transform_tile` and `transform_lane` are to be."""
    from fhejax.ring.transform.pallas import backends, kernels, tables, working_backend

    row, shape = current_device(), sizes.transforms[0]
    name = None if row.kind == "cpu" else working_backend(row)
    if name is None and row.kind != "cpu":
        return
    backend = backends.BACKENDS[name]() if name else backends.interpreter()
    ring = Ring(2**shape.log_degree)
    moduli = ntt_primes(29.9, ring.root_order, shape.limbs)
    x, constants = checks.residues((shape.polynomials, ring.degree), moduli), tables(ring, moduli)
    expected, found_row = ntt(x, ring, moduli, method="butterflies"), platform.accelerator
    for tile, lane in sizes.layouts:
        blocks = dataclasses.replace(row.blocks, transform_tile=tile, transform_lane=lane)
        kernels.accelerator = lambda blocks=blocks: dataclasses.replace(row, blocks=blocks)
        try:
            once = jax.jit(wide(functools.partial(kernels.forward, ring=ring, backend=backend)))
            require((once(x, constants) == expected).all(), f"tiles of {tile}, {lane} a thread: wrong bits.")
            looped = _looped(once, sizes.turns)
            what = f"kernels, tiles of {tile}, {lane} values a thread"
            sheet.time(what, lambda looped=looped: looped(x, constants), in_one=sizes.turns)
        finally:
            kernels.accelerator = found_row


def matrix(sheet: Sheet, sizes: Sizes) -> None:
    """The exact matrix product by method and tile: what the matrix fields of the card's row are to be.

    Of tiles of one limb, as a CPU takes them, most of a card's time is that of launching kernels: CryptoNets
    took 19.7 ms with tiles of 128. Of all limbs a tile of N coefficients is one product without a loop.
    """
    log_degree, limbs, outputs, inputs, tiles = sizes.matrix
    moduli, row, found_row = ntt_primes(30.0, 4 << log_degree, limbs), current_device(), current_device
    x = checks.residues((inputs, 2, 1 << log_degree), moduli)
    weights = np.random.default_rng(1).integers(-1023, 1024, (1, outputs, inputs)).astype(np.int32)
    expected = modular_matrix_product(weights, x, moduli, 1023)
    roomy = dataclasses.replace(row.blocks, matrix_room=max(2**27, row.blocks.matrix_room))
    methods = ("float64",) if row.kind == "cpu" and sizes.turns > 10 else ("float64", "int8")
    try:
        for together, method in itertools.product(("one", "all"), methods):
            changed = dataclasses.replace(row, matrix_limbs=together, blocks=roomy)
            matrix_product.current_device = lambda changed=changed: changed
            for tile in tiles:
                function = _product_traced_anew(moduli, tile, method)
                what = f"matrix product, {method}, tiles of {tile}" + ", all limbs" * (together == "all")
                require((function(weights, x) == expected).all(), f"{what}: wrong.")
                products = weights.size * x[0].size * row.multiply_add(method) / 1e9
                turns = (limbs if together == "one" else 1) * (1 << log_degree) // tile
                launches = turns * row.costs.tile_launches * row.launch
                sheet.time(what, lambda f=function: f(weights, x), predicted=products + launches)
    finally:
        matrix_product.current_device = found_row


def _product_traced_anew(moduli: tuple[int, ...], tile: int, method: str) -> Callable[..., jax.Array]:
    """The product of |weights| <= 1023, which takes the current row: JAX finds no earlier trace of it."""
    unwrapped = inspect.unwrap(modular_matrix_product)
    given = {"tile": tile, "method": method}
    return jax.jit(wide(lambda weights, x: unwrapped(weights, x, moduli, 1023, **given)))


def conversion(sheet: Sheet, sizes: Sizes) -> None:
    """Base conversion of a digit, by XLA on arrays and by the kernel that reads it once for all targets."""
    log_degree, sources, targets = sizes.conversion
    row = current_device()
    primes = ntt_primes(29.9, 2 << log_degree, sources + targets)
    source, target = primes[:sources], primes[sources:]
    x = checks.residues((1, 1 << log_degree), source)
    on_arrays = jax.jit(wide(lambda x: basis_conversion.converted_on_arrays(x, source, target)))
    expected = sheet.time("base conversion on arrays", lambda: on_arrays(x))
    name = "the interpreter" if row.kind == "cpu" else conversion_backend(row)
    if name is None:
        sheet.notes["base conversion"] = "the kernel does not run on this card"
        return
    from fhejax.ring.conversion.kernel import converted
    from fhejax.ring.transform.pallas import backends

    backend = backends.interpreter() if row.kind == "cpu" else backends.BACKENDS[name]()
    by_kernel = jax.jit(wide(lambda x: converted(x, constants_of_conversion(source, target), backend)))
    least = (sources + targets) * 4 * (1 << log_degree) / row.bandwidth
    found = sheet.time("base conversion by the kernel", lambda: by_kernel(x), predicted=least)
    require((found == expected).all(), "the kernel of base conversion: wrong bits.")


def operations(sheet: Sheet, sizes: Sizes) -> None:
    """The scheme's operations at the highest level, decrypted once each."""
    params = sizes.parameters()
    key, second, third = jax.random.split(ckks.random_key(), 3)
    secret = ckks.secret_key(key, params)
    steps = tuple(range(1, 9))
    keys = sheet.once("keys", lambda: ckks.evaluation_keys(second, secret, relinearise=True, rotations=steps))
    values = np.linspace(-1, 1, params.slots)
    x = sheet.once("encryption", lambda: ckks.encrypt(third, secret, ckks.encode(params, values)))
    known = {
        "add": (lambda: ckks.add(x, x), 2 * values),
        "rotate": (lambda: ckks.rotate(keys, x, 1), np.roll(values, -1)),
        "multiply, relinearise, rescale": (lambda: ckks.multiply(keys, x, x), values**2),
        "eight hoisted rotations": (lambda: ckks.rotate_hoisted(keys, x, steps)[0], np.roll(values, -1)),
    }
    sheet.notes["operations"] = f"N = {params.ring.degree}, {len(x.moduli)} limbs"
    for name, (operation, expected) in known.items():
        switch = predicted_key_switch(params) if name in sizes.bars else None
        found = sheet.time(name, operation, predicted=switch, bar=sizes.bars.get(name))
        error = np.abs(np.asarray(ckks.decode(ckks.decrypt(secret, found))) - expected).max()
        require(error < 1e-3, f"{name} is wrong by {error:.1e}.")
    sheet.once("decryption", lambda: ckks.decode(ckks.decrypt(secret, x)))


def launches(sheet: Sheet, sizes: Sizes) -> None:
    """Kernels of each operation, and its time where calls follow each other, sent before any is waited for.

    In a row an operation takes what its kernels take, unless sending it takes longer.
    """
    params = sizes.parameters()
    key, second, third = jax.random.split(ckks.random_key(), 3)
    secret = ckks.secret_key(key, params)
    steps = (1, 2, 3, 4)
    keys = ckks.evaluation_keys(second, secret, relinearise=True, rotations=steps)
    values = np.linspace(-1, 1, params.slots)
    x = jax.block_until_ready(ckks.encrypt(third, secret, ckks.encode(params, values)))
    known = {
        "rotate": lambda keys, x: ckks.rotate(keys, x, 1),
        "multiply, relinearise, rescale": lambda keys, x: ckks.multiply(keys, x, x),
        "four hoisted rotations": lambda keys, x: ckks.rotate_hoisted(keys, x, steps),
        "decrypt and decode": lambda keys, x: real_numbers(secret, x.replace(data=x.data[None]), (0,), 1),
    }
    for name, operation in known.items():
        sheet.time(
            f"{name}, {_IN_A_ROW} in a row",
            lambda f=operation: [f(keys, x) for _ in range(_IN_A_ROW)],
            in_one=_IN_A_ROW,
        )
        if name != "decrypt and decode":
            text = jax.jit(operation).lower(keys, x).compile().as_text()
            sheet.notes[f"kernels of {name}"] = kernels_of(text)


def bootstrap(sheet: Sheet, sizes: Sizes) -> None:
    """A bootstrap of all slots: time, precision, and what the planner predicts."""
    chosen = sizes.bootstrap()
    circuit = sheet.once("matrices of the bootstrap", lambda: bootstrapping_circuit(chosen))
    secret = ckks.secret_key(ckks.random_key(), chosen.params)
    keys = sheet.once("keys of the bootstrap", lambda: bootstrapping_keys(ckks.random_key(), secret, circuit))
    values = np.random.default_rng(0).uniform(-1, 1, chosen.params.slots)
    plaintext = ckks.encode(chosen.params, values, level=chosen.input_level)
    ciphertext = ckks.encrypt(ckks.random_key(), secret, plaintext)
    kernels = "kernels of the bootstrap, compiled side by side"
    count = sheet.once(kernels, lambda: compile_ahead(ckks.bootstrap, keys, ciphertext))
    sheet.notes["executables of the bootstrap"] = count
    found = sheet.time(
        "bootstrap",
        lambda: ckks.bootstrap(keys, ciphertext),
        predicted=chosen.predicted_seconds(),
        bar=sizes.bootstrap_bar,
    )
    precision = ckks.precision(ckks.decrypt(secret, found), values)
    sheet.notes["bootstrap"] = str(precision)
    error = np.abs(np.asarray(ckks.decode(ckks.decrypt(secret, found))) - values).max()
    require(error < 1e-4, f"the bootstrap is wrong by {error:.1e}.")


def tiles(sheet: Sheet, sizes: Sizes) -> None:
    """A training step in tiles, whose steps are executables by groups, with the bits of each step alone."""
    features, batch, options = sizes.tiles
    weights = fhejax.Encrypted((features, 2), batch_axis=None)
    x, y = fhejax.Encrypted((batch, features)), fhejax.Encrypted((batch, 2))
    program = sheet.once(
        "tiles: plan",
        lambda: fhejax.compile(
            lambda w, x, y: w - 0.5 * (x.T @ (x @ w - y)) / batch,
            *(weights, x, y),
            **{"packing": "tiles", "bootstrapping": False, **options},
        ),
    )
    secret, keys = sheet.once("tiles: keys", program.keygen)
    generator = np.random.default_rng(0)
    values = [generator.uniform(-0.5, 0.5, a.shape).astype(np.float32) for a in (weights, x, y)]
    given = jax.block_until_ready(program.encrypt(secret, *values))
    found = sheet.time(
        "tiles: a training step", lambda: program(keys, *given), predicted=program.plan.predicted_seconds
    )
    alone = program(keys, *given, progress=lambda done, total: None)
    require((found.data == alone.data).all(), "the training step has other bits by groups than step by step.")
    groups = step_groups(program.plan.steps, tuple(program.plan.outputs), platform.accelerator(), True)
    sheet.notes["tiles, steps and groups"] = [len(program.plan.steps), sum(1 for g in groups if g.steps)]
    error = float(np.abs(np.asarray(program.decrypt(secret, found)) - program.clear(*values)).max())
    require(error < 2e-2, f"the training step is wrong by {error:.1e}.")


def network(sheet: Sheet, sizes: Sizes, *, section: str) -> None:
    """A batch of an MNIST network on random images, against the same network in the clear."""
    if section not in sizes.networks:
        return
    name, bar = sizes.networks[section]
    predict, images = _network(name)
    described = fhejax.Encrypted(images.shape, range=(0, 1))
    program = sheet.once(
        f"{name}: plan",
        lambda: fhejax.compile(predict, described, precision_bits=10.0, sample=images[:64]),
    )
    secret, keys = sheet.time(f"{name}: keys", program.keygen)
    sent = sheet.time(f"{name}: encrypt {len(images)}", lambda: program.encrypt(secret, images))
    given = jax.block_until_ready(sent.expanded())
    result = sheet.time(
        f"{name}: {len(images)} images",
        lambda: program(keys, given),
        predicted=program.plan.predicted_seconds,
        bar=bar,
    )
    found = sheet.time(f"{name}: decrypt", lambda: program.decrypt(secret, result), bar=0.05)
    error = float(np.abs(np.asarray(found) - np.asarray(program.clear(images))).max())
    sheet.notes[f"{name}, largest error"] = error
    require(error < 2e-2, f"{name} is wrong by {error:.1e}.")


def _network(name: str) -> tuple[Callable[[Any], Any], np.ndarray]:
    """What is compiled, and images."""
    generator = np.random.default_rng(0)
    if name == "small":
        first, second = (generator.normal(size=shape).astype(np.float32) / 4 for shape in ((9, 4), (4, 2)))
        images = generator.uniform(0, 1, (_BATCHES[name], 9)).astype(np.float32)
        return lambda x: jnp.square(x @ first) @ second, images
    from flax import nnx

    from fhejax import nn

    network = {"cryptonets": nn.CryptoNets, "hcnn": nn.HCNN, "mlp": nn.MLP}[name]
    model = nn.load_weights(network(rngs=nnx.Rngs(0)), _WEIGHTS / f"{name}.safetensors")
    images = generator.uniform(0, 1, (_BATCHES[name], 28, 28, 1)).astype(np.float32)
    return nnx.view(model, use_running_average=True), images


def digests(sheet: Sheet, sizes: Sizes) -> None:
    """What is compared with the CPU's."""
    checks.digests(sheet, small=sizes.turns < 10)


# In order of worth.
SECTIONS: dict[str, Callable[[Sheet, Sizes], None]] = {
    "digests": digests,
    "device": device,
    "costs": costs,
    "transforms": transforms,
    "conversion": conversion,
    "operations": operations,
    "launches": launches,
    "bootstrap": bootstrap,
    "tiles": tiles,
    **{name: functools.partial(network, section=name) for name in ("cryptonets", "hcnn", "mlp")},
    "matrix": matrix,
    "layouts": layouts,
}
