"""The folder of an encrypted loop or call: the results of turns or steps, so that it can go on later."""

import dataclasses
import hashlib
import io
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fhejax.ckks import Ciphertext, Parameters, files
from fhejax.ckks.files.atomic_file import replaced
from fhejax.ckks.files.container import Kind
from fhejax.ckks.memory_maps import blank, pieces
from fhejax.program.circuit.steps.call import Keys
from fhejax.program.files.files import load, save
from fhejax.program.files.payload import write_object
from fhejax.program.run.encrypted_array import EncryptedArray
from fhejax.program.run.finished_results import Place
from fhejax.program.server_program import ServerProgram

_WORDS_OF_A_KEY = 64
_IDENTITY = "run.sha256"
_RESULT = re.compile(r"block-(\d{3,})-step-(\d{4,})-tile-(\d{4,})\.fhe")


class RunFolder:
    """A folder with a file for each turn of one run, or for results within a call; each appears whole or not.

    Attributes:
        path: of the folder.
        params: of the ciphertexts in it.
    """

    def __init__(self, path: str | os.PathLike, params: Parameters, identity: str) -> None:
        """Make the folder, or go on with it.

        Args:
            path: of the folder.
            params: of the ciphertexts.
            identity: of the run.

        Raises:
            ValueError: a folder of another run. OSError.
        """
        self.path, self.params = Path(path), params
        self.path.mkdir(parents=True, exist_ok=True)
        known = self.path / _IDENTITY
        if not known.exists():
            if any(self.path.glob("turn-*.fhe")) or self.places():
                raise ValueError(
                    f"the folder {self.path} holds turns or results of an unknown run; name an empty one."
                )
            with replaced(known, 0o666) as stream:
                stream.write(identity.encode())
        elif known.read_text() != identity:
            raise ValueError(
                f"the folder {self.path} holds a run of another program, or with other keys or arguments; "
                f"name an empty folder, or call the program of that run with its keys and arguments."
            )

    def turn(self, number: int, compute: Callable[[], Any]) -> Any:
        """The results of a turn, computed and written where their file is missing.

        Args:
            number: of the turn, from 1.
            compute: makes them.

        Raises:
            FormatError: a file that was altered. OSError.
        """
        path = self.path / f"turn-{number:06}.fhe"
        if not path.exists():
            save(path, compute())
        return load(path, self.params)

    def places(self) -> frozenset[Place]:
        """The block, the step and the tile of each result of a call that is there."""
        found = (_RESULT.fullmatch(path.name) for path in self.path.iterdir())
        return frozenset((int(name[1]), int(name[2]), int(name[3])) for name in found if name)

    def read(self, place: Place) -> Ciphertext:
        """The result at a place.

        Raises:
            FormatError: a file that was altered. OSError.
        """
        found = files.load(self._result(place), self.params)
        if not isinstance(found, Ciphertext):
            raise files.FormatError(f"the file {self._result(place)} holds no ciphertexts; it was altered.")
        return found

    def write(self, place: Place, result: Ciphertext) -> None:
        """Write a result to its file."""
        files.save(self._result(place), result)

    def remove(self, place: Place) -> None:
        """Remove the file of a result."""
        self._result(place).unlink(missing_ok=True)

    def blank(self, shape: tuple[int, ...]) -> np.ndarray:
        """An array uint32 of zeros in a file of the folder that vanishes with it."""
        return blank(self.path, np.dtype("<u4"), shape)

    def _result(self, place: Place) -> Path:
        block, step, tile = place
        return self.path / f"block-{block:03}-step-{step:04}-tile-{tile:04}.fhe"


def call_folder(
    path: str | os.PathLike, server: ServerProgram, keys: Keys, arguments: Sequence[Any]
) -> RunFolder:
    """The folder of one call of a program.

    Args:
        path: of the folder.
        server: that is called.
        keys: of the call.
        arguments: flat.

    Raises:
        ValueError: a folder of another call. OSError.
    """
    return RunFolder(path, server.params, identity_of_run(server, b"call", keys, arguments, []))


def identity_of_run(
    server: ServerProgram, loop: bytes, keys: Keys, arguments: Sequence[Any], known: Sequence[np.ndarray]
) -> str:
    """The digest, in hexadecimal digits, of all that decides on the results of a loop.

    Of evaluation keys, which may take gigabytes, it takes a few words of each array: they are random.

    Args:
        server: the half of the step's program that computes.
        loop: the digest of what the loop computes.
        keys: of the run.
        arguments: flat; encrypted or plain.
        known: what turns take besides.
    """
    stream = io.BytesIO()
    write_object(stream, Kind.SERVER_PROGRAM, _without_predictions(server), server.params)
    found = hashlib.sha256(stream.getvalue())
    found.update(loop)
    for array in jax.tree.leaves(keys):
        first = (slice(1),) * (array.ndim - 1) + (slice(_WORDS_OF_A_KEY),)
        _add(found, np.asarray(array[first] if array.ndim else array))
    for argument in arguments:
        is_encrypted = isinstance(argument, EncryptedArray)
        parts = (argument.data, argument.seeds, argument.key_id) if is_encrypted else (argument,)
        for part in parts:
            _add(found, np.asarray(0 if part is None else part))
    for array in known:
        _add(found, array)
    return found.hexdigest()


def _without_predictions(server: ServerProgram) -> ServerProgram:
    """The server's half without what is only told of it, whose last bits differ between machines."""
    plan, settings = server.plan, server.plan.settings
    told = {field.name: None for field in dataclasses.fields(plan) if not field.compare}
    settings = dataclasses.replace(settings, bootstrap_error=0.0)
    return dataclasses.replace(server, plan=dataclasses.replace(plan, settings=settings, **told))


def _add(found: Any, array: np.ndarray) -> None:
    """Add an array to a digest, with its type and shape."""
    found.update(f"{array.dtype}{array.shape}".encode())
    for part in pieces(np.atleast_1d(array), 0):
        found.update(np.ascontiguousarray(part).view(np.uint8).data)
