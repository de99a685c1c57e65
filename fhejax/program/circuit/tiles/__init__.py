"""Circuits whose values do not fit in memory: the tiles of registers, and the order they are made in."""
