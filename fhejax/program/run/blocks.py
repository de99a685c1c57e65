"""How samples fill slots and blocks: arguments in, steps run, results out."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks import Ciphertext, Parameters, SecretKey
from fhejax.ckks.identity import is_concrete
from fhejax.program.arguments import Encrypted, Normalisation, Plain, filler, normalisation
from fhejax.program.circuit.circuit import Circuit
from fhejax.program.circuit.entries import entries_of, view_values
from fhejax.program.circuit.reading import AffineView
from fhejax.program.circuit.steps.call import Keys
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.views import View
from fhejax.program.levels.plan import ProgramPlan
from fhejax.program.packing.layout import Layout, pack, samples_in, unpack
from fhejax.program.run.client import decrypt_entries
from fhejax.program.run.encrypted_array import EncryptedArray
from fhejax.program.run.execution import run
from fhejax.program.run.filling import Filling
from fhejax.program.run.finished_results import FinishedResults, Store, kept_steps
from fhejax.program.run.interface import ResultDescription
from fhejax.program.run.tiled_execution import Progress, run_tiled
from fhejax.ring.compile_ahead import compile_ahead, shape_of
from fhejax.ring.platform import current_device


class Batch(Protocol):
    """The samples of a call in the slots of their blocks: of a plan, or of what a client knows of it."""

    @property
    def params(self) -> Parameters:
        """The CKKS parameters."""
        ...

    @property
    def batch(self) -> int:
        """The samples that were planned for."""
        ...

    @property
    def blocks(self) -> int:
        """The blocks of slots that they fill."""
        ...

    @property
    def period(self) -> int:
        """The slots after which the samples of a block repeat."""
        ...


def fill_slots(
    plan: Batch, argument: Encrypted, array: np.ndarray, layout: Layout | None = None
) -> np.ndarray:
    """The normalised values of an argument in blocks of slots, float64 [block, entry, slot].

    Sample i is in slot i % slots of block i // slots; one block repeats its samples with the plan's period.
    Slots without a sample hold zero if the range has it, so that nothing there overflows. What all
    samples share fills every slot of one block.

    Args:
        plan: of the program, or of its client.
        argument: the argument's description.
        array: its values, at most as many samples as planned.
        layout: where a block holds one sample: that of its entries, which are then where it says.
    """
    axis, slots = argument.batch_axis, plan.params.slots
    array = normalisation(argument).normalised(array)
    if layout is not None:
        return _samples_in_blocks(plan, argument, entries_of(array, axis, plan.batch), layout)
    if axis is None:
        return np.repeat(array.reshape(1, -1, 1), slots, 2)
    entries, filling = unfilled(plan, argument, array)
    return filling.filled(entries, np)


def unfilled(plan: Batch, argument: Encrypted, array: np.ndarray) -> tuple[np.ndarray, Filling]:
    """(entries, float64 [entry, sample], how they fill slots) of normalised values with a batch axis."""
    slots = plan.params.slots
    columns = plan.blocks * slots if plan.blocks > 1 else plan.period
    entries = entries_of(array, argument.batch_axis, plan.batch)
    return entries, Filling(plan.blocks, slots, columns, filler(argument))


def _samples_in_blocks(plan: Batch, argument: Encrypted, entries: np.ndarray, layout: Layout) -> np.ndarray:
    """The slots of each block, which holds one sample, a column of entries or the filler, or a few.

    A few are repeated in the places that are left: what samples keep within its range, others might not.
    """
    together = samples_in(layout, len(entries))
    if together > 1:
        numbers = np.arange(plan.blocks * together).reshape(plan.blocks, together) % entries.shape[1]
        return np.stack([pack(layout, entries[:, row].T.reshape(layout.shape)) for row in numbers])
    padded = np.full((len(entries), plan.blocks), filler(argument))
    padded[:, : entries.shape[1]] = entries
    return np.stack([pack(layout, column.reshape(layout.shape)) for column in padded.T])


def live_slots(plan: ProgramPlan, samples: int) -> np.ndarray | None:
    """The slots that hold a sample, [block, slot], as ones among zeros; None where no step masks."""
    if not any(step.masks for step in plan.steps):
        return None
    slots = plan.params.slots
    columns = plan.blocks * slots if plan.blocks > 1 else plan.period
    live = (np.arange(columns) < samples).astype(np.float64)
    return np.tile(live, plan.blocks * slots // columns).reshape(plan.blocks, slots)


def evaluate_blocks(
    plan: ProgramPlan,
    circuit: Circuit,
    keys: Keys,
    arguments: Sequence[EncryptedArray | None],
    progress: Progress | None = None,
    store: Store | None = None,
) -> list[Ciphertext]:
    """Each encrypted result of a circuit.

    Block after block, so that memory is that of one; all at once where slots are summed, for there
    they meet.

    Args:
        plan: of the program.
        circuit: steps and constants of the call.
        keys: of the server.
        arguments: the encrypted ones; None in place of a plain one.
        progress: told how many tiles are done, of how many, or how many steps where there are no tiles; never
            where a call is compiled as one function.
        store: of the results of a call that can be stopped, which is not compiled as one function.

    Returns:
        The ciphertexts of each encrypted result, data [block, entry, poly, limb, N].

    Raises:
        ValueError: no store, where tiles are to be in files.
    """
    concrete = is_concrete(*jax.tree.leaves((circuit.leaves, keys, arguments)))
    kept = frozenset() if store is None else kept_steps(plan)

    def finished(block: int) -> FinishedResults | None:
        """What is there of a block's results, and where others are kept."""
        return None if store is None else FinishedResults(store, kept, block)

    if plan.tiles and concrete:
        wholes = _in_files(plan, store) if plan.moved_bytes else None

        def results_of(block: int) -> list[Ciphertext]:
            """The results of one block, tile by tile."""
            told = _of_block(progress, block, plan.blocks)
            parts = wholes and [whole[block] for whole in wholes]
            return run_tiled(plan, circuit, keys, arguments, block, told, finished(block), parts)

        runs = zip(*map(results_of, range(plan.blocks)), strict=True)
        if wholes is None:
            return [_stacked(blocks) for blocks in runs]
        for whole in wholes:
            whole.flags.writeable = False
        return [blocks[0].replace(data=whole) for blocks, whole in zip(runs, wholes, strict=True)]
    samples = count_samples(plan, arguments)
    longest = current_device().blocks.compiled_steps
    short = len(circuit.steps) <= longest and not plan.rotations and plan.bootstrapping is None
    short = short and store is None
    if short:  # whose executable is then one for seeds and for what was expanded before
        arguments = [None if a is None else a.expanded() for a in arguments]
    fixed = (circuit.steps, circuit.leaves, keys, arguments)

    def execute(block: np.int32 | None, live: jax.Array | None) -> list[tuple[Ciphertext, ...]]:
        """The results of one block, or of all of them: by one compiled function, or step by step."""
        if short:
            return _run_compiled(*fixed, block, live, circuit.registers)
        if concrete:
            _compile_kernels(plan.params, circuit, block, (circuit.leaves, keys, arguments, live))
        number = int(block or 0)
        told = _of_block(progress, number, 1 if block is None else plan.blocks) if concrete else None
        return _run(*fixed, block, live, circuit.registers, told, finished(number))

    if plan.sums_slots or plan.blocks == 1:
        live = live_slots(plan, samples)
        return [_stacked(blocks) for blocks in execute(None, None if live is None else jnp.asarray(live))]
    results = [execute(np.int32(block), None) for block in range(plan.blocks)]
    return [_stacked(sum(parts, ())) for parts in zip(*results, strict=True)]


def _stacked(blocks: Sequence[Ciphertext]) -> Ciphertext:
    """The ciphertexts of all blocks, data [block, entry, poly, limb, N]."""
    return blocks[0].replace(data=jnp.stack([block.data for block in blocks]))


def _in_files(plan: ProgramPlan, store: Store | None) -> list[np.ndarray]:
    """An array in a file, uint32 [block, entry, poly, limb, N], for each encrypted result."""
    if store is None:
        raise ValueError(
            f"a program was called that writes tiles to files where they have no room in memory, about "
            f"{plan.moved_bytes / 1e9:.3g} GB written and read in a block, and no folder was named; call it "
            f"with folder=, or compile it with more memory= or without memory_map=True."
        )
    steps, degree = [plan.steps[output] for output in plan.outputs], plan.params.ring.degree
    return [
        store.blank((plan.blocks, s.size, s.components, len(plan.params.level_moduli(int(s.level))), degree))
        for s in steps
    ]


def _of_block(progress: Progress | None, block: int, blocks: int) -> Progress | None:
    """What is told of a block, as told of all of them."""
    if progress is None:
        return None
    return lambda done, total: progress(block * total + done, blocks * total)


def count_samples(plan: ProgramPlan, arguments: Sequence[EncryptedArray | None]) -> int:
    """The number of samples that the arguments of a call hold."""
    return min((a.samples for a in arguments if a is not None), default=plan.batch)


def _run(
    steps: tuple[Step, ...],
    leaves: tuple[jax.Array, ...],
    keys: Keys,
    arguments: Sequence[EncryptedArray | None],
    block: Any,
    live: jax.Array | None,
    registers: tuple[int, ...],
    progress: Progress | None = None,
    finished: FinishedResults | None = None,
) -> list[tuple[Ciphertext, ...]]:
    """The results of one block of every argument, or of all of them where `block` is None."""
    numbers = [() if a is None else range(a.data.shape[0]) if block is None else (block,) for a in arguments]
    made = [
        None if a is None else functools.partial(a.flat_blocks, wanted)
        for a, wanted in zip(arguments, numbers, strict=True)
    ]
    watch = None if progress is None else functools.partial(_tell, progress, len(steps))
    return run(steps, leaves, keys, made, max(map(len, numbers)), registers, live, watch, finished)


def _compile_kernels(params: Parameters, circuit: Circuit, block: np.int32 | None, given: tuple) -> None:
    """Before the first run with arrays of these shapes, compile its kernels several at a time.

    Kernels of small rings take less time to compile than to be found in this way. Of arrays on several
    devices each kernel is compiled as it is called, for the layout that its arguments then have.
    """
    if params.ring.degree < current_device().blocks.compiled_ahead_from:
        return
    leaves, structure = jax.tree.flatten(given)
    if all(len(leaf.devices()) == 1 for leaf in leaves if isinstance(leaf, jax.Array)):
        shapes = tuple(shape_of(leaf) for leaf in leaves)
        _compile_once(circuit.steps, circuit.registers, block, structure, shapes)


@functools.lru_cache(maxsize=64)
def _compile_once(
    steps: tuple[Step, ...],
    registers: tuple[int, ...],
    block: np.int32 | None,
    structure: Any,
    shapes: tuple,
) -> int:
    """Compile what a run of these steps calls, for arguments of these shapes: once in a process."""

    def run_of(leaves: Any, keys: Any, arguments: Any, live: Any) -> Any:
        return _run(steps, leaves, keys, arguments, block, live, registers)

    return compile_ahead(run_of, *jax.tree.unflatten(structure, shapes))


def _tell(progress: Progress, total: int, number: int, step: Step, made: Ciphertext) -> None:
    """Tell that a step is done, once it is."""
    jax.block_until_ready(made)
    progress(number + 1, total)


# One compiled function, with weights and keys as its arguments: for a short program this compiles and
# runs faster than its kernels one by one (CryptoNets on two cores: 5 s and 1.0 s, not 7 s and 1.6 s), since
# memory is reused between steps; a long one, or one with rotations, would take minutes to compile.
_run_compiled = functools.partial(jax.jit, static_argnames=("steps", "registers"))(_run)


def collect(
    found: Ciphertext,
    key_id: jax.Array,
    samples: int,
    reading: AffineView,
    output: ResultDescription,
    layout: Layout | None = None,
) -> EncryptedArray:
    """The encrypted array of one result: its ciphertexts, with the way in which they are read.

    Args:
        found: the blocks of the result's node, data [block, entry, poly, limb, N].
        key_id: the identity of the secret that opens them.
        samples: how many of the batch are in use.
        reading: of the node's entries.
        output: shape, dtype and batch axis of the result.
        layout: of the slots, where a block holds one sample.
    """
    return EncryptedArray(
        found.data[:1] if output.batch_axis is None else found.data,
        key_id,
        reading,
        found.params,
        found.level,
        found.scale,
        output.shape,
        output.batch_axis,
        samples,
        output.dtype,
        layout=layout,
    )


def as_argument(
    result: EncryptedArray, argument: Encrypted | Plain, layout: Layout | None = None
) -> EncryptedArray:
    """A carried result as the argument that it replaces in the next call.

    Args:
        result: of `collect`, data [block, ciphertext, poly, limb, N], whose ciphertexts hold the argument's
            numbers among others.
        argument: the argument's description.
        layout: where a block holds one sample, that of the argument, which the result's ciphertexts have.
    """
    assert result.view is not None and isinstance(argument, Encrypted)  # of what is carried
    held = {"view": None, "dtype": np.dtype(argument.dtype), "normalisation": normalisation(argument)}
    if layout is not None:
        return dataclasses.replace(result, layout=layout, **held)
    entries = result.view.entries
    data = jnp.take(result.data, entries.reshape(-1), axis=1)
    return dataclasses.replace(
        result,
        data=data.reshape(data.shape[0], *entries.shape, *data.shape[2:]),
        **held,
    )


def _samples_of(result: EncryptedArray, slots: np.ndarray) -> np.ndarray:
    """The numbers of each sample of a block, [entry, sample]: an argument's, or the slots of a result's."""
    layout = result.layout
    assert layout is not None  # where samples have slots of their own
    if result.view is None:
        shape = tuple(s for d, s in enumerate(result.shape) if d != result.batch_axis)
        return unpack(layout, slots).reshape(samples_in(layout, math.prod(shape)), -1).T
    share = layout.shape[-1]
    found = slots.reshape(len(slots), -1, share)
    return found.transpose(0, 2, 1).reshape(-1, found.shape[1])


def decrypt_array(secret: SecretKey, result: EncryptedArray) -> np.ndarray:
    """The numbers in a result, or in an encrypted argument.

    What all samples share is in every slot with other noise: the mean over slots has least of it.

    Raises:
        ValueError: a secret key that does not open it, or altered residues.
    """
    blocks = [decrypt_entries(secret, result.flat(b)) for b in range(result.data.shape[0])]
    if result.layout is not None:
        values = np.concatenate([_samples_of(result, slots) for slots in blocks], 1)[:, : result.samples]
    elif result.batch_axis is None:
        values = blocks[0].mean(1, keepdims=True)
    else:
        values = np.concatenate(blocks, 1)[:, : result.samples]
    shape = tuple(s for d, s in enumerate(result.shape) if d != result.batch_axis)
    if result.view is None:
        held = result.normalisation or Normalisation(0.0, 1.0)
        order = np.arange(len(values)).reshape(shape)
        arrays = order, np.full(shape, held.unit), np.full(shape, held.centre)
    else:
        arrays = result.view.entries, result.view.multiplier, result.view.offset
    entries, multiplier, offset = map(np.asarray, arrays)
    view = View(-1, entries, multiplier, offset, result.batch_axis, result.samples)
    return view_values(view, values)
