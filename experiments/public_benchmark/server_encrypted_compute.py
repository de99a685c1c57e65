"""The server computes on the encrypted images, and tells how long each took beside starting."""

import json
import time

import jax

import fhejax
from experiments.public_benchmark.client_encode_encrypt_input import UPLOAD
from experiments.public_benchmark.client_key_generation import KEYS
from experiments.public_benchmark.folders import needed
from experiments.public_benchmark.server_preprocess_model import SERVER
from experiments.public_benchmark.stage import Arguments, start

RESULT, REPORTED = "logits-{:05}.fhe", "server_reported_steps.json"


def main(arguments: Arguments) -> None:
    """Write encrypted logits for each image, and the seconds of each evaluation."""
    folders, seconds = arguments.folders, []
    server = fhejax.load_server(folders.model / SERVER, allow_insecure=arguments.is_insecure)
    keys = fhejax.load(needed(folders.public_keys / KEYS, "client_key_generation"), server.params)
    for number in range(folders.count):
        path = needed(folders.uploads / UPLOAD.format(number), "client_encode_encrypt_input")
        image = fhejax.load(path, server.params)
        begun = time.perf_counter()
        logits = jax.block_until_ready(server(keys, image))
        seconds.append(time.perf_counter() - begun)
        fhejax.save(folders.downloads / RESULT.format(number), logits)
        (folders.intermediate / REPORTED).write_text(json.dumps({"evaluation": seconds}))


if __name__ == "__main__":
    start(main, "server_encrypted_compute")
