"""The packing of one channel's pixels of several images in each ciphertext, and how a graph becomes steps in it."""
