"""The packing of one sample in each slot, and how a graph becomes steps in it."""
