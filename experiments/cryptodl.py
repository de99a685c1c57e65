"""CryptoDL's study on MNIST: which approximation of ReLU to train with, and the best network encrypted.

    python -m experiments.cryptodl --study --data-dir MNIST

Hesamifard, Takabi and Ghasemi (arXiv 1711.05189) compare five ways to a polynomial in one network. With
`--study` each of them, and ours, takes the place of ReLU twice: in a network that was trained with ReLU,
which then gets no more training, and from the start, with its coefficients fixed. Then the network
whose quadratics were trained with the weights classifies all test images encrypted. Its weights lie
beside this file; `python -m experiments.train --network cryptodl` makes them.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from flax import nnx
from tqdm import tqdm

from benchmarks.machine import describe_machine
from experiments import pipeline
from experiments.mnist import WEIGHTS, load_dataset
from fhejax import nn

Setting = tuple[int, float]

# Without normalisation the inputs of the three activations deviate by about 0.4, 0.6 and 1.7: few leave
# the first interval, and many of the last activation the second, where polynomials of degree 4 grow.
SETTINGS: tuple[Setting, ...] = ((2, 4.0), (4, 2.0))
METHODS = {
    "Taylor": "taylor",
    "least squares": "least_squares",
    "Chebyshev": "chebyshev",
    "modified Chebyshev": "modified_chebyshev",
    "CryptoDL": "antiderivative",
    "minimax": "minimax",
    "C1": "c1",
}
OURS = ("minimax", "C1")
NOTES = """\
  The first five are CryptoDL's, in the order of the accuracies that it reports: 40, 57, 69, 89 and 98.5 %.
  Replaced: trained with ReLU, then every activation exchanged, without more training. Trained: from the
  start with this polynomial. ReLU has no Taylor series at 0: the series is that of softplus."""


@dataclass(frozen=True)
class Arguments(pipeline.Options):
    """Compare approximations of ReLU in a network, then classify the test images of MNIST encrypted.

    Attributes:
        study: train a network with each approximation first: some minutes.
        study_images: training images of the study.
        study_epochs: passes over them.
        study_json: file to write the study's table to.
        encrypt: classify encrypted; --no-encrypt ends after the study.
        batch: images that are encrypted together.
        data_dir: folder with MNIST's four IDX files; tensorflow-datasets without it.
        images: only this many of the test images.
        weights: safetensors file to read.
        precision_bits: -log2 of the relative error to be left in the logits; 6 fit into a ring of degree
            2**13 with weights of 8 bits, beyond that it takes twice as much.
    """

    study: bool = False
    study_images: int = 20_000
    study_epochs: int = 2
    study_json: Path | None = None
    encrypt: bool = True
    batch: int = 8192
    data_dir: Path | None = None
    images: int = 10_000
    weights: Path = WEIGHTS / "cryptodl.safetensors"
    precision_bits: float = 6.0


def main(arguments: Arguments) -> dict[str, Any]:
    """Run what was asked for, print its tables; return their numbers."""
    pipeline.check_writable(arguments.study_json)
    if min(arguments.batch, arguments.images, arguments.study_images, arguments.study_epochs) < 1:
        raise SystemExit("--batch, --images, --study-images and --study-epochs must all be 1 or more.")
    if arguments.encrypt and not arguments.weights.is_file():
        raise SystemExit(
            f"There is no file of weights at {arguments.weights}; python -m experiments.train --network "
            "cryptodl makes one."
        )
    dataset = load_dataset(arguments.data_dir, arguments.images)
    results = {}
    if arguments.study:
        results["study"] = study(dataset, arguments.study_images, arguments.study_epochs)
        print(render(results["study"]))
        if arguments.study_json:
            found = results["study"] | {"machine": describe_machine()}
            pipeline.write_json(arguments.study_json, found)
    if arguments.encrypt:
        experiment = pipeline.Experiment(
            name="CryptoDL's study on MNIST",
            dataset=dataset,
            batch=arguments.batch,
            stage="load",
            make_network=functools.partial(load_network, arguments.weights),
        )
        results["encrypted"] = pipeline.run(experiment, arguments)
    return results


def load_network(path: Path) -> nn.Network:
    """The trained network, its normalisations folded into the convolutions."""
    empty = nn.CryptoDL(rngs=nnx.Rngs(0))
    return nn.fold_batch_norm(nn.inference_view(nn.load_weights(empty, path)))


def study(dataset: nn.Dataset, images: int, epochs: int) -> dict[str, Any]:
    """Accuracies on the test images with each approximation, at each setting, in percent."""
    rows = [(setting, name) for setting in SETTINGS for name in METHODS]
    with tqdm(total=2 + len(rows), desc="study", unit="network", leave=False) as bar:
        relu = train(dataset, images, epochs, _exact)
        bar.update()
        quadratic = train(dataset, images, epochs, _trained)
        bar.update()
        table = [_row(bar, dataset, images, epochs, relu, setting, name) for setting, name in rows]
    return {
        "images": images,
        "epochs": epochs,
        "test_images": len(dataset.test_labels),
        "relu": percent(relu, dataset),
        "trained_quadratics": percent(quadratic, dataset),
        "rows": table,
    }


def train(dataset: nn.Dataset, images: int, epochs: int, activation: Any) -> nn.Network:
    """The network without normalisation and with these activations, trained briefly."""
    network = nn.CryptoDL(activation, normalise=False, rngs=nnx.Rngs(0))
    config = nn.TrainingConfig(epochs=epochs, learning_rate=2e-3)
    return nn.train(network, dataset.train_images[:images], dataset.train_labels[:images], config)[0]


def percent(network: nn.Network, dataset: nn.Dataset) -> float:
    """Accuracy on the test images."""
    return round(100 * nn.accuracy(network, dataset.test_images, dataset.test_labels), 2)


def _row(
    bar: tqdm, dataset: nn.Dataset, images: int, epochs: int, relu: nn.Network, setting: Setting, name: str
) -> dict[str, Any]:
    degree, bound = setting
    activation = functools.partial(_polynomial, METHODS[name], setting)
    replaced = relu
    for index in range(len(nn.activation_layers(relu))):
        replaced = nn.replace_activation(replaced, index, activation(None))
    row = {
        "degree": degree,
        "bound": bound,
        "method": name,
        "error": _error(activation(None)),
        "replaced": percent(replaced, dataset),
        "trained": percent(train(dataset, images, epochs, activation), dataset),
    }
    bar.update()
    return row


def _polynomial(method: str, setting: Setting, features: int | None) -> nn.PolynomialActivation:
    degree, bound = setting
    # Shared by all channels: features are of no account.
    return nn.PolynomialActivation(
        degree,
        function="softplus" if method == "taylor" else "relu",
        method=method,
        interval=(-bound, bound),
        trainable=False,
    )


def _exact(features: int) -> nn.ExactActivation:
    return nn.ExactActivation("relu")


def _trained(features: int) -> nn.PolynomialActivation:
    return nn.PolynomialActivation(2, features=features)


def _error(activation: nn.PolynomialActivation) -> float:
    """The largest distance from ReLU on the interval."""
    x = np.linspace(*activation.interval, 10_001)
    return float(np.max(np.abs(np.asarray(activation.polynomial(x.astype(np.float32))) - np.maximum(x, 0))))


def render(found: dict[str, Any]) -> str:
    """The study as aligned text."""
    lines = [
        f"Approximations of ReLU: {found['images']:,} training images, {found['epochs']} epochs; accuracy on",
        f"{found['test_images']:,} test images",
    ]
    for setting in SETTINGS:
        rows = [row for row in found["rows"] if (row["degree"], row["bound"]) == setting]
        degree, bound = setting
        title = f"degree {degree} on [-{bound:g}, {bound:g}]"
        lines += ["", f"  {title:<30}{'error':>8}{'replaced':>12}{'trained':>12}"]
        lines += [_line(row) for row in rows]
    for name, key in (("ReLU", "relu"), ("quadratics, trained", "trained_quadratics")):
        lines += [f"  {name:<50}{found[key]:>10.2f} %"]
    return "\n".join([*lines, NOTES, ""])


def _line(row: dict[str, Any]) -> str:
    name = f"{row['method']}{' (ours)' if row['method'] in OURS else ''}"
    return f"    {name:<28}{row['error']:>8.3f}{row['replaced']:>10.2f} %{row['trained']:>10.2f} %"


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.cryptodl"))
