"""The folder of an encrypted run: keys, uploads and the result of each call, so that it can go on later.

All files appear whole or not at all. Keys and uploads are read again, never made again, and a server computes
the same bits whenever it runs: a run that is stopped anywhere ends with the ciphertexts of one that is not.
"""

from pathlib import Path
from typing import Any

import fhejax
from fhejax import ckks
from fhejax.ckks import SecretKey
from fhejax.ckks.bootstrapping import BootstrappingKeys, bootstrapping_circuit
from fhejax.ckks.files import (
    load_bootstrapping_keys,
    load_secret_key,
    save_bootstrapping_keys,
    save_secret_key,
)


def check_program(folder: Path, program: fhejax.Program) -> None:
    """Write the program's file into a folder, or refuse a folder that holds another one.

    Raises:
        SystemExit: a folder of a run with another program.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known, now = folder / "server.fhe", folder / "server.new"
    program.save_server(now)
    if known.exists() and known.read_bytes() != now.read_bytes():
        now.unlink()
        raise SystemExit(
            f"the folder {folder} holds a run of another program: other arguments of the experiment, data or "
            f"versions. Name an empty folder, or give the arguments of that run."
        )
    now.replace(known)


def keys_of(folder: Path, program: fhejax.Program) -> tuple[SecretKey, BootstrappingKeys]:
    """The keys in a folder, made and written where they are missing.

    Args:
        folder: of the run; the secret key is in a file that its owner alone may read.
        program: with bootstraps.
    """
    parameters = program.plan.bootstrapping
    assert parameters is not None  # as every program that carries its results has
    secret_file, keys_file = folder / "secret.key", folder / "keys.fhe"
    if not secret_file.exists():
        save_secret_key(secret_file, ckks.secret_key(ckks.random_key(), program.params))
    secret = load_secret_key(secret_file)
    if not keys_file.exists():
        save_bootstrapping_keys(keys_file, ckks.random_key(), secret, parameters, program.plan.manifest)
    return secret, load_bootstrapping_keys(keys_file, bootstrapping_circuit(parameters))


def uploads_of(folder: Path, program: fhejax.Program, secret: SecretKey, values: tuple) -> Any:
    """The encrypted arguments in a folder, made and written where they are missing."""
    path = folder / "upload.fhe"
    if not path.exists():
        fhejax.save(path, program.encrypt(secret, *values))
    return fhejax.load(path, program.params)


def result_of_call(folder: Path, number: int, program: fhejax.Program, *call: Any) -> Any:
    """The result of a call in a folder, computed and written where it is missing.

    Args:
        folder: of the run.
        number: of the call, from 1.
        program: to be called.
        *call: evaluation keys and arguments.
    """
    path = folder / f"call-{number:04}.fhe"
    if not path.exists():
        fhejax.save(path, program(*call))
    return fhejax.load(path, program.params)
