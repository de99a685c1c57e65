"""The client takes the class with the largest logit, and compares it with the label."""

import json

import numpy as np

from experiments.public_benchmark.client_decrypt_decode import LOGITS
from experiments.public_benchmark.client_preprocess_input import LABELS
from experiments.public_benchmark.folders import needed
from experiments.public_benchmark.stage import Arguments, start

CLASSES = "classes.json"


def main(arguments: Arguments) -> None:
    """Write the classes that were found, and how many are right."""
    folder = arguments.folders.intermediate
    logits = np.load(needed(folder / LOGITS, "client_decrypt_decode"))
    labels = np.load(needed(folder / LABELS, "client_preprocess_input"))
    classes = logits.argmax(1)
    found = {"classes": classes.tolist(), "right": int(np.sum(classes == labels)), "images": len(labels)}
    (folder / CLASSES).write_text(json.dumps(found))


if __name__ == "__main__":
    start(main, "client_postprocess")
