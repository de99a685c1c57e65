"""How far other hardware would take programs: bands of time on processors and published accelerators.

    python -m experiments.hardware --data-dir CIFAR --plot hardware.png

CIFAR is a folder with the original binary batches of CIFAR-10, whose training images a plan of ResNet-20 is
made for. Nothing is encrypted: programs are planned, their operations and bytes are counted layer by layer,
and each machine's rates make a band of seconds of them (`program.report(device="ark")` shows the layers).
Most accelerators were simulated by their authors and never built.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import tyro
from flax import nnx

import fhejax
from experiments import hardware_picture, hardware_table, pipeline, resnet
from experiments.encrypted_training.encrypted_run import compile_step
from experiments.encrypted_training.oracle import clear_run
from experiments.encrypted_training.training import make_training
from experiments.mnist import WEIGHTS
from fhejax import nn
from fhejax.ckks.counts import NOTHING
from fhejax.program.costs import MACHINES, Machine, program_cost
from fhejax.program.costs.fitted import fitted_seconds
from fhejax.program.costs.layers import step_counts
from fhejax.program.costs.published import calibration_of
from fhejax.program.costs.roofline import FORMS
from fhejax.program.levels.plan import ProgramPlan

ProgramName = Literal["resnet", "cryptonets", "training"]
BATCH = 8192


@dataclass(frozen=True)
class Arguments:
    """Count what programs take, and what machines would make of it.

    Attributes:
        programs: which of them.
        data_dir: folder with CIFAR-10's six binary batches, for ResNet-20; tensorflow-datasets without it.
        json: file to write all results to.
        plot: PNG file to draw: a band for each machine and program.
        insecure_log_degree: of CryptoNets' ring: 2**this WITHOUT ANY SECURITY, for quick tests only.
    """

    programs: tuple[ProgramName, ...] = get_args(ProgramName)
    data_dir: Path | None = None
    json: Path | None = None
    plot: Path | None = None
    insecure_log_degree: int | None = None


@dataclass(frozen=True)
class Planned:
    """A planned program.

    Attributes:
        title: of the program.
        unit: what one call computes.
        plan: of the program.
    """

    title: str
    unit: str
    plan: ProgramPlan


def main(arguments: Arguments) -> dict[str, Any]:
    """Plan the programs, print the table of all machines; return its numbers."""
    pipeline.check_writable(arguments.json, arguments.plot)
    if not arguments.programs:
        raise SystemExit(f"--programs names none; give some of {', '.join(get_args(ProgramName))}.")
    with pipeline.stages(len(arguments.programs)) as timed:
        planned: dict[ProgramName, Planned] = {
            name: timed(name, PLANNERS[name], arguments) for name in arguments.programs
        }
    results = compared(planned)
    print(hardware_table.render(results))
    if arguments.json:
        pipeline.write_json(arguments.json, results)
    if arguments.plot:
        pipeline.save_picture(arguments.plot, hardware_picture.draw(results))
    return results


def compared(planned: dict[ProgramName, Planned]) -> dict[str, Any]:
    """The costs of some programs on every machine, and what the programs are made of."""
    programs = {name: described_program(one) for name, one in planned.items()}
    rows = [described_machine(machine, planned) for machine in MACHINES.values()]
    return {"programs": programs, "machines": rows}


def described_program(planned: Planned) -> dict[str, Any]:
    """The operations of a program, in its own words of 32 bits."""
    plan = planned.plan
    cost = program_cost(plan, "2 cores", "loaded")
    counts = sum((step_counts(plan, n, cost.table) for n in range(len(plan.steps))), NOTHING) * plan.blocks
    return {
        "title": planned.title,
        "unit": planned.unit,
        "parameters": pipeline.describe_parameters(plan.params),
        "counts": dataclasses.asdict(counts),
    }


def described_machine(machine: Machine, planned: dict[ProgramName, Planned]) -> dict[str, Any]:
    """The costs of all programs on one machine, and its published bootstrap."""
    found = calibration_of(machine)
    calibration = None
    if found is not None:
        band = {"lower": found.band.lower, "upper": found.band.upper}
        calibration = {"seconds": found.seconds, **band, "note": found.note, "within": found.is_within}
    return {
        "name": machine.name,
        "title": machine.title,
        "kind": machine.kind,
        "surety": machine.surety(),
        "bootstrap": calibration,
        "published_resnet20_relu_ms": machine.figures.get("resnet20_ms"),
        "programs": {name: _costs(one.plan, machine) for name, one in planned.items()},
    }


def _costs(plan: ProgramPlan, machine: Machine) -> dict[str, Any]:
    cost = program_cost(plan, machine)
    units = cost.units
    forms = {form: cost.in_form(form) for form in FORMS}
    return {
        "lower": cost.lower,
        "upper": cost.upper,
        "bytes": cost.bytes,
        "fitted": fitted_seconds(plan, machine),
        "bound": max(units, key=units.__getitem__) if units else None,
        "units": units,
        "plaintexts": {
            form: {"lower": one.lower, "upper": one.upper, "bytes": one.bytes} for form, one in forms.items()
        },
    }


def plan_resnet(arguments: Arguments) -> Planned:
    """The plan of ResNet-20 for one image, as `experiments.resnet` makes it."""
    options = resnet.Arguments(data_dir=arguments.data_dir)
    network, preparation, dataset = resnet.load(options)
    images = dataset.train_images[: resnet.CANDIDATES].copy()
    del dataset
    experiment = resnet.Experiment("ResNet-20", network, preparation, images, images[:1], images[:1])
    chosen, _ = resnet.sample_of(experiment)
    program = resnet.compile_network(experiment, chosen, options)
    return Planned("ResNet-20 on CIFAR-10", "one image", program.plan)


def plan_cryptonets(arguments: Arguments) -> Planned:
    """The plan of CryptoNets for a batch, a sample in each slot."""
    empty = nn.CryptoNets(rngs=nnx.Rngs(0))
    network = nn.inference_view(nn.load_weights(empty, WEIGHTS / "cryptonets.safetensors"))
    described = fhejax.Encrypted((BATCH, 28, 28, 1), range=(0, 1))
    program = fhejax.compile(network, described, insecure_log_degree=arguments.insecure_log_degree)
    return Planned("CryptoNets on MNIST", f"{BATCH:,} images", program.plan)


def plan_training(arguments: Arguments) -> Planned:
    """The plan of a training step on encrypted digits, weights and momenta, in tiles."""
    del arguments
    training = make_training("64-32-16-10", "digits", "8x8", None, 0)
    program = compile_step(training, clear_run(training), "tiles", 10.0)
    return Planned("a training step of 64-32-16-10", "60 digits", program.plan)


PLANNERS: dict[ProgramName, Callable[[Arguments], Planned]] = {
    "resnet": plan_resnet,
    "cryptonets": plan_cryptonets,
    "training": plan_training,
}


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.hardware"))
