"""Weights of few bits, while activations stay floats, and weights prepared for that."""
