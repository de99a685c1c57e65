"""`LoopProgram`: a loop whose turns are calls of one program, on what the call before returned."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from fhejax import ckks
from fhejax.ckks import PublicKey, SecretKey
from fhejax.program.arguments import Encrypted, Plain, check_plain, check_values
from fhejax.program.circuit.steps.call import Keys
from fhejax.program.client_program import ClientProgram
from fhejax.program.dry_run import DryStep
from fhejax.program.files.files import save_client
from fhejax.program.files.run_folder import RunFolder, identity_of_run
from fhejax.program.files.sizes import file_bytes, result_shapes, upload_bytes
from fhejax.program.halves import expected_arguments
from fhejax.program.program import Program
from fhejax.program.report import report
from fhejax.program.run.encrypted_array import EncryptedArray
from fhejax.program.run.interface import Interface, ResultDescription
from fhejax.program.tensor.loop_steps import EveryTurn, LastTurn, LoopStep
from fhejax.program.tensor.plain_program import PlainArray

Progress = Callable[[Iterable[int]], Iterable[int]]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LoopProgram:
    """A compiled loop of fixed length: each turn is one call of `step`, on what the turn before returned.

    Attributes:
        step: the program of one turn, whose arguments and results are flat; its first results come back as
            the arguments that they replace.
        turn: how arguments and results of the loop become those of a turn.
        described: the descriptions of the loop's arguments, flat.
        inputs: the nesting of the arguments.
    """

    step: Program
    turn: LoopStep
    described: tuple[Encrypted | Plain, ...]
    inputs: Any

    @property
    def params(self) -> ckks.Parameters:
        """The CKKS parameters."""
        return self.step.params

    @property
    def length(self) -> int:
        """The number of turns."""
        return len(self.turn.order)

    @functools.cached_property
    def interface(self) -> Interface:
        """The arguments and results of the whole loop."""
        outputs = tuple(map(self._described_result, self.turn.results))
        return Interface(self.described, self.inputs, outputs, self.turn.nesting)

    @functools.cached_property
    def client(self) -> ClientProgram:
        """The client's half, which encrypts the arguments of the whole loop."""
        client, plan = self.step.client, self.step.plan
        public = all(a.public_key for a in self.interface.encrypted)
        predictions = dataclasses.replace(
            client.predictions,
            upload_bytes=upload_bytes(plan, self.interface),
            public_upload_bytes=upload_bytes(plan, self.interface, public=True) if public else 0,
            download_bytes=self._download_bytes(),
        )
        expected = client.expected + expected_arguments(plan, self.interface.encrypted)
        return dataclasses.replace(
            client, interface=self.interface, expected=expected, predictions=predictions
        )

    def report(self, device: str | None = None) -> str:
        """The text that says all about the loop and the program of one turn; bytes are those of the loop.

        Args:
            device: instead, what one turn would take on the machine of this name; see `Program.report`.

        Raises:
            ValueError: an unknown machine, with the names of all.
        """
        if device is not None:
            return "\n".join((*self._lines(), self.step.report(device)))
        source, plan = self.step.source, self.step.plan
        return "\n".join((*self._lines(), report(self.client, plan, source)))

    def save_client(self, path: str | os.PathLike) -> None:
        """Write the client's half of the loop to a file, which `fhejax.load_client` reads; see `Program`.

        What it decrypts of what the function stacks is a tuple with one array for each slice.

        Raises:
            TypeError: arguments or results nested in classes of the user's own. OSError.
        """
        save_client(path, self.client)

    def keygen(self, *, random: jax.Array | None = None) -> tuple[SecretKey, Keys]:
        """The new keys: a secret one, and what the server needs; see `ClientProgram.keygen`."""
        return self.step.keygen(random=random)

    def evaluation_keys(self, secret: SecretKey, *, random: jax.Array | None = None) -> Keys:
        """What the server needs, under a secret that exists; see `ClientProgram.evaluation_keys`."""
        return self.client.evaluation_keys(secret, random=random)

    def public_key(self, secret: SecretKey) -> PublicKey:
        """A public key, with which arguments can be encrypted; see `ClientProgram.public_key`."""
        return self.client.public_key(secret)

    def encrypt(self, holder: SecretKey | PublicKey, *values: Any, random: jax.Array | None = None) -> Any:
        """The encrypted arguments of the loop, in order; see `ClientProgram.encrypt`.

        What turns read slices of is one array, of which each turn takes its slice.
        """
        return self.client.encrypt(holder, *values, random=random)

    def __call__(
        self,
        keys: Keys,
        *arguments: Any,
        folder: str | os.PathLike | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """The encrypted result of the whole loop, nested like the function's.

        What the function stacks, turn after turn, is a tuple with one encrypted array for each slice.

        Args:
            keys: from `keygen`.
            *arguments: encrypted, from `encrypt`, or plain, in order.
            folder: where each turn's results are written, in a file that appears whole or not at all. A run
                that was stopped, called again with the same program, keys, arguments and folder, goes on
                where it was, and ends with the same ciphertexts.
            progress: wraps the numbers of the turns, such as `tqdm.tqdm`.

        Raises:
            ValueError, TypeError: as a call of a program; or a folder of another run. OSError.
        """
        flat = self._checked(self.interface.flatten(arguments, "call"))
        files = None
        if folder is not None:
            identity = identity_of_run(self.step.server, self.turn.digest, keys, flat, self.turn.known)
            files = RunFolder(folder, self.params, identity)
        turns = range(1, self.length + 1)
        found: list[tuple] = []
        for number in turns if progress is None else progress(turns):
            values = self._values(flat, found[-1] if found else None, number)
            compute = functools.partial(self.step, keys, *values)
            found.append(compute() if files is None else files.turn(number, compute))
        return self._nested(found, tuple)

    def decrypt(self, secret: SecretKey, results: Any) -> Any:
        """The function's result: float64 arrays of its shapes; see `ClientProgram.decrypt`.

        Args:
            secret: from `keygen` of this program.
            results: of a call, or of a file that one was written to.

        Raises:
            ValueError: as of a program, or results of another loop.
        """
        client = self.step.client
        flat = self._flat_results(results)
        opened = [
            np.stack([client.decrypt(secret, one) for one in found])
            if isinstance(source, EveryTurn)
            else client.decrypt(secret, found)
            for source, found in zip(self.turn.results, flat, strict=True)
        ]
        return jax.tree.unflatten(self.turn.nesting, opened)

    def clear(self, *values: Any) -> Any:
        """The function's result in the clear, in float64, from the graph of a turn."""
        return self._oracle(self.step.clear, values)

    def simulate(self, *values: Any) -> Any:
        """The function's result in fixed point without cryptography; see `Program.simulate`."""
        return self._oracle(self.step.simulate, values)

    def dry_run(self, *values: Any) -> list[DryStep]:
        """The results of every turn in the clear, and the errors that encryption will leave in them.

        Each turn's are nested like the function's, as if the loop ended there: with what that turn returns in
        place of what is stacked. No key is made.

        Args:
            *values: as for `encrypt`, and plain ones.

        Raises:
            ValueError: where what goes round leaves its range, with the number of the turn.
        """
        flat = self._numbers(values, "dry_run")
        carried = set(self.turn.carry.values())
        calls = []
        for number in range(1, self.length + 1):
            call = self._values(flat, None, number)
            calls.append(call if number == 1 else [None if n in carried else v for n, v in enumerate(call)])
        return [self._dry_step(step) for step in self.step.dry_run(map(tuple, calls))]

    def __repr__(self) -> str:
        shapes = ", ".join(str(a.shape) for a in self.interface.encrypted)
        return f"LoopProgram({self.length} turns, encrypted {shapes}; {self.params})"

    def _flat_results(self, results: Any) -> list:
        """The results of a call, flat, of which stacked ones have an array for each slice."""
        try:
            flat = self.turn.nesting.flatten_up_to(results)
        except (TypeError, ValueError):
            raise ValueError(
                f"decrypt was given results nested like {jax.tree.structure(results)}; it needs all that a "
                f"call of this program returned, nested like {self.turn.nesting}. For parts of that, use "
                f"program.step.decrypt."
            ) from None
        for source, found in zip(self.turn.results, flat, strict=True):
            whole = isinstance(found, tuple) and len(found) == self.length
            if isinstance(source, EveryTurn) and not whole:
                raise ValueError(
                    f"decrypt was given something else than a tuple of {self.length} results, one for each "
                    f"slice of what the function stacks; give it all that a call of this program returned."
                )
        return flat

    def _checked(self, flat: list) -> list:
        """The arguments of a call; those that all turns read are expanded once, slices by the turn."""
        checked = []
        for number, (argument, value) in enumerate(zip(self.described, flat, strict=True)):
            if not isinstance(argument, Encrypted):
                checked.append(check_plain(argument, value))
                continue
            if isinstance(value, EncryptedArray) and number in self.turn.sliced:
                _check_sliced(argument, value)
            elif isinstance(value, EncryptedArray):
                value = value.expanded()
            checked.append(value)
        return checked

    def _numbers(self, values: tuple, verb: str) -> list[np.ndarray]:
        """The arguments in the clear, flat and checked."""
        pairs = zip(self.described, self.interface.flatten(values, verb), strict=True)
        return [check_values(a, v) if isinstance(a, Encrypted) else check_plain(a, v) for a, v in pairs]

    def _values(self, flat: Sequence, before: Sequence | None, number: int) -> list:
        """The arguments of a turn, from those of the loop and the results of the turn before."""
        place = self.turn.order[number - 1]
        values = [_slice(v, place) if n in self.turn.sliced else v for n, v in enumerate(flat)]
        if before is not None:
            for result, argument in self.turn.carry.items():
                values[argument] = before[result]
        return [*values, *(array[place] for array in self.turn.known)]

    def _nested(self, turns: Sequence[tuple], stack: Callable[[Iterator], Any]) -> Any:
        """The results of the loop from those of all turns, in their order."""
        places = dict(zip(self.turn.order, turns, strict=True))
        by_slice = [places[place] for place in range(self.length)]
        found: list[Any] = []
        for source in self.turn.results:
            if isinstance(source, PlainArray):
                found.append(source.values)
            elif isinstance(source, LastTurn):
                found.append(turns[-1][source.number])
            else:
                found.append(stack(results[source.number] for results in by_slice))
        return jax.tree.unflatten(self.turn.nesting, found)

    def _oracle(self, call: Callable[..., tuple], values: tuple) -> Any:
        flat = self._numbers(values, "the oracle")
        found: list[tuple] = []
        for number in range(1, self.length + 1):
            try:
                found.append(call(*self._values(flat, found[-1] if found else None, number)))
            except ValueError as error:
                raise ValueError(f"turn {number} of the loop in the clear: {error}") from None
        return self._nested(found, lambda results: np.stack([*results]))

    def _dry_step(self, step: DryStep) -> DryStep:
        """The results and errors of a turn, nested like the function's."""
        kinds = self.step.source.interface.outputs
        encrypted = [number for number, output in enumerate(kinds) if output.encrypted]
        errors = dict(zip(encrypted, step.predicted_errors, strict=True))
        sources = [s for s in self.turn.results if not isinstance(s, PlainArray)]
        found = [s.values if isinstance(s, PlainArray) else step.results[s.number] for s in self.turn.results]
        nested = jax.tree.unflatten(self.turn.nesting, found)
        return DryStep(nested, tuple(errors[s.number] for s in sources if s.number in errors))

    def _described_result(self, source: LastTurn | EveryTurn | PlainArray) -> ResultDescription:
        if isinstance(source, PlainArray):
            return ResultDescription(source.shape, np.dtype(source.values.dtype), None, False)
        output = self.step.source.interface.outputs[source.number]
        if isinstance(source, LastTurn):
            return output
        axis = None if output.batch_axis is None else output.batch_axis + 1
        return dataclasses.replace(output, shape=(self.length, *output.shape), batch_axis=axis)

    def _download_bytes(self) -> int:
        """The bytes of the file of the loop's results."""
        shapes = result_shapes(self.step.server)
        nested = self._nested([tuple(shapes)] * self.length, tuple)
        leaves = jax.tree.leaves(nested, is_leaf=lambda leaf: isinstance(leaf, EncryptedArray))
        return file_bytes(nested, leaves, self.params)

    def _lines(self) -> list[str]:
        """The lines of the report on the loop."""
        seconds = self.length * self.step.plan.predicted_seconds
        lines = [
            f"loop          {self.length} turns, each a call of the program below, {seconds:.3g} s in all",
            f"goes round    {self._named(self.turn.carry.values())}",
        ]
        if self.turn.sliced:
            lines.append(f"slices        of {self._named(self.turn.sliced)}")
        if self.turn.known:
            lines.append(f"known         {len(self.turn.known)} plain arrays, which differ from turn to turn")
        return lines

    def _named(self, arguments: Iterable[int]) -> str:
        """The names of some arguments."""
        return ", ".join(self.turn.names[number] for number in sorted(arguments))


def _check_sliced(argument: Encrypted, value: EncryptedArray) -> None:
    """Refuse an array of which turns cannot take the slices that they need."""
    found = value.shape, value.batch_axis
    wanted = tuple(argument.shape), argument.batch_axis
    if found != wanted or value.view is not None or value.data.shape[1:2] != argument.shape[:1]:
        raise ValueError(
            f"an encrypted array of shape {value.shape} and batch axis {value.batch_axis} was passed where "
            f"turns take slices of one of shape {wanted[0]} and batch axis {wanted[1]}; encrypt it with this "
            f"program."
        )


def _slice(value: Any, place: int) -> Any:
    """The slice of an argument that a turn takes; of an encrypted one without its ciphertexts for others."""
    if not isinstance(value, EncryptedArray):
        return value[place]
    return dataclasses.replace(
        value,
        data=value.data[:, place],
        seeds=None if value.seeds is None else value.seeds[:, place],
        shape=value.shape[1:],
        batch_axis=None if value.batch_axis is None else value.batch_axis - 1,
    )
