"""Random distortions of images: pure, jitted functions of a key and a batch."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Distortion:
    """The range in which images may move: uniform in plus or minus each of these.

    Attributes:
        shift: translation in pixels, each axis.
        rotation: angle in degrees.
        scale: relative change of size, each axis: 0.1 is 10%.
        shear: horizontal displacement for each row away from the middle.
        elastic: standard deviation, in pixels, of a smooth random displacement field (Simard,
            Steinkraus and Platt, ICDAR 2003), drawn on a coarse grid and interpolated.
    """

    shift: float = 2.0
    rotation: float = 12.0
    scale: float = 0.12
    shear: float = 0.1
    elastic: float = 0.6


@functools.partial(jax.jit, static_argnums=2)
def distort(key: jax.Array, images: jax.Array, distortion: Distortion) -> jax.Array:
    """The images, each distorted on its own: (batch, height, width, channels) float32 again.

    One affine map and one elastic field move the sampling points; pixels come from bilinear
    interpolation; what lies outside the image is 0. Values stay within the image's and 0.

    Args:
        key: a key of `jax.random`.
        images: (batch, height, width, channels) float32.
        distortion: the ranges of the movements, static.
    """
    keys = jax.random.split(key, images.shape[0])
    return jax.vmap(functools.partial(_distort_image, distortion))(keys, images)


@functools.partial(jax.jit, static_argnums=2)
def shift_and_flip(key: jax.Array, images: jax.Array, pixels: int = 4) -> jax.Array:
    """The images, each shifted by whole pixels and mirrored or not at random: the same shape and dtype.

    What comes in from outside the image is 0.

    Args:
        key: a key of `jax.random`.
        images: (batch, height, width, channels).
        pixels: the largest shift along each axis, static.
    """
    height, width, channels = images.shape[1:]
    shift_key, flip_key = jax.random.split(key)
    starts = jax.random.randint(shift_key, (images.shape[0], 2), 0, 2 * pixels + 1, jnp.int32)
    mirrored = jax.random.bernoulli(flip_key, 0.5, (images.shape[0], 1, 1, 1))
    around = jnp.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))

    def cut(image: jax.Array, start: jax.Array) -> jax.Array:
        corner = (start[0], start[1], jnp.int32(0))
        return jax.lax.dynamic_slice(image, corner, (height, width, channels))

    shifted = jax.vmap(cut)(around, starts)
    return jnp.where(mirrored, shifted[:, :, ::-1], shifted)


def _distort_image(distortion: Distortion, key: jax.Array, image: jax.Array) -> jax.Array:
    affine_key, elastic_key = jax.random.split(key)
    rows, columns = _affine_points(affine_key, distortion, image.shape[0], image.shape[1])
    offsets = distortion.elastic * _smooth_field(elastic_key, image.shape[0], image.shape[1])
    return _bilinear(image, rows + offsets[0], columns + offsets[1])


def _affine_points(
    key: jax.Array, distortion: Distortion, height: int, width: int
) -> tuple[jax.Array, jax.Array]:
    draw = jax.random.uniform(key, (6,), jnp.float32, -1.0, 1.0)
    angle = draw[0] * (distortion.rotation * jnp.pi / 180.0)
    row_scale, column_scale = (1.0 + draw[index] * distortion.scale for index in (1, 2))
    row = jnp.arange(height, dtype=jnp.float32)[:, None] - (height - 1) / 2
    column = jnp.arange(width, dtype=jnp.float32)[None, :] - (width - 1) / 2
    sheared = column + draw[3] * distortion.shear * row
    rows = row_scale * (jnp.cos(angle) * row - jnp.sin(angle) * sheared)
    columns = column_scale * (jnp.sin(angle) * row + jnp.cos(angle) * sheared)
    rows = rows + (height - 1) / 2 + draw[4] * distortion.shift
    return rows, columns + (width - 1) / 2 + draw[5] * distortion.shift


def _smooth_field(key: jax.Array, height: int, width: int) -> jax.Array:
    # A cubic resize of 6x6 noise is as smooth as a Gaussian filter of about 5 pixels, and cheaper.
    coarse = jax.random.normal(key, (2, 6, 6), jnp.float32)
    return jax.image.resize(coarse, (2, height, width), "cubic")


def _bilinear(image: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    sample = functools.partial(jax.scipy.ndimage.map_coordinates, order=1, mode="constant")
    channels = [sample(image[..., index], [rows, columns]) for index in range(image.shape[-1])]
    return jnp.stack(channels, axis=-1)
