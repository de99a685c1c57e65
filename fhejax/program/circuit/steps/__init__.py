"""The steps of a program, as data that can run: what all have in common, and those that serve many nodes."""
