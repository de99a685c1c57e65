"""Level policies: what a rescale leaves, what lies above a value, and the noise of a key switch there."""

from fhejax.program.circuit.lowering.policies.canonical_scales import CanonicalScales
from fhejax.program.circuit.lowering.policies.lazy_scales import LazyScales
from fhejax.program.circuit.lowering.policies.level_scales import LevelScales
from fhejax.program.circuit.lowering.policies.policy import LevelPolicy
from fhejax.program.circuit.lowering.settings import Settings

__all__ = ["CanonicalScales", "LazyScales", "LevelPolicy", "LevelScales", "policy_of"]


def policy_of(settings: Settings, carries: bool = False) -> LevelPolicy:
    """The scheme's own scale at each level where there are bootstraps, lazy scales elsewhere.

    Args:
        settings: of the planner.
        carries: whether a row of a value is a slot, and results are arguments of the next call.
    """
    if settings.bootstrapping is None:
        return LazyScales(settings)
    if carries:
        return CanonicalScales(settings, settings.bootstrapping)
    return LevelScales(settings, settings.bootstrapping)
