"""Plans in parameters that are given: which levels there are, and lazy or canonical scales within them."""
