"""The packings: where the entries of an array lie in ciphertexts and slots."""
