"""What has to be right under every setting of JAX: each job returns arrays by name.

All randomness but the program's comes from keys of fixed bytes, so that settings compare bit by bit. Run by
test_flags with a file to write to and the jobs.
"""

import pathlib
import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import fhejax
from fhejax import approx, ckks
from fhejax.ckks.bootstrapping import (
    BootstrappingKeys,
    BootstrappingOptions,
    bootstrapping_circuit,
    bootstrapping_keys,
)
from fhejax.ckks.linear_transform import apply_linear_transform, linear_transform

Results = dict[str, np.ndarray]


def fixed_key(index: int) -> jax.Array:
    return ckks.keys.key_from_bytes(bytes([index] * 32))


def close(found: jax.Array, expected: np.ndarray, bits: float) -> None:
    """At least `bits` bits after the point of every number are right."""
    error = float(np.max(np.abs(np.asarray(found) - expected)))
    assert error < 2.0**-bits, f"{error} is not below 2**-{bits}"


def scheme() -> Results:
    """The scheme's example of README.md, in a small ring, and what else is encrypted, turned and stored."""
    params = ckks.insecure_parameters(16, 4, digit_size=2)
    key, k1, k2, k3 = jax.random.split(fixed_key(1), 4)
    sigmoid = approx.chebyshev(lambda x: jax.nn.sigmoid(4 * x), 7, (-1, 1))

    def circuit(keys, x):
        y = ckks.evaluate_polynomial(keys, x, sigmoid)
        return ckks.multiply(keys, y, ckks.rotate(keys, y, 1))

    values = np.linspace(-1, 1, params.slots)
    predicted = circuit(None, ckks.estimate(params, values))
    transform = linear_transform(params, {0: values, 1: values**2}, level=2)
    secret = ckks.secret_key(k1, params)
    keys = ckks.evaluation_keys(k2, secret, relinearise=True, rotations=(1, 2))
    x = ckks.encrypt(k3, secret, ckks.encode(params, values))
    found = circuit(keys, x)
    y = sigmoid(values)
    decrypted = ckks.decrypt(secret, found, prediction=predicted)
    close(ckks.decode(decrypted), np.asarray(y * np.roll(y, -1), np.float64), 14)
    left = ckks.precision(decrypted, predicted.values)
    assert left.mean > predicted.precision_bits - 1, (left, predicted)
    public = ckks.public_key(fixed_key(2), secret)
    published = ckks.encrypt(key, public, ckks.encode(params, values))
    seeded = ckks.encryption.encrypt_seeded(fixed_key(3), secret, ckks.encode(params, values))
    turned = ckks.rotate_hoisted(keys, x, (1, 2))
    transformed = apply_linear_transform(keys, x, transform)
    expected = values * values + values**2 * np.roll(values, -1)
    wanted = [values, values, np.roll(values, -1), np.roll(values, -2), expected]
    for one, numbers in zip(
        [published, ckks.encryption.expand(seeded), *turned, transformed], wanted, strict=True
    ):
        close(ckks.decode(ckks.decrypt(secret, one)), numbers, 14)
    inside = jax.vmap(jax.jit(lambda data: ckks.square(keys, x.replace(data=data)).data))
    squares = x.replace(data=inside(x.data[None]), level=3, scale=params.scales[3])
    close(ckks.decode(ckks.decrypt(secret, squares))[0], values**2, 14)
    results = {
        "found": found.data,
        "transformed": transformed.data,
        "squares": squares.data,
        "predicted": predicted.values,
    }
    return results | stored(keys, published, seeded) | {f"turned {i}": t.data for i, t in enumerate(turned)}


def stored(keys, published, seeded) -> Results:
    """Everything that travels, and that it comes back as it was."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "object"
        for one in (keys, published, seeded):
            ckks.save(path, one)
            found = ckks.load(path, one.params, allow_insecure=True)
            for ours, theirs in zip(jax.tree.leaves(one), jax.tree.leaves(found), strict=True):
                assert (np.asarray(ours) == np.asarray(theirs)).all()
    arrays = jax.tree.leaves((keys, published, seeded))
    return {f"stored {number}": array for number, array in enumerate(arrays)}


class Classifier(nnx.Module):
    """The layers of `experiments.digits`, for images 4x4."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.convolution = nnx.Conv(1, 2, (3, 3), padding="VALID", rngs=rngs)
        self.normalisation = nnx.BatchNorm(2, rngs=rngs)
        self.polynomial = fhejax.nn.PolynomialActivation(2, features=2)
        self.output = nnx.Linear(2, 3, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        x = self.polynomial(self.normalisation(self.convolution(images)))
        x = nnx.pool(x, 0.0, jax.lax.add, (2, 2), (2, 2), "VALID") * 0.25
        return self.output(x.reshape(x.shape[0], -1))


def program() -> Results:
    """The main job: a Flax network compiled, keys, encryption, evaluation, decryption, and the oracles."""
    network = nnx.view(Classifier(rngs=nnx.Rngs(0)), use_running_average=True)
    described = fhejax.Encrypted((4, 4, 4, 1), range=(0, 1))
    compiled = fhejax.compile(network, described, precision_bits=12, insecure_log_degree=4)
    images = np.random.default_rng(0).uniform(0, 1, described.shape).astype(np.float32)
    secret, keys = compiled.keygen()
    result = compiled(keys, compiled.encrypt(secret, images))
    logits = compiled.decrypt(secret, result)
    simulated, clear = compiled.simulate(images), compiled.clear(images)
    assert logits.shape == (4, 3) and logits.dtype == simulated.dtype == clear.dtype == np.float64
    close(network(jnp.asarray(images)), clear, 20)
    close(simulated, clear, 10)
    close(logits, simulated, 14)
    return {"labels": logits.argmax(1)}  # weights may differ in their last bit: JAX makes them


def bootstrapped() -> Results:
    """A bootstrap, and its estimate."""
    parameters = ckks.BootstrappingParameters.for_levels(
        1,
        degree=16,
        insecure=True,
        options=BootstrappingOptions(
            hamming_weight=2,
            ratio_bits=8,
            polynomial_degree=7,
            double_angles=1,
            coefficients_to_slots=1,
            slots_to_coefficients=1,
        ),
    )
    params, circuit = parameters.params, bootstrapping_circuit(parameters)
    secret = ckks.secret_key(fixed_key(4), params)
    keys = bootstrapping_keys(fixed_key(5), secret, circuit)
    values = np.exp(1j * np.arange(params.slots)) / 2
    plaintext = ckks.encode(params, values, level=parameters.input_level)
    found = ckks.bootstrap(keys, ckks.encrypt(fixed_key(6), secret, plaintext))
    close(ckks.decode(ckks.decrypt(secret, found)), values, 10)
    estimate = ckks.estimate(params, values, level=parameters.input_level)
    predicted = ckks.bootstrap(BootstrappingKeys(circuit), estimate)
    close(predicted.values, values, 10)
    return {"found": found.data}


JOBS = {function.__name__: function for function in (scheme, program, bootstrapped)}

if __name__ == "__main__":
    path, *names = sys.argv[1:]
    results = {name: JOBS[name]() for name in names}
    np.savez(path, **{f"{name}: {key}": array for name in names for key, array in results[name].items()})
