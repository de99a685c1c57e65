"""Documents: objects of registered types as canonical JSON, and the arrays in them, which lie beside it.

    None, True, whole numbers, texts     as they are
    tuples                               lists
    a dataclass of the registry          {"its name": {"field": ..., ...}}
    an array                             {"array": its number among the arrays}
    another type                         {"its name": ...}, see `special_types`

There is one text for an object: what is read is written again and compared, so that a file that differs in
any way is another object, or none.
"""

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from fhejax.ckks import Parameters
from fhejax.ckks.files import FormatError
from fhejax.program.files.registry import BY_NAME
from fhejax.program.files.special_types import SPECIAL_TYPES, number_type

_ARRAYS = (jax.Array, np.ndarray, jax.ShapeDtypeStruct)
_SPECIAL = {special.name: special for special in SPECIAL_TYPES}
_DEEPEST = 64  # documents of objects are at most this deep; deeper ones would exhaust the stack


class Document(NamedTuple):
    """The text of an object, and its arrays (or what stands for them) in the order of their numbers."""

    text: bytes
    arrays: list[Any]


def write_document(value: Any, params: Parameters | None = None) -> Document:
    """The document of an object.

    Args:
        value: of registered types.
        params: parameters that the reader knows, and that are not written out.

    Raises:
        TypeError: an object of another type in it, such as a class of the user's own.
    """
    arrays: list[Any] = []
    plain = _plain(value, arrays, params)
    described = [[array.dtype.name, list(array.shape)] for array in arrays]
    text = json.dumps([plain, described], separators=(",", ":"), sort_keys=True, allow_nan=False)
    return Document(text.encode(), arrays)


def _plain(value: Any, arrays: list[Any], params: Parameters | None) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is tuple:
        return [_plain(part, arrays, params) for part in value]
    if isinstance(value, _ARRAYS):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, np.integer | np.floating):
        return _plain(value.item(), arrays, params)
    if params is not None and value == params:
        return {"parameters": "given"}
    if BY_NAME.get(kind.__name__) is kind:
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {kind.__name__: {name: _plain(part, arrays, params) for name, part in fields.items()}}
    for special in SPECIAL_TYPES:
        if kind is special.kind or (isinstance(value, special.kind) and special.kind is np.dtype):
            return {special.name: _plain(special.write(value), arrays, params)}
    raise TypeError(
        f"an object of type {kind.__name__} was to be written into a file of a program; arguments and "
        f"results nested in tuples, lists and dictionaries can be, with numbers and texts as keys."
    )


class ArrayDescription(NamedTuple):
    """The type and shape of an array in a file."""

    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """The bytes of its numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def parse(text: bytes) -> tuple[Any, list[ArrayDescription]]:
    """The JSON of a document, and its arrays' descriptions.

    Raises:
        FormatError: no JSON of a document.
    """
    try:
        plain, described = json.loads(text)
        arrays = [ArrayDescription(number_type(name), tuple(shape)) for name, shape in described]
        sizes = [size for array in arrays for size in array.shape]
    except (ValueError, TypeError, RecursionError) as error:
        raise FormatError(f"the file's document cannot be read ({error}); it was altered.") from None
    if not all(type(size) is int and 0 <= size < 2**32 for size in sizes):
        raise FormatError("the file's document names an array of impossible shape; it was altered.")
    return plain, arrays


def read_document(plain: Any, text: bytes, arrays: Sequence[Any], params: Parameters | None = None) -> Any:
    """The object of a document.

    Args:
        plain: of `parse`.
        text: the document itself.
        arrays: in the order of their numbers.
        params: parameters that the document may refer to.

    Raises:
        FormatError: a document of no object, or another than the one that is written for its object.
    """
    try:
        value = _value(plain, arrays, params, _DEEPEST)
        again = write_document(value, params).text
    except FormatError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise FormatError(
            f"the file's document describes no object of this library ({error}); it was altered, or written "
            f"by another version."
        ) from None
    if again != text:
        raise FormatError("the file's document is not in the form in which it is written; it was altered.")
    return value


def _value(plain: Any, arrays: Sequence[Any], params: Parameters | None, depth: int) -> Any:
    if depth < 0:
        raise ValueError("it is nested too deeply")
    if plain is None or type(plain) in (bool, int, str):
        return plain
    if isinstance(plain, list):
        return tuple(_value(part, arrays, params, depth - 1) for part in plain)
    if not isinstance(plain, dict) or len(plain) != 1:
        raise ValueError("a value has no type")
    ((name, content),) = plain.items()
    if name == "array" and type(content) is int and 0 <= content < len(arrays):
        return arrays[content]
    if name == "parameters" and content == "given" and params is not None:
        return params
    if name in _SPECIAL:
        return _SPECIAL[name].read(_value(content, arrays, params, depth - 1))
    if name not in BY_NAME or not isinstance(content, dict):
        raise ValueError("a value is of no registered type")
    fields = {field: _value(part, arrays, params, depth - 1) for field, part in content.items()}
    return _built(BY_NAME[name], fields)


def _built(kind: type, fields: dict[str, Any]) -> Any:
    """The object of these fields, whose types are those of the annotations."""
    hints = _hints(kind)
    if fields.keys() != hints.keys():
        raise ValueError(f"{kind.__name__} has other fields")
    wrong = [name for name, value in fields.items() if not _fits(value, hints[name])]
    if wrong:
        raise ValueError(f"{wrong[0]} of {kind.__name__} has another type")
    return kind(**fields)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value has the type of an annotation; whole numbers pass for real ones."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is typing.Literal:
        return value in parts
    if origin is tuple and isinstance(value, tuple):
        if parts[-1] is Ellipsis:
            return all(_fits(part, parts[0]) for part in value)
        return len(value) == len(parts) and all(map(_fits, value, parts))
    if hint is float:
        return type(value) in (int, float)
    if hint in (int, bool, str):
        return type(value) is hint
    return isinstance(value, _ARRAYS if hint is jax.Array else origin or hint)
