"""The server plans its network and encodes weights; a client gets parameters and how to prepare images."""

import dataclasses
import json

from experiments.public_benchmark.stage import Arguments, start
from experiments.public_benchmark.workloads import experiment_of, program_of

SERVER, CLIENT, PREPARATION = "server.fhe", "client.fhe", "preparation.json"


def main(arguments: Arguments) -> None:
    """Write both halves of the program, and the preparation."""
    folder = arguments.folders.model
    experiment = experiment_of(arguments.workload, arguments.data_dir)
    program = program_of(arguments.workload, experiment)
    program.save_server(folder / SERVER)
    program.save_client(folder / CLIENT)
    (folder / PREPARATION).write_text(json.dumps(dataclasses.asdict(experiment.preparation)))


if __name__ == "__main__":
    start(main, "server_preprocess_model")
