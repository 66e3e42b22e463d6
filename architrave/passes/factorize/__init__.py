"""Layers as chains of smaller ones: factorizations of their weights, and updates of low rank beside them."""
