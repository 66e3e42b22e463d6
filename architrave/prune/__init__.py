"""Structured pruning by what data say: which channels, heads and layers of a network can go."""
