"""The client encodes and encrypts its images, each in a file of its own."""

import numpy as np

import fhejax
from experiments.public_benchmark.client_key_generation import SECRET
from experiments.public_benchmark.client_preprocess_input import IMAGES
from experiments.public_benchmark.folders import needed
from experiments.public_benchmark.server_preprocess_model import CLIENT
from experiments.public_benchmark.stage import Arguments, start
from fhejax.ckks.files import load_secret_key

UPLOAD = "image-{:05}.fhe"


def main(arguments: Arguments) -> None:
    """Write an encrypted image for each prepared one."""
    folders = arguments.folders
    client = fhejax.load_client(folders.model / CLIENT, allow_insecure=arguments.is_insecure)
    secret = load_secret_key(needed(folders.secret_key / SECRET, "client_key_generation"))
    images = np.load(needed(folders.intermediate / IMAGES, "client_preprocess_input"))
    for number in range(len(images)):
        encrypted = client.encrypt(secret, images[number : number + 1])
        fhejax.save(folders.uploads / UPLOAD.format(number), encrypted)


if __name__ == "__main__":
    start(main, "client_encode_encrypt_input")
