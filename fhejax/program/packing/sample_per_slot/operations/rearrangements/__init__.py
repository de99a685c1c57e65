"""Rearrangements: they change which entries of a node a view reads, and cost nothing."""
