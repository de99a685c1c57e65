"""The circuit of ciphertexts: the steps that a program takes, as data."""
