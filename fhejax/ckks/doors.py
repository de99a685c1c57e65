"""The door before each public function: what comes in is compared with the signature, once.

Every package of `ckks` ends with `public(globals())`, which puts a door before each function that it lists.
Within the library functions are imported from the modules that define them, where there are no doors: nothing
is checked twice, and what is called often pays nothing.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any


def public(namespace: dict[str, Any], *, without: tuple[str, ...] = ()) -> None:
    """Put a door before each function that a package lists in `__all__`.

    Args:
        namespace: of the package, `globals()`.
        without: functions that say themselves what is wrong with their arguments.
    """
    for name in namespace["__all__"]:
        value = namespace[name]
        if callable(value) and not inspect.isclass(value) and name not in without:
            namespace[name] = door(value, namespace["__name__"])


def door(function: Callable, package: str) -> Callable:
    """The function behind its door: arguments of other types are refused by a TypeError that says what to do.

    Integers of NumPy become Python's, and numbers scales, where the signature says so. A `NoiseEstimate`
    stands for a ciphertext, and None for keys beside it, in all functions but those that take a secret key.

    Args:
        function: of the package.
        package: the name under which it is found, by pickle as by readers.
    """

    @functools.wraps(function)
    def through_the_door(*arguments: Any, **options: Any) -> Any:
        signature = _signature(function)
        if not signature.is_plainly_right(arguments, options):
            arguments, options = signature.read(arguments, options)
        return function(*arguments, **options)

    through_the_door.__module__ = package
    return through_the_door


@functools.cache
def _signature(function: Callable) -> Any:
    """What the function says of its arguments: at its first call, when all packages are there."""
    from fhejax.ckks.arguments import signature_of

    return signature_of(function)
