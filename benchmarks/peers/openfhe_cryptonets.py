"""CryptoNets under OpenFHE, one sample per slot; a stand-alone script for CPython 3.10.

The network is that of Gilad-Bachrach et al. (ICML 2016): 28x28 pixels, 5 maps of 5x5 at stride 2
with one row and column of zeros added at the top and left (845 outputs), square, dense 100,
square, dense 10. Pixel (r, c) of 8,192 images is one ciphertext of N = 2^14, so a linear layer is
`EvalLinearWSum` over ciphertexts with one real weight each, and a square is `EvalSquare` with
relinearisation, rescaled.

Choices made in OpenFHE's favour, each by measuring: FIXEDMANUAL rescaling, because the automatic
modes rescale all 845 inputs again for every dense output (about 8 times slower there); real
weights by EvalLinearWSum, as fast as or faster than loops of EvalMult and EvalAddInPlace; 35-bit
scale and two key switching digits, no slower than smaller scales, which leave fewer right bits.
`--workers` spreads a layer's outputs over Python threads (the module releases Python's lock
while it computes), which uses cores better than OMP_NUM_THREADS, whose threads share one limb
loop; the two are the caller's to choose. Needs about 1.5 GB of memory, and 3.5 GB for `--whole`.

By default a slice of each layer is timed on the true number of inputs (copies fill up those that
the slice did not compute) and extrapolated by counts; `--whole` runs every output. One JSON object
goes to standard output.
"""

import argparse
import json
import math
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import openfhe

RING_DIMENSION, SLOTS, DEPTH, AUXILIARY_BITS = 1 << 14, 8192, 5, 60
SIDE, KERNEL, STRIDE, MAPS, HIDDEN, CLASSES = 28, 5, 2, 5, 100, 10
POSITIONS = (SIDE + 1 - KERNEL) // STRIDE + 1
FEATURES = MAPS * POSITIONS**2
Ciphertext = openfhe.Ciphertext


@dataclass(frozen=True)
class Keys:
    """An OpenFHE context with its key pair."""

    context: openfhe.CryptoContext
    pair: openfhe.KeyPair

    def encrypt(self, values: np.ndarray) -> Ciphertext:
        """The 8,192 values as one ciphertext."""
        plaintext = self.context.MakeCKKSPackedPlaintext(values)
        return self.context.Encrypt(self.pair.publicKey, plaintext)

    def decrypt(self, ciphertext: Ciphertext) -> np.ndarray:
        """The 8,192 values in float64."""
        plaintext = self.context.Decrypt(ciphertext, self.pair.secretKey)
        plaintext.SetLength(SLOTS)
        return np.array(plaintext.GetRealPackedValue())


@dataclass(frozen=True)
class Sum:
    """One output of a linear layer: which inputs, their weights, and the bias."""

    inputs: tuple[Any, ...]
    weights: list[float]
    bias: float


def make_keys(options: argparse.Namespace) -> Keys:
    """A context for the options and its keys; the library refuses what is below 128 bits."""
    parameters = openfhe.CCParamsCKKSRNS()
    parameters.SetSecurityLevel(openfhe.HEStd_128_classic)
    parameters.SetRingDim(RING_DIMENSION)
    parameters.SetBatchSize(SLOTS)
    parameters.SetMultiplicativeDepth(DEPTH)
    parameters.SetScalingTechnique(getattr(openfhe, options.scaling))
    parameters.SetScalingModSize(options.scale_bits)
    parameters.SetFirstModSize(options.first_bits)
    parameters.SetKeySwitchTechnique(openfhe.HYBRID)
    parameters.SetNumLargeDigits(options.digits)
    context = openfhe.GenCryptoContext(parameters)
    for feature in (openfhe.PKE, openfhe.KEYSWITCH, openfhe.LEVELEDSHE, openfhe.ADVANCEDSHE):
        context.Enable(feature)
    pair = context.KeyGen()
    context.EvalMultKeyGen(pair.secretKey)
    return Keys(context, pair)


def describe_parameters(keys: Keys, options: argparse.Namespace) -> dict[str, Any]:
    """The parameters, with P as OpenFHE builds it: 60-bit primes to cover the largest digit."""
    limbs = math.ceil((DEPTH + 1) / options.digits)
    digit_bits = options.first_bits + (limbs - 1) * options.scale_bits
    log2_q = math.log2(keys.context.GetModulus())
    log2_p = AUXILIARY_BITS * math.ceil(digit_bits / AUXILIARY_BITS)
    return {
        "scheme": "CKKS, residue number system",
        "security": "HEStd_128_classic",
        "ring_dimension": keys.context.GetRingDimension(),
        "slots": SLOTS,
        "multiplicative_depth": DEPTH,
        "scaling": options.scaling,
        "scale_bits": options.scale_bits,
        "first_modulus_bits": options.first_bits,
        "key_switching": f"hybrid, {options.digits} digits",
        "log2_q": round(log2_q, 2),
        "log2_qp": round(log2_q + log2_p, 2),
    }


def convolution_sums(random: np.random.Generator) -> list[Sum]:
    """The 845 outputs, those without padding first; inputs are (row, column) of pixels."""
    kernel = random.normal(0, 0.2, (MAPS, KERNEL, KERNEL))
    places = [(m, r, c) for m in range(MAPS) for r in range(POSITIONS) for c in range(POSITIONS)]
    sums = [_window(kernel[m], STRIDE * r - 1, STRIDE * c - 1) for m, r, c in places]
    return sorted(sums, key=lambda one: -len(one.inputs))


def _window(kernel: np.ndarray, top: int, left: int) -> Sum:
    taps = {(top + i, left + j): kernel[i, j] for i in range(KERNEL) for j in range(KERNEL)}
    inside = {place: float(weight) for place, weight in taps.items() if min(place) >= 0}
    return Sum(tuple(inside), list(inside.values()), 0.1)


def dense_sums(random: np.random.Generator, inputs: int, outputs: int) -> list[Sum]:
    """A dense layer whose outputs have the variance of its inputs."""
    weights = random.normal(0, inputs**-0.5, (outputs, inputs))
    return [Sum(tuple(range(inputs)), row.tolist(), 0.1) for row in weights]


def weighted_sum(context: openfhe.CryptoContext, inputs: Mapping | Sequence, one: Sum) -> Ciphertext:
    """One output of a linear layer, rescaled."""
    output = context.EvalLinearWSum([inputs[i] for i in one.inputs], one.weights)
    context.EvalAddInPlace(output, one.bias)
    return output


def square(context: openfhe.CryptoContext, ciphertext: Ciphertext) -> Ciphertext:
    """The square, relinearised and rescaled."""
    output = context.EvalSquare(ciphertext)
    context.RescaleInPlace(output)
    return output


def plain_sum(inputs: np.ndarray | Sequence[np.ndarray], one: Sum) -> np.ndarray:
    """What `weighted_sum` is to give, in float64."""
    return sum(w * inputs[i] for i, w in zip(one.inputs, one.weights, strict=True)) + one.bias


def plain_network(images: np.ndarray, layers: Sequence[Sequence[Sum]]) -> list[np.ndarray]:
    """The last layer's outputs in float64, where slices repeat just as the ciphertexts do."""
    convolution, *dense = layers
    outputs = [plain_sum(images, one) for one in convolution]
    for sums in dense:
        squares = [output**2 for output in outputs]
        inputs = [squares[i % len(squares)] for i in sums[0].inputs]
        outputs = [plain_sum(inputs, one) for one in sums]
    return outputs


@dataclass(frozen=True)
class Layer:
    """One layer's job, on the slice's arguments; cost is proportional to units of work."""

    name: str
    job: Callable[[Any], Ciphertext]
    arguments: Sequence[Any]
    units: int
    whole_units: int


class Stopwatch:
    """Runs layers as the options ask, and keeps what each took."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.repeats, self.warm_up = options.repeats, not options.whole
        self.pool = ThreadPoolExecutor(options.workers) if options.workers > 1 else None
        self.entries: list[dict[str, Any]] = []

    def _run(self, layer: Layer) -> tuple[float, float, list[Ciphertext]]:
        start, start_cpu = time.perf_counter(), time.process_time()
        outputs = list((self.pool.map if self.pool else map)(layer.job, layer.arguments))
        return time.perf_counter() - start, time.process_time() - start_cpu, outputs

    def __call__(self, layer: Layer) -> list[Ciphertext]:
        """The layer's outputs; its wall and processor seconds go to `entries`."""
        if self.warm_up:
            self._run(layer)
        wall, cpu, outputs = zip(*(self._run(layer) for _ in range(self.repeats)), strict=True)
        factor = layer.whole_units / layer.units
        entry = {
            "layer": layer.name,
            "slice_outputs": len(layer.arguments),
            "factor": factor,
            "slice_seconds": statistics.median(wall),
            "slice_seconds_all": wall,
            "seconds": statistics.median(wall) * factor,
            "cpu_seconds": statistics.median(cpu) * factor,
        }
        self.entries.append(entry)
        print(f"{layer.name}: {entry['seconds']:.2f} s", file=sys.stderr)
        return outputs[-1]


def spread(ciphertexts: Sequence[Ciphertext], count: int) -> list[Ciphertext]:
    """`count` ciphertexts in memory of their own, copies once the given ones are used up."""
    copies = (ciphertexts[i % len(ciphertexts)] for i in range(len(ciphertexts), count))
    return [*ciphertexts, *(ciphertext.Clone() for ciphertext in copies)]


def linear_layer(
    keys: Keys, name: str, inputs: Mapping | Sequence, kept: Sequence[Sum], whole: Sequence[Sum]
) -> Layer:
    """The kept outputs of a linear layer, whose work is counted in weights."""
    units, whole_units = (sum(len(one.inputs) for one in sums) for sums in (kept, whole))
    job = partial(weighted_sum, keys.context, inputs)
    return Layer(name, job, kept, units, whole_units)


def evaluate(
    watch: Stopwatch,
    keys: Keys,
    pixels: Mapping[tuple[int, int], Ciphertext],
    kept: Sequence[Sequence[Sum]],
    whole: Sequence[Sequence[Sum]],
) -> list[Ciphertext]:
    """Encrypted outputs of the last layer; the time of each layer stays in `watch`."""
    job = partial(square, keys.context)
    outputs = watch(linear_layer(keys, "convolution", pixels, kept[0], whole[0]))
    for i in (1, 2):
        count = len(whole[i - 1])
        squares = watch(Layer(f"square {count}", job, outputs, len(outputs), count))
        name = f"dense {len(whole[i])}"
        outputs = watch(linear_layer(keys, name, spread(squares, count), kept[i], whole[i]))
    return outputs


def encrypt_pixels(
    keys: Keys, images: np.ndarray, kept: Sequence[Sum]
) -> tuple[dict[tuple[int, int], Ciphertext], float]:
    """The pixels that the kept outputs read, and the seconds each took to encode and encrypt."""
    places = sorted({place for one in kept for place in one.inputs})
    start = time.perf_counter()
    ciphertexts = {place: keys.encrypt(images[place]) for place in places}
    return ciphertexts, (time.perf_counter() - start) / len(places)


def decrypt_all(keys: Keys, ciphertexts: Sequence[Ciphertext]) -> tuple[list[np.ndarray], float]:
    """Every ciphertext's values, and the seconds each took."""
    start = time.perf_counter()
    values = [keys.decrypt(ciphertext) for ciphertext in ciphertexts]
    return values, (time.perf_counter() - start) / len(values)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run what the options ask; times, parameters and precision as one JSON object."""
    random = np.random.default_rng(options.seed)
    whole = [
        convolution_sums(random),
        dense_sums(random, FEATURES, HIDDEN),
        dense_sums(random, HIDDEN, CLASSES),
    ]
    asked = (options.convolution, options.dense, options.output)
    kept = whole if options.whole else [sums[:k] for sums, k in zip(whole, asked, strict=True)]
    images = random.random((SIDE, SIDE, SLOTS))
    keys, watch = make_keys(options), Stopwatch(options)
    pixels, encrypt_seconds = encrypt_pixels(keys, images, kept[0])
    outputs = evaluate(watch, keys, pixels, kept, whole)
    values, decrypt_seconds = decrypt_all(keys, outputs)
    expected = plain_network(images, kept)
    return {
        **describe_run(options, keys, watch.entries),
        "encrypt_seconds": encrypt_seconds * SIDE**2,
        "decrypt_seconds": decrypt_seconds * CLASSES,
        "max_abs_error": float(np.abs(np.array(values) - np.array(expected)).max()),
        "max_abs_output": float(np.abs(expected).max()),
    }


def describe_run(options: argparse.Namespace, keys: Keys, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """What was run, under which parameters, and the layers' times with their total."""
    total = sum(entry["seconds"] for entry in entries)
    slices = "each layer's slice is timed and multiplied by counts; the total is extrapolated"
    return {
        "library": "OpenFHE",
        "version": openfhe.__version__,
        "circuit": "CryptoNets, one sample per slot",
        "method": "the whole network is run" if options.whole else slices,
        "extrapolated": not options.whole,
        "parameters": describe_parameters(keys, options),
        "threads": int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count()),
        "workers": options.workers,
        "repeats": options.repeats,
        "layers": entries,
        "images": SLOTS,
        "total_seconds": total,
        "total_cpu_seconds": sum(entry["cpu_seconds"] for entry in entries),
        "images_per_second": SLOTS / total,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    modes = ("FIXEDMANUAL", "FIXEDAUTO", "FLEXIBLEAUTO")
    parser.add_argument("--whole", action="store_true", help="run every output of every layer")
    parser.add_argument("--repeats", type=int, help="timed runs per layer: 5, or 1 with --whole")
    parser.add_argument("--workers", type=int, default=1, help="Python threads over outputs")
    parser.add_argument("--scaling", choices=modes, default=modes[0])
    parser.add_argument("--scale-bits", type=int, default=35)
    parser.add_argument("--first-bits", type=int, default=45)
    parser.add_argument("--digits", type=int, default=2, help="digits of the key switch")
    parser.add_argument("--convolution", type=int, default=20, help="outputs in the slice")
    parser.add_argument("--dense", type=int, default=4, help="outputs in the slice")
    parser.add_argument("--output", type=int, default=4, help="outputs in the slice")
    parser.add_argument("--seed", type=int, default=0, help="for weights and images")
    options = parser.parse_args(arguments)
    if options.repeats is None:
        options.repeats = 1 if options.whole else 5
    counts = (options.repeats, options.workers, options.convolution, options.dense, options.output)
    if min(counts) < 1:
        parser.error("repeats, workers and the slice's outputs are 1 or more each.")
    return options


if __name__ == "__main__":
    print(json.dumps(measure(parse())))
