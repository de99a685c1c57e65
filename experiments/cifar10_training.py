"""Training of a shallow network for CIFAR-10 from the start, in two stages that can be stopped anywhere.

    python -m experiments.train --network hcnn_cifar --data-dir CIFAR --folder run --output FILE
    python -m experiments.train --network shallow_cifar --data-dir CIFAR --folder run --output FILE

1. With batch normalisation before each activation, or within it (`nn.HermiteActivation`). A stopped run
   goes on from its last epoch.
2. Normalisations are folded into convolutions and polynomials. Where a recipe says so, training goes on with
   what is left, which is what will run encrypted: images that go far in any activation cost
   (`experiments/resnet_training.py`). A stopped run goes on from its last 25 steps.

The last 5,000 training images are held out of both; the recipe of HCNN's network was chosen by them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from experiments import resnet_training
from fhejax import nn

FOLDED_BEHIND = 1_000  # images whose moments the folded Hermite activations take
CHROMA = 1.5  # the limit of colour, in normalised units: 1 % of the pixels are beyond


@dataclass(frozen=True)
class Recipe:
    """The numbers of both stages; None for no second one."""

    normalised: nn.TrainingConfig
    bounded: nn.BoundedTraining | None = None


# With three squares no image goes far: a second stage of 500 steps, the rate 0.004, took half a point and
# bounded nothing, one of 250 and 0.0004 did nothing at all.
HCNN = Recipe(nn.TrainingConfig(epochs=24, learning_rate=4e-3))
# That of the committed weights of the shallow network, which a GPU trained, in this project's parts: colours
# limited from the first epoch on, the committed ResNet-20 imitated, polynomials folded one after the other,
# and a last part with static ones. AdamW stands for SGD, nothing is cut out of images, 60 epochs are a guess.
SHALLOW = Recipe(
    nn.TrainingConfig(
        epochs=60, batch_size=256, learning_rate=4e-3, distillation_weight=0.9, temperature=4.0
    ),
    nn.BoundedTraining(steps=3_200, threshold=8.0, outlier_weight=0.1),
)


@dataclass(frozen=True)
class Teacher:
    """A network that is imitated, whose images are prepared as those of its pupil.

    Attributes:
        predict: its logits.
        preparation: of its images.
    """

    predict: Callable[[jax.Array], jax.Array]
    preparation: nn.Preparation


def run(
    network: nn.Network,
    dataset: nn.Dataset,
    recipe: Recipe,
    folder: Path | None = None,
    held_out: int = resnet_training.HELD_OUT,
    teacher: Teacher | None = None,
) -> tuple[nn.Network, nn.Preparation, dict[str, Any]]:
    """Train a network in both stages.

    Args:
        network: with normalisations that fold away.
        dataset: CIFAR-10, of which `held_out` training images are left out.
        recipe: the numbers of both stages.
        folder: of the states that a stopped run goes on from.
        held_out: training images to measure with.
        teacher: of the first stage, if the recipe imitates one.

    Returns:
        The folded network, the preparation of its images, and what was measured before and after the second
        stage, if there is one.
    """
    images = dataset.train_images[:-held_out]
    preparation = preparation_of(images) if teacher is None else teacher.preparation
    network = normalised(network, preparation, dataset, recipe.normalised, folder, held_out, teacher)
    seen = resnet_training.prepared(preparation, images[:FOLDED_BEHIND])
    folded = nn.fold_activations(nn.fold_batch_norm(network), seen)
    if recipe.bounded is None:
        found = {"name": "Training with normalisation, folded", "epochs": recipe.normalised.epochs}
        return (
            folded,
            preparation,
            found | resnet_training.measured_halves({"folded": folded}, preparation, dataset, held_out),
        )
    second = None if folder is None else folder / "bounded"
    trained, results = resnet_training.run(
        folded, preparation, dataset, recipe.bounded, second, held_out=held_out
    )
    return trained, preparation, results


def hermite(features: int) -> nn.HermiteActivation:
    """The activation of the first stage, which folds to one of `ShallowCifar`'s quadratics."""
    return nn.HermiteActivation(features, interval=nn.PolynomialActivation(2, features=features).interval)


def preparation_of(images: np.ndarray) -> nn.Preparation:
    """The preparation that normalises each colour by its moments on these images, and limits it."""
    axes = tuple(range(images.ndim - 1))
    mean, deviation = (np.asarray(f(images, axis=axes, dtype=np.float64)) for f in (np.mean, np.std))
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    return nn.Preparation(tuple((mean / scale).tolist()), tuple((deviation / scale).tolist()), CHROMA, shape)


def normalised(
    network: nn.Network,
    preparation: nn.Preparation,
    dataset: nn.Dataset,
    config: nn.TrainingConfig,
    folder: Path | None,
    held_out: int,
    teacher: Teacher | None,
) -> nn.Network:
    """The network after the first stage, in inference mode."""
    images = resnet_training.prepared(preparation, dataset.train_images[:-held_out])
    halves = (dataset.train_images[-held_out:], dataset.train_labels[-held_out:])
    held = resnet_training.prepared(preparation, halves[0])

    def resume(state: nn.TrainingState) -> nn.TrainingState:
        state = state if folder is None else resnet_training.read(folder / "normalised", state, config)
        bar.update(int(state.step) * config.batch_size // len(images))
        return state

    def keep(state: nn.TrainingState) -> None:
        if folder is not None:
            resnet_training.write(folder / "normalised", state, config)

    def show(epoch: nn.Epoch, predict: Any) -> None:
        found = f"{nn.accuracy(predict, held, halves[1]):.4f}"
        bar.set_postfix(loss=f"{epoch.loss:.4f}", accuracy=f"{epoch.accuracy:.4f}", held_out=found)
        bar.update()

    with tqdm(total=config.epochs, desc="with normalisation", unit="epoch") as bar:
        network, _ = nn.train(
            network,
            images,
            dataset.train_labels[:-held_out],
            config,
            augment=nn.shift_and_flip,
            teacher=None if teacher is None else teacher.predict,
            on_epoch=show,
            resume=resume,
            on_state=keep,
        )
    return network
