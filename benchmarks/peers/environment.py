"""The peers' own Python environments, made once and kept in a cache folder of the user's."""

import dataclasses
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

PEERS = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Environment:
    """One peer's packages, and the CPythons that their wheels are for, the preferred first."""

    name: str
    requirements: tuple[str, ...]
    pythons: tuple[str, ...]
    platforms: tuple[tuple[str, str], ...] = (("linux", "x86_64"),)


# The 22.4 in the version is the Ubuntu the wheel was built on, and fixes CPython at 3.10.
OPENFHE = Environment("openfhe", ("openfhe==1.6.1.0.22.4", "numpy==2.2.6"), ("3.10",))
TENSEAL = Environment("tenseal", ("tenseal==0.3.18", "numpy==2.2.6"), ("3.12", "3.11", "3.13"))


def cache_folder() -> pathlib.Path:
    """Where the environments are kept: `$XDG_CACHE_HOME/fhejax/peers`, or under `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(root) / "fhejax" / "peers"


def find_python(version: str) -> pathlib.Path | None:
    """A working CPython of this version ("3.10") of pyenv's or on PATH, or None."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    found = sorted((pyenv / "versions").glob(f"{version}*/bin/python{version}"), reverse=True)
    on_path = shutil.which(f"python{version}")
    candidates = [*found, *([pathlib.Path(on_path)] if on_path else [])]
    return next((python for python in candidates if _is_cpython(python, version)), None)


def _is_cpython(python: pathlib.Path, version: str) -> bool:
    """Ask the interpreter itself: pyenv's shims exist for versions that are not selected."""
    code = "import sys; print(sys.implementation.name, *sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", code], check=False, capture_output=True, text=True)
    except OSError:
        return False
    return answer.stdout.split() == ["cpython", *version.split(".")]


def environment_python(environment: Environment, folder: pathlib.Path | None = None) -> pathlib.Path:
    """The interpreter of a peer's environment, which is made if it is not there.

    `folder` holds the environments (default: `cache_folder()`). Needs a platform that the peer's
    wheels are for, one of its CPythons (or uv, which fetches one) and, the first time, a package
    index; raises RuntimeError that says so otherwise.
    """
    place = (folder or cache_folder()) / environment.name
    python, stamp = place / "bin" / "python", place / "requirements.json"
    if stamp.is_file() and json.loads(stamp.read_text()) == list(environment.requirements):
        return python
    _check_platform(environment)
    _create(environment, place)
    install = [python, "-m", "pip", "install", "--quiet", *environment.requirements]
    _command(install, f"install {environment.requirements[0]}")
    stamp.write_text(json.dumps(environment.requirements))
    return python


def _check_platform(environment: Environment) -> None:
    found = (sys.platform, platform.machine())
    if found not in environment.platforms:
        wanted = " or ".join(" on ".join(pair) for pair in environment.platforms)
        raise RuntimeError(
            f"The comparison with {environment.requirements[0]} runs on {wanted} alone; this machine is "
            f"{found[0]} on {found[1]}. Run it on such a machine, or leave it out."
        )


def _create(environment: Environment, place: pathlib.Path) -> None:
    python = next(filter(None, map(find_python, environment.pythons)), None)
    uv = shutil.which("uv")
    if python is not None:
        _command([python, "-m", "venv", "--clear", place], "make an environment")
    elif uv is not None:
        shutil.rmtree(place, ignore_errors=True)
        _command([uv, "venv", "--seed", "--python", environment.pythons[0], place], "make an environment")
    else:
        raise RuntimeError(
            f"The comparison with {environment.requirements[0]} needs CPython "
            f"{' or '.join(environment.pythons)}, because there is a wheel for no other; none was found "
            f"in pyenv's versions or on PATH, and uv is not there to fetch one. Install it, for "
            f"example with `pyenv install {environment.pythons[0]}`."
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


def _script(script: str | pathlib.Path) -> pathlib.Path:
    path = pathlib.Path(script)
    path = path if path.is_absolute() else PEERS / path
    if not path.is_file():
        raise ValueError(f"There is no peer script {path.name!r} in the folder of peers.")
    return path


def _threads(threads: int) -> dict[str, str]:
    if threads < 1:
        raise ValueError(f"{threads} threads were asked for; at least 1 is needed.")
    return _variables(OMP_NUM_THREADS=str(threads))


def run_peer(
    script: str | pathlib.Path,
    arguments: Sequence[str] = (),
    threads: int = 1,
    folder: pathlib.Path | None = None,
    environment: Environment = OPENFHE,
) -> dict[str, Any]:
    """Run a peer's script with `OMP_NUM_THREADS=threads`; returns the JSON object it prints.

    `script` is a path, or a file name in this folder. What the script writes on standard error
    (progress) goes to the caller's. Raises RuntimeError where it fails or prints no JSON.
    """
    path, variables = _script(script), _threads(threads)
    command = [environment_python(environment, folder), path, *arguments]
    answer = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, env=variables)
    if answer.returncode:
        raise RuntimeError(f"{path.name} ended with status {answer.returncode}; its own words stand above.")
    return _parsed(answer.stdout, path.name)


def _parsed(text: str, name: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise RuntimeError(f"{name} was to print one JSON object and printed {text[:200]!r}.") from error


class Peer:
    """A peer's script kept running between questions, so that both sides can take turns.

    A context manager. The script answers each line, a JSON object, with another, and ends when its
    standard input does.
    """

    def __init__(self, python: str | pathlib.Path, script: str | pathlib.Path, threads: int = 1) -> None:
        path, variables = _script(script), _threads(threads)
        self.name, self.threads = path.name, threads
        self._process = subprocess.Popen(
            [python, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to one request. Raises RuntimeError where the script has ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"{self.name} ended while {request} was asked; its own words stand above.")
        return _parsed(line, self.name)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()


def start_peer(environment: Environment, script: str | pathlib.Path, threads: int = 1) -> Peer:
    """A script of this folder running in its environment, made if need be."""
    return Peer(environment_python(environment), script, threads)
