"""The table of packings: how a tensor graph becomes a circuit of ciphertexts.

A packing is a function from a tensor graph, with the values of its plain arguments, to a circuit. It raises
`NotPolynomialError` with every operation that has no place in it.
"""

from collections.abc import Callable

from fhejax.program.circuit.graph import Graph
from fhejax.program.packing.multiplexed.to_circuit import to_circuit as one_sample
from fhejax.program.packing.planes.to_circuit import to_circuit as in_planes
from fhejax.program.packing.sample_per_slot.to_circuit import to_circuit
from fhejax.program.packing.tiles.to_circuit import to_circuit as in_tiles
from fhejax.program.tensor.graph import TensorGraph

Packing = Callable[[TensorGraph], Graph]

PACKINGS: dict[str, Packing] = {
    "sample-per-slot": to_circuit,
    "multiplexed": one_sample,
    "planes": in_planes,
    "tiles": in_tiles,
}

AUTOMATIC = "auto"
_DEFAULT = "sample-per-slot"
ONE_SAMPLE = "multiplexed"
PLANES = "planes"
_OF_WEIGHTS = "tiles"
_CARRYING = ("sample-per-slot", "tiles")
_FEW = 128  # samples of images, up to which planes are planned too
_MANY_WEIGHTS = 256  # encrypted numbers without a batch: as many ciphertexts, with one sample in each slot


def candidate_packings(
    name: str, batch: int, weights: int = 0, carries: bool = False, images: bool = False
) -> tuple[tuple[str, ...], ...]:
    """The names of the packings that may be meant, keys of `PACKINGS`, in rounds.

    The first round in which a packing holds the function decides; of those in one round it is the packing of
    least predicted time.

    Args:
        name: that of a packing, or "auto", which leaves the choice to the library. That takes tiles where
            hundreds of numbers without a batch are encrypted, compares times where the batch is one sample or
            a few images, and takes else, and where tiles do not hold the function, one sample in each slot.
        batch: of the arguments.
        weights: the numbers in encrypted arguments without a batch.
        carries: whether results are to be arguments of the next call, which some packings can do.
        images: whether samples have pixels and channels.

    Raises:
        ValueError: another name, or a packing that cannot carry.
    """
    if name == AUTOMATIC:
        if batch > 1 and weights >= _MANY_WEIGHTS:
            return (_OF_WEIGHTS,), (_DEFAULT,)
        others = (ONE_SAMPLE,) if batch == 1 else (PLANES,) if images and batch <= _FEW else ()
        return ((_DEFAULT, *(() if carries else others)),)
    if not isinstance(name, str) or name not in PACKINGS:
        known = ", ".join(map(repr, (AUTOMATIC, *PACKINGS)))
        raise ValueError(f"compile was given packing={name!r}, which is no packing; choose one of {known}.")
    if carries and name not in _CARRYING:
        raise ValueError(
            f"compile was given carry= and packing={name!r}, in which no result can be an argument of the "
            f"next call yet; pass packing={' or '.join(map(repr, _CARRYING))}."
        )
    return ((name,),)


def packed(graph: TensorGraph, name: str) -> Graph:
    """The circuit of a tensor graph in the packing of a name.

    Args:
        graph: with the values of its plain arguments.
        name: a key of `PACKINGS`.

    Raises:
        NotPolynomialError: with every operation that has no place in the packing, and its line.
    """
    return PACKINGS[name](graph)
