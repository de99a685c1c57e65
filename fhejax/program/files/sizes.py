"""The bytes of files before they exist: keys, encrypted arguments and results, to the byte."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from fhejax.ckks import BootstrappingParameters, Parameters
from fhejax.ckks.bootstrapping.encapsulation import encapsulation_parameters
from fhejax.ckks.files.container import CHECKSUM_BYTES, HEADER
from fhejax.ckks.identity import KEY_ID_WORDS
from fhejax.ckks.keys import KeyManifest
from fhejax.ckks.parameters import Scale
from fhejax.program.arguments import Encrypted, normalisation
from fhejax.program.circuit.lowering.scales import exact_scale
from fhejax.program.circuit.reading import AffineView
from fhejax.program.files.payload import object_bytes
from fhejax.program.levels.plan import ProgramPlan
from fhejax.program.packing.layout import Layout
from fhejax.program.run.encrypted_array import EncryptedArray
from fhejax.program.run.interface import Interface, ResultDescription
from fhejax.program.server_program import ServerProgram, kept_entries

_FRAME = HEADER.size + CHECKSUM_BYTES


def key_bytes(
    params: Parameters, manifest: KeyManifest, bootstrapping: BootstrappingParameters | None
) -> int:
    """The bytes of the file of evaluation keys, whose uniform halves are seeds.

    Args:
        params: of the keys.
        manifest: of the program.
        bootstrapping: the parameters of bootstraps, if there are any, with keys of their own.
    """
    if bootstrapping is None:
        return _set_bytes(params, manifest)
    sparse = encapsulation_parameters(params).switching_key_bytes(), params.switching_key_bytes()
    return _set_bytes(params, bootstrapping.manifest | manifest) + sum(size + _FRAME for size in sparse)


def _set_bytes(params: Parameters, manifest: KeyManifest) -> int:
    """The bytes of a set of evaluation keys."""
    return _FRAME + manifest.bytes(params).wire + _FRAME * len(manifest.exponents(params))


def _words(*shape: int) -> Any:
    """The shape of an array of words, in place of one."""
    return jax.ShapeDtypeStruct(shape, np.uint32)


def upload_bytes(plan: ProgramPlan, interface: Interface, *, public: bool = False) -> int:
    """The bytes of the file of all arguments together, as `encrypt` gives them for a whole batch.

    Args:
        plan: of the program.
        interface: with the arguments.
        public: whether a public key encrypts, and no half is a seed.
    """
    layouts = plan.layouts or (None,) * len(interface.encrypted)
    pairs = zip(interface.encrypted, layouts, strict=True)
    arrays = [_argument(plan, a, layout, public) for a, layout in pairs]
    return file_bytes(interface.nest_encrypted(arrays), arrays, plan.params)


def _argument(plan: ProgramPlan, argument: Encrypted, layout: Layout | None, public: bool) -> EncryptedArray:
    """An encrypted argument without its residues."""
    axis, level, params = argument.batch_axis, plan.top_level, plan.params
    entries = (1 if axis is None else plan.blocks, *kept_entries(layout, argument))
    return EncryptedArray(
        _words(*entries, 2 if public else 1, len(params.level_moduli(level)), params.ring.degree),
        _words(KEY_ID_WORDS),
        None,
        params,
        level,
        Scale.of(2.0**plan.settings.input_bits),
        argument.shape,
        axis,
        plan.batch,
        argument.dtype,
        normalisation(argument),
        seeds=None if public else _words(*entries, 8),
        layout=layout,
    )


def download_bytes(server: ServerProgram) -> int:
    """The bytes of the file of all results together, for a whole batch, plain ones included.

    Where plain arguments come with a call, their values may decide on levels; this is for the planned.
    """
    results = result_shapes(server)
    return file_bytes(jax.tree.unflatten(server.interface.results, results), results, server.params)


def result_shapes(server: ServerProgram) -> list[Any]:
    """The results of a call for a whole batch, flat, without the residues of encrypted ones."""
    plan, interface, registers = server.plan, server.interface, iter(server.plan.outputs)
    layouts = plan.layouts or (None,) * len(interface.arguments)
    replaced = {output: (interface.arguments[n], layouts[n]) for output, n in interface.carry}
    results: list[Any] = list(server.readings)
    for number, (output, reading) in enumerate(zip(interface.outputs, server.readings, strict=True)):
        if isinstance(reading, AffineView):
            result = _result(plan, next(registers), output, reading)
            argument, layout = replaced.get(number, (None, None))
            carried = isinstance(argument, Encrypted)
            results[number] = _argument(plan, argument, layout, public=True) if carried else result
    return results


def file_bytes(nested: Any, flat: Sequence[Any], params: Parameters) -> int:
    """The bytes of a file of nested arrays, or of a tuple of them where the nesting cannot be written.

    Args:
        nested: encrypted arrays, whose arrays may be `jax.ShapeDtypeStruct`, and plain ones.
        flat: the same in order.
        params: of all of them.
    """
    try:
        return object_bytes(nested, params)
    except TypeError:
        return object_bytes(tuple(flat), params)


def _result(plan: ProgramPlan, register: int, output: ResultDescription, view: AffineView) -> EncryptedArray:
    """An encrypted result without its residues."""
    step, params, axis = plan.steps[register], plan.params, output.batch_axis
    limbs = len(params.level_moduli(step.level))
    blocks = 1 if axis is None else plan.blocks
    return EncryptedArray(
        _words(blocks, step.size, step.components, limbs, params.ring.degree),
        _words(KEY_ID_WORDS),
        view,
        params,
        step.level,
        exact_scale(step.scale),
        output.shape,
        axis,
        plan.batch,
        output.dtype,
        layout=plan.result_layout,
    )
