"""The encrypted run: one compiled call of a few steps, again and again with the weights that it returned."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

import fhejax
from experiments import checkpoints, pipeline
from experiments.encrypted_training.networks import Parameters
from experiments.encrypted_training.oracle import ClearRun
from experiments.encrypted_training.training import Training
from fhejax import ckks
from fhejax.ckks import SecretKey
from fhejax.ckks.files.atomic_file import replaced
from fhejax.program.files.run_folder import RunFolder, identity_of_run
from fhejax.ring.randomness import key_from_bytes

PackingName = Literal["tiles", "sample-per-slot"]
MARGIN = 4.0  # by which values may exceed those of the step at which layers' outputs are largest
_KEY_BYTES = 32


def compile_step(
    training: Training,
    clear: ClearRun,
    packing: PackingName,
    precision_bits: float,
    insecure_log_degree: int | None = None,
) -> fhejax.Program:
    """The program of one call: parameters and momenta that it returns are its next arguments.

    Args:
        training: what is run.
        clear: the oracle, whose call with the largest outputs bounds all values.
        packing: how arrays lie in ciphertexts.
        precision_bits: that each call keeps.
        insecure_log_degree: of a ring without security, for tests.

    Raises:
        SystemExit: a step that no parameters hold, with the reason.
    """
    outputs = [values for name, values in clear.magnitudes.items() if name.startswith("outputs")]
    call = int(np.argmax(np.max(outputs, 0))) // training.steps_per_call
    first = call * training.steps_per_call
    state = jax.tree.map(lambda leaf: leaf[first], (clear.parameters, clear.momenta))
    try:
        return fhejax.compile(
            training.steps_of_call,
            *described_arguments(training),
            carry=(0, 1),
            packing=packing,
            precision_bits=precision_bits,
            sample=tuple(jax.tree.leaves((state, training.batches_of(call)))),
            margin=MARGIN,
            insecure_log_degree=insecure_log_degree,
        )
    except (fhejax.TooDeepError, ValueError) as error:
        raise SystemExit(str(error)) from error


def described_arguments(training: Training) -> tuple[Any, ...]:
    """The descriptions of parameters, momenta, inputs and targets."""

    def carried(values: Parameters, largest: float) -> Parameters:
        bounds = -largest, largest
        return jax.tree.map(lambda a: fhejax.Encrypted(a.shape, range=bounds, batch_axis=None), values)

    recipe, (x, y), count = training.recipe, training.batch(0), training.steps_per_call
    return (
        carried(training.parameters, recipe.parameters),
        carried(training.momenta, recipe.momenta),
        (fhejax.Encrypted(x.shape, range=(-recipe.scale, recipe.scale)),) * count,
        (fhejax.Encrypted(y.shape, range=(0, 1)),) * count,
    )


@dataclass(frozen=True, eq=False)
class Holder:
    """What a run is computed with, the client's and the server's.

    Attributes:
        program: of one call.
        secret: the client's.
        keys: the server's.
        random: the client's, from which every upload's randomness is drawn.
        folder: of the turns' results, or None.
    """

    program: fhejax.Program
    secret: SecretKey
    keys: Any
    random: jax.Array
    folder: RunFolder | None


def holder_of(training: Training, program: fhejax.Program, folder: Path | None) -> Holder:
    """The keys of a run: new ones, or those of its folder.

    Args:
        training: what is run.
        program: of one call.
        folder: of the run, where it is to be resumed after a stop.

    Raises:
        SystemExit: a folder of another run: another program or version, or other keys or data.
    """
    if folder is None:
        return Holder(program, *program.keygen(), ckks.random_key(), None)
    checkpoints.check_program(folder, program)
    secret, keys = checkpoints.keys_of(folder, program)
    known = [training.data.inputs, training.data.targets, training.batches]
    start = jax.tree.leaves((training.parameters, training.momenta))
    random = _random_of(folder)
    try:
        identity = identity_of_run(program.server, b"encrypted training", keys, [], [*known, *start])
        turns = RunFolder(folder / "turns", program.params, identity)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    return Holder(program, secret, keys, random, turns)


def _random_of(folder: Path) -> jax.Array:
    """The random key of all uploads, in a file that its owner alone may read; a new one where it lacks."""
    path = folder / "uploads.key"
    if not path.exists():
        with replaced(path, 0o600) as stream:
            stream.write(os.urandom(_KEY_BYTES))
    return key_from_bytes(path.read_bytes())


def run_calls(
    training: Training, holder: Holder, timed: pipeline.Stages
) -> Iterator[tuple[int, tuple[Any, Any]]]:
    """The encrypted parameters and momenta after each call, with its number, from 1.

    A folder keeps those of the last two calls: a run that was stopped goes on with the last one, and comes to
    the same bits, for its uploads are drawn from one random key and its server draws nothing.

    Args:
        training: what is run.
        holder: with what.
        timed: the stages.
    """
    carried: tuple[Any, Any] | None = None
    for number in range(max(1, last_turn(holder.folder)), training.calls() + 1):
        carried = _after_call(training, holder, timed, number, carried)
        if holder.folder is not None:
            turn_file(holder.folder, number - 2).unlink(missing_ok=True)
        yield number, carried


def _after_call(
    training: Training,
    holder: Holder,
    timed: pipeline.Stages,
    number: int,
    carried: tuple[Any, Any] | None,
) -> tuple[Any, Any]:
    """The encrypted parameters and momenta after a call, computed or read from the folder."""

    def compute() -> tuple[Any, Any]:
        first = (training.parameters, training.momenta) if number == 1 else (None, None)
        values = *first, *training.batches_of(number - 1)
        random = jax.random.fold_in(holder.random, number)
        upload = timed("encrypt", lambda: holder.program.encrypt(holder.secret, *values, random=random))
        state = upload[:2] if carried is None else carried
        return timed("step", holder.program, holder.keys, *state, *upload[2:])

    return compute() if holder.folder is None else holder.folder.turn(number, compute)


def last_turn(folder: RunFolder | None) -> int:
    """The number of the last call whose result is in a folder; 0 for none."""
    if folder is None:
        return 0
    return max((int(path.stem.removeprefix("turn-")) for path in folder.path.glob("turn-*.fhe")), default=0)


def turn_file(folder: RunFolder, number: int) -> Path:
    """The file of a call's result."""
    return folder.path / f"turn-{number:06}.fhe"
