"""The client decrypts the logits of all images."""

import numpy as np

import fhejax
from experiments.public_benchmark.client_key_generation import SECRET
from experiments.public_benchmark.folders import needed
from experiments.public_benchmark.server_encrypted_compute import RESULT
from experiments.public_benchmark.server_preprocess_model import CLIENT
from experiments.public_benchmark.stage import Arguments, start
from fhejax.ckks.files import load_secret_key

LOGITS = "logits.npy"


def main(arguments: Arguments) -> None:
    """Write the logits of all images."""
    folders = arguments.folders
    client = fhejax.load_client(folders.model / CLIENT, allow_insecure=arguments.is_insecure)
    secret = load_secret_key(needed(folders.secret_key / SECRET, "client_key_generation"))
    files = [folders.downloads / RESULT.format(number) for number in range(folders.count)]
    found = (fhejax.load(needed(f, "server_encrypted_compute"), client.params) for f in files)
    logits = np.concatenate([np.asarray(client.decrypt(secret, one)) for one in found])
    np.save(folders.intermediate / LOGITS, logits)


if __name__ == "__main__":
    start(main, "client_decrypt_decode")
