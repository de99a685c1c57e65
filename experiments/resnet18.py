"""ResNet-18 on images of ImageNet's size, one at a time: planned and simulated, and one block encrypted.

    python -m experiments.resnet18
    python -m experiments.resnet18 --block

Weights are random: nothing here says how accurate such a network is. The first command plans the whole
network for an image of 224x224, predicts its time on devices, and runs it in the clear and in fixed point.
The second runs one residual block of 64 channels at 56x56, whose values take several ciphertexts each,
encrypted: memory is predicted before there are keys.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx

import fhejax
from benchmarks.machine import describe_machine, peak_memory_bytes
from experiments import pipeline
from experiments.resnet18_memory import predicted_bytes
from fhejax import nn
from fhejax.program.levels.predicted_time import predicted_block_seconds
from fhejax.ring.platform import chosen_device

DEVICES = ("cpu", "h100", "h200")
RANGE = 2.5  # of normalised pixels, and of what a block reads
MOMENTS = 4  # random images by which activations are normalised, and which values are as large as


@dataclass(frozen=True)
class Arguments:
    """Plan ResNet-18 with random weights, or run one residual block of it encrypted.

    Attributes:
        block: run one residual block encrypted, in place of planning the network.
        image_size: height and width of the image, or of what the block reads: by default 224, and 56.
        width: channels of the first fourth, and of the block.
        classes: of the network.
        simulate: run the network in fixed point as well, which takes minutes.
        bootstrapping: let the network be bootstrapped where it is too deep.
        memory: bytes that a block may take: --block stops before keys are made where more are predicted.
        margin: how many times as large as on the sample values may become.
        precision_bits: -log2 of the relative error to be left.
        json: file to write all results to.
        cache: folder of compiled kernels, so that a later start is quick; None for no folder. What
            lies in it is executed, so nobody else may be able to write to it.
        insecure_log_degree: a ring of degree 2**this WITHOUT ANY SECURITY, for quick tests only.
    """

    block: bool = False
    image_size: int | None = None
    width: int = 64
    classes: int = 1000
    simulate: bool = True
    bootstrapping: bool = True
    memory: float = 14e9
    margin: float = 2.0
    precision_bits: float = 6.0
    json: Path | None = None
    cache: Path | None = pipeline.CACHE
    insecure_log_degree: int | None = None


class Block(nn.Network):
    """One residual block of the network alone."""

    def __init__(self, width: int, size: int, *, rngs: nnx.Rngs) -> None:
        self.image_shape = (size, size, width)
        self.block = nn.ResidualBlock(width, width, 1, nn.HermiteActivation, rngs=rngs)

    def layers(self) -> tuple[Any, ...]:
        """The block."""
        return (self.block,)


def main(arguments: Arguments) -> dict[str, Any]:
    """Run what was asked for, print and return what came out."""
    pipeline.check_writable(arguments.json)
    pipeline.check_range("--image-size", arguments.image_size, 1, 512)
    pipeline.check_range("--width", arguments.width, 1, 256)
    pipeline.check_range("--classes", arguments.classes, 1, 10_000)
    if not arguments.margin >= 1:
        raise SystemExit(f"--margin is {arguments.margin}; it must be 1 or more.")
    pipeline.use_cache(arguments.cache)
    results = (run_block if arguments.block else plan_network)(arguments)
    results |= {"peak_memory_bytes": peak_memory_bytes(), "machine": describe_machine()}
    print(f"peak memory   {results['peak_memory_bytes'] / 1e9:.2f} GB")
    if arguments.json:
        pipeline.write_json(arguments.json, results)
    return results


def prepared(network: nn.Network) -> tuple[nn.Network, np.ndarray]:
    """Take the moments of random images, fold the activations; return the network and some images."""
    generator = np.random.default_rng(0)
    images = generator.normal(size=(MOMENTS, *network.image_shape)).clip(-RANGE, RANGE).astype(np.float32)
    nnx.jit(lambda network, x: network(x))(network, jnp.asarray(images))
    return nn.fold_activations(nn.inference_view(network)), images


def plan_network(arguments: Arguments) -> dict[str, Any]:
    """Plan the whole network, predict its time on devices, and simulate it."""
    size = arguments.image_size or 224
    network, images = prepared(
        nn.ResNet18(
            nn.HermiteActivation,
            width=arguments.width,
            classes=arguments.classes,
            image_shape=(size, size, 3),
            rngs=nnx.Rngs(0),
        )
    )
    start = time.perf_counter()
    program = compiled(network, images, arguments, arguments.bootstrapping)
    seconds = time.perf_counter() - start
    print(f"ResNet-18 on an image of {size}x{size}, {arguments.width} channels at first; random weights\n")
    print(f"{program.report()}\n\nplanned in    {seconds:.0f} s")
    predicted = predicted_seconds(program)
    for device, value in predicted.items():
        print(f"predicted     {value:.3g} s on {device}")
    results = {"plan_seconds": seconds, "predicted_seconds": predicted, **counts(program)}
    if arguments.simulate:
        results |= simulated(program, images[:1])
    return results


def simulated(program: fhejax.Program, images: np.ndarray) -> dict[str, Any]:
    """Compare the results in fixed point, with noise, with those in the clear; print and return that."""
    start = time.perf_counter()
    clear, fixed = program.clear(images), program.simulate(images, seed=0)
    seconds, error = time.perf_counter() - start, root_mean_square(fixed - clear)
    predicted = float(program.plan.predicted_errors[0])
    print(f"simulated in  {seconds:.0f} s: error {error:.2e} of results of {root_mean_square(clear):.2e};")
    print(f"              {predicted:.2e} was predicted")
    return {"simulation_seconds": seconds, "simulated_error": error, "predicted_error": predicted}


def run_block(arguments: Arguments) -> dict[str, Any]:
    """Run one residual block encrypted.

    Raises:
        SystemExit: where more memory is predicted than is allowed.
    """
    size = arguments.image_size or 56
    network, images = prepared(Block(arguments.width, size, rngs=nnx.Rngs(0)))
    program = compiled(network, images, arguments, False)
    print(f"One residual block of {arguments.width} channels at {size}x{size}; random weights\n")
    predicted = predicted_bytes(program.plan, program.leaves)
    print(f"{program.report()}\n\nmemory        {predicted / 1e9:.2f} GB predicted")
    if predicted > arguments.memory:
        raise SystemExit(
            f"the block takes about {predicted / 1e9:.2f} GB, and --memory allows "
            f"{arguments.memory / 1e9:.2f} GB; allow more, or run a block of fewer channels or pixels."
        )
    x, names = images[:1], ("keys", "encrypt", "evaluate", "decrypt")
    with pipeline.stages(len(names)) as timed:
        secret, keys = timed("keys", program.keygen)
        upload = timed("encrypt", program.encrypt, secret, x)
        encrypted = timed("evaluate", program, keys, upload)
        found = np.asarray(timed("decrypt", program.decrypt, secret, encrypted))
    clear = program.clear(x)
    error, expected = root_mean_square(found - clear), float(program.plan.predicted_errors[0])
    seconds = {name: timed.seconds[name][0] for name in names}
    print(f"seconds       {', '.join(f'{name} {value:.1f}' for name, value in seconds.items())}")
    print(f"error         {error:.2e} of results of {root_mean_square(clear):.2e}; {expected:.2e} predicted")
    sizes = {"keys": keys.wire_bytes, "upload": upload.bytes, "result": encrypted.bytes}
    return {
        "seconds": seconds,
        "error": error,
        "predicted_error": expected,
        "predicted_memory_bytes": predicted,
        "bytes": sizes,
        **counts(program),
    }


def compiled(
    network: nn.Network, images: np.ndarray, arguments: Arguments, bootstrapping: bool
) -> fhejax.Program:
    """Plan a network for one image.

    Raises:
        SystemExit: where no secure ring holds it.
    """
    try:
        return fhejax.compile(
            network,
            fhejax.Encrypted((1, *network.image_shape), range=(-RANGE, RANGE)),
            packing="multiplexed",
            precision_bits=arguments.precision_bits,
            sample=images,
            margin=arguments.margin,
            bootstrapping=bootstrapping,
            insecure_log_degree=arguments.insecure_log_degree,
        )
    except fhejax.TooDeepError as error:
        raise SystemExit(str(error)) from error


def predicted_seconds(program: fhejax.Program) -> dict[str, float]:
    """Predict the seconds of the plan on each of the devices."""
    plan, lowered = program.plan, program.source.lowered
    bootstraps = sum(step.bootstraps for step in lowered.steps)
    found = {}
    for name in DEVICES:
        device = chosen_device(name)
        each = plan.bootstrapping.predicted_seconds(device) if plan.bootstrapping else 0.0
        found[name] = float(predicted_block_seconds(lowered, plan.settings, device)) + bootstraps * each
    return found


def counts(program: fhejax.Program) -> dict[str, Any]:
    """Count what a plan takes."""
    plan = program.plan
    return {
        "parameters": pipeline.describe_parameters(program.params),
        "bootstraps": plan.bootstraps,
        "plaintext_products": sum(step.plaintext_products for step in plan.steps),
        "rotation_keys": len(plan.rotations),
        "weights_bytes": int(sum(leaf.nbytes for leaf in jax.tree.leaves(program.leaves))),
        "widest_ciphertexts": max(step.size for step in plan.steps),
    }


def root_mean_square(values: np.ndarray) -> float:
    """Return the root of the mean of squares."""
    return float(np.sqrt(np.mean(np.square(values))))


if __name__ == "__main__":
    main(tyro.cli(Arguments))
