"""What every stage is told, and how it is started."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from experiments import pipeline
from experiments.public_benchmark.folders import Folders
from experiments.public_benchmark.workloads import WorkloadName


@dataclass(frozen=True)
class Arguments:
    """The size, and where files are.

    Attributes:
        size: 0, 1, 2 or 3, for 1, 100, 1,000 or 10,000 images.
        io: folder of what the stages exchange.
        workload: "resnet20", or "tiny", a network of one convolution WITHOUT ANY SECURITY, to try the stages.
        data_dir: folder with CIFAR-10's six binary batches; tensorflow-datasets without it.
        cache: folder of compiled kernels, so that a later start is quick; None for no folder. What
            lies in it is executed, so nobody else may be able to write to it.
    """

    size: tyro.conf.Positional[int] = 0
    io: Path = Path("io")
    workload: WorkloadName = "resnet20"
    data_dir: Path | None = None
    cache: Path | None = pipeline.CACHE

    @property
    def folders(self) -> Folders:
        """The folders of the size."""
        return Folders(self.io, self.size)

    @property
    def is_insecure(self) -> bool:
        """Whether the workload is one to try the stages."""
        return self.workload == "tiny"


def start(main: Callable[[Arguments], Any], name: str) -> None:
    """Run a stage with the arguments of the command line.

    Args:
        main: of the stage.
        name: of its module.
    """
    arguments = tyro.cli(Arguments, prog=f"python -m experiments.public_benchmark.{name}")
    pipeline.use_cache(arguments.cache)
    main(arguments)
