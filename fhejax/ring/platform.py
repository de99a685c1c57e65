"""The machines: every number that belongs to one of them and to no other, a row for each.

Kernels take methods and block sizes from the row of the device they run on, `current_device()`; planners take
costs from that of the device they plan for. What decides *which* keys or nodes there are, and not only how
fast they are computed (the steps of a linear transform, the products of a polynomial, the bands of a
convolution), goes by the costs of `TWO_CORES` on every machine: client and server must find the same.

Measured: all of `TWO_CORES` (with AVX-512; costs fitted to `benchmarks.kernels` and to bootstraps at N = 2^12
and 2^16, bandwidth by copying), and of the H200 (JAX 0.11.2, CUDA 13) bandwidth, transforms, Shoup products,
bootstraps, the cost of a kernel, and how many kernels XLA makes of a tile, a key switch and a bootstrap.
Computed: what GPUs read, write and gather, from bandwidth; their rates of matrix products, a quarter of the
peaks in data sheets; and the whole rows of the other GPUs, whose costs are the H200's in proportion to the
bandwidths in data sheets. The block sizes of GPUs were measured against no others.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import jax


@dataclasses.dataclass(frozen=True)
class BlockSizes:
    """How much a kernel works on at once.

    matrix_tile: coefficients in a tile of the modular matrix product, at most. matrix_room: numbers that all
    rows gathered for a tile hold, at most; with its sums where a tile has all limbs. widest_band: rows of a
    matrix that joins positions of a convolution. keystream_blocks: ChaCha20 blocks; on a CPU their state has
    to stay in the second-level cache, elsewhere they have to fill the device. polynomials_drawn: uniform
    polynomials drawn at once. relinearised: key switches of one kernel, within the caches, or within
    `matrix_room` numbers elsewhere. switched: ciphertexts of one kernel where a program switches keys step by
    step. encrypted: plaintexts of one encryption. encrypted_singly: below this many, one by one.
    compiled_steps: steps of the longest program that is compiled as one function; a longer one takes minutes.
    grouped_switches: key switches in a run of steps that is one executable where launching takes time, at
    most; so many of one step, unless they are more than `largest_step`, beyond which it would take minutes.
    compiled_ahead_from: degree of the smallest ring whose kernels are compiled several at a time before a
    program runs; tracing the program for that takes longer than it saves in smaller ones.
    levels_shared_from: degree of the smallest ring in which kernels serve several levels, on the same levels
    everywhere: keys are made for them.
    tiles: of a program that does not fit in memory, computed at once: XLA runs loops on one core each.
    transform_tile, transform_lane: rows or columns of one program of the transform's kernels, and values
    that one of its threads holds; no CPU runs them.
    """

    matrix_tile: int
    matrix_room: int
    widest_band: int
    keystream_blocks: int
    polynomials_drawn: int
    relinearised: int
    switched: int
    encrypted: int
    encrypted_singly: int
    compiled_steps: int
    grouped_switches: int
    largest_step: int
    compiled_ahead_from: int
    levels_shared_from: int
    tiles: int
    transform_tile: int
    transform_lane: int


@dataclasses.dataclass(frozen=True)
class UnitCosts:
    """What operations cost a planner: nanoseconds for a residue on the whole device, unless told otherwise.

    entry: one that a step reads or writes. product: a product of ciphertexts and its sum. transform: the
    number-theoretic transform of a residue at N = 2^13, within a program. gathered, written: an entry
    that a matrix product gathers or writes. thinnest_matrix: rows below which a matrix is not faster.
    stage: one of the log2 N stages of a transform. multiplied: a product and its sum in a key switch. moved:
    one permuted. bootstrap_stage: all that a bootstrap takes, by its transforms' stages. unhoisted: times
    that much where the steps of a bootstrap share one key. relinearisation, tensor, rescale, term: of
    polynomials, relative to each other, where a relinearisation dominates; only their order matters much.
    tile_launches, switch_launches, bootstrap_launches: kernels in a tile of a matrix product, in a key switch
    of several ciphertexts at once, and in a bootstrap.
    """

    entry: float
    product: float
    transform: float
    gathered: float
    written: float
    thinnest_matrix: int
    stage: float
    multiplied: float
    moved: float
    bootstrap_stage: float
    unhoisted: float
    relinearisation: int
    tensor: int
    rescale: int
    term: int
    tile_launches: int
    switch_launches: int
    bootstrap_launches: int


@dataclasses.dataclass(frozen=True, repr=False)
class Device:
    """A machine as kernels and planners see it.

    name: of its row. title: as reports call it. memory: bytes. bandwidth: bytes a second that copying reads
    and writes. launch: seconds for one more kernel, however small; zero where the other costs hold it.
    resolution: seconds by which one plan must be faster than another to be preferred.
    transform_method, matrix_method: the faster ones. matrix_limbs: of a tile of the modular matrix product;
    one where tiles have to stay in caches, all where a tile is to fill the device. spare_transform_method:
    for rings and machines on which the first does not run. multiply_adds: modular multiply-adds a second by
    each method of the matrix product, in one digit of weights. conversion_method: of residues between bases,
    by XLA on arrays, or by the kernel of `ring/conversion` where it passes its trial.
    """

    name: str
    title: str
    kind: Literal["cpu", "gpu"]
    memory: float
    bandwidth: float
    launch: float
    resolution: float
    transform_method: str
    spare_transform_method: str
    conversion_method: Literal["arrays", "pallas"]
    matrix_method: str
    matrix_limbs: Literal["one", "all"]
    multiply_adds: tuple[tuple[str, float], ...]
    blocks: BlockSizes
    costs: UnitCosts

    @property
    def launches_slowly(self) -> bool:
        """Whether launching takes time of its own, so that few large executables are worth compiling."""
        return self.launch > 0

    def multiply_add(self, method: str | None = None) -> float:
        """Nanoseconds for a modular multiply-add, by default by the device's own method."""
        return 1e9 / dict(self.multiply_adds)[method or self.matrix_method]

    def __str__(self) -> str:
        return self.title

    def __repr__(self) -> str:
        return f"Device({self.name}: {self.title})"


TWO_CORES = Device(
    name="cpu",
    title="two cores",
    kind="cpu",
    memory=24e9,
    bandwidth=18e9,
    launch=0.0,
    resolution=1e-4,
    # Alone direct sums take as long; in larger programs XLA computes their terms again and again.
    transform_method="butterflies",
    spare_transform_method="butterflies",
    conversion_method="arrays",
    # Where a CPU has no int8 matrix unit, XLA's integer dots are naive loops: 60 times slower than float64.
    matrix_method="float64",
    matrix_limbs="one",
    multiply_adds=(("float64", 50e9), ("int8", 48e9)),
    blocks=BlockSizes(
        matrix_tile=128,
        matrix_room=2**23,
        widest_band=512,
        keystream_blocks=4096,
        polynomials_drawn=1,
        relinearised=4,
        switched=1,
        encrypted=64,
        encrypted_singly=8,
        compiled_steps=64,
        grouped_switches=16,
        largest_step=48,
        compiled_ahead_from=4096,
        levels_shared_from=2**16,
        tiles=2,
        transform_tile=16,
        transform_lane=32,
    ),
    costs=UnitCosts(
        entry=3.0,
        product=2.0,
        transform=6.0,
        gathered=2.0,
        written=1.0,
        thinnest_matrix=16,
        stage=0.4,
        multiplied=0.6,
        moved=1.5,
        bootstrap_stage=0.6,
        unhoisted=1.2,
        relinearisation=100,
        tensor=12,
        rescale=25,
        term=3,
        tile_launches=0,
        switch_launches=0,
        bootstrap_launches=0,
    ),
)

_WORD = 4  # bytes of a residue
_GPU_BLOCKS = dataclasses.replace(
    TWO_CORES.blocks,
    matrix_tile=1 << 17,
    keystream_blocks=1 << 18,
    polynomials_drawn=64,
    relinearised=128,
    switched=16,
    tiles=1,
)
_MATRIX_SHARE = 1 / 32  # of the memory, for what a matrix product gathers and sums before it is reduced
_COPIED = 4.1 / 4.8  # of the bandwidth in the H200's data sheet, by copying
_REACHED = 1 / 4  # of the peaks in data sheets, by matrix products
_INT8_PRODUCTS, _FLOAT_PRODUCTS = 4, 1  # of digits, for one residue and one digit of a weight
_H200_SHEET = 4.8e12  # bytes a second


def _gpu(
    name: str, title: str, memory: float, bandwidth: float, int8_peak: float, float64_peak: float
) -> Device:
    """A GPU's row from its data sheet: bytes, bytes a second, and operations a second, two a multiply-add."""
    rates = (
        ("float64", float64_peak / 2 * _REACHED / _FLOAT_PRODUCTS),
        ("int8", int8_peak / 2 * _REACHED / _INT8_PRODUCTS),
    )
    copied = bandwidth * _COPIED
    slower = _H200_SHEET / bandwidth
    passes = _WORD / copied * 1e9  # nanoseconds for a residue that is read or written once
    costs = dataclasses.replace(
        TWO_CORES.costs,
        entry=4 * passes,
        product=4 * passes,
        transform=0.07 * slower,
        gathered=2 * passes,
        written=passes,
        stage=0.0036 * slower,
        multiplied=0.00024 * slower,
        moved=3 * passes,
        bootstrap_stage=0.0052 * slower,
        tile_launches=8,
        switch_launches=56,
        bootstrap_launches=4338,
    )
    return Device(
        name=name,
        title=title,
        kind="gpu",
        memory=memory,
        bandwidth=copied,
        launch=2e-6,
        resolution=1e-6,
        # In loops 48 limbs of N = 2^16 took 27 us by such kernels, and 173 by XLA's methods. Of those direct
        # sums were the faster one elsewhere.
        transform_method="pallas",
        spare_transform_method="direct sums",
        conversion_method="pallas",
        matrix_method="int8",
        matrix_limbs="all",
        multiply_adds=rates,
        blocks=dataclasses.replace(
            _GPU_BLOCKS, matrix_room=2 ** int(math.log2(memory * _MATRIX_SHARE / _WORD))
        ),
        costs=costs,
    )


DEVICES: Mapping[str, Device] = MappingProxyType(
    {
        row.name: row
        for row in (
            TWO_CORES,
            _gpu("h100", "an NVIDIA H100", 80e9, 3.35e12, 1979e12, 67e12),
            _gpu("h200", "an NVIDIA H200", 141e9, _H200_SHEET, 1979e12, 67e12),
            _gpu("a100", "an NVIDIA A100", 80e9, 2.04e12, 624e12, 19.5e12),
            _gpu("rtx5090", "an NVIDIA RTX 5090", 32e9, 1.79e12, 838e12, 1.64e12),
        )
    }
)
_SPELLED = MappingProxyType({"h100": "H100", "h200": "H200", "a100": "A100", "rtx5090": "RTX 5090"})
_CONSUMER = ("GeForce", "RTX")


def current_device() -> Device:
    """The row of the device that JAX computes on by default: asking starts JAX, importing does not."""
    return _row_of(jax.default_backend())


@functools.cache
def _row_of(backend: str) -> Device:
    return device_like(backend, jax.local_devices(backend=backend)[0].device_kind)


@functools.cache
def device_like(backend: str, model: str = "") -> Device:
    """The row of a device by what JAX calls its backend and its model, or the nearest row.

    Every CPU counts as two cores. An accelerator without a row of its own counts as an RTX 5090 if its name
    says GeForce or RTX, which are cards with small memory and little float64, and else as an H200, the
    one that was measured; its title says so.
    """
    if backend == "cpu":
        return TWO_CORES
    for name, spelled in _SPELLED.items():
        if spelled in model:
            return DEVICES[name]
    row = DEVICES["rtx5090" if any(word in model for word in _CONSUMER) else "h200"]
    return dataclasses.replace(row, title=f"{model or backend}, of unknown speed, counted as {row.title}")


def accelerator() -> Device:
    """The current device if it is no CPU, else the H200: for the half of a kernel that no CPU runs."""
    device = current_device()
    return DEVICES["h200"] if device.kind == "cpu" else device


def chosen_device(device: Device | str | None) -> Device:
    """The device that a caller asked for: itself, the row of that name, or the current one for None.

    Raises:
        ValueError: a name that no row has.
        TypeError: neither a Device nor a name.
    """
    if device is None:
        return current_device()
    if isinstance(device, Device):
        return device
    known = ", ".join(DEVICES)
    if not isinstance(device, str):
        raise TypeError(
            f"a device was given as {type(device).__name__}; give the name of one ({known}), a "
            f"fhejax.Device, or None for the one JAX runs on."
        )
    if device.lower() not in DEVICES:
        raise ValueError(
            f"no device is known by the name {device[:60]!r}; those known are {known}. Name the nearest, or "
            f"give a fhejax.Device made from one of them by dataclasses.replace."
        )
    return DEVICES[device.lower()]
