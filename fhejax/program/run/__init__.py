"""The execution of a program: steps on ciphertexts, the client's half, encrypted arrays."""
