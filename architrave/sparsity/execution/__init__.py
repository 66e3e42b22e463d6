"""Sparse weights multiplied: formats, and how long each takes here."""
