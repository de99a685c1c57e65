"""Run by test_sharding: every kind of operation on sharded ciphertexts, equal to one device's, bit by bit.

Arguments: the process's number, how many processes, and the port where they meet (0 for one process).
"""

import sys

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

number, processes, port = map(int, sys.argv[1:])
if processes > 1:
    jax.distributed.initialize(f"127.0.0.1:{port}", processes, number)

from fhejax import ckks  # noqa: E402

DEVICES = np.array(jax.devices())
BATCH, LEVELS = 8, 3


def circuit(keys, x, y):
    """Tensor, relinearisation, rescale, rotation, scalar and addition."""
    product = ckks.multiply(keys, x, y)
    return ckks.add(ckks.rotate(keys, product, 1), ckks.multiply_scalar(x, 0.5))


def fixed_key(index):
    return ckks.keys.key_from_bytes(bytes([index] * 32))


def shared(mesh, tree, spec):
    """The same host values on every process, laid out over the mesh."""

    def place(leaf):
        rank = min(np.ndim(leaf), len(spec))
        layout = NamedSharding(mesh, PartitionSpec(*spec[:rank]) if np.ndim(leaf) > 2 else PartitionSpec())
        host = np.asarray(leaf)
        return jax.make_array_from_callback(host.shape, layout, lambda index: host[index])

    return jax.tree.map(place, tree)


def main():
    params = ckks.insecure_parameters(16, LEVELS, digit_size=2)
    secret = ckks.secret_key(fixed_key(1), params)
    keys = ckks.evaluation_keys(fixed_key(2), secret, relinearise=True, rotations=(1,))
    values = np.random.default_rng(0).uniform(-1, 1, (2, BATCH, params.slots))
    x, y = (ckks.encrypt(fixed_key(3 + i), secret, ckks.encode(params, v)) for i, v in enumerate(values))
    host = jax.tree.map(np.asarray, (keys, x, y))
    expected = np.asarray(jax.jit(circuit)(keys, x, y).data)
    whole = Mesh(DEVICES, ("batch",))
    both = Mesh(DEVICES.reshape(-1, 2), ("batch", "limb"))
    layouts = {"batch and limbs": (both, ("batch", None, "limb"))}
    if processes == 1:
        layouts["batch"] = (whole, ("batch",))
    for name, (mesh, spec) in layouts.items():
        sharded = (shared(mesh, host[0], (None,)), *(shared(mesh, c, spec) for c in host[1:]))
        found = jax.jit(circuit)(*sharded).data
        for piece in found.addressable_shards:
            assert (np.asarray(piece.data) == expected[piece.index]).all(), name
    assert len(DEVICES) == 8
    print(f"process {number}: {len(layouts)} layouts agree over {len(DEVICES)} devices")


main()
