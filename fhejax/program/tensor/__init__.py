"""The function as tensors: its graph, how it is traced and simplified, and what its values are."""
