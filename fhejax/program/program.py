"""`Program`: the client's and the server's half of a compiled function."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax import ckks
from fhejax.ckks import EvaluationKeys, SecretKey
from fhejax.ckks.bootstrapping import BootstrappingKeys, bootstrapping_circuit, bootstrapping_keys
from fhejax.ckks.identity import is_concrete
from fhejax.ckks.keys.manifest import evaluation_keys_for
from fhejax.ckks.parameters import Scale
from fhejax.ckks.types import check_residues
from fhejax.program.arguments import Encrypted, Plain, check_plain, check_values, normalisation
from fhejax.program.circuit.circuit import Circuit
from fhejax.program.circuit.entries import result_of, sample_entries
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.lowering.scales import exact_scale
from fhejax.program.circuit.reading import AffineView, Reading
from fhejax.program.circuit.steps.call import Keys, evaluation_of
from fhejax.program.circuit.views import View
from fhejax.program.levels.plan import ProgramPlan
from fhejax.program.packing.layout import Layout
from fhejax.program.report import report
from fhejax.program.run.blocks import collect, count_samples, decrypt_array, evaluate_blocks, fill_slots
from fhejax.program.run.call_identity import identity_of_call
from fhejax.program.run.client import encrypt_entries
from fhejax.program.run.encrypted_array import EncryptedArray
from fhejax.program.run.result_checks import ExpectedArray, check_result
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

    def report(self) -> str:
        """The text that says all about the program: parameters, security, keys, bytes, predictions, steps."""
        return report(self.plan, self._arguments, self.source.packing, self.source.considered)

    def keygen(self) -> tuple[SecretKey, Keys]:
        """The new keys: a secret one, and what the server needs; randomness from the operating system.

        The evaluation keys hold a relinearisation key and rotation keys only if the program needs them,
        each cut to the level of its first use. Where values are bootstrapped, they are `BootstrappingKeys`
        with its matrices: gigabytes, and a minute, at N = 2^16.
        """
        secret_random, *randoms = jax.random.split(ckks.random_key())
        secret, plan = ckks.secret_key(secret_random, self.params), self.plan
        if plan.bootstrapping is not None:
            circuit = bootstrapping_circuit(plan.bootstrapping)
            return secret, bootstrapping_keys(randoms[0], secret, circuit, plan.manifest)
        return secret, evaluation_keys_for(randoms[0], secret, plan.manifest)

    def encrypt(self, secret: SecretKey, *values: Any) -> Any:
        """The encrypted arguments, in order: one EncryptedArray, or a tuple of them.

        Args:
            secret: from `keygen` of this program.
            *values: arrays of the planned shapes (pytrees, where the function takes those); fewer samples
                than planned are padded, and weigh nothing in sums over the batch.

        Raises:
            ValueError, TypeError: wrong shape or dtype, NaN, values outside the planned range, more samples
                than planned, or a secret key of other parameters.
        """
        described = self._arguments
        self._check_parameters(secret, "the secret key")
        flat, nesting = self._flatten(values, described, "encrypt")
        checked = [check_values(a, v) for a, v in zip(described, flat, strict=True)]
        self._check_samples(sample_entries(described, checked))
        arrays = [self._encrypt(secret, a, v) for a, v in zip(described, checked, strict=True)]
        nested = jax.tree.unflatten(nesting, arrays)
        return nested[0] if len(nested) == 1 else nested

    def __call__(self, keys: Keys, *arguments: Any) -> Any:
        """The encrypted result for the arguments in order, encrypted or plain, nested like the function's.

        Called directly a program of up to 64 steps is compiled as one function of pytrees, a longer one
        kernel by kernel; jax.jit, jax.vmap and sharding apply as to any function.

        Raises:
            ValueError: keys or ciphertexts of other parameters or another secret, a missing
                relinearisation key, altered residues, or a wrong number of arguments.
        """
        flat, _ = self._flatten(arguments, self.source.graph.arguments, "call")
        key_id = self._check_call(keys, flat)
        circuit = self._circuit(flat).circuit
        holders = [a if isinstance(a, EncryptedArray) else None for a in flat]
        results = iter(evaluate_blocks(self.plan, circuit, keys, holders))
        samples = count_samples(self.plan, holders)
        outputs = [
            collect(next(results), key_id, samples, reading, output, self.plan.result_layout)
            if isinstance(reading, AffineView)
            else reading
            for reading, output in zip(circuit.readings, self.source.graph.outputs, strict=True)
        ]
        return jax.tree.unflatten(self.source.graph.results, outputs)

    def decrypt(self, secret: SecretKey, results: Any) -> Any:
        """The function's result: NumPy arrays of its shape (only the samples encrypted).

        They are float64, whatever the function computes with in the clear: precision is not lost on the way.

        Raises:
            ValueError: a secret key that does not open the result, altered residues, or a result whose
                description is not what this program makes.
        """
        self._check_parameters(secret, "the secret key")
        expected = self._expected_arrays()

        def opened(result: Any) -> np.ndarray:
            if not isinstance(result, EncryptedArray):
                return np.asarray(result)
            check_result(result, expected, self.plan.batch)
            return decrypt_array(secret, result)

        return jax.tree.map(opened, results, is_leaf=lambda r: isinstance(r, EncryptedArray))

    def simulate(self, *values: Any) -> Any:
        """The function's result in fixed point without cryptography.

        Weights are rounded as the program does, and values too large for the modulus wrap around as there:
        that happens where a `margin` was given, and these values are further from the sample.
        """
        return self._oracle(values, fixed=True)

    def clear(self, *values: Any) -> Any:
        """The function's result in the clear, in float64, from the same graph."""
        return self._oracle(values, fixed=False)

    def verify(self, *values: Any) -> Verification:
        """The comparison of each layer in the clear, in fixed point, and encrypted with new keys."""
        secret, keys = self.keygen()
        flat, _ = self._flatten(values, self.source.graph.arguments, "verify")
        entries = self._entries(flat)
        arguments = [
            self._encrypt(secret, a, check_values(a, v)) if isinstance(a, Encrypted) else v
            for a, v in zip(self.source.graph.arguments, flat, strict=True)
        ]
        return verify(
            self.plan,
            self._circuit(arguments),
            secret,
            keys,
            arguments,
            entries,
        )

    def __repr__(self) -> str:
        shapes = ", ".join(str(a.shape) for a in self._arguments)
        return f"Program(encrypted {shapes}; {self.params})"

    @property
    def _arguments(self) -> list[Encrypted]:
        return [a for a in self.source.graph.arguments if isinstance(a, Encrypted)]

    def _flatten(self, values: tuple, described: Sequence, verb: str) -> tuple[list, Any]:
        """The values flat, one for each of the described arguments, and how they are nested.

        Raises:
            ValueError: when they are not nested like the function's arguments.
        """
        known = [a if a in described else None for a in self.source.graph.arguments]
        nested = jax.tree.unflatten(self.source.graph.inputs, known)
        nested = tuple(a for a in nested if jax.tree.leaves(a))
        nesting = jax.tree.structure(nested)
        try:
            return nesting.flatten_up_to(values), nesting
        except (TypeError, ValueError):
            raise ValueError(
                f"{verb} was given {len(values)} arguments nested like {jax.tree.structure(values)}; it "
                f"needs {len(nested)}, nested like {nesting}: those that `compile` was given."
            ) from None

    def _entries(self, values: Sequence) -> list[np.ndarray]:
        """The entries of every argument, [size, sample]; plain ones are empty, for they are in the graph."""
        pairs = list(zip(self.source.graph.arguments, values, strict=True))
        checked = [check_values(a, v) for a, v in pairs if isinstance(a, Encrypted)]
        known = sample_entries(self._arguments, checked)
        self._check_samples(known)
        entries = iter(known)
        return [next(entries) if isinstance(a, Encrypted) else np.zeros((0, 0)) for a, _ in pairs]

    def _check_samples(self, entries: Sequence[np.ndarray]) -> None:
        """Refuse too few samples where a sum over the batch needs every one."""
        samples = entries[0].shape[1]
        if self.plan.whole_batch and samples < self.plan.batch:
            raise ValueError(
                f"{samples} samples were given to a program planned for {self.plan.batch} that sums over the "
                f"batch what is not zero where a sample is missing (such as a bias); give all "
                f"{self.plan.batch}, or compile with a batch that is no power of two, for which missing "
                f"samples are masked."
            )

    def _oracle(self, values: tuple, fixed: bool) -> Any:
        flat, _ = self._flatten(values, self.source.graph.arguments, "the oracle")
        if fixed:
            found = self._circuit(flat)
            graph, lowered = found.graph, found.lowered
            rounding, largest = lowered.rounding, lowered.representable(self.params, self.plan.top_level)
        else:
            graph, rounding, largest = self._graph(flat), None, None
        known = evaluate_graph(graph, self._entries(flat), rounding=rounding, representable=largest)
        outputs = [result_of(o, known) for o in graph.outputs]
        return jax.tree.unflatten(graph.results, outputs)

    def _graph(self, values: Sequence) -> Graph:
        """The graph for these values of the plain arguments."""
        described = self.source.graph.arguments
        pairs = zip(described, values, strict=True)
        plain = [check_plain(a, v) for a, v in pairs if isinstance(a, Plain)]
        return graph_with_plain(self.source, plain) if plain else self.source.graph

    def _encrypt(self, secret: SecretKey, argument: Encrypted, array: np.ndarray) -> EncryptedArray:
        axis = argument.batch_axis
        samples = self.plan.batch if axis is None else array.shape[axis]
        layout = self._layout(argument)
        blocks = fill_slots(self.plan, argument, array, layout)
        scale = Scale.of(2.0**self.plan.settings.input_bits)
        randoms = jax.random.split(ckks.random_key(), len(blocks))
        data = [
            encrypt_entries(r, secret, block, self.plan.top_level, scale)
            for r, block in zip(randoms, blocks, strict=True)
        ]
        shape = tuple(s for d, s in enumerate(argument.shape) if d != axis)
        data = jnp.stack(data)
        if layout is None:
            data = data.reshape(len(blocks), *shape, *data.shape[2:])
        return EncryptedArray(
            data,
            secret.key_id,
            None,
            self.params,
            self.plan.top_level,
            scale,
            argument.shape,
            axis,
            samples,
            argument.dtype,
            normalisation(argument),
            layout,
        )

    def _layout(self, argument: Encrypted) -> Layout | None:
        """The layout of an argument's sample, where a block holds one."""
        number = next(n for n, a in enumerate(self.source.graph.arguments) if a is argument)
        return self.plan.layouts[number] if self.plan.layouts else None

    def _expected_arrays(self) -> list[ExpectedArray]:
        """The descriptions of all results and arguments; plain arguments may change those of results."""
        graph, plan = self.source.graph, self.plan
        fixed = not any(isinstance(a, Plain) for a in graph.arguments)
        pairs = zip(graph.outputs, self.readings, strict=True)
        views = [
            (output.shape, output.value.batch_axis, reading)
            for output, reading in pairs
            if isinstance(output.value, View) and isinstance(reading, AffineView)
        ]
        expected = []
        for number, ((shape, axis, view), register) in enumerate(zip(views, plan.outputs, strict=True)):
            step = plan.steps[register]
            known = (step.level, exact_scale(step.scale), view) if fixed else (None, None, None)
            expected.append(ExpectedArray(f"result {number}", shape, axis, *known, layout=plan.result_layout))
        scale = Scale.of(2.0**plan.settings.input_bits)
        for number, a in enumerate(self._arguments):
            known = (plan.top_level, scale, None, normalisation(a), self._layout(a))
            expected.append(ExpectedArray(f"argument {number}", a.shape, a.batch_axis, *known))
        return expected

    def _check_parameters(self, holder: Any, what: str) -> None:
        if holder.params != self.params:
            raise ValueError(
                f"{what} was made for {holder.params}, and this program has {self.params}; make keys with "
                f"this program's keygen()."
            )

    def _check_call(self, given: Keys, arguments: Sequence) -> jax.Array:
        """The identity of the secret that opens the results."""
        expected = EvaluationKeys if self.plan.bootstrapping is None else BootstrappingKeys
        bare = isinstance(given, BootstrappingKeys) and given.evaluation is None
        if bare or not isinstance(given, expected):
            raise TypeError(
                f"a program was called with a {type(given).__name__} as its first argument; it needs the "
                f"{expected.__name__} from keygen(), then the encrypted arguments."
            )
        keys = evaluation_of(given)
        self._check_parameters(keys, "the evaluation keys")
        described = self.source.graph.arguments
        for argument, description in zip(arguments, described, strict=True):
            if isinstance(description, Encrypted):
                self._check_argument(argument, description)
        counts = {
            a.samples
            for a, d in zip(arguments, described, strict=True)
            if isinstance(d, Encrypted) and d.batch_axis is not None
        }
        if len(counts) > 1:
            raise ValueError(
                f"the encrypted arguments hold {sorted(counts)} samples; samples lie in the same slots, so "
                f"encrypt the same number for every argument."
            )
        holders = [a for a in arguments if isinstance(a, EncryptedArray)]
        return identity_of_call(given, holders)

    def _check_argument(self, argument: Any, described: Encrypted) -> None:
        if not isinstance(argument, EncryptedArray):
            raise TypeError(
                f"a program was called with a {type(argument).__name__} where it needs an EncryptedArray; "
                f"encrypt the data with program.encrypt(secret, data) first."
            )
        self._check_parameters(argument, "the encrypted array")
        scale = Scale.of(2.0**self.plan.settings.input_bits)
        if argument.normalisation not in (None, normalisation(described)):
            raise ValueError(
                f"an encrypted array normalised by {argument.normalisation} was passed where the program "
                f"needs {normalisation(described)}: it was encrypted for another range; encrypt it with this "
                f"program."
            )
        if argument.layout != self._layout(described):
            raise ValueError(
                "an encrypted array of another packing was passed: its numbers lie in other slots than the "
                "program reads; encrypt the data with this program."
            )
        found = (argument.shape, argument.batch_axis, argument.level, argument.scale)
        if found != (described.shape, described.batch_axis, self.plan.top_level, scale):
            raise ValueError(
                f"an encrypted array of shape {argument.shape}, batch axis {argument.batch_axis}, level "
                f"{argument.level} and scale {argument.scale} was passed where the program needs "
                f"{described.shape}, {described.batch_axis}, {self.plan.top_level} and {scale}; encrypt it "
                f"with this program."
            )
        layout = self._layout(described)
        kept = tuple(s for d, s in enumerate(described.shape) if d != described.batch_axis)
        if layout is not None:
            kept = (layout.ciphertext_count,)
        limbs, degree = len(self.params.level_moduli(argument.level)), self.params.ring.degree
        blocks = 1 if described.batch_axis is None else self.plan.blocks
        expected = (blocks, *kept, 2, limbs, degree)
        if argument.view is not None or argument.data.shape != expected:
            raise ValueError(
                f"an encrypted array holds residues of shape {argument.data.shape}, and the program needs "
                f"{expected}; it was altered, or is the result of a program: encrypt the data again."
            )
        if is_concrete(argument.data):
            with jax.ensure_compile_time_eval():  # it may be closed over by a function under jit
                check_residues(argument.data, self.params.level_moduli(argument.level), "the encrypted array")

    def _circuit(self, arguments: Sequence) -> SpecialisedCircuit:
        """The steps and leaves of this call: planned ones, or anew for the values of plain arguments."""
        described = self.source.graph.arguments
        plain = [check_plain(a, v) for a, v in zip(described, arguments, strict=True) if isinstance(a, Plain)]
        if plain:
            return specialise(self.plan, self.source, plain)
        circuit = Circuit(self.plan.steps, self.leaves, self.plan.outputs, self.readings)
        return SpecialisedCircuit(self.source.graph, self.source.lowered, circuit)
