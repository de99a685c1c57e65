"""The client's half of a program, from what the server's half is."""

from collections.abc import Sequence

from fhejax.ckks.parameters import Scale
from fhejax.program.arguments import Encrypted, normalisation
from fhejax.program.circuit.lowering.scales import exact_scale
from fhejax.program.circuit.reading import AffineView
from fhejax.program.client_program import ClientProgram, Predictions
from fhejax.program.files.sizes import download_bytes, key_bytes, upload_bytes
from fhejax.program.levels.plan import ProgramPlan
from fhejax.program.run.result_checks import ExpectedArray
from fhejax.program.server_program import ServerProgram


def client_of(server: ServerProgram) -> ClientProgram:
    """What a client has to know to make keys, to encrypt, and to open results."""
    plan = server.plan
    return ClientProgram(
        params=plan.params,
        bootstrapping=plan.bootstrapping,
        manifest=plan.manifest,
        interface=server.interface,
        expected=_expected_results(server) + expected_arguments(plan, server.interface.encrypted),
        batch=plan.batch,
        blocks=plan.blocks,
        sums=plan.sums_slots,
        whole_batch=plan.whole_batch,
        level=plan.top_level,
        scale=Scale.of(2.0**plan.settings.input_bits),
        predictions=_predictions(server),
        layouts=plan.layouts,
        result_layout=plan.result_layout,
    )


def _predictions(server: ServerProgram) -> Predictions:
    plan = server.plan
    public = all(a.public_key for a in server.interface.encrypted)
    return Predictions(
        bits=plan.predicted_bits,
        errors=plan.predicted_errors,
        sizes=plan.output_sizes,
        key_bytes=key_bytes(plan.params, plan.manifest, plan.bootstrapping),
        upload_bytes=upload_bytes(plan, server.interface),
        public_upload_bytes=upload_bytes(plan, server.interface, public=True) if public else 0,
        download_bytes=download_bytes(server),
    )


def _expected_results(server: ServerProgram) -> tuple[ExpectedArray, ...]:
    """The descriptions of encrypted results; plain arguments of a call may change how they are read."""
    plan, interface = server.plan, server.interface
    pairs = enumerate(zip(interface.outputs, server.readings, strict=True))
    views = [(n, output, view) for n, (output, view) in pairs if isinstance(view, AffineView)]
    carried = {number for number, _ in interface.carry}  # these are described as arguments are
    expected = []
    for (number, output, view), register in zip(views, plan.outputs, strict=True):
        if number in carried:
            continue
        step = plan.steps[register]
        known = (step.level, exact_scale(step.scale), view)
        known = (None, None, None) if interface.takes_plain else known
        expected.append(
            ExpectedArray(
                f"result {number}", output.shape, output.batch_axis, *known, layout=plan.result_layout
            )
        )
    return tuple(expected)


def expected_arguments(plan: ProgramPlan, arguments: Sequence[Encrypted]) -> tuple[ExpectedArray, ...]:
    """The descriptions of encrypted arguments, which decrypt to themselves.

    Args:
        plan: of the program.
        arguments: the encrypted ones, in order.
    """
    scale = Scale.of(2.0**plan.settings.input_bits)
    layouts = plan.layouts or (None,) * len(arguments)
    return tuple(
        ExpectedArray(
            f"argument {number}", a.shape, a.batch_axis, plan.top_level, scale, None, normalisation(a), layout
        )
        for number, (a, layout) in enumerate(zip(arguments, layouts, strict=True))
    )
