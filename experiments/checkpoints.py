"""The folder of an encrypted run: keys, uploads and the result of each call, so that it can go on later.

All files appear whole or not at all. Keys and uploads are read again, never made again, and a server computes
the same bits whenever it runs: a run that is stopped anywhere ends with the ciphertexts of one that is not.
"""

import filecmp
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fhejax
from fhejax import ckks
from fhejax.ckks import EvaluationKeys, SecretKey
from fhejax.ckks.bootstrapping import BootstrappingKeys, bootstrapping_circuit
from fhejax.ckks.files import (
    load_bootstrapping_keys,
    load_secret_key,
    save_bootstrapping_keys,
    save_evaluation_keys,
    save_secret_key,
)
from fhejax.ckks.keys import generate_evaluation_keys


def check_program(folder: Path, program: fhejax.Program) -> None:
    """Write the program's file into a folder, or refuse a folder that holds another one.

    Raises:
        SystemExit: a folder of a run with another program.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known, now = folder / "server.fhe", folder / "server.new"
    program.save_server(now)
    if known.exists() and not filecmp.cmp(known, now, shallow=False):
        now.unlink()
        raise SystemExit(
            f"the folder {folder} holds a run of another program: other arguments of the experiment, data or "
            f"versions. Name an empty folder, or give the arguments of that run."
        )
    now.replace(known)


def keys_of_run(
    folder: Path | None, program: fhejax.Program
) -> tuple[SecretKey, EvaluationKeys | BootstrappingKeys]:
    """New keys without a folder; else those of a folder that holds a run of this program, or none yet.

    Raises:
        SystemExit: a folder of a run with another program.
    """
    if folder is None:
        return program.keygen()
    check_program(folder, program)
    return keys_of(folder, program)


def keys_of(folder: Path, program: fhejax.Program) -> tuple[SecretKey, EvaluationKeys | BootstrappingKeys]:
    """The keys in a folder, made and written where they are missing.

    Args:
        folder: of the run; the secret key is in a file that its owner alone may read.
        program: with or without bootstraps.
    """
    secret_file, keys_file = folder / "secret.key", folder / "keys.fhe"
    if not secret_file.exists():
        save_secret_key(secret_file, ckks.secret_key(ckks.random_key(), program.params))
    secret = load_secret_key(secret_file)
    bootstrapping, manifest = program.plan.bootstrapping, program.plan.manifest
    if not keys_file.exists():
        key = ckks.random_key()
        if bootstrapping is None:  # one key after another, so that not all of them are in memory
            keys = generate_evaluation_keys(key, secret, manifest)
            save_evaluation_keys(keys_file, program.params, secret.key_id, keys)
        else:
            save_bootstrapping_keys(keys_file, key, secret, bootstrapping, manifest)
    if bootstrapping is None:
        return secret, fhejax.load(keys_file, program.params)
    return secret, load_bootstrapping_keys(keys_file, bootstrapping_circuit(bootstrapping))


def uploads_of(folder: Path, program: fhejax.Program, secret: SecretKey, values: tuple) -> Any:
    """The encrypted arguments in a folder, made and written where they are missing."""
    return kept(folder / "upload.fhe", program, lambda: program.encrypt(secret, *values))


def result_of_call(folder: Path, number: int, program: fhejax.Program, *call: Any) -> Any:
    """The result of a call in a folder, computed and written where it is missing.

    Args:
        folder: of the run.
        number: of the call, from 1.
        program: to be called.
        *call: evaluation keys and arguments.
    """
    return kept(folder / f"call-{number:04}.fhe", program, lambda: program(*call))


def kept(path: Path, program: fhejax.Program, make: Callable[[], Any]) -> Any:
    """The encrypted arrays of a program in a file, made and written where it is missing.

    Where the program reads arguments from files, they stay there.
    """
    if not path.exists():
        fhejax.save(path, make(), memory_map=program.plan.memory_map)
    return fhejax.load(path, program.params, memory_map=program.plan.memory_map)
