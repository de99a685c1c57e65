"""The checks of objects that were read: what their fields say of each other is possible.

They refuse by `ValueError`, with what is wrong; readers make that a `FormatError`.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.ckks import BootstrappingParameters, Parameters
from fhejax.ckks.identity import KEY_ID_WORDS
from fhejax.ckks.parameters import Scale
from fhejax.ckks.types import check_residues
from fhejax.program.arguments import Encrypted, Plain, describe
from fhejax.program.circuit.nodes.input import InputStep
from fhejax.program.circuit.reading import AffineView
from fhejax.program.circuit.steps.step import Step
from fhejax.program.client_program import ClientProgram
from fhejax.program.files.special_types import NUMBER_TYPES
from fhejax.program.levels.tile_choice import can_be_cut
from fhejax.program.packing.layout import Layout, samples_in
from fhejax.program.run.encrypted_array import EncryptedArray
from fhejax.program.run.interface import Interface
from fhejax.program.server_program import ServerProgram

_SCALE_MARGIN_BITS = 64
_MOST = 2**32  # samples, entries, ciphertexts


def require(fact: Any, what: str) -> None:
    """Refuse what is not so.

    Args:
        fact: that has to hold.
        what: is wrong where it does not.

    Raises:
        ValueError: saying what.
    """
    if not fact:
        raise ValueError(what)


def is_count(value: Any, lowest: int = 1) -> bool:
    """Whether a value is a whole number of things."""
    return type(value) is int and lowest <= value < _MOST


def check_level_and_scale(params: Parameters, level: Any, scale: Any) -> None:
    """Refuse a level that the parameters do not have, and a scale that could not be computed with."""
    require(is_count(level, 0) and level <= params.depth, f"level {level} of {params.depth}")
    require(isinstance(scale, Scale), "no exact scale")
    bits = params.modulus_bits + _SCALE_MARGIN_BITS
    require(-_SCALE_MARGIN_BITS <= scale.bits <= bits, f"a scale of {scale}")


def _kept(shape: Sequence[int], axis: int | None) -> tuple[int, ...]:
    """A shape without its batch axis."""
    require(all(is_count(size, 0) for size in shape), f"the shape {shape}")
    require(axis is None or 0 <= axis < len(shape), f"batch axis {axis} of the shape {shape}")
    return tuple(size for d, size in enumerate(shape) if d != axis)


def _check_type(dtype: Any) -> None:
    known = isinstance(dtype, np.dtype) and dtype.name in NUMBER_TYPES
    require(known, "numbers of an unknown type")


def check_view(view: AffineView, shape: tuple[int, ...], count: int) -> None:
    """Refuse a reading of a result that reads what is not there.

    Args:
        view: of the result.
        shape: of the result without its batch axis.
        count: ciphertexts that there are.
    """
    entries, factors = np.asarray(view.entries), (np.asarray(view.multiplier), np.asarray(view.offset))
    require(entries.dtype == np.int32 and all(f.dtype == np.float64 for f in factors), "a reading's types")
    require(all(a.shape == shape for a in (entries, *factors)), "a reading of another shape")
    require(((entries >= -1) & (entries < count)).all(), "a reading of ciphertexts that are not there")
    require(all(np.isfinite(f).all() for f in factors), "a reading with factors that are not finite")


def check_encrypted_array(array: EncryptedArray) -> None:
    """Refuse an encrypted array whose residues are not what its description says."""
    params, data = array.params, array.data
    check_level_and_scale(params, array.level, array.scale)
    _check_type(array.dtype)
    kept, slots = _kept(array.shape, array.batch_axis), params.slots
    ids = array.key_id
    require(getattr(ids, "dtype", None) == np.uint32 and ids.shape == (KEY_ID_WORDS,), "no key id")
    moduli, degree = params.level_moduli(array.level), params.ring.degree
    whole = getattr(data, "ndim", 0) >= 4 and data.shape[-2:] == (len(moduli), degree)
    require(whole and data.dtype == np.uint32, "residues of another shape or type")
    blocks = data.shape[0]
    shared = array.batch_axis is None
    require(is_count(blocks) and (blocks == 1 or not shared), f"{blocks} blocks")
    held = slots if array.layout is None else _samples_together(array, math.prod(kept))
    room = _MOST if shared else min(array.shape[array.batch_axis or 0], blocks * held)
    require(is_count(array.samples) and array.samples <= room, f"{array.samples} samples")
    _check_layout(array.layout, params)
    if array.view is None:
        seeds = array.seeds
        kept = kept if array.layout is None else (array.layout.ciphertext_count,)
        shape = (blocks, *kept, 2 if seeds is None else 1, *data.shape[-2:])
        require(data.shape == shape, "residues of another shape")
        seeded = seeds is None or (seeds.dtype == np.uint32 and seeds.shape == (blocks, *kept, 8))
        require(seeded, "seeds of another shape or type")
    else:
        require(array.seeds is None, "seeds of a result")
        require(data.ndim == 5 and data.shape[2] in (2, 3), "residues of another shape")
        check_view(array.view, kept, data.shape[1] * (1 if array.layout is None else slots))
    check_residues(data, moduli, "the encrypted array")


def _samples_together(array: EncryptedArray, size: int) -> int:
    """The samples in a block of an array with a layout: of an argument, or of the slots of a result."""
    layout = array.layout
    _check_layout(layout, array.params)
    assert layout is not None  # as is asked for
    return max(1, samples_in(layout, size if array.view is None else layout.shape[-1]))


def _check_layout(layout: Layout | None, params: Parameters) -> None:
    if layout is not None:
        require(isinstance(layout, Layout) and layout.slot_count == params.slots, "a layout of other slots")


def _check_blocks(
    batch: int, blocks: int, layouts: tuple, params: Parameters, arguments: tuple[Encrypted | Plain, ...]
) -> None:
    """Refuse another number of blocks than a batch takes, and layouts that do not fit the arguments."""
    require(isinstance(layouts, tuple) and len(layouts) in (0, len(arguments)), "its layouts")
    together = 1 if layouts else params.slots
    for argument, layout in zip(arguments, layouts, strict=False):
        _check_layout(layout, params)
        if layout is not None and isinstance(argument, Encrypted) and argument.batch_axis is not None:
            together = max(
                together, samples_in(layout, math.prod(_kept(argument.shape, argument.batch_axis)))
            )
    require(is_count(batch) and blocks == -(-batch // together), "its blocks")


def check_interface(interface: Interface, batch: int) -> None:
    """Refuse an interface of impossible arguments or results.

    Args:
        interface: arguments and results.
        batch: samples of each encrypted argument that has a batch axis.
    """
    for argument in interface.arguments:
        _check_type(argument.dtype)
        require(describe(argument) == argument, "an argument described in another way")
        if isinstance(argument, Encrypted) and argument.batch_axis is not None:
            require(argument.shape[argument.batch_axis] == batch, "an argument of another batch")
    require(interface.encrypted, "no encrypted argument")
    for output in interface.outputs:
        _check_type(output.dtype)
        _kept(output.shape, output.batch_axis)
        require(output.encrypted or output.batch_axis is None, "a plain result with samples")
    nested = (interface.inputs, interface.arguments), (interface.results, interface.outputs)
    for nesting, flat in nested:
        require(nesting.num_leaves == len(flat), "another number of arguments or results than are nested")
    require(isinstance(interface.inputs.unflatten(range(len(interface.arguments))), tuple), "no arguments")


def _check_bootstrapping(params: Parameters, bootstrapping: BootstrappingParameters | None) -> None:
    if bootstrapping is not None:
        require(bootstrapping.params == params, "bootstraps under other parameters")
        require(0 < bootstrapping.input_level < bootstrapping.output_level <= params.depth, "its bootstraps")


def check_server(server: ServerProgram) -> None:
    """Refuse a server's half with steps, constants or readings that are not there."""
    plan, params = server.plan, server.params
    _check_bootstrapping(params, plan.bootstrapping)
    _check_blocks(plan.batch, plan.blocks, plan.layouts, params, server.interface.arguments)
    require(plan.settings.ring == params.ring, "settings of another ring")
    given = plan.given_top
    require(given is None or (is_count(given, 0) and given < params.depth), "its level of fresh ciphertexts")
    bits = plan.settings.input_bits
    require(type(bits) in (int, float) and 0 < bits <= params.modulus_bits, "its input scale")
    check_interface(server.interface, plan.batch)
    require(not any(isinstance(a, Plain) for a in server.interface.arguments), "plain arguments")
    for number, step in enumerate(plan.steps):
        _check_step(number, step, server)
    tiles = plan.tiles
    require(not tiles or (len(tiles) == len(plan.steps) and can_be_cut(plan)), "tiles of other steps")
    require(all(is_count(count) and not count & (count - 1) for count in tiles), "its numbers of tiles")
    require(type(plan.peak_bytes) is int and plan.peak_bytes >= 0, "its memory")
    require(type(plan.memory_map) is bool, "where its arguments are")
    moved = plan.moved_bytes
    require(is_count(moved, 0) and (not moved or bool(tiles)), "its tiles in files")
    kinds = (np.int32, np.uint32, np.float32)  # the last of diagonals that are encoded as they are used
    require(all(leaf.dtype in kinds for leaf in server.leaves), "constants of another type")
    held = (leaf for leaf in server.leaves if leaf.dtype == np.float32)
    require(all(bool(np.isfinite(leaf).all()) for leaf in held), "constants that are not finite")
    outputs, readings = server.interface.outputs, server.readings
    require(len(outputs) == len(readings), "another number of readings than results")
    encrypted = [(o, r) for o, r in zip(outputs, readings, strict=True) if isinstance(r, AffineView)]
    require(len(encrypted) == len(plan.outputs), "another number of encrypted results than registers")
    for (output, reading), register in zip(encrypted, plan.outputs, strict=True):
        require(is_count(register, 0) and register < len(plan.steps), "a result of no step")
        count = plan.steps[register].size * (params.slots if plan.layouts else 1)
        check_view(reading, _kept(output.shape, output.batch_axis), count)
    for output, reading in zip(outputs, readings, strict=True):
        require(output.encrypted == isinstance(reading, AffineView), "a reading of another kind of result")


def _check_step(number: int, step: Step, server: ServerProgram) -> None:
    """Refuse a step that reads what does not come before it."""
    check_level_and_scale(server.params, step.level, step.scale)
    scale = getattr(step, "weight_scale", step.scale)
    check_level_and_scale(server.params, step.level, scale)
    known = all(0 <= source < number for source in step.sources)
    takes = isinstance(step, InputStep)
    require(known and bool(step.sources) != takes, f"step {number} reads what is not there")
    require(is_count(step.size) and step.components in (2, 3), f"step {number} is of another shape")
    require(step.switches_keys <= bool(server.params.special), f"step {number} switches keys")
    stored = all(0 <= constant < len(server.leaves) for constant in step.constants)
    require(stored, f"step {number} names constants that are not there")
    if takes:
        arguments = server.interface.arguments
        require(0 <= step.argument < len(arguments), f"step {number} takes no argument")


def check_client(client: ClientProgram) -> None:
    """Refuse a client's half that fits no program."""
    params = client.params
    _check_bootstrapping(params, client.bootstrapping)
    check_level_and_scale(params, client.level, client.scale)
    _check_blocks(client.batch, client.blocks, client.layouts, params, client.interface.arguments)
    _check_layout(client.result_layout, params)
    check_interface(client.interface, client.batch)
    client.manifest.exponents(params)
    for expected in client.expected:
        kept = _kept(expected.shape, expected.batch_axis)
        if expected.level is not None:
            check_level_and_scale(params, expected.level, expected.scale)
        if expected.view is not None:
            check_view(expected.view, kept, _MOST)
