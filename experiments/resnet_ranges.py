"""A network's run in the clear: its logits, and how far each image goes in each layer."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from fhejax import nn

BATCH = 500


@dataclass(frozen=True)
class ClearRun:
    """The logits [image, class] and the largest magnitudes [image, layer] of what activations are given."""

    logits: np.ndarray
    largest: np.ndarray


def clear_run(
    network: nn.Network,
    preparation: nn.Preparation,
    images: np.ndarray,
    progress: Callable[[int, int], None] | None = None,
) -> ClearRun:
    """Run a network on all images, by jitted batches.

    Args:
        network: in inference mode.
        preparation: of its images.
        images: (count, *network.image_shape), as `preparation` takes them.
        progress: is told how many images are done, of how many.
    """

    @jax.jit
    def run(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits, inputs = nn.preactivations(network, x)
        largest = [jnp.max(jnp.abs(z).reshape(x.shape[0], -1), axis=1) for z in inputs]
        return logits, jnp.stack(largest, axis=1)

    parts = []
    with jax.default_matmul_precision("highest"):
        for start in range(0, len(images), BATCH):
            parts.append(jax.device_get(run(preparation(images[start : start + BATCH]))))
            if progress is not None:
                progress(min(start + BATCH, len(images)), len(images))
    logits, largest = zip(*parts, strict=True)
    return ClearRun(np.concatenate(logits), np.concatenate(largest))


def beyond_plan(run: ClearRun, sample: ClearRun, margin: float) -> dict[str, float | int]:
    """How far images go beyond `margin` times what a sample reaches, which a program is planned for.

    Args:
        run: of the images.
        sample: of the sample.
        margin: that of `fhejax.compile`.

    Returns:
        How many images leave the range of any layer, and, for the one that goes furthest relative to it, its
        number, the layer (the activation's number from 1), what it reaches there and what was planned.
        A number that is not finite counts as beyond all.
    """
    planned = margin * sample.largest.max(axis=0)
    share = np.nan_to_num(run.largest / planned, nan=np.inf)
    image, layer = np.unravel_index(np.argmax(share), share.shape)
    reached = float(run.largest[image, layer])
    return {
        "out_of_range": int(np.sum(np.any(share > 1, axis=1))),
        "largest": float(np.nanmax(np.where(np.isfinite(run.largest), run.largest, np.nan))),
        "furthest_image": int(image),
        "furthest_layer": int(layer) + 1,
        "layers": run.largest.shape[1],
        "reached": reached if np.isfinite(reached) else float(np.finfo(np.float32).max),
        "planned": float(planned[layer]),
    }
