"""Passes that make networks sparse, in weights or in activations."""
