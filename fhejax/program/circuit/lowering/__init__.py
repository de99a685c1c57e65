"""How a circuit becomes steps: the state of that, scales exact and rough, and sums of unlike scales."""
