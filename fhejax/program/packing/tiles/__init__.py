"""Whole training steps: a mini-batch, its labels, the weights and the state in tiles of slots."""
