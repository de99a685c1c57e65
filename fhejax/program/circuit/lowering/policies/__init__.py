"""Level policies: what a rescale leaves, what lies above a value, and the noise of a key switch there."""

from fhejax.program.circuit.lowering.levels import Levels
from fhejax.program.circuit.lowering.policies.canonical_scales import CanonicalScales
from fhejax.program.circuit.lowering.policies.lazy_scales import LazyScales
from fhejax.program.circuit.lowering.policies.level_scales import LevelScales
from fhejax.program.circuit.lowering.policies.policy import LevelPolicy
from fhejax.program.circuit.lowering.settings import Settings

__all__ = ["CanonicalScales", "LazyScales", "LevelPolicy", "LevelScales", "policy_of"]


def policy_of(settings: Settings, levels: Levels | None) -> LevelPolicy:
    """The scheme's own scale at each level where there are bootstraps or that was chosen, else lazy scales.

    Args:
        settings: of the planner.
        levels: of the parameters, once they are known: lazy scales alone can do without.

    Raises:
        ValueError: levels that are missing.
    """
    if settings.bootstrapping is None and not settings.canonical:
        return LazyScales(settings, levels)
    if levels is None:
        raise ValueError(
            "a circuit was to be lowered with the scales of its levels before there are parameters that have "
            "any; pass levels=Levels(params, top)."
        )
    return CanonicalScales(settings, levels) if settings.canonical else LevelScales(settings, levels)
