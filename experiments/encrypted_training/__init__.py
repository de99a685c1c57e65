"""Training of small networks on encrypted data, labels, weights and momenta."""
