"""Nodes of values of which a row is a slot: maps, masks and sums of slots, and what is carried."""
