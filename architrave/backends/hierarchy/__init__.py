"""Blocks, functions and loops of the source, recovered from a flat graph."""

from architrave.backends.hierarchy.chains import Chain
from architrave.backends.hierarchy.recover import recover
from architrave.backends.hierarchy.region import Item, Region, bodies_of, is_constant, is_leaf, post_order

__all__ = ["Chain", "Item", "Region", "bodies_of", "is_constant", "is_leaf", "post_order", "recover"]
