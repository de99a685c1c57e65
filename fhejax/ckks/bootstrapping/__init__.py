"""Bootstrapping: levels won back, with everything that it is made of."""

from fhejax.ckks.bootstrapping.bootstrap_circuit import (
    BootstrappingCircuit,
    BootstrappingKeys,
    bootstrap,
    bootstrapping_circuit,
    bootstrapping_keys,
    generate_bootstrapping_keys,
)
from fhejax.ckks.bootstrapping.options import BootstrappingOptions
from fhejax.ckks.bootstrapping.parameters import BootstrappingParameters
from fhejax.ckks.bootstrapping.shared_numbers import (
    MOST_SHARED,
    bootstrap_shared,
    shared_count,
    shared_rotations,
    shared_switches,
)
from fhejax.ckks.bootstrapping.variants import bootstrap_iteratively, bootstrap_pair, bootstrap_real
from fhejax.ckks.doors import public

__all__ = [
    "MOST_SHARED",
    "BootstrappingCircuit",
    "BootstrappingKeys",
    "BootstrappingOptions",
    "BootstrappingParameters",
    "bootstrap",
    "bootstrap_iteratively",
    "bootstrap_pair",
    "bootstrap_real",
    "bootstrap_shared",
    "bootstrapping_circuit",
    "bootstrapping_keys",
    "generate_bootstrapping_keys",
    "shared_count",
    "shared_rotations",
    "shared_switches",
]

public(globals())
