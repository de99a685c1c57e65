"""The client prepares its images: it normalises them and limits their colours, in the clear."""

import json

import numpy as np

from experiments.public_benchmark.folders import needed
from experiments.public_benchmark.server_preprocess_model import PREPARATION
from experiments.public_benchmark.stage import Arguments, start
from experiments.public_benchmark.workloads import test_images
from fhejax import nn

IMAGES, LABELS = "images.npy", "labels.npy"


def main(arguments: Arguments) -> None:
    """Write the prepared images, and the labels that the last stage compares with."""
    folders = arguments.folders
    path = needed(folders.model / PREPARATION, "server_preprocess_model")
    fields = json.loads(path.read_text())
    preparation = nn.Preparation(
        tuple(fields["mean"]), tuple(fields["deviation"]), fields["chroma"], tuple(fields["image_shape"])
    )
    found = test_images(arguments.workload, arguments.data_dir, folders.count)
    np.save(folders.intermediate / IMAGES, preparation(found.images))
    np.save(folders.intermediate / LABELS, found.labels)


if __name__ == "__main__":
    start(main, "client_preprocess_input")
