"""The client makes its secret key, and the evaluation keys that the program needs, one after another."""

import fhejax
from experiments.public_benchmark.folders import needed
from experiments.public_benchmark.server_preprocess_model import CLIENT
from experiments.public_benchmark.stage import Arguments, start
from fhejax import ckks
from fhejax.ckks.files import save_evaluation_keys, save_secret_key
from fhejax.ckks.keys import generate_evaluation_keys

SECRET, KEYS = "secret.key", "evaluation_keys.fhe"


def main(arguments: Arguments) -> None:
    """Write the secret key, and the evaluation keys: one at a time is in memory."""
    path = needed(arguments.folders.model / CLIENT, "server_preprocess_model")
    client = fhejax.load_client(path, allow_insecure=arguments.is_insecure)
    secret = ckks.secret_key(ckks.random_key(), client.params)
    keys = generate_evaluation_keys(ckks.random_key(), secret, client.manifest)
    file = arguments.folders.public_keys / KEYS
    save_evaluation_keys(file, client.params, secret.key_id, keys)
    save_secret_key(arguments.folders.secret_key / SECRET, secret)


if __name__ == "__main__":
    start(main, "client_key_generation")
