"""`Program`: the client's and the server's half of a compiled function."""

import dataclasses
import functools
import os
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from fhejax import ckks
from fhejax.ckks import PublicKey, SecretKey
from fhejax.ckks.encryption import SharingBudget
from fhejax.program.arguments import Encrypted, Plain, check_plain, check_values, for_any_samples
from fhejax.program.circuit.entries import (
    result_of,
    results_of_samples,
    sample_entries,
    samples_held,
)
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.reading import Reading
from fhejax.program.circuit.steps.call import Keys
from fhejax.program.client_program import ClientProgram, check_samples
from fhejax.program.costs.text import cost_report
from fhejax.program.dry_run import DryCall, DryStep, dry_run
from fhejax.program.files.files import save_client, save_server
from fhejax.program.halves import client_of
from fhejax.program.levels.plan import ProgramPlan
from fhejax.program.report import report
from fhejax.program.run.tiled_execution import Progress
from fhejax.program.server_program import ServerProgram
from fhejax.program.specialisation import CompilationRecord, SpecialisedCircuit, graph_with_plain, specialise
from fhejax.program.verification import Verification, verify


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Program:
    """A compiled function: a pytree whose leaves are the encoded weights.

    leaves: int32 weights and indices, uint32 residues. readings: how each result is read from its
    ciphertexts, or a plain result itself. plan: parameters and steps. source: the graph; two programs of one
    function are equal in all that is static, whatever line or object they were made by.
    """

    leaves: tuple[jax.Array, ...]
    readings: tuple[Reading, ...]
    plan: ProgramPlan = dataclasses.field(metadata={"static": True})
    source: CompilationRecord = dataclasses.field(metadata={"static": True})

    @property
    def params(self) -> ckks.Parameters:
        """The CKKS parameters."""
        return self.plan.params

    @property
    def server(self) -> ServerProgram:
        """The server's half, with the plain arguments that the program was planned with."""
        return ServerProgram(self.leaves, self.readings, self.plan, self.source.interface)

    @functools.cached_property
    def client(self) -> ClientProgram:
        """The client's half."""
        return client_of(self.server)

    def report(self, device: str | None = None) -> str:
        """The text that says all about the program: parameters, security, keys, bytes, predictions, steps.

        Args:
            device: instead, what a call would take on the machine of this name, layer by layer: a processor
                such as "h200" or "2 cores", or a published accelerator such as "ark". Operations and bytes
                are counted, and the time is a band by what its units do in a cycle, where that is known.

        Raises:
            ValueError: an unknown machine, with the names of all.
        """
        if device is not None:
            return cost_report(self.plan, device)
        return report(self.client, self.plan, self.source)

    def save_server(self, path: str | os.PathLike) -> None:
        """Write the server's half to a file, which `fhejax.load_server` reads.

        It holds steps, encoded weights, which keys are needed and how results are read: no Python code, no
        other weights, no secret.

        Raises:
            ValueError: a program with plain arguments, whose steps are made from the traced function.
            TypeError: arguments or results nested in classes of the user's own. OSError.
        """
        save_server(path, self.server)

    def save_client(self, path: str | os.PathLike) -> None:
        """Write the client's half to a file, which `fhejax.load_client` reads.

        It holds parameters, arguments with their ranges, which keys the server needs and how results look: no
        weights and no steps.

        Raises:
            TypeError: arguments or results nested in classes of the user's own. OSError.
        """
        save_client(path, self.client)

    def keygen(self, *, random: jax.Array | None = None) -> tuple[SecretKey, Keys]:
        """The new keys: a secret one, and what the server needs; see `ClientProgram.keygen`."""
        return self.client.keygen(random=random)

    def evaluation_keys(self, secret: SecretKey, *, random: jax.Array | None = None) -> Keys:
        """What the server needs, under a secret that exists; see `ClientProgram.evaluation_keys`."""
        return self.client.evaluation_keys(secret, random=random)

    def public_key(self, secret: SecretKey) -> PublicKey:
        """A public key, with which arguments can be encrypted; see `ClientProgram.public_key`."""
        return self.client.public_key(secret)

    def encrypt(self, holder: SecretKey | PublicKey, *values: Any, random: jax.Array | None = None) -> Any:
        """The encrypted arguments, in order; see `ClientProgram.encrypt`."""
        return self.client.encrypt(holder, *values, random=random)

    def __call__(
        self,
        keys: Keys,
        *arguments: Any,
        folder: str | os.PathLike | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """The encrypted result for the arguments in order, encrypted or plain, as of `ServerProgram`."""
        return self._server_for(arguments)(keys, *arguments, folder=folder, progress=progress)

    def decrypt(self, secret: SecretKey, results: Any) -> Any:
        """The function's result: NumPy arrays of its shape; see `ClientProgram.decrypt`."""
        return self.client.decrypt(secret, results)

    def decrypt_for_sharing(
        self, secret: SecretKey, results: Any, budget: SharingBudget, *, noise_bound: float
    ) -> tuple[Any, SharingBudget]:
        """The function's result for others to see; see `ClientProgram.decrypt_for_sharing`."""
        return self.client.decrypt_for_sharing(secret, results, budget, noise_bound=noise_bound)

    def simulate(self, *values: Any, seed: int | None = None) -> Any:
        """The function's result in fixed point without cryptography.

        Weights are rounded as the program does, and values too large for the modulus wrap around as there:
        that happens where a `margin` was given, and these values are further from the sample. Where a block
        holds one sample, any number of them may be given, as for `clear`.

        Args:
            values: the arguments.
            seed: of noise, as large as that of encryption is predicted to be; none by default.
        """
        flat = self.source.interface.flatten(values, "simulate")
        found = self._circuit(flat)
        lowered = found.lowered
        return self._evaluated(
            found.graph,
            flat,
            rounding=lowered.rounding,
            representable=lowered.representable(self.params, self.plan.top_level),
            noise=None if seed is None else lowered.noise,
            seed=seed or 0,
        )

    def clear(self, *values: Any) -> Any:
        """The function's result in the clear, in float64, from the same graph."""
        flat = self.source.interface.flatten(values, "clear")
        return self._evaluated(self._graph(flat), flat)

    def dry_run(self, calls: Iterable[tuple]) -> list[DryStep]:
        """The results of one call after another in the clear, and the errors that encryption will leave.

        No key is made. What a call carries to the next one carries its noise too.

        Args:
            calls: the arguments of each call, plain ones too; from the second on, None in place of what a
                result of the call before replaces.

        Raises:
            ValueError: a carried result that leaves the range of the argument it replaces, with the number of
                the call; or an argument left out that none replaces.
        """
        return dry_run(self.plan, self.source.interface, map(self._dry_call, calls))

    def _dry_call(self, values: tuple) -> DryCall:
        """A call of a dry run, with the circuit for its plain arguments."""
        flat = self.source.interface.flatten_partly(values, "dry_run")
        circuit = self._circuit(flat)
        return DryCall(circuit.graph, circuit.lowered, flat)

    def verify(self, *values: Any) -> Verification:
        """The comparison of each layer in the clear, in fixed point, and encrypted with new keys."""
        client = self.client
        secret, keys = client.keygen()
        flat = self.source.interface.flatten(values, "verify")
        entries = self._entries(flat)
        arguments = [
            client.encrypt_argument(secret, a, check_values(a, v)) if isinstance(a, Encrypted) else v
            for a, v in zip(self.source.interface.arguments, flat, strict=True)
        ]
        return verify(self.plan, self._circuit(arguments), secret, keys, arguments, entries)

    def __repr__(self) -> str:
        shapes = ", ".join(str(a.shape) for a in self.source.interface.encrypted)
        return f"Program(encrypted {shapes}; {self.params})"

    def _server_for(self, arguments: tuple) -> ServerProgram:
        """The server's half for these values of the plain arguments."""
        if not self.source.interface.takes_plain:
            return self.server
        circuit = self._circuit(self.source.interface.flatten(arguments, "call")).circuit
        plan = dataclasses.replace(self.plan, steps=circuit.steps, outputs=circuit.registers)
        return ServerProgram(circuit.leaves, circuit.readings, plan, self.source.interface)

    def _entries(self, values: Sequence) -> list[np.ndarray]:
        """The entries of every argument, [size, sample]; plain ones are empty, for they are in the graph."""
        interface = self.source.interface
        pairs = list(zip(interface.arguments, values, strict=True))
        widened = for_any_samples if self.plan.layouts else lambda argument, _: argument
        checked = [check_values(widened(a, v), v) for a, v in pairs if isinstance(a, Encrypted)]
        known = sample_entries(interface.encrypted, checked)
        check_samples(self.plan, samples_held(interface.encrypted, checked))
        entries = iter(known)
        return [next(entries) if isinstance(a, Encrypted) else np.zeros((0, 0)) for a, _ in pairs]

    def _evaluated(self, graph: Graph, values: Sequence, **options: Any) -> Any:
        """The results of the circuit without cryptography, nested as the function's."""
        known = evaluate_graph(graph, self._entries(values), **options)
        read = results_of_samples if self.plan.layouts else result_of
        return jax.tree.unflatten(graph.results, [read(output, known) for output in graph.outputs])

    def _graph(self, values: Sequence) -> Graph:
        """The graph for these values of the plain arguments."""
        pairs = zip(self.source.interface.arguments, values, strict=True)
        plain = [check_plain(a, v) for a, v in pairs if isinstance(a, Plain)]
        return graph_with_plain(self.source, plain) if plain else self.source.graph

    def _circuit(self, arguments: Sequence) -> SpecialisedCircuit:
        """The steps and leaves of this call: planned ones, or anew for the values of plain arguments."""
        pairs = zip(self.source.interface.arguments, arguments, strict=True)
        plain = [check_plain(a, v) for a, v in pairs if isinstance(a, Plain)]
        if plain:
            return specialise(self.plan, self.source, plain)
        return SpecialisedCircuit(self.source.graph, self.source.lowered, self.server.circuit)
