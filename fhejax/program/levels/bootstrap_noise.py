"""The error that one bootstrap leaves, predicted by running it on estimates."""

import dataclasses
import functools

import numpy as np

from fhejax import ckks
from fhejax.ckks import BootstrappingParameters, NoiseEstimate
from fhejax.ckks.bootstrapping import BootstrappingKeys, bootstrapping_circuit


def _named(estimate: NoiseEstimate) -> NoiseEstimate:
    """The estimate of a message of always the same name, from which a bootstrap's overflows are drawn.

    So one function has one plan, to the last bit, in whatever process it is compiled.
    """
    (message,) = estimate.messages
    return dataclasses.replace(estimate, messages=(dataclasses.replace(message, identity=b"planner"),))


@functools.cache
def bootstrap_deviation(parameters: BootstrappingParameters) -> float:
    """The root mean square error of real numbers uniform in (-1, 1) after a bootstrap.

    The matrices are made for it as numbers, and forgotten.
    """
    circuit = bootstrapping_circuit(parameters, transformed=False)
    params = parameters.params
    period = np.random.default_rng(0).uniform(-1, 1, parameters.slots)
    values = np.tile(period, params.slots // parameters.slots)
    before = _named(ckks.estimate(params, values, level=parameters.input_level))
    after = ckks.bootstrap(BootstrappingKeys(circuit), before)
    bias = np.sqrt(np.mean((np.real(after.values) - values) ** 2))
    return float(np.hypot(bias, np.sqrt(np.mean(after.deviation**2))))
