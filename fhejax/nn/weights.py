"""The weights of a model as a safetensors file: checked when read, replaced at once when written."""

import os
import tempfile
from collections.abc import Hashable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import nnx

from fhejax.nn.modules import AnyModule
from fhejax.nn.preparation import PREFIX, Preparation


def save_weights(
    model: nnx.Module,
    path: str | Path,
    dtype: type = np.float32,
    *,
    preparation: Preparation | None = None,
) -> None:
    """Write every parameter and statistic of a model, named by its path (`hidden.kernel`).

    The state of random streams stays out. The file appears whole or not at all: it is written beside
    `path` and renamed.

    Args:
        model: a Flax module.
        path: the file.
        dtype: float32, or float16 for half the size (11 bits of precision).
        preparation: of the images that the model takes, written as it is beside the weights.

    Raises:
        ValueError: another dtype, a weight that is not finite in it, or one with a name of the preparation's.
        FileNotFoundError: the folder does not exist.
    """
    if np.dtype(dtype) not in (np.dtype(np.float32), np.dtype(np.float16)):
        raise ValueError(f"weights are stored as float32 or float16, not {np.dtype(dtype)}.")
    if not Path(path).parent.is_dir():
        raise FileNotFoundError(f"there is no folder {Path(path).parent} to write weights to.")
    arrays = {name: _cast(name, array, dtype) for name, array in _arrays(model).items()}
    if any(name.startswith(PREFIX) for name in arrays):
        raise ValueError(
            f"{type(model).__name__} has weights whose names begin with {PREFIX!r}, as those of a "
            "preparation of images do in a file; rename that attribute."
        )
    if preparation is not None:
        arrays |= preparation.arrays()
    _replace(Path(path), safetensors.numpy.save(arrays))


def load_weights(model: AnyModule, path: str | Path) -> AnyModule:
    """A copy of `model` with the weights of a file, as float32.

    Args:
        model: a Flax module of the same names and shapes.
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a safetensors file, or its names or shapes are not the model's.
    """
    found = {name: array for name, array in _read(Path(path)).items() if not name.startswith(PREFIX)}
    expected = _arrays(model)
    _check(found, expected, type(model).__name__, path)
    definition, randomness, state = nnx.split(model, nnx.RngState, ...)
    values = [
        (keys, variable.replace(jnp.asarray(found[_name(keys)].astype(np.float32))))
        for keys, variable in nnx.to_flat_state(state)
    ]
    return nnx.merge(definition, randomness, nnx.from_flat_state(values))


def load_preparation(path: str | Path) -> Preparation:
    """The preparation of images that a file of weights holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a safetensors file, or holds no preparation or none that can be.
    """
    found = {name: array for name, array in _read(Path(path)).items() if name.startswith(PREFIX)}
    try:
        return Preparation.from_arrays(found)
    except ValueError as error:
        raise ValueError(f"{path} does not say how images are prepared: {error}") from error


def _name(keys: tuple[Hashable, ...]) -> str:
    return ".".join(map(str, keys))


def _arrays(model: nnx.Module) -> dict[str, np.ndarray]:
    flat = nnx.to_flat_state(nnx.state(model, nnx.Not(nnx.RngState)))
    return {_name(keys): np.asarray(variable[...]) for keys, variable in flat}


def _cast(name: str, array: np.ndarray, dtype: type) -> np.ndarray:
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(array.astype(dtype))
    if not np.all(np.isfinite(stored)):
        raise ValueError(
            f"the weight {name} is not finite as {np.dtype(dtype)}: training diverged, or it is "
            "beyond that type's range."
        )
    return stored


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of weights at {path}.")
    try:
        return safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file: {error}.") from error


def _check(
    found: dict[str, np.ndarray], expected: dict[str, np.ndarray], model: str, path: str | Path
) -> None:
    if found.keys() != expected.keys():
        raise ValueError(
            f"{path} does not hold the weights of {model}: missing "
            f"{sorted(expected.keys() - found.keys())}, unknown "
            f"{sorted(found.keys() - expected.keys())}."
        )
    for name, array in expected.items():
        if found[name].shape != array.shape:
            raise ValueError(
                f"the weight {name} in {path} has shape {found[name].shape}, but {model} needs {array.shape}."
            )


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
