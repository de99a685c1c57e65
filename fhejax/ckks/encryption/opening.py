"""Ciphertexts to numbers in one executable: what a client that only wants the numbers dispatches."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.encoding.vector_encoding import decoded, float_scale
from fhejax.ckks.encryption.encryption import decrypted
from fhejax.ckks.noise.precision import check_precision_left
from fhejax.ckks.parameters.parameters import twiddles_of
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import (
    Ciphertext,
    SecretKey,
    check_form,
    check_opens,
    check_same_parameters,
    refuse_residues,
)
from fhejax.ring import Twiddles
from fhejax.ring.wide import kernel, wide

_ANY_SCALE = Scale.of(1)  # the scale is an argument of the kernel, and none of its constants


def real_numbers(secret: SecretKey, ciphertext: Ciphertext, starts: Sequence[int], size: int) -> np.ndarray:
    """The real parts of what `decrypt` and `decode` find, bit by bit: float64 [start, size, slot].

    Each part is one executable, and all of them are on their way before the first is waited for. Residues are
    looked at by the same kernels, so that nothing goes to the host and back in between.

    Args:
        secret: of the ciphertexts.
        ciphertext: data [entry, poly, limb, N].
        starts: the first entry of each part.
        size: of every part.

    Raises:
        ValueError: ciphertexts of another key or other parameters, or residues out of range.
    """
    check_same_parameters(secret, ciphertext)
    check_opens(secret, ciphertext)
    check_form(ciphertext.data, ciphertext.moduli, "the ciphertext")
    check_precision_left(ciphertext)
    given = ciphertext.replace(data=jnp.asarray(ciphertext.data), scale=_ANY_SCALE)
    scale, twiddles = float_scale(ciphertext.scale), twiddles_of(secret.params)
    found = [_opened(secret, given, np.int32(start), scale, twiddles, size) for start in starts]
    numbers, highest = zip(*jax.device_get(found), strict=True)
    refuse_residues(np.max(highest, 0), ciphertext.moduli, "the ciphertext")
    return np.stack(numbers)


@functools.partial(kernel, static_argnames="size")
@wide
def _opened(
    secret: SecretKey,
    ciphertext: Ciphertext,
    start: np.int32,
    scale: jax.Array,
    twiddles: Twiddles,
    size: int,
) -> tuple[jax.Array, jax.Array]:
    """The numbers of some ciphertexts, [size, slot], and the highest residue of each limb."""
    data = jax.lax.dynamic_slice_in_dim(ciphertext.data, start, size)
    plaintext = decrypted(secret, ciphertext.replace(data=data), twiddles)
    params, level = ciphertext.params, ciphertext.level
    values = decoded(plaintext.data, scale, twiddles, params, level, plaintext.domain)
    return jnp.real(values), jnp.max(data, (0, 1, 3))
