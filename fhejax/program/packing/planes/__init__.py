"""The packing of one channel's pixels of several images in each ciphertext: from a graph to a circuit."""
