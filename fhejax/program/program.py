"""`Program`: the client's and the server's half of a compiled function."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext, EvaluationKeys, Scale, SecretKey
from fhejax.ckks.types import check_residues, check_same_key, is_concrete
from fhejax.program.arguments import Encrypted, Plain, check_plain, check_values
from fhejax.program.circuit import Circuit, Source, retrace, specialise
from fhejax.program.client import decrypt_entries, encrypt_entries
from fhejax.program.encrypted_array import AffineView, EncryptedArray
from fhejax.program.execute import run
from fhejax.program.graph import Tensor
from fhejax.program.oracles import (
    entries_of,
    evaluate,
    result_of,
    sample_entries,
    view_values,
)
from fhejax.program.plan import Plan
from fhejax.program.report import report
from fhejax.program.steps import Step
from fhejax.program.trace import Graph, Output
from fhejax.program.verification import Verification, verify


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Program:
    """A compiled function: a pytree whose leaves are the encoded weights.

    leaves: int32 weights and indices, uint32 residues. plan: parameters and steps. source: the graph.
    """

    leaves: tuple[jax.Array, ...]
    plan: Plan = dataclasses.field(metadata={"static": True})
    source: Source = dataclasses.field(metadata={"static": True})

    @property
    def params(self) -> ckks.Parameters:
        """The CKKS parameters."""
        return self.plan.params

    def report(self) -> str:
        """Parameters, security, depth, keys, bytes, predicted time and precision, and every step."""
        return report(self.plan, self._arguments, self.source.graph)

    def keygen(self) -> tuple[SecretKey, EvaluationKeys]:
        """A new secret key, and what the server needs; randomness from the operating system.

        The evaluation keys hold a relinearisation key only if the program needs one.
        """
        secret_random, evaluation_random = jax.random.split(ckks.random_key())
        secret = ckks.secret_key(secret_random, self.params)
        keys = ckks.evaluation_keys(
            evaluation_random,
            secret,
            relinearise=self.plan.relinearises,
            level=self.plan.relinearisation_level,
        )
        return secret, keys

    def encrypt(self, secret: SecretKey, *values: Any) -> Any:
        """Encrypt the encrypted arguments, in order: one EncryptedArray, or a tuple of them.

        Args:
            secret: from `keygen` of this program.
            *values: arrays of the planned shapes (pytrees, where the function takes those); fewer samples
                than planned are padded.

        Raises:
            ValueError, TypeError: wrong shape or dtype, NaN, values outside the planned range, more samples
                than planned, or a secret key of other parameters.
        """
        described = self._arguments
        self._check_parameters(secret, "the secret key")
        flat, nesting = self._flatten(values, described, "encrypt")
        checked = [check_values(a, v) for a, v in zip(described, flat, strict=True)]
        sample_entries(described, checked)
        arrays = [self._encrypt(secret, a, v) for a, v in zip(described, checked, strict=True)]
        nested = jax.tree.unflatten(nesting, arrays)
        return nested[0] if len(nested) == 1 else nested

    def __call__(self, keys: EvaluationKeys, *arguments: Any) -> Any:
        """Run on the arguments in order, encrypted or plain; the result is nested like the function's.

        Called directly a program of up to 64 steps is compiled as one function of pytrees, a longer one
        kernel by kernel; jax.jit, jax.vmap and sharding apply as to any function.

        Raises:
            ValueError: keys or ciphertexts of other parameters or another secret, a missing
                relinearisation key, altered residues, or a wrong number of arguments.
        """
        arguments, _ = self._flatten(arguments, self.source.graph.arguments, "call")
        self._check_call(keys, arguments)
        encrypted = [a for a in arguments if isinstance(a, EncryptedArray)]
        circuit = self._circuit(arguments)
        holders = [a if isinstance(a, EncryptedArray) else None for a in arguments]
        execute = _run_compiled if len(circuit.steps) <= _LONGEST_COMPILED else _run_block
        results = [
            execute(circuit.steps, circuit.leaves, keys, holders, np.int32(block), circuit.registers)
            for block in range(encrypted[0].data.shape[0])
        ]
        samples = min(a.samples for a in encrypted)
        parts = iter(zip(*results, strict=True))
        outputs = [
            _collect(next(parts), samples, output)
            if isinstance(output.value, Tensor)
            else jnp.asarray(output.value)
            for output in circuit.outputs
        ]
        return jax.tree.unflatten(self.source.graph.results, outputs)

    def decrypt(self, secret: SecretKey, results: Any) -> Any:
        """The function's result: NumPy arrays of its shape and dtype (only the samples encrypted).

        Raises:
            ValueError: a secret key that does not open the result, or altered residues.
        """
        self._check_parameters(secret, "the secret key")
        return jax.tree.map(
            lambda r: _decrypt(secret, r) if isinstance(r, EncryptedArray) else np.asarray(r),
            results,
            is_leaf=lambda r: isinstance(r, EncryptedArray),
        )

    def simulate(self, *values: Any) -> Any:
        """The function in fixed point without cryptography: weights rounded as the program rounds them."""
        return self._oracle(values, fixed=True)

    def clear(self, *values: Any) -> Any:
        """The function in the clear, in float64, from the same graph."""
        return self._oracle(values, fixed=False)

    def verify(self, *values: Any) -> Verification:
        """Run with new keys and compare each layer: in the clear, in fixed point, and encrypted."""
        secret, keys = self.keygen()
        values, _ = self._flatten(values, self.source.graph.arguments, "verify")
        entries = self._entries(values)
        arguments = [
            self._encrypt(secret, a, check_values(a, v)) if isinstance(a, Encrypted) else v
            for a, v in zip(self.source.graph.arguments, values, strict=True)
        ]
        return verify(
            self.plan,
            self._graph(values),
            self.source.lowered.rounding,
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
        """Values flat, one for each of the described arguments, and how they are nested.

        Raises:
            ValueError: when they are not nested like the function's arguments.
        """
        known = [a if a in described else None for a in self.source.graph.arguments]
        nested = jax.tree.unflatten(self.source.inputs, known)
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
        """Every argument as [size, sample]; plain ones are empty, for they are in the graph."""
        pairs = list(zip(self.source.graph.arguments, values, strict=True))
        checked = [check_values(a, v) for a, v in pairs if isinstance(a, Encrypted)]
        entries = iter(sample_entries(self._arguments, checked))
        return [next(entries) if isinstance(a, Encrypted) else np.zeros((0, 0)) for a, _ in pairs]

    def _oracle(self, values: tuple, fixed: bool) -> Any:
        values, _ = self._flatten(values, self.source.graph.arguments, "the oracle")
        graph = self._graph(values)
        rounding = self.source.lowered.rounding if fixed else None
        known = evaluate(graph, self._entries(values), rounding=rounding)
        outputs = [result_of(o, known).astype(o.dtype) for o in graph.outputs]
        return jax.tree.unflatten(graph.results, outputs)

    def _graph(self, values: Sequence) -> Graph:
        """The graph for these values of the plain arguments."""
        described = self.source.graph.arguments
        pairs = zip(described, values, strict=True)
        plain = [check_plain(a, v) for a, v in pairs if isinstance(a, Plain)]
        return retrace(self.source, plain) if plain else self.source.graph

    def _encrypt(self, secret: SecretKey, argument: Encrypted, array: np.ndarray) -> EncryptedArray:
        """Slots without a sample hold a number of the range, so that nothing there overflows."""
        axis, slots = argument.batch_axis, self.params.slots
        samples = self.plan.batch if axis is None else array.shape[axis]
        entries = entries_of(array, axis, self.plan.batch)
        filler = float(np.clip(0.0, *argument.range))
        padded = np.full((len(entries), self.plan.blocks * slots), filler)
        padded[:, : entries.shape[1]] = entries
        scale = Scale.of(2.0**self.plan.settings.input_bits)
        random = jax.random.split(ckks.random_key(), self.plan.blocks)
        blocks = []
        for block in range(self.plan.blocks):
            part = padded[:, block * slots : (block + 1) * slots]
            blocks.append(encrypt_entries(random[block], secret, part, scale))
        shape = tuple(s for d, s in enumerate(argument.shape) if d != axis)
        data = jnp.stack(blocks)
        data = data.reshape(data.shape[0], *shape, *data.shape[2:])
        return EncryptedArray(
            data,
            secret.key_id,
            None,
            self.params,
            self.params.depth,
            scale,
            argument.shape,
            axis,
            samples,
            argument.dtype,
        )

    def _check_parameters(self, holder: Any, what: str) -> None:
        if holder.params != self.params:
            raise ValueError(
                f"{what} was made for {holder.params}, and this program has {self.params}; make keys with "
                f"this program's keygen()."
            )

    def _check_call(self, keys: EvaluationKeys, arguments: Sequence) -> None:
        if not isinstance(keys, EvaluationKeys):
            raise TypeError(
                f"a program was called with a {type(keys).__name__} as its first argument; it needs the "
                f"evaluation keys from keygen(), then the encrypted arguments."
            )
        self._check_parameters(keys, "the evaluation keys")
        described = self.source.graph.arguments
        for argument, description in zip(arguments, described, strict=True):
            if isinstance(description, Encrypted):
                self._check_argument(argument, description)
                check_same_key(keys, argument)
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

    def _check_argument(self, argument: Any, described: Encrypted) -> None:
        if not isinstance(argument, EncryptedArray):
            raise TypeError(
                f"a program was called with a {type(argument).__name__} where it needs an EncryptedArray; "
                f"encrypt the data with program.encrypt(secret, data) first."
            )
        self._check_parameters(argument, "the encrypted array")
        scale = Scale.of(2.0**self.plan.settings.input_bits)
        found = (argument.shape, argument.batch_axis, argument.level, argument.scale)
        if found != (described.shape, described.batch_axis, self.params.depth, scale):
            raise ValueError(
                f"an encrypted array of shape {argument.shape}, batch axis {argument.batch_axis}, level "
                f"{argument.level} and scale {argument.scale} was passed where the program needs "
                f"{described.shape}, {described.batch_axis}, {self.params.depth} and {scale}; encrypt it "
                f"with this program."
            )
        kept = tuple(s for d, s in enumerate(described.shape) if d != described.batch_axis)
        limbs, degree = len(self.params.level_moduli(argument.level)), self.params.ring.degree
        expected = (self.plan.blocks, *kept, 2, limbs, degree)
        if argument.view is not None or argument.data.shape != expected:
            raise ValueError(
                f"an encrypted array holds residues of shape {argument.data.shape}, and the program needs "
                f"{expected}; it was altered, or is the result of a program: encrypt the data again."
            )
        if is_concrete(argument.data):
            with jax.ensure_compile_time_eval():  # it may be closed over by a function under jit
                check_residues(argument.data, self.params.level_moduli(argument.level), "the encrypted array")

    def _circuit(self, arguments: Sequence) -> Circuit:
        """The steps and leaves of this call: planned ones, or anew for the values of plain arguments."""
        described = self.source.graph.arguments
        plain = [check_plain(a, v) for a, v in zip(described, arguments, strict=True) if isinstance(a, Plain)]
        if plain:
            return specialise(self.plan, self.source, plain)
        return Circuit(self.plan.steps, self.leaves, self.plan.outputs, self.source.graph.outputs)


def _run_block(
    steps: tuple[Step, ...],
    leaves: tuple[jax.Array, ...],
    keys: EvaluationKeys,
    arguments: Sequence[EncryptedArray | None],
    block: Any,
    registers: tuple[int, ...],
) -> list[Ciphertext]:
    """One block of every argument through the steps."""
    flat = [None if a is None else a.flat(block) for a in arguments]
    return run(steps, leaves, keys, flat, registers)


# One compiled function, with weights and keys as its arguments: for a short program this compiles and
# runs faster than its kernels one by one (CryptoNets on two cores: 5 s and 1.0 s, not 7 s and 1.6 s), since
# memory is reused between steps; a long one would take minutes to compile.
_LONGEST_COMPILED = 64
_run_compiled = functools.partial(jax.jit, static_argnames=("steps", "registers"))(_run_block)


def _collect(blocks: Sequence[Ciphertext], samples: int, output: Output) -> EncryptedArray:
    """One result's blocks with the view through which they are read."""
    first, view = blocks[0], output.value
    described = AffineView(
        jnp.asarray(view.entries.astype(np.int32)),
        jnp.asarray(view.multiplier.astype(np.float32)),
        jnp.asarray(view.offset.astype(np.float32)),
    )
    return EncryptedArray(
        jnp.stack([block.data for block in blocks]),
        first.key_id,
        described,
        first.params,
        first.level,
        first.scale,
        output.shape,
        view.batch_axis,
        samples,
        output.dtype,
    )


def _decrypt(secret: SecretKey, result: EncryptedArray) -> np.ndarray:
    """A result, or an encrypted argument, in the clear."""
    check_same_key(secret, result)
    blocks = [decrypt_entries(secret, result.flat(b)) for b in range(result.data.shape[0])]
    values = np.concatenate(blocks, 1)[:, : result.samples]
    shape = tuple(s for d, s in enumerate(result.shape) if d != result.batch_axis)
    view = result.view or AffineView(np.arange(len(values)).reshape(shape), np.ones(shape), np.zeros(shape))
    arrays = (np.asarray(a) for a in (view.entries, view.multiplier, view.offset))
    tensor = Tensor(-1, *arrays, result.batch_axis, result.samples)
    return view_values(tensor, values).astype(result.dtype)
