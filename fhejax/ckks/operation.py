"""What is done to a ciphertext, and what it does to an estimate of its noise: one mechanism for both.

A function decorated with `operation` is written for ciphertexts alone, and names the rule for estimates and
the switching keys that it takes. So a circuit runs on either, and no key is forgotten when a circuit is run
only to find out which it needs: the keys that are noted are the keys that the function is given.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

import jax

from fhejax.ckks.keys.matching import find_keys, identity_under
from fhejax.ckks.keys.recorder import KeyRecorder
from fhejax.ckks.keys.shared_levels import key_level
from fhejax.ckks.noise.noise_estimate import NoiseEstimate
from fhejax.ckks.types import Ciphertext, EvaluationKeys, SwitchingKey, common_key_id, is_concrete
from fhejax.ring.compile_ahead import is_compiling_ahead
from fhejax.ring.one_executable import in_one_executable
from fhejax.ring.platform import current_device

Value = TypeVar("Value", Ciphertext, NoiseEstimate)
Keys = EvaluationKeys | KeyRecorder | None  # the last two for estimates only
Rest = ParamSpec("Rest")
Result = TypeVar("Result")
Found = Mapping[int, SwitchingKey]  # by the exponent of the automorphism, 0 for relinearisation


class _OfOne(Protocol[Rest]):
    def __call__(self, x: Value, /, *rest: Rest.args, **options: Rest.kwargs) -> Value: ...


class _OfTwo(Protocol[Rest]):
    def __call__(self, x: Value, y: Value, /, *rest: Rest.args, **options: Rest.kwargs) -> Value: ...


class _OfMany(Protocol[Rest]):
    def __call__(self, x: Sequence[Value], /, *rest: Rest.args, **options: Rest.kwargs) -> Value: ...


class _ToMany(Protocol[Rest]):
    def __call__(self, x: Value, /, *rest: Rest.args, **options: Rest.kwargs) -> list[Value]: ...


class _Keyed(Protocol[Rest]):
    def __call__(self, keys: Keys, x: Value, /, *rest: Rest.args, **options: Rest.kwargs) -> Value: ...


class _KeyedManyToMany(Protocol[Rest]):
    def __call__(
        self, keys: Keys, x: Sequence[Value], /, *rest: Rest.args, **options: Rest.kwargs
    ) -> list[Value]: ...


class _KeyedToMany(Protocol[Rest]):
    def __call__(self, keys: Keys, x: Value, /, *rest: Rest.args, **options: Rest.kwargs) -> list[Value]: ...


# The first takes what the fifth would also take, with another result: it is the one that is meant.
@overload
def operation(  # pyright: ignore[reportOverlappingOverload]
    *, noise: Callable[Concatenate[NoiseEstimate, NoiseEstimate, Rest], NoiseEstimate]
) -> Callable[[Callable[Concatenate[Ciphertext, Ciphertext, Rest], Ciphertext]], _OfTwo[Rest]]: ...


@overload
def operation(
    *, noise: Callable[Concatenate[Sequence[NoiseEstimate], Rest], NoiseEstimate]
) -> Callable[[Callable[Concatenate[Sequence[Ciphertext], Rest], Ciphertext]], _OfMany[Rest]]: ...


@overload
def operation(
    *,
    noise: Callable[Concatenate[Sequence[NoiseEstimate], Rest], list[NoiseEstimate]],
    keys: Callable[Concatenate[Any, Rest], Iterable[int]],
) -> Callable[
    [Callable[Concatenate[Found, Sequence[Ciphertext], Rest], list[Ciphertext]]], _KeyedManyToMany[Rest]
]: ...


@overload
def operation(
    *,
    noise: Callable[Concatenate[NoiseEstimate, Rest], NoiseEstimate],
    keys: Callable[Concatenate[Any, Rest], Iterable[int]],
) -> Callable[[Callable[Concatenate[Found, Ciphertext, Rest], Ciphertext]], _Keyed[Rest]]: ...


@overload
def operation(
    *,
    noise: Callable[Concatenate[NoiseEstimate, Rest], list[NoiseEstimate]],
    keys: Callable[Concatenate[Any, Rest], Iterable[int]],
) -> Callable[[Callable[Concatenate[Found, Ciphertext, Rest], list[Ciphertext]]], _KeyedToMany[Rest]]: ...


@overload
def operation(
    *, noise: Callable[Concatenate[NoiseEstimate, Rest], NoiseEstimate]
) -> Callable[[Callable[Concatenate[Ciphertext, Rest], Ciphertext]], _OfOne[Rest]]: ...


@overload
def operation(
    *, noise: Callable[Concatenate[NoiseEstimate, Rest], list[NoiseEstimate]]
) -> Callable[[Callable[Concatenate[Ciphertext, Rest], list[Ciphertext]]], _ToMany[Rest]]: ...


def operation(*, noise: Callable[..., Any], keys: Callable[..., Iterable[int]] | None = None) -> Any:
    """Decorate what is done to ciphertexts: with estimates in their place `noise` is called instead.

    Args:
        noise: of the same arguments, with a `NoiseEstimate` for each `Ciphertext`, and without keys.
        keys: of the same arguments without keys, the exponents of the automorphisms whose switching keys the
            function takes, 0 for relinearisation; the identity, X -> X, needs none. The function is called
            with evaluation keys before its other arguments, and is itself given only these of them, by
            exponent, when they are there and belong to the ciphertext.

    Raises (the function that results):
        ValueError: keys that are missing, of too low a level, of other parameters or another secret.
    """
    return functools.partial(_dispatched if keys is None else functools.partial(_with_keys, keys), noise)


def stage(function: Callable[Rest, Result]) -> Callable[Rest, Result]:
    """Decorate a function of keys and a value that calls many operations: one executable on slow launchers.

    Elsewhere, for estimates, and while the caller's own function is traced it is called as it is. Within one
    executable no identity can be refused: whoever calls a stage has compared those of all its keys with the
    value's, which is then that of its results.

    Args:
        function: of keys and a value, pytrees, and of further arguments that are hashable.
    """
    whole: Callable[..., Any] = function

    @functools.wraps(function)
    def staged(keys: Any, value: Any, *static: Any) -> Any:
        """The stage, in one executable where that is worth it."""
        untouched = isinstance(value, NoiseEstimate) or not calls_kernels(value)
        if untouched or not current_device().launches_slowly:
            return whole(keys, value, *static)
        found = in_one_executable(whole, (keys, value), static)
        return jax.tree.map(lambda x: x.replace(key_id=value.key_id), found, is_leaf=_is_ciphertext)

    return cast(Callable[Rest, Result], staged)


def calls_kernels(ciphertext: Ciphertext) -> bool:
    """Whether kernels are called one after another, rather than traced into one of the caller's."""
    return is_concrete(ciphertext.data) or is_compiling_ahead()


def _is_ciphertext(node: Any) -> bool:
    return isinstance(node, Ciphertext)


def _dispatched(noise: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def dispatched(value: Any, *rest: Any, **options: Any) -> Any:
        first = value[0] if isinstance(value, list | tuple) else value
        rule = noise if isinstance(first, NoiseEstimate) else function
        return rule(value, *rest, **options)

    return dispatched


def _with_keys(
    keys: Callable[..., Iterable[int]], noise: Callable[..., Any], function: Callable[..., Any]
) -> Callable[..., Any]:
    @functools.wraps(function)
    def dispatched(held: Any, value: Any, *rest: Any, **options: Any) -> Any:
        exponents = tuple(dict.fromkeys(e for e in keys(value, *rest, **options) if e != 1))
        first = value[0] if isinstance(value, list) else value
        if isinstance(first, NoiseEstimate):
            if isinstance(held, KeyRecorder):
                held.note(exponents, key_level(first.params, first.level))
            return noise(value, *rest, **options)
        found = find_keys(held, first, exponents)
        if isinstance(value, list):
            key_id = identity_under(held, first.replace(key_id=common_key_id(*value)), found)
            value = [each.replace(key_id=key_id) for each in value]
        else:
            value = value.replace(key_id=identity_under(held, value, found))
        return function(found, value, *rest, **options)

    return dispatched
