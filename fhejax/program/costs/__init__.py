"""What a program would take on processors and published accelerators: counts of steps over rates of units."""

from fhejax.program.costs.estimate import LayerCost, ProgramCost, program_cost
from fhejax.program.costs.layers import Layer, layers
from fhejax.program.costs.machines import MACHINES, Machine, chosen_machine
from fhejax.program.costs.roofline import Band, PlaintextForm, band

__all__ = [
    "MACHINES",
    "Band",
    "Layer",
    "LayerCost",
    "Machine",
    "PlaintextForm",
    "ProgramCost",
    "band",
    "chosen_machine",
    "layers",
    "program_cost",
]
