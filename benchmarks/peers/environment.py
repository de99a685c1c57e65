"""The peers' own Python environments, made once and kept in a cache folder of the user's."""

import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

# The 22.4 in the version is the Ubuntu the wheel was built on, and fixes CPython at 3.10.
OPENFHE = "openfhe==1.6.1.0.22.4"
REQUIREMENTS = (OPENFHE, "numpy==2.2.6")
PEERS = pathlib.Path(__file__).resolve().parent


def cache_folder() -> pathlib.Path:
    """Where the environments are kept: `$XDG_CACHE_HOME/fhejax/peers`, or under `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(root) / "fhejax" / "peers"


def find_python310() -> pathlib.Path | None:
    """A working CPython 3.10 of pyenv's or on PATH, or None."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    found = sorted((pyenv / "versions").glob("3.10*/bin/python3.10"), reverse=True)
    on_path = shutil.which("python3.10")
    candidates = [*found, *([pathlib.Path(on_path)] if on_path else [])]
    return next((python for python in candidates if _is_cpython310(python)), None)


def _is_cpython310(python: pathlib.Path) -> bool:
    """Ask the interpreter itself: pyenv's shims exist for versions that are not selected."""
    code = "import sys; print(sys.implementation.name, *sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", code], check=False, capture_output=True, text=True)
    except OSError:
        return False
    return answer.stdout.split() == ["cpython", "3", "10"]


def openfhe_python(folder: pathlib.Path | None = None) -> pathlib.Path:
    """The interpreter of an environment with OpenFHE 1.6.1, which is made if it is not there.

    `folder` holds the environments (default: `cache_folder()`). Needs Linux on x86-64, CPython
    3.10 (or uv, which fetches one) and, the first time, a package index; says so otherwise.
    """
    environment = (folder or cache_folder()) / "openfhe"
    python, stamp = environment / "bin" / "python", environment / "requirements.json"
    if stamp.is_file() and json.loads(stamp.read_text()) == list(REQUIREMENTS):
        return python
    _check_platform()
    _create(environment)
    _command([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], "install " + OPENFHE)
    stamp.write_text(json.dumps(REQUIREMENTS))
    return python


def _check_platform() -> None:
    found = (sys.platform, platform.machine())
    if found != ("linux", "x86_64"):
        raise RuntimeError(
            f"OpenFHE's wheel {OPENFHE} exists for Linux on x86-64 alone; this machine is "
            f"{found[0]} on {found[1]}. Run the comparison on such a machine, or leave it out."
        )


def _create(environment: pathlib.Path) -> None:
    python, uv = find_python310(), shutil.which("uv")
    if python is not None:
        _command([python, "-m", "venv", "--clear", environment], "make an environment")
    elif uv is not None:
        shutil.rmtree(environment, ignore_errors=True)
        _command([uv, "venv", "--seed", "--python", "3.10", environment], "make an environment")
    else:
        raise RuntimeError(
            f"The comparison with OpenFHE needs CPython 3.10, because {OPENFHE} holds a module "
            "for no other; none was found in pyenv's versions or on PATH, and uv is not there "
            "to fetch one. Install it, for example with `pyenv install 3.10`."
        )


def _command(command: Sequence[str | pathlib.Path], purpose: str) -> None:
    answer = subprocess.run(command, check=False, capture_output=True, text=True, env=_variables())
    if answer.returncode:
        raise RuntimeError(f"Could not {purpose} for the peer: {answer.stderr.strip()[-2000:]}")


def _variables(**added: str) -> dict[str, str]:
    """The caller's variables without those that would lead Python to the caller's packages."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | added


def run_peer(
    script: str | pathlib.Path,
    arguments: Sequence[str] = (),
    threads: int = 1,
    folder: pathlib.Path | None = None,
) -> dict[str, Any]:
    """Run a peer's script with `OMP_NUM_THREADS=threads`; returns the JSON object it prints.

    `script` is a path, or a file name in this folder. What the script writes on standard error
    (progress) goes to the caller's. Raises RuntimeError where it fails or prints no JSON.
    """
    path = pathlib.Path(script)
    path = path if path.is_absolute() else PEERS / path
    if not path.is_file():
        raise ValueError(f"There is no peer script {path.name!r} in the folder of peers.")
    if threads < 1:
        raise ValueError(f"{threads} threads were asked for; at least 1 is needed.")
    command = [openfhe_python(folder), path, *arguments]
    variables = _variables(OMP_NUM_THREADS=str(threads))
    answer = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, env=variables)
    if answer.returncode:
        raise RuntimeError(f"{path.name} ended with status {answer.returncode}; its own words stand above.")
    return _parsed(answer.stdout, path.name)


def _parsed(text: str, name: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise RuntimeError(f"{name} was to print one JSON object and printed {text[:200]!r}.") from error
