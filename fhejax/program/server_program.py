"""`ServerProgram`: what a server holds of a program: steps, encoded weights, and which keys it needs."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import jax

from fhejax.ckks import EvaluationKeys, Parameters
from fhejax.ckks.bootstrapping import BootstrappingKeys
from fhejax.ckks.identity import is_concrete
from fhejax.ckks.keys import KeyManifest
from fhejax.ckks.parameters import Scale
from fhejax.ckks.types import check_residues
from fhejax.program.arguments import Encrypted, normalisation
from fhejax.program.circuit.circuit import Circuit
from fhejax.program.circuit.reading import AffineView, Reading
from fhejax.program.circuit.steps.call import Keys, evaluation_of
from fhejax.program.levels.plan import ProgramPlan
from fhejax.program.packing.layout import Layout
from fhejax.program.run.blocks import as_argument, collect, count_samples, evaluate_blocks
from fhejax.program.run.call_identity import identity_of_call
from fhejax.program.run.encrypted_array import EncryptedArray
from fhejax.program.run.finished_results import Store
from fhejax.program.run.interface import Interface
from fhejax.program.run.tiled_execution import Progress


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ServerProgram:
    """The server's half of a program: a pytree whose leaves are the encoded weights.

    It holds no Python code, no secret, and no weights but the encoded ones that it computes with.

    Attributes:
        leaves: int32 weights and indices, uint32 residues.
        readings: how each result is read from its ciphertexts, or a plain result itself.
        plan: parameters and steps.
        interface: arguments and results.
    """

    leaves: tuple[jax.Array, ...]
    readings: tuple[Reading, ...]
    plan: ProgramPlan = dataclasses.field(metadata={"static": True})
    interface: Interface = dataclasses.field(metadata={"static": True})

    @property
    def params(self) -> Parameters:
        """The CKKS parameters."""
        return self.plan.params

    @property
    def manifest(self) -> KeyManifest:
        """The evaluation keys that a call needs, each with its level."""
        return self.plan.key_manifest

    @property
    def circuit(self) -> Circuit:
        """The steps with their constants."""
        return Circuit(self.plan.steps, self.leaves, self.plan.outputs, self.readings)

    def __call__(
        self,
        keys: Keys,
        *arguments: Any,
        folder: str | os.PathLike | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """The encrypted result for the arguments in order, nested like the function's.

        Called directly a program of up to 64 steps is compiled as one function of pytrees, a longer one
        kernel by kernel; jax.jit, jax.vmap and sharding apply as to any function. Seeds are expanded. What
        does not fit in memory at once is computed tile by tile, but under jit.

        Args:
            keys: from `keygen`.
            *arguments: encrypted.
            folder: where the results of tiles, or of steps where there are no tiles, are kept while others
                need them, each in a file that appears whole or not at all. They are ciphertexts. A call that
                was stopped, made again with the same program, keys, arguments and folder, goes on where it
                was, and returns the same bits; one that was finished returns them at once. Tiles that have no
                room in memory (`compile(memory_map=True)`) are there as well, and results are then read-only
                maps of files in the folder that vanish with them.
            progress: told how many tiles are done, of how many, or how many steps where there are no tiles;
                never under jit, and where a short program is compiled as one function.

        Raises:
            ValueError: keys or ciphertexts of other parameters or another secret, a missing
                relinearisation key, altered residues, or a wrong number of arguments; a folder under jit,
                or of another call; no folder where tiles go to files.
            FormatError: a file of the folder that was altered. OSError.
        """
        flat = self.interface.flatten(arguments, "call")
        key_id = self._check_call(keys, flat)
        store = None if folder is None else self._store(folder, keys, flat)
        holders = [a if isinstance(a, EncryptedArray) else None for a in flat]
        circuit = self.circuit
        results = iter(evaluate_blocks(self.plan, circuit, keys, holders, progress, store))
        samples = count_samples(self.plan, holders)
        layouts = self.plan.layouts or (None,) * len(self.interface.arguments)
        replaced = {o: (self.interface.arguments[n], layouts[n]) for o, n in self.interface.carry}
        outputs: list[Any] = list(circuit.readings)
        for number, (reading, output) in enumerate(
            zip(circuit.readings, self.interface.outputs, strict=True)
        ):
            if isinstance(reading, AffineView):
                found = collect(next(results), key_id, samples, reading, output, self.plan.result_layout)
                outputs[number] = as_argument(found, *replaced[number]) if number in replaced else found
        return jax.tree.unflatten(self.interface.results, outputs)

    def __repr__(self) -> str:
        shapes = ", ".join(str(a.shape) for a in self.interface.encrypted)
        return f"ServerProgram(encrypted {shapes}; {self.params})"

    def _store(self, folder: str | os.PathLike, keys: Keys, arguments: Sequence) -> Store:
        """The folder of this call's results."""
        from fhejax.program.files.run_folder import call_folder  # which knows this class

        if not is_concrete(*jax.tree.leaves((self.leaves, keys, arguments))):
            raise ValueError(
                "a call was to keep its results in a folder while it is traced, when there are none yet; "
                "call the program outside of jit and vmap, or without folder=."
            )
        return call_folder(folder, self, keys, arguments)

    def _check_call(self, given: Keys, arguments: Sequence) -> jax.Array:
        """The identity of the secret that opens the results."""
        expected = EvaluationKeys if self.plan.bootstrapping is None else BootstrappingKeys
        bare = isinstance(given, BootstrappingKeys) and given.evaluation is None
        if bare or not isinstance(given, expected):
            raise TypeError(
                f"a program was called with a {type(given).__name__} as its first argument; it needs the "
                f"{expected.__name__} from keygen(), then the encrypted arguments."
            )
        check_parameters(evaluation_of(given), "the evaluation keys", self.params)
        layouts = self.plan.layouts or (None,) * len(arguments)
        triples = zip(arguments, self.interface.arguments, layouts, strict=True)
        encrypted = [(a, d, layout) for a, d, layout in triples if isinstance(d, Encrypted)]
        for argument, description, layout in encrypted:
            self._check_argument(argument, description, layout)
        counts = {a.samples for a, d, _ in encrypted if d.batch_axis is not None}
        if len(counts) > 1:
            raise ValueError(
                f"the encrypted arguments hold {sorted(counts)} samples; samples lie in the same slots, so "
                f"encrypt the same number for every argument."
            )
        return identity_of_call(given, [a for a, _, _ in encrypted])

    def _check_argument(self, argument: Any, described: Encrypted, layout: Layout | None) -> None:
        if not isinstance(argument, EncryptedArray):
            raise TypeError(
                f"a program was called with a {type(argument).__name__} where it needs an EncryptedArray; "
                f"encrypt the data with program.encrypt(secret, data) first."
            )
        check_parameters(argument, "the encrypted array", self.params)
        scale = Scale.of(2.0**self.plan.settings.input_bits)
        if argument.normalisation not in (None, normalisation(described)):
            raise ValueError(
                f"an encrypted array normalised by {argument.normalisation} was passed where the program "
                f"needs {normalisation(described)}: it was encrypted for another range; encrypt it with this "
                f"program."
            )
        found = (argument.shape, argument.batch_axis, argument.level, argument.scale)
        if found != (described.shape, described.batch_axis, self.plan.top_level, scale):
            raise ValueError(
                f"an encrypted array of shape {argument.shape}, batch axis {argument.batch_axis}, level "
                f"{argument.level} and scale {argument.scale} was passed where the program needs "
                f"{described.shape}, {described.batch_axis}, {self.plan.top_level} and {scale}; encrypt it "
                f"with this program."
            )
        if argument.layout != layout:
            raise ValueError(
                "an encrypted array of another packing was passed: its numbers lie in other slots than the "
                "program reads; encrypt the data with this program."
            )
        self._check_arrays(argument, described)

    def _check_arrays(self, argument: EncryptedArray, described: Encrypted) -> None:
        """Refuse residues and seeds of other shapes than the description makes, and altered residues."""
        kept = kept_entries(argument.layout, described)
        moduli, degree = self.params.level_moduli(argument.level), self.params.ring.degree
        entries = (1 if described.batch_axis is None else self.plan.blocks, *kept)
        seeds = argument.seeds
        expected = (*entries, 2 if seeds is None else 1, len(moduli), degree)
        whole = argument.data.shape == expected and (seeds is None or seeds.shape == (*entries, 8))
        if argument.view is not None or not whole:
            raise ValueError(
                f"an encrypted array holds residues of shape {argument.data.shape}, and the program needs "
                f"{expected}; it was altered, or is the result of a program: encrypt the data again."
            )
        if is_concrete(argument.data):
            with jax.ensure_compile_time_eval():  # it may be closed over by a function under jit
                check_residues(argument.data, moduli, "the encrypted array")


def kept_entries(layout: Layout | None, described: Encrypted) -> tuple[int, ...]:
    """The shape of an argument's ciphertexts in one block.

    Args:
        layout: where a block holds one sample, that of its entries; else None.
        described: the argument's description.
    """
    if layout is not None:
        return (layout.ciphertext_count,)
    return tuple(size for d, size in enumerate(described.shape) if d != described.batch_axis)


def check_parameters(holder: Any, what: str, params: Parameters) -> None:
    """Refuse what was made for other parameters than a program's.

    Args:
        holder: has parameters.
        what: it is, in messages.
        params: of the program.

    Raises:
        ValueError: when they differ.
    """
    if holder.params != params:
        raise ValueError(
            f"{what} was made for {holder.params}, and this program has {params}; make keys with this "
            f"program's keygen()."
        )
