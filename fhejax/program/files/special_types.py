"""The values in documents that are no dataclasses of plain fields: how each is written as text and read."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks import Parameters
from fhejax.ckks.files.parameter_format import decode_parameters, encode_parameters
from fhejax.ckks.keys import KeyManifest
from fhejax.ckks.parameters import Scale

NUMBER_TYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bfloat16", "float16", "float32", "float64"),
)


class SpecialType(NamedTuple):
    """A type of values in documents.

    name: in documents. kind: the Python type. write: a value to plain JSON, or to values of other types in
    documents. read: what was written back; ValueError, TypeError and the like where it cannot be.
    """

    name: str
    kind: type
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _read_scale(written: Any) -> Scale:
    mantissa, exponent = written
    scale = Scale(int(mantissa, 16), exponent)
    if not scale.is_normal():
        raise ValueError("a scale is not in lowest terms")
    return scale


def _read_manifest(written: Any) -> KeyManifest:
    levels = dict(written)
    if not all(type(level) is int and (type(use) is int or use in _NAMED) for use, level in levels.items()):
        raise ValueError("a manifest of keys names other things than rotations and levels")
    return KeyManifest.of(levels)


_NAMED = ("relinearise", "conjugate")


def _read_dict(written: Any) -> dict:
    found = dict(written)
    kinds = {type(name) for name in found}
    if len(kinds) > 1 or not kinds <= {str, int} or len(found) != len(written):
        raise ValueError("names in a dictionary are not all texts, or all whole numbers, and all different")
    return found


def number_type(name: Any) -> np.dtype:
    """The type of numbers of a name; ValueError where there is none."""
    if name not in NUMBER_TYPES:
        raise ValueError("numbers of an unknown type")
    return np.dtype(jnp.dtype(name))


def _write_nesting(nesting: Any) -> Any:
    return jax.tree.unflatten(nesting, range(nesting.num_leaves))


SPECIAL_TYPES: tuple[SpecialType, ...] = (
    SpecialType("float", float, float.hex, float.fromhex),
    SpecialType("list", list, tuple, list),
    SpecialType("dict", dict, lambda d: tuple(d.items()), _read_dict),
    SpecialType("scale", Scale, lambda s: (hex(s.mantissa), s.exponent), _read_scale),
    SpecialType(
        "parameters",
        Parameters,
        lambda p: encode_parameters(p).hex(),
        lambda text: decode_parameters(bytes.fromhex(text), allow_insecure=True),
    ),
    SpecialType("keys", KeyManifest, lambda m: tuple(m.levels.items()), _read_manifest),
    SpecialType("numbers", np.dtype, lambda d: d.name, number_type),
    SpecialType("nesting", jax.tree_util.PyTreeDef, _write_nesting, jax.tree.structure),
)
