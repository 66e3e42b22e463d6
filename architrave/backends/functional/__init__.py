"""What the NumPy and the JAX backend share: pure functions on nested dicts of arrays."""
