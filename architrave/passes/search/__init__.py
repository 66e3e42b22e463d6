"""Spaces as networks that hold all of their members: choices by switches, by weights, by subsets."""
