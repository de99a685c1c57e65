"""No ciphertext at all: every operation takes an empty batch, and gives one."""

import jax
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks.linear_transform import apply_linear_transform, linear_transform


@pytest.fixture(scope="module", params=[pytest.param(True, marks=pytest.mark.nightly), False])
def scheme(request):
    params = ckks.insecure_parameters(16, 3, real=request.param)
    secret = ckks.secret_key(ckks.random_key(), params)
    keys = ckks.evaluation_keys(ckks.random_key(), secret, relinearise=True, rotations=(1, 2, 4, 8))
    return params, secret, keys


def test_empty_in_empty_out(scheme):
    params, secret, keys = scheme
    batch = (0,) if params.ring.conjugate_invariant else (2, 0)
    plaintext = ckks.encode(params, np.zeros((*batch, params.slots)))
    public = ckks.public_key(ckks.random_key(), secret)
    seeded = ckks.encryption.encrypt_seeded(ckks.random_key(), secret, plaintext)
    x = ckks.encrypt(ckks.random_key(), secret, plaintext)
    transform = linear_transform(params, {0: np.ones(params.slots), 1: np.ones(params.slots)})
    results = [
        x,
        ckks.encryption.expand(seeded),
        ckks.encrypt(ckks.random_key(), public, plaintext),
        ckks.add(x, x),
        ckks.subtract(x, plaintext),
        ckks.multiply(keys, x, x),
        ckks.square(keys, x),
        ckks.multiply_plain(x, plaintext),
        ckks.multiply_scalar(x, 2.0),
        ckks.add_scalar(x, 1.0),
        ckks.rotate(keys, x, 1),
        *ckks.rotate_hoisted(keys, x, (1, 2)),
        ckks.inner_sum(keys, x),
        ckks.rescale(ckks.multiply_plain(x, plaintext)),
        ckks.drop_level(x, 1),
        ckks.evaluate_polynomial(keys, x, [1.0, 0.5, 0.25, 0.125]),
        apply_linear_transform(keys, x, transform),
        jax.jit(ckks.multiply)(keys, x, x),
    ]
    for result in results:
        assert result.data.shape == (*batch, 2, len(result.moduli), 16)
        assert ckks.decode(ckks.decrypt(secret, result)).shape == (*batch, params.slots)
    assert ckks.encoding.is_encodable(params, np.zeros((*batch, params.slots))).shape == batch


def test_empty_batches_broadcast_as_in_numpy(scheme):
    params, secret, _ = scheme
    x, one, two = (
        ckks.encrypt(ckks.random_key(), secret, ckks.encode(params, np.zeros((*batch, 4))))
        for batch in ((0,), (1,), (2,))
    )
    assert ckks.add(x, one).batch == (0,)
    with pytest.raises(ValueError, match=r"a sum of batches of shape \(0,\) and \(2,\)"):
        ckks.add(x, two)


def test_where_nothing_cannot_stand(scheme):
    params, secret, _ = scheme
    x = ckks.encrypt(ckks.random_key(), secret, ckks.encode(params, np.zeros((0, 4))))
    with pytest.raises(ValueError, match=r"a batch of shape \(0,\), with no object"):
        ckks.files.to_bytes(x)
    with pytest.raises(ValueError, match="an empty batch; it needs a vector"):
        ckks.estimate(params, np.zeros((0, 4)))
