"""The seconds that a plan takes by the planner's costs, which were fitted to what this library takes."""

from fhejax.program.costs.machines import MACHINES, Machine
from fhejax.program.levels.plan import ProgramPlan
from fhejax.ring.platform import DEVICES, Device

_PLANNED = {"2 cores": "cpu", "H100": "h100", "H200": "h200", "A100": "a100", "RTX 5090": "rtx5090"}
FITTED = {MACHINES[name].name: DEVICES[device] for name, device in _PLANNED.items()}


def fitted_seconds(plan: ProgramPlan, machine: Machine) -> float | None:
    """The seconds of a call by the planner's costs of the machine; None where it has none.

    Args:
        plan: of a program, whatever device it was planned for.
        machine: that it would run on.
    """
    device = FITTED.get(machine.name)
    if device is None:
        return None
    busy = plan.blocks * sum(step_seconds(plan, number, device) for number in range(len(plan.steps)))
    if plan.bootstrapping is None:
        return busy
    return busy + plan.blocks * plan.bootstraps * plan.bootstrapping.predicted_seconds(device)


def step_seconds(plan: ProgramPlan, number: int, device: Device) -> float:
    """The seconds of one step in one block, without bootstraps.

    Args:
        plan: of a program.
        number: of the step.
        device: that it runs on.
    """
    step = plan.steps[number]
    read = [plan.steps[source] for source in step.sources]
    levels = int(step.level), int(read[0].level if read else step.level)
    limbs, before = (len(plan.params.level_moduli(level)) for level in levels)
    nanoseconds, launches = step.work(limbs, before, plan.settings, device)
    moved = step.moved(sum(source.size for source in read))
    nanoseconds += limbs * plan.params.ring.degree * step.components * device.costs.entry * moved
    return float(nanoseconds) * 1e-9 + float(launches) * device.launch
