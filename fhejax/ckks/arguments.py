"""What a public function is given, compared with what its signature says: the work of `doors`.

One mechanism in place of checks at the head of every function. An annotation that names a type of this
library, an integer, a real number, a truth value, a scale, a path or a function is kept to; arrays of numbers
are left to the functions, which know their shapes.
"""

import collections.abc
import dataclasses
import functools
import inspect
import operator
import os
import types
import typing
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from fhejax.ckks.encoding.values import exact_number
from fhejax.ckks.keys.recorder import KeyRecorder
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.operation import Keys, Value
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import (
    Ciphertext,
    EvaluationKeys,
    Plaintext,
    SecretKey,
    SeededCiphertext,
    is_concrete,
)

_ITERABLES = (collections.abc.Iterable, collections.abc.Sequence, list)
_UNCHECKED = (Any, object, np.ndarray, jax.Array, bytes)
_PLAIN = {float: (float, int), Scale: (Scale,), bool: (bool,), int: (int,)}
_WORDS = {
    int: "an integer",
    float: "a real number",
    bool: "True or False",
    Scale: "a Scale or a positive number",
    os.PathLike: "a path",
    str: "a str",
    types.NoneType: "None",
    collections.abc.Callable: "a function",
}
_ESTIMATED = "None stands for keys where estimates go through a circuit, and nowhere else"
_REMEDIES = (
    (
        Plaintext,
        Ciphertext,
        "encrypt it first; a plaintext is the second argument of add, subtract and multiply_plain",
    ),
    (SeededCiphertext, Ciphertext, "expand it first: ckks.encryption.expand(seeded)"),
    (Ciphertext, Plaintext, "decrypt it first; two ciphertexts are multiplied by multiply"),
    (NoiseEstimate, Ciphertext, "an estimate cannot be decrypted; its values are estimate.values"),
    (
        SecretKey,
        EvaluationKeys,
        "a secret key stays with the client; make ckks.evaluation_keys(key, secret, ...)",
    ),
    (types.NoneType, EvaluationKeys, _ESTIMATED),
)
_MOST_TYPES = 4  # beyond, a function tells them apart itself
_NUMERIC = (int, float, complex, list, np.ndarray, np.generic, jax.Array)
_NUMBERS = "encode and encrypt numbers first; add_scalar and multiply_scalar take one number for every slot"
_TRACED = "It decides what is computed, so that JAX cannot trace it: close over it, or make it static"


class _Unfit(Exception):
    """A value that is none of the types that an annotation names."""


@dataclasses.dataclass(frozen=True)
class _Parameter:
    """kinds: what the annotation names. plain: those that need no second look, None for all there are."""

    kinds: tuple[Any, ...]
    plain: frozenset[type] | None


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a function says of its arguments.

    Attributes:
        name: of the function.
        parameters: those that are compared, by name.
        positions: names of those that may be given by position.
        repeated: the name of that which takes all further positions.
        estimates: whether estimates may stand for ciphertexts.
        call: how the function is called, for errors.
    """

    name: str
    parameters: Mapping[str, _Parameter]
    positions: tuple[str, ...]
    repeated: str | None
    estimates: bool
    call: str

    def is_plainly_right(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> bool:
        """Whether every argument is exactly of a type that is named, as nearly always."""
        if len(arguments) > len(self.positions):
            return False
        for kinds, value in zip(self._plain_positions, arguments, strict=False):  # quicker than all(...)
            if kinds is not None and type(value) not in kinds:
                return False
        named = ((self.parameters[name].plain, v) for name, v in options.items() if name in self.parameters)
        return all(kinds is None or type(value) in kinds for kinds, value in named)

    @functools.cached_property
    def _plain_positions(self) -> tuple[frozenset[type] | None, ...]:
        """What `plain` says of each position."""
        return tuple(self.parameters[p].plain if p in self.parameters else None for p in self.positions)

    def read(
        self, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, converted, or a TypeError."""
        more = max(0, len(arguments) - len(self.positions))
        names = (*self.positions, *[self.repeated] * more)[: len(arguments)]
        values = (*arguments, *options.values())
        several = (value if isinstance(value, list | tuple) else [value] for value in values)
        given = [each for values in several for each in values]
        estimated = self.estimates and any(isinstance(value, NoiseEstimate) for value in given)
        if estimated and any(isinstance(value, Ciphertext | SeededCiphertext) for value in given):
            raise TypeError(
                f"{self.name} was given an estimate and a ciphertext; estimates go through a circuit by "
                f"themselves: make one of each operand with ckks.estimate."
            )
        pairs = zip(names, arguments, strict=True)
        read = tuple(self._read(name, value, estimated) for name, value in pairs)
        return read, {name: self._read(name, value, estimated) for name, value in options.items()}

    def _read(self, name: str | None, value: Any, estimated: bool) -> Any:
        parameter = None if name is None else self.parameters.get(name)
        if parameter is None or parameter.plain is None:
            return value
        for kind in parameter.kinds:
            try:
                return _converted(value, kind, estimated)
            except _Unfit:
                continue
        raise TypeError(
            f"{self.name} was given {_described(value)} as {name}; it needs {_expected(parameter.kinds)}."
            f"{_remedy(value, parameter.kinds)} Call it as {self.call}."
        )


def signature_of(function: Callable) -> Signature:
    """What a function says of its arguments, ready to be compared with what it is given."""
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    repeated = [p.name for p in parameters if p.kind is p.VAR_POSITIONAL]
    positions = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    named = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    checked = {
        p.name: _parameter(hints[p.name])
        for p in parameters
        if p.name in hints and p.kind is not p.VAR_KEYWORD
    }
    written = [*positions, *(f"*{name}" for name in repeated), *(f"{name}=" for name in named)]
    holds_secret = any(SecretKey in parameter.kinds for parameter in checked.values())
    return Signature(
        function.__name__,
        checked,
        tuple(positions),
        next(iter(repeated), None),
        not holds_secret,
        f"{function.__name__}({', '.join(written)})",
    )


def _parameter(hint: Any) -> _Parameter:
    hint = _stood_for(hint)
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = tuple(typing.get_args(hint)) if union else (hint,)
    free = (kind in _UNCHECKED or not _is_checkable(kind) for kind in kinds)
    if len(kinds) > _MOST_TYPES or any(free):
        return _Parameter(kinds, None)
    if Scale in kinds:
        kinds = tuple(kind for kind in kinds if kind is not float)
    plain = (t for kind in kinds if isinstance(kind, type) for t in _PLAIN.get(kind, (kind,)))
    return _Parameter(kinds, frozenset(plain))


def _stood_for(hint: Any) -> Any:
    """Ciphertexts where either they or estimates go through, and evaluation keys beside them."""
    if hint == Keys:
        return EvaluationKeys
    if hint is Value:
        return Ciphertext
    arguments = typing.get_args(hint)
    if Value in arguments and typing.get_origin(hint) in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, map(_stood_for, arguments))
    return hint


def _is_checkable(kind: Any) -> bool:
    """Whether `isinstance` tells: neither type variables nor literals."""
    origin = typing.get_origin(kind)
    return isinstance(kind if origin is None else origin, type)


def _converted(value: Any, kind: Any, estimated: bool) -> Any:
    """The value as this type, or `_Unfit`."""
    origin = typing.get_origin(kind)
    if origin in _ITERABLES:
        return _elements(value, typing.get_args(kind)[0], origin)
    if origin is collections.abc.Callable:
        return _if(callable(value), value)
    if origin is not None:
        return _if(isinstance(value, origin), value)
    if kind in (int, bool, float, Scale):
        return _number(value, kind)
    stands_in = estimated and (
        (kind is Ciphertext and isinstance(value, NoiseEstimate))
        or (kind is EvaluationKeys and isinstance(value, KeyRecorder | None))
    )
    return _if(stands_in or isinstance(value, kind), value)


def _if(fits: bool, value: Any) -> Any:
    if not fits:
        raise _Unfit
    return value


def _number(value: Any, kind: type) -> Any:
    if kind is Scale and isinstance(value, Scale):
        return value
    truth = isinstance(value, bool | np.bool_)
    if kind is bool or truth or not is_concrete(value):
        return _if(kind is bool and truth, value)
    try:
        if kind is int:
            return operator.index(value)
        number = exact_number(value, "a number")
    except TypeError:
        raise _Unfit from None
    except ValueError:  # not finite, of which the function itself says more
        return float(value) if kind is float else Scale.of(float(value))
    if kind is Scale:
        return Scale.of(number)
    return value if isinstance(value, int | float | Fraction) else _python_number(number)


def _python_number(number: Fraction) -> int | float:
    return int(number) if number.denominator == 1 else float(number)


def _elements(values: Any, kind: Any, origin: type) -> Any:
    """An iterable; of numbers as a tuple or list, each converted."""
    try:
        elements = iter(_if(not isinstance(values, str | bytes), values))
    except TypeError:
        raise _Unfit from None
    if kind not in (int, float):
        return values
    return (list if origin is list else tuple)(_number(element, kind) for element in elements)


def _described(value: Any) -> str:
    """The type of a value, never what it holds."""
    if value is None or isinstance(value, bool | int | float):
        return f"{value!r}"[:40]
    if not is_concrete(value):
        return "a value traced by JAX"
    if isinstance(value, np.ndarray | jax.Array):
        return f"an array of {value.dtype} {value.shape}"
    return f"the type {value.__name__}" if isinstance(value, type) else _with_article(type(value).__name__)


def _with_article(name: str) -> str:
    if name.endswith("s"):
        return name
    return f"{'an' if name[0] in 'AEIOaeio' else 'a'} {name}"


def _expected(kinds: tuple[Any, ...]) -> str:
    *names, last = [_words(kind) for kind in kinds if not (kind is str and os.PathLike in kinds)]
    return f"{', '.join(names)} or {last}" if names else last


def _words(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if origin in _ITERABLES:
        element = typing.get_args(kind)[0]
        return {int: "several integers", float: "several real numbers"}.get(element, "an iterable")
    name = getattr(origin or kind, "__name__", str(kind))
    return _WORDS.get(origin or kind, _with_article(name))


def _remedy(value: Any, kinds: tuple[Any, ...]) -> str:
    if not is_concrete(value) and any(kind in _PLAIN for kind in kinds):
        return f" {_TRACED}."
    found = [text for found, wanted, text in _REMEDIES if isinstance(value, found) and wanted in kinds]
    if not found and (Ciphertext in kinds or Plaintext in kinds) and isinstance(value, _NUMERIC):
        found = [_NUMBERS]
    return "".join(f" {text[0].upper()}{text[1:]}." for text in found)
