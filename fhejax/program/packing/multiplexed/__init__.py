"""The packing of one sample at a time: the entries of an array lie in the slots of one ciphertext."""
