"""The exchange of parts of a network for others."""

from collections.abc import Mapping
from typing import Any, TypeVar

from flax import nnx

AnyModule = TypeVar("AnyModule", bound=nnx.Module)


def replace_modules(network: AnyModule, replacements: Mapping[int, nnx.Module]) -> AnyModule:
    """A copy of `network` with other modules in place of some.

    A module that stands in several places is replaced in all of them.

    Args:
        network: a Flax module.
        replacements: the new modules, by the `id` of the old ones.
    """
    paths = {path: id(node) for path, node in nnx.iter_modules(network)}
    chosen = {path: replacements[found] for path, found in paths.items() if found in replacements}

    def replacement(path: tuple[Any, ...], node: Any) -> Any:
        return chosen.get(path, node)

    return nnx.recursive_map(replacement, nnx.clone(network))
